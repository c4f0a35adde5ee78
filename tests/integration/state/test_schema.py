"""The schema gpm_cdc: making it, examining it, and what the migrations make of it."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import func, insert
from sqlalchemy.dialects.postgresql.base import PGDialect

from gpm_cdc.cli import main as frame
from gpm_cdc.errors.base import ExitCode, GpmCdcError
from gpm_cdc.errors.state import StateLoginRefused, StateNewer, StateNotWritable, StateRefused, StateUnreachable
from gpm_cdc.state import migration
from gpm_cdc.state.database import transaction
from gpm_cdc.state.model import SCHEMA, Base, PgLsn, Run
from tests.servers import Database


@pytest.fixture(autouse=True)
def _reflected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PGDialect.ischema_names, "pg_lsn", PgLsn)


@pytest.fixture
def environment(postgres: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """A process whose settings name the database of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPM_POSTGRES_DSN", postgres.dsn)
    return postgres


def _differences(dsn: str) -> list[Any]:
    with transaction(dsn) as connection:
        options = {
            "version_table_schema": SCHEMA,
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def test_migrations_make_what_the_models_say(postgres: Database) -> None:
    """After an upgrade no difference is found between the models and the database; before it, there is one."""
    assert _differences(postgres.dsn)
    migration.upgrade(postgres.dsn)
    assert _differences(postgres.dsn) == []


def test_every_revision_can_be_taken_back_and_made_again(postgres: Database) -> None:
    """Up, down to nothing, and up again ends at the newest revision."""
    migration.upgrade(postgres.dsn)
    migration.downgrade(postgres.dsn)
    assert migration.revisions(postgres.dsn).standing == "missing"
    with transaction(postgres.dsn) as connection:
        count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'gpm_cdc'::regnamespace AND relkind = 'r'"
        assert connection.exec_driver_sql(count).scalar_one() == 1, "only Alembic's own table stays"
    assert migration.upgrade(postgres.dsn).standing == "missing"
    assert migration.revisions(postgres.dsn).standing == "current"
    assert _differences(postgres.dsn) == []


async def test_earlier_passes_are_told_as_before(postgres: Database) -> None:
    """A pass that was kept before its tables had positions of their own gives them its own, and has ended."""
    migration.upgrade(postgres.dsn)
    with transaction(postgres.dsn) as connection:
        command.downgrade(migration.configuration(connection), "gpm_cdc_0002")
    async with await postgres.connect() as connection:
        await connection.execute(
            """
            INSERT INTO gpm_cdc.run (stream, command, owner, ended_at, outcome, first_lsn, last_lsn, verdict)
            VALUES ('s', 'verify', 'here:1', now(), 'done', '0/10', '0/20', 'inconclusive');
            INSERT INTO gpm_cdc.verify_pass SELECT id, 'full', false, '0', 1.5, 2, 0, 1 FROM gpm_cdc.run;
            INSERT INTO gpm_cdc.verify_table SELECT id, 1, 'a', 1, 1, 0, 0, 0, 0, '1:1', '1:1' FROM gpm_cdc.run;
            INSERT INTO gpm_cdc.verify_table SELECT id, 2, 'b', 1, 1, 0, 0, 0, 0, '1:1', '1:1' FROM gpm_cdc.run;
            INSERT INTO gpm_cdc.unsettled SELECT id, 1, 'b', NULL, 'busy' FROM gpm_cdc.run
            """
        )
        migration.upgrade(postgres.dsn)
        rows = await connection.execute(
            "SELECT table_name, from_lsn::text, as_of_lsn::text, settled, resumed, state FROM gpm_cdc.verify_table"
            " JOIN gpm_cdc.verify_pass USING (run_id) ORDER BY number"
        )
        assert await rows.fetchall() == [
            ("a", "0/10", "0/20", True, False, "ended"),
            ("b", "0/10", "0/20", False, False, "ended"),
        ]


async def test_commands_follow_the_standing(environment: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """`db check` is a finding until `db upgrade` made the schema, and again when it is behind."""
    assert frame.outcome(["db", "check"]) == ExitCode.FINDING
    assert "no schema gpm_cdc" in capsys.readouterr().out
    assert frame.outcome(["db", "upgrade"]) == ExitCode.DONE
    assert frame.outcome(["db", "check"]) == ExitCode.DONE
    assert frame.outcome(["db", "upgrade"]) == ExitCode.DONE
    assert "already" in capsys.readouterr().err
    migration.downgrade(environment.dsn)
    assert frame.outcome(["db", "check"]) == ExitCode.FINDING


async def test_newer_schema_is_left_alone(environment: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that this version does not know is a finding, and no upgrade touches it."""
    migration.upgrade(environment.dsn)
    async with await environment.connect() as connection:
        await connection.execute("UPDATE gpm_cdc.alembic_version SET version_num = 'gpm_cdc_9999'")
    assert frame.outcome(["db", "check"]) == ExitCode.FINDING
    assert "gpm_cdc_9999" in capsys.readouterr().out
    with pytest.raises(StateNewer):
        migration.upgrade(environment.dsn)


async def test_another_branch_is_none_of_its_business(postgres: Database) -> None:
    """A revision of another branch beside ours neither hides ours nor is touched by going up and down."""
    migration.upgrade(postgres.dsn)
    async with await postgres.connect() as connection:
        await connection.execute("INSERT INTO gpm_cdc.alembic_version VALUES ('codegraph_0001')")
    assert migration.revisions(postgres.dsn).standing == "current"
    assert migration.upgrade(postgres.dsn).standing == "current"


_OTHER_BRANCH = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "other_0001", None, ("other",), None
def upgrade(): op.execute("CREATE TABLE other (id int)")
def downgrade(): op.execute("DROP TABLE other")
"""


async def test_upgrade_follows_one_branch(postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of another branch in the same directory do not get into the database."""
    shutil.copytree(migration.scripts(), tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts/versions/other_0001.py").write_text(_OTHER_BRANCH, encoding="utf-8")
    monkeypatch.setattr(migration, "scripts", lambda: tmp_path / "scripts")
    migration.upgrade(postgres.dsn)
    assert migration.revisions(postgres.dsn).standing == "current"
    async with await postgres.connect() as connection:
        rows = await connection.execute("SELECT to_regclass('other') IS NULL, to_regclass('gpm_cdc.run') IS NULL")
        assert await rows.fetchone() == (True, False)


async def test_upgrade_needs_no_right_that_it_does_not_use(postgres: Database) -> None:
    """A role that owns the schema but may not make another one can upgrade; one that may not is told what to grant."""
    role = sql.Identifier(postgres.name)
    dsn = make_conninfo(postgres.dsn, user=postgres.name, password="x")
    async with await postgres.connect() as connection:
        await connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        try:
            with pytest.raises(StateNotWritable) as refused:
                migration.upgrade(dsn)
            assert "GRANT CREATE" in refused.value.advice
            await connection.execute(sql.SQL("CREATE SCHEMA gpm_cdc AUTHORIZATION {}").format(role))
            assert migration.upgrade(dsn).standing == "missing"
            assert migration.revisions(dsn).standing == "current"
        finally:
            await connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            await connection.execute(sql.SQL("DROP ROLE {}").format(role))


async def test_two_upgrades_at_once_make_one_schema(postgres: Database) -> None:
    """The second waits for the first, and finds its work done."""
    standings = await asyncio.gather(*(asyncio.to_thread(migration.upgrade, postgres.dsn) for _ in range(3)))
    assert sorted(each.standing for each in standings) == ["current", "current", "missing"]


async def test_failed_upgrade_leaves_nothing(postgres: Database) -> None:
    """A table in the way of the last step takes the whole upgrade back."""
    async with await postgres.connect() as connection:
        await connection.execute("CREATE SCHEMA gpm_cdc CREATE TABLE run (id int)")
        with pytest.raises(StateRefused):
            migration.upgrade(postgres.dsn)
        assert migration.revisions(postgres.dsn).standing == "missing"
        rows = await connection.execute("SELECT to_regclass('gpm_cdc.alembic_version') IS NULL")
        assert await rows.fetchone() == (True,)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"port": 1}, StateUnreachable),
        ({"dbname": "nowhere"}, StateLoginRefused),
        ({"user": "nobody"}, StateLoginRefused),
    ],
)
def test_connection_problems_have_names(postgres: Database, change: dict[str, Any], error: type[GpmCdcError]) -> None:
    """A server that is not there, and a login that is refused, are errors of ours with the next step."""
    with pytest.raises(error) as refused:
        migration.revisions(make_conninfo(postgres.dsn, **change))
    assert "GPM_STATE_DSN" in refused.value.advice


def test_inconsistent_rows_are_refused(postgres: Database) -> None:
    """The constraints hold: an unknown command, a verdict out of the blue, an end without an outcome."""
    migration.upgrade(postgres.dsn)
    for values in (
        {"command": "dance"},
        {"verdict": "perhaps"},
        {"ended_at": func.now()},
        {"outcome": "done"},
    ):
        with pytest.raises(StateRefused), transaction(postgres.dsn) as connection:
            connection.execute(insert(Run).values({"stream": "s", "command": "run", "owner": "o", **values}))


def test_scripts_are_found_beside_the_package() -> None:
    """In a checkout the migrations are those of the directory alembic."""
    assert (migration.scripts() / "env.py").is_file()
    assert migration.scripts() == Path(__file__).parents[3] / "alembic"
