"""A small world with a relationship of every kind, filled into a graph, to be damaged and compared."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from gpm_cdc.cli.main import outcome
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.text import parse
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.runtime.daemon import Daemon, Orders
from gpm_cdc.runtime.verify import VerifyOrders, verify
from gpm_cdc.verification.report import Finding, Report
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer

SCHEMA = """
CREATE TABLE people (
    id int PRIMARY KEY, name text, kind text, boss int REFERENCES people, home_country text, home_code int,
    born date, seen timestamptz, nap interval, wakes time, weight float8, score numeric(30, 10), tags text[],
    photo bytea
);
CREATE TABLE regions (country text, code int, name text NOT NULL, slug text UNIQUE, opened timestamp,
                      PRIMARY KEY (country, code));
ALTER TABLE people ADD FOREIGN KEY (home_country, home_code) REFERENCES regions;
CREATE TABLE visits (id int PRIMARY KEY, slug text REFERENCES regions (slug), at date);
CREATE TABLE memberships (person int REFERENCES people, country text, code int, since date, weight float8,
                          PRIMARY KEY (person, country, code), FOREIGN KEY (country, code) REFERENCES regions);
CREATE TABLE calls (id int PRIMARY KEY, caller int NOT NULL REFERENCES people, callee int NOT NULL REFERENCES people,
                    how text NOT NULL, seconds int);
INSERT INTO regions VALUES ('de', 1, 'Nord', 'nord', '2001-02-03 04:05:06.7'), ('de', 2, 'Süd', 'sued', NULL),
                           ('fr', 1, 'Nord', NULL, 'infinity');
INSERT INTO people VALUES
    (1, 'Ada', 'boss', NULL, 'de', 1, '1815-12-10', '2020-01-01 12:00+02', '1 mon 2 days 03:04:05.6', '12:30', 1.5,
     1.10, '{a,"b c"}', '\\x00ff'),
    (2, 'Bob', 'clerk', 1, 'de', 2, 'infinity', NULL, NULL, NULL, 'NaN', NULL, '{}', NULL),
    (3, 'Cleo', NULL, 1, NULL, 2, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL),
    (4, 'Dan', 'clerk', 2, 'fr', 1, NULL, NULL, NULL, '24:00', '-0'::float8, NULL, NULL, NULL);
INSERT INTO visits VALUES (1, 'nord', '2020-02-29'), (2, NULL, NULL), (3, 'sued', NULL);
INSERT INTO memberships VALUES (1, 'de', 1, '2000-01-01', 1), (1, 'fr', 1, NULL, 2.5), (2, 'de', 1, '2001-01-01', NULL);
INSERT INTO calls VALUES (1, 1, 2, 'phone', 60), (2, 2, 1, 'phone', 60), (3, 1, 1, 'mail', NULL);
"""

MAPPING = """
version = 1
[[node]]
table = "people"
label = "Person"
key = ["id"]
extra_labels = ["Being"]
labels_from = { column = "kind", values = { boss = "Boss", clerk = "Clerk" } }
rename = { name = "full name" }
[[node.relationship]]
columns = ["boss"]
type = "REPORTS_TO"
target = "people"
target_columns = ["id"]
[[node.relationship]]
columns = ["home_country", "home_code"]
type = "HOUSES"
target = "regions"
target_columns = ["country", "code"]
direction = "in"
[[node]]
table = "regions"
label = "Region"
key = ["country", "code"]
[[node]]
table = "visits"
label = "Visit"
key = ["id"]
[[node.relationship]]
columns = ["slug"]
type = "SAW"
target = "regions"
target_columns = ["slug"]
[[relationship]]
table = "memberships"
type = "MEMBER_OF"
key = ["person", "country", "code"]
start = { columns = ["person"], target = "people", target_columns = ["id"] }
end = { columns = ["country", "code"], target = "regions", target_columns = ["country", "code"] }
[[relationship]]
table = "calls"
type_from = { column = "how", values = { phone = "PHONED", mail = "MAILED" } }
key = ["id"]
start = { columns = ["caller"], target = "people", target_columns = ["id"] }
end = { columns = ["callee"], target = "people", target_columns = ["id"] }
"""

ELEMENTS = 4 + 3 + 3 + 3 + 3 + 2 + 3 + 3
"""People, regions, visits; bosses, homes, slugs; memberships, calls."""


class Silent:
    """An Observer and VerifyObserver that is told everything and says nothing."""

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""

    def streaming(self, position: Lsn) -> None:
        """As the port says."""

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says."""

    def waiting(self, position: Lsn) -> None:
        """As the port says."""

    def comparing(self, number: int, position: Lsn) -> None:
        """As the port says."""

    def compared(self, what: str, count: int) -> None:
        """As the port says."""


