"""Tables with a column of each kind, filled so that every value of a column comes to follow every other."""

# ruff: noqa: S608 - SQL from parts of this file is what this file is for

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg.conninfo import make_conninfo

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime.verify import VerifyOrders, verify
from tests.integration.core.pipeline import settings_for
from tests.integration.values.odd_values import KINDS, TYPES, Kind, with_domains
from tests.servers import Database, Neo4jServer, PostgresServer

PINNED = (
    "SET DateStyle TO 'ISO'; SET IntervalStyle TO 'postgres'; SET TimeZone TO 'UTC'; SET client_encoding TO 'UTF8';"
    " SET lc_monetary TO 'C'; SET standard_conforming_strings TO on; SET search_path TO public"
)
"""So that the literals of the tests mean what they say, whatever the database is set to."""

HOSTILE = {
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "xmlbinary": "hex",
    "default_transaction_isolation": "serializable",
    "search_path": "nowhere",
}
HOSTILE_ROLE = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "America/St_Johns",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "client_encoding": "SQL_ASCII",
}
CODECS = {"UTF8": "utf-8", "LATIN1": "latin-1", "SQL_ASCII": "utf-8"}
_names = count()


@contextmanager
def hostile_database(server: PostgresServer, encoding: str) -> Iterator[Database]:
    """A database of `encoding`, reached by a role, both of which set everything that changes what Postgres prints."""
    name = f"values_{next(_names)}_{encoding.lower()}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"DROP ROLE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        connection.execute(f"CREATE ROLE {name} SUPERUSER LOGIN REPLICATION PASSWORD '{name}'")
        for setting, value in HOSTILE.items():
            connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
        for setting, value in HOSTILE_ROLE.items():
            connection.execute(f"ALTER ROLE {name} SET {setting} = '{value}'")
        try:
            yield Database(make_conninfo(server.dsn, dbname=name, user=name, password=name), server.dsn, name)
        finally:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots"
                " WHERE database = %s AND active_pid IS NOT NULL",
                [name],
            )
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP ROLE {name}")


TABLES = ("matrix", "bond", "tie")
MAPPING = """
version = 1

[[node]]
table = "public.hub"
label = "Hub"
key = ["id"]

[[node]]
table = "public.matrix"
label = "Matrix"
key = ["id"]
types = {types}

[[relationship]]
table = "public.bond"
type = "BOND"
key = ["id"]
types = {types}
start = {{ columns = ["a"], target = "public.hub", target_columns = ["id"] }}
end = {{ columns = ["b"], target = "public.hub", target_columns = ["id"] }}

[[relationship]]
table = "public.tie"
type = "TIE"
key = ["a", "b"]
types = {types}
start = {{ columns = ["a"], target = "public.hub", target_columns = ["id"] }}
end = {{ columns = ["b"], target = "public.hub", target_columns = ["id"] }}
"""


