"""What is left of a `run` or `verify` in the schema gpm_cdc, and that nothing there can stop one."""

import asyncio
import time
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from pydantic import SecretStr

from gpm_cdc.cli import main as frame
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.state import StateBusy
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.runtime.history import recorded
from gpm_cdc.state import migration, runs
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer


def _settings(dsn: str, state: str | None = None) -> Settings:
    return Settings(postgres_dsn=SecretStr(dsn), state_dsn=None if state is None else SecretStr(state), stream="shop")


async def _runs(database: Database) -> list[dict[str, Any]]:
    async with await database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM gpm_cdc.run ORDER BY id")
        return await cursor.fetchall()


async def _first_row(database: Database) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while not (rows := await _runs(database)):  # noqa: ASYNC110 - the server gives no sign
            await asyncio.sleep(0.01)
    return rows[0]


class _Nobody:
    def __getattr__(self, _: str) -> Any:  # noqa: ANN401 - every method of the port
        return lambda *_: None


async def test_a_command_leaves_its_row(postgres: Database) -> None:
    """The row is there while the command works, and says in the end what it did."""
    migration.upgrade(postgres.dsn)
    async with recorded(_settings(postgres.dsn), "verify") as entry:
        open_row = await _first_row(postgres)
        entry.reached(parse("0/100"))
        entry.verdict = "clean"
        entry.count("element_count", 7)
    assert (open_row["ended_at"], open_row["outcome"]) == (None, None)
    (row,) = await _runs(postgres)
    assert row["ended_at"] >= row["started_at"]
    expected = {
        "stream": "shop",
        "command": "verify",
        "outcome": "done",
        "first_lsn": "0/100",
        "last_lsn": "0/100",
        "verdict": "clean",
        "detail": {"element_count": 7},
    }
    assert {name: row[name] for name in expected} == expected


async def test_an_observer_fills_the_row(postgres: Database) -> None:
    """First and last position and the counts of a run come from what its observer is told."""
    migration.upgrade(postgres.dsn)
    async with recorded(_settings(postgres.dsn), "run") as entry:
        observer = entry.observing(_Nobody())
        observer.snapshot_started(10)
        observer.snapshot_progress("public.t", 4)
        observer.snapshot_progress("public.u", 6)
        observer.snapshot_finished(Lsn(0x10), 0.1)
        observer.streaming(Lsn(0x10))
        for lsn in (0x20, 0x30):
            observer.batch_applied(BatchReport(Lsn(lsn), 2, 5, 5, 0.01, None))
    (row,) = await _runs(postgres)
    assert (row["first_lsn"], row["last_lsn"]) == ("0/10", "0/30")
    assert row["detail"] == {"snapshot_row_count": 10, "transaction_count": 4, "change_count": 10}


async def test_failure_is_noted_by_its_code(postgres: Database) -> None:
    """An error goes through, and its code, not its text, stays behind."""
    migration.upgrade(postgres.dsn)
    with pytest.raises(StateBusy):
        async with recorded(_settings(postgres.dsn), "run"):
            raise StateBusy(detail="secret")
    (row,) = await _runs(postgres)
    assert (row["outcome"], row["detail"]) == ("failed", {"error": "state_busy"})


async def test_being_cancelled_is_not_a_failure(postgres: Database) -> None:
    """A command that is broken off leaves a row that says so."""
    migration.upgrade(postgres.dsn)

    async def work() -> None:
        async with recorded(_settings(postgres.dsn), "run"):
            await _first_row(postgres)
            await asyncio.get_running_loop().create_future()

    working = asyncio.create_task(work())
    await _first_row(postgres)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    (row,) = await _runs(postgres)
    assert row["outcome"] == "stopped"


async def test_no_schema_no_history(postgres: Database) -> None:
    """Without the schema a command works as ever, and makes nothing."""
    async with recorded(_settings(postgres.dsn), "run"):
        pass
    async with await postgres.connect() as connection:
        rows = await connection.execute("SELECT to_regnamespace('gpm_cdc') IS NULL")
        assert await rows.fetchone() == (True,)


@pytest.mark.parametrize(
    "granted",
    ["SELECT ON gpm_cdc.run", "ALL ON gpm_cdc.run", "USAGE ON SCHEMA gpm_cdc"],
    ids=["read", "table", "schema"],
)
async def test_schema_that_may_not_be_written_is_left_alone(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, granted: LiteralString
) -> None:
    """A role without all rights on the schema does not even try, which would leave an error in the server's log."""
    migration.upgrade(postgres.dsn)
    tried: list[object] = []
    monkeypatch.setattr(runs, "begin", lambda *_, **facts: tried.append(facts))
    role = sql.Identifier(postgres.name)
    async with await postgres.connect() as connection:
        await connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        await connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(granted), role))
        try:
            async with recorded(_settings(make_conninfo(postgres.dsn, user=postgres.name, password="x")), "run"):
                pass
        finally:
            await connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            await connection.execute(sql.SQL("DROP ROLE {}").format(role))
    assert tried == []


async def test_unreachable_server_neither_delays_nor_fails() -> None:
    """The work begins at once, and ends without an error, when nothing answers."""
    began = time.monotonic()
    async with recorded(_settings("host=127.0.0.1 port=1"), "run"):
        inside = time.monotonic() - began
    assert inside < 1


async def test_vanished_schema_does_not_fail_the_command(postgres: Database) -> None:
    """When the row cannot be finished, the command ends as it would have."""
    migration.upgrade(postgres.dsn)
    async with recorded(_settings(postgres.dsn), "run"):
        await _first_row(postgres)
        async with await postgres.connect() as connection:
            await connection.execute("DROP SCHEMA gpm_cdc CASCADE")


async def test_history_may_live_elsewhere(postgres: Database) -> None:
    """GPM_STATE_DSN names the database of the schema; the source is not asked."""
    migration.upgrade(postgres.dsn)
    async with recorded(_settings("host=127.0.0.1 port=1", postgres.dsn), "run"):
        await _first_row(postgres)
    assert [row["outcome"] for row in await _runs(postgres)] == ["done"]


_MAPPING = """
version = 1
[[node]]
table = "public.city"
label = "City"
key = ["id"]
"""


def test_run_keeps_its_history(
    postgres: Database, neo4j: Neo4jServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gpm-cdc run` writes down from where to where it went, and how many rows it copied."""
    (tmp_path / "gpm-cdc.toml").write_text(_MAPPING, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GPM_POSTGRES_DSN": postgres.dsn,
        "GPM_NEO4J_URI": neo4j.uri,
        "GPM_NEO4J_USER": neo4j.user,
        "GPM_NEO4J_PASSWORD": neo4j.password,
        "GPM_STREAM": postgres.name,
    }.items():
        monkeypatch.setenv(name, value)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE city (id int PRIMARY KEY)")
        connection.execute("INSERT INTO city SELECT generate_series(1, 5)")
        assert frame.outcome(["db", "upgrade"]) == ExitCode.DONE
        try:
            assert frame.outcome(["run", "--until-current"]) == ExitCode.DONE
            found = connection.execute(
                "SELECT stream, command, outcome, detail, first_lsn <= last_lsn, last_lsn <= pg_current_wal_lsn()"
                " FROM gpm_cdc.run"
            ).fetchall()
        finally:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                [postgres.name],
            )
    ((stream, command, outcome, detail, ordered, bounded),) = found
    assert (stream, command, outcome, ordered, bounded) == (postgres.name, "run", "done", True, True)
    assert detail["snapshot_row_count"] == 5