@dataclass(frozen=True)
class World:
    """Two servers and a stream between them that runs when it is asked to."""

    database: Database
    graph: Neo4jServer
    settings: Settings
    mapping: GraphMapping

    async def sql(self, script: str) -> None:
        """Run statements and commit them together."""
        async with await self.database.connect() as connection:
            await connection.execute(script.encode())

    async def cypher(self, text: str) -> list[dict[str, Any]]:
        """The rows of one Cypher query."""
        return await self.graph.query(text)

    async def caught_up(self) -> None:
        """Run the stream until it is current."""
        orders = Orders(until_current=True)
        await asyncio.wait_for(Daemon(self.settings, self.mapping, orders, Silent()).run(asyncio.Event()), PATIENCE)

    async def begun_anew(self) -> None:
        """Forget the stream, whose graph was emptied, and copy the tables again."""
        async with await self.database.connect() as connection:
            named = "FROM pg_replication_slots WHERE slot_name = current_database()"
            await connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {named}".encode())
        await self.caught_up()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The stream runs."""
        stop = asyncio.Event()
        task = asyncio.create_task(Daemon(self.settings, self.mapping, Orders(), Silent()).run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, PATIENCE)

    async def verify(self, observer: Silent | None = None, **orders: Any) -> Report:  # noqa: ANN401 - as VerifyOrders takes them
        """Compare."""
        given = VerifyOrders(**{"timeout": 10.0, **orders})
        return await verify(self.settings, self.mapping, given, observer or Silent())

    async def findings(self, **orders: Any) -> list[Finding]:  # noqa: ANN401 - as VerifyOrders takes them
        """What is wrong; whatever else the comparison could not tell is an error of the test."""
        report = await self.verify(**orders)
        assert not report.unsettled
        return list(report.findings)


@pytest.fixture
def world(postgres: Database, neo4j: Neo4jServer) -> World:
    """The world, its tables filled, its graph empty."""
    settings = Settings(
        postgres_dsn=SecretStr(postgres.dsn),
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=SecretStr(neo4j.password),
        stream=postgres.name,
        keepalive_interval=0.1,
    )
    return World(postgres, neo4j, settings, parse(MAPPING, where="gpm-cdc.toml"))


@pytest_asyncio.fixture
async def filled(world: World) -> World:
    """The world with its tables and a graph that equals them; nobody runs the stream."""
    async with await world.database.connect() as connection:
        await connection.execute(SCHEMA)
    await world.caught_up()
    return world


@dataclass(frozen=True)
class Shell:
    """The program, called with the settings of a world in a directory of its own."""

    world: World
    directory: Path
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, and what went to stdout and to stderr."""
        self.capsys.readouterr()
        code = await asyncio.to_thread(outcome, arguments)
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def path(self, name: str) -> str:
        """A file of the directory."""
        return str(self.directory / name)


@pytest.fixture
def shell(filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The program on a filled world."""
    (tmp_path / "gpm-cdc.toml").write_text(MAPPING, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPM_POSTGRES_DSN", filled.database.dsn)
    monkeypatch.setenv("GPM_NEO4J_URI", filled.graph.uri)
    monkeypatch.setenv("GPM_NEO4J_USER", filled.graph.user)
    monkeypatch.setenv("GPM_NEO4J_PASSWORD", filled.graph.password)
    monkeypatch.setenv("GPM_STREAM", filled.settings.stream)
    return Shell(filled, tmp_path, capsys)