class Matrix:
    """A node table and two relationship tables, one with a key of its own and one keyed by its ends.

    Row i holds the value i + `turn` of each column's kind, counted round. `big` is never written again, so that updates
    leave it out, and it moves with its relationship.
    """

    def __init__(self, kinds: list[Kind]) -> None:
        self.kinds = kinds
        self.turn = 0
        self.size = max(len(kind.every_value) for kind in kinds)

    @property
    def mapping(self) -> str:
        """The mapping of the tables."""
        chosen = ", ".join(f"'{kind.column}' = \"{kind.choice}\"" for kind in self.kinds if kind.choice)
        return MAPPING.format(types=f"{{ {chosen} }}")

    def tables(self) -> str:
        """The statements that make the tables."""
        columns = ", ".join(f"{_name(kind)} {kind.type}" for kind in self.kinds)
        return f"""
            CREATE TABLE hub (id int PRIMARY KEY);
            INSERT INTO hub SELECT generate_series(0, {3 * self.size});
            CREATE TABLE matrix (id int PRIMARY KEY, big text STORAGE EXTERNAL, {columns});
            CREATE TABLE bond (id int PRIMARY KEY, a int REFERENCES hub, b int REFERENCES hub, big text, {columns});
            CREATE TABLE tie (a int REFERENCES hub, b int REFERENCES hub, big text, {columns}, PRIMARY KEY (a, b));
            ALTER TABLE bond ALTER big SET STORAGE EXTERNAL;
            ALTER TABLE tie ALTER big SET STORAGE EXTERNAL;
        """

    def insert(self, first: int = 0) -> str:
        """New rows, as many as there are values, from the number `first`."""
        return ";".join(self._inserts(first))

    def delete(self, first: int) -> list[str]:
        """Transactions without the rows from the number `first` on."""
        ties = [f"DELETE FROM {table} WHERE a >= {first}" for table in ("bond", "tie")]
        return [*ties, f"DELETE FROM matrix WHERE id >= {first}"]

    def _inserts(self, first: int) -> Iterator[str]:
        names = ", ".join(map(_name, self.kinds))
        for row in range(first, first + self.size):
            values = ", ".join(self._values(row))
            big = f"repeat('{row} ', 2000)"
            yield f"INSERT INTO matrix (id, big, {names}) VALUES ({row}, {big}, {values})"
            yield f"INSERT INTO bond (id, a, b, big, {names}) VALUES ({row}, {row}, {row + 1}, {big}, {values})"
            yield f"INSERT INTO tie (a, b, big, {names}) VALUES ({row}, {row + 1}, {big}, {values})"

    def _values(self, row: int) -> Iterator[str]:
        for kind in self.kinds:
            values = kind.every_value
            yield values[(row + self.turn) % len(values)]

    def update(self, by: int, *, ends: int | None = None) -> str:
        """Every row gets the values `by` places further; `ends` moves relationships to that distance of their start."""
        self.turn += by
        return ";".join(self._updates(ends))

    def _updates(self, ends: int | None) -> Iterator[str]:
        moved = "" if ends is None else f"b = a + {ends}, "
        for row in range(self.size):
            pairs = zip(map(_name, self.kinds), self._values(row), strict=True)
            settings = ", ".join(f"{name} = {value}" for name, value in pairs)
            yield f"UPDATE matrix SET {settings} WHERE id = {row}"
            yield f"UPDATE bond SET {moved}{settings} WHERE id = {row}"
            yield f"UPDATE tie SET {moved}{settings} WHERE a = {row}"

    def replace(self, by: int, how: str) -> str:
        """Rows that are deleted by the statement `how` (with the table's name), and inserted with other values."""
        self.turn += by
        return ";".join([*(how.format(table=table) for table in TABLES), *self._inserts(0)])


def _name(kind: Kind) -> str:
    return '"' + kind.column.replace('"', '""') + '"'


class Silent:
    """A VerifyObserver that nobody listens to."""

    def waiting(self, position: Lsn) -> None:
        """As the port says."""

    def comparing(self, number: int, position: Lsn) -> None:
        """As the port says."""

    def compared(self, what: str, count: int) -> None:
        """As the port says."""


async def verified(postgres: Database, graph: Neo4jServer, mapping: str) -> str:
    """What `verify` says of the graph of the stream."""
    settings = settings_for(postgres, graph)
    report = await verify(settings, parse(mapping, where="test"), VerifyOrders(strict=True), Silent())
    return report.verdict


async def prepared(postgres: Database, encoding: str) -> Matrix:
    """The tables in `postgres` with their first rows, of all that the server has."""
    async with await postgres.connect(client_encoding="UTF8") as connection:
        await connection.execute(PINNED.encode())
        version = connection.info.server_version // 10_000
        available = await _available(connection)
        kinds = [
            kind.known_to(version, CODECS[encoding]) for kind in KINDS if not kind.needs or kind.needs in available
        ]
        for name in sorted({kind.needs for kind in kinds} & available - {"xml", ""}):
            await connection.execute(f"CREATE EXTENSION {name}".encode())
        kinds, domains = with_domains(kinds)
        matrix = Matrix(kinds)
        for script in (TYPES, domains, matrix.tables(), matrix.insert()):
            await connection.execute(script.encode())
    return matrix


async def _available(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> set[str]:
    """The extensions that the server offers, and `xml` where it was built with it."""
    found = {
        str(name) for (name,) in await (await connection.execute("SELECT name FROM pg_available_extensions")).fetchall()
    }
    try:
        await connection.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return found
    return found | {"xml"}
