"""A copy that is cut off goes on where it was, whatever happened to the tables meanwhile."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.ports.observer import NoRunObserver
from gpm_cdc.replication.progress import Progress
from gpm_cdc.replication.snapshot import Snapshot
from gpm_cdc.runtime import reader
from gpm_cdc.runtime.daemon import Orders
from tests.integration.core.histories import History, Writer
from tests.integration.core.pipeline import Moment, Pipeline, following
from tests.integration.core.test_copies import forget
from tests.integration.core.world import MAPPING, SCHEMA
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer

SEED = 90210
ROWS = 800
PLAIN = """
CREATE TABLE team (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE person (id int PRIMARY KEY, team text REFERENCES team (code), filler text DEFAULT repeat('x', 500));
CREATE TABLE knows (
    a int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE,
    b int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (a, b));
CREATE TABLE visits (
    person int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE,
    team text REFERENCES team (code) ON UPDATE CASCADE,
    PRIMARY KEY (person, team));
INSERT INTO team SELECT n, 'team ' || n FROM generate_series(1, 50) AS n;
INSERT INTO person SELECT n, 'team ' || 1 + n % 50 FROM generate_series(1, 800) AS n;
INSERT INTO knows SELECT n, n + 1 FROM generate_series(1, 799) AS n;
INSERT INTO visits SELECT n, 'team ' || 1 + n % 50 FROM generate_series(1, 800) AS n;
"""
PLAIN_MAPPING = """
version = 1
[[node]]
table = "public.team"
label = "Team"
key = ["id"]
[[node]]
table = "public.person"
label = "Person"
key = ["id"]
[[node.relationship]]
columns = ["team"]
type = "TEAM"
target = "public.team"
target_columns = ["code"]
[[relationship]]
table = "public.knows"
type = "KNOWS"
key = ["a", "b"]
start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
[[relationship]]
table = "public.visits"
type = "VISITS"
key = ["person", "team"]
start = { columns = ["person"], target = "public.person", target_columns = ["id"] }
end = { columns = ["team"], target = "public.team", target_columns = ["code"] }
"""


class Beginnings:
    """How each copy began: where it went on, or None for one from the first row."""

    def __init__(self) -> None:
        self.found: list[Progress | None] = []

    @property
    def went_on(self) -> list[Progress]:
        """Those that went on."""
        return [each for each in self.found if each is not None]


@pytest.fixture
def beginnings(monkeypatch: pytest.MonkeyPatch) -> Beginnings:
    """The copies of a test, in whose tables each block of a file is a place to go on from."""
    made, run = Beginnings(), Snapshot.run

    async def noted(copy: Snapshot) -> object:
        if copy.scope.nodes or copy.scope.relationships:
            made.found.append(copy.begun)
        return await run(copy)

    monkeypatch.setattr(Snapshot, "run", noted)
    monkeypatch.setattr(reader, "BLOCKS_AT_ONCE", 1)
    return made


@pytest_asyncio.fixture
async def world(postgres: Database) -> AsyncIterator[Database]:
    """A database with rows in every table of the world."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
        writer = Writer(History(random.Random(SEED)), connection)
        for _ in range(3):
            await writer.seed()
    yield postgres


MOMENTS: tuple[Moment, ...] = ("before", "inside", "after")
CUTS = [*zip((2, 5, 9, 14, 20, 27, 35, 44, 54), itertools.cycle(MOMENTS), strict=False)]


@pytest.mark.timeout(300)
async def test_whatever_happens_meanwhile(world: Database, neo4j: Neo4jServer, beginnings: Beginnings) -> None:
    """Machine-made transactions between a cut and the next beginning, of copies into a graph that is full already."""
    dice = random.Random(SEED)
    crashes = 0
    async with await world.connect() as connection:
        writer = Writer(History(dice), connection)

        async def meanwhile() -> None:
            for _ in range(dice.choice((0, 1, 3))):
                await writer.transaction()

        for cut in CUTS:
            async with following(
                world, neo4j, MAPPING, Orders(adopt=True), cut=cut, meanwhile=meanwhile, batch_rows=dice.choice((2, 5))
            ) as stream:
                await stream.check()
                await writer.transaction()
                await stream.check()
                crashes += stream.crashes
            await neo4j.query("MATCH (s:GpmCdcCheckpoint) DELETE s")
            await forget(world)
    assert crashes >= len(CUTS) - 2
    assert len(beginnings.went_on) >= 3, beginnings.found


async def vacuum(stream: Pipeline) -> None:
    """Make room where rows were deleted, once nobody can see these any more."""
    seeing = b"SELECT FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    async with asyncio.timeout(PATIENCE):
        while (await stream.connection.execute(seeing)).rowcount:  # noqa: ASYNC110 - other sessions cannot wake us
            await asyncio.sleep(0.01)
    await stream.connection.execute(b"VACUUM")


SCRIPTS = {
    "nothing": "SELECT 1",
    "rows": "DELETE FROM person WHERE id % 50 = {n}; DELETE FROM knows WHERE b % 50 = 10 + {n}",
    "a row that is copied and one that is not": (
        "DELETE FROM knows WHERE a = {n}; INSERT INTO knows VALUES ({n}, 799); UPDATE person SET team = 'team 9'"
    ),
    "rows that move into places that were read": (
        "DELETE FROM person WHERE id <= 100 * {n};;VACUUM;;UPDATE person SET filler = repeat('y', 500);"
        "UPDATE knows SET b = b; UPDATE visits SET team = team"
    ),
    "keys of rows": "UPDATE person SET id = id + 10000 WHERE id % 50 = {n}",
    "keys of what is referred to": "UPDATE team SET id = id + 1000 WHERE id % 10 = {n}",
    "a value that changes hands": (
        "ALTER TABLE person DROP CONSTRAINT IF EXISTS person_team_fkey;"
        "UPDATE team SET code = code || ' gone' WHERE id = {n};"
        "INSERT INTO team SELECT 1000 + id, replace(code, ' gone', '') FROM team WHERE id = {n}"
    ),
    "a table that is emptied": "TRUNCATE knows",
    "a table that is stored anew": "ALTER TABLE person ALTER id TYPE bigint",
    "a column": "ALTER TABLE team ADD COLUMN size{n} int DEFAULT 7",
}
"""What happens after a cut; {n} is the number of the cut."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_what_is_read_again_goes_on(
    postgres: Database, neo4j: Neo4jServer, beginnings: Beginnings, script: str
) -> None:
    """Cut off early, in the middle and late, a table that is read again ends equal to what it is by then."""
    async with await postgres.connect() as connection:
        await connection.execute(PLAIN.encode())
    mapping = PLAIN_MAPPING.replace('type = "TEAM"', 'type = "TEAM"\nenforced = false')
    async with following(postgres, neo4j, mapping, batch_rows=100) as stream:

        async def meanwhile() -> None:
            for part in script.format(n=stream.crashes).split(";;"):
                if part == "VACUUM":
                    await vacuum(stream)
                else:
                    await stream.execute(part)

        stream.meanwhile = meanwhile
        for table, writes in (("person", 10), ("person", 26), ("knows", 9), ("team", 15), ("team", 22)):
            await stream.execute(f"ALTER TABLE {table} ADD COLUMN c{writes} int DEFAULT 3")
            stream.crash_at(writes, "inside")
            await stream.check()
    assert stream.crashes >= 3
    if script in (SCRIPTS["nothing"], SCRIPTS["rows"]):
        assert len(beginnings.went_on) >= 3, beginnings.found


async def test_only_the_rest_is_copied(
    postgres: Database, neo4j: Neo4jServer, beginnings: Beginnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied is not read again, and nobody is told that the first copy was; of a later one they are."""
    told: list[TableName] = []
    monkeypatch.setattr(NoRunObserver, "read_again", lambda _self, table, **_extent: told.append(table))
    async with await postgres.connect() as connection:
        await connection.execute(PLAIN.encode())

    async with following(postgres, neo4j, PLAIN_MAPPING, cut=(12, "inside"), batch_rows=100) as stream:
        await stream.check()
        copied = stream.progress.copied
        assert told == []
        await stream.execute("ALTER TABLE team ADD COLUMN size int DEFAULT 7")
        await stream.check()
        assert TableName("public", "team") in told
    assert [each is None for each in beginnings.found[:2]] == [True, False]
    whole = 50 + ROWS * 2 + ROWS - 1 + ROWS
    assert whole < copied < whole + 400
