"""Deletes that one small message asks for and that are too many elements for one transaction of the graph."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from unittest.mock import patch

import pytest

from gpm_cdc.cypher.journal import Note
from gpm_cdc.cypher.pieces import Piece
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.errors.sink import GraphTransactionTooLarge
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.sink.writer import Neo4jWriter
from tests.integration.core.pipeline import Pipeline, following
from tests.servers import Database, Neo4jServer

LIMIT = 20
SCHEMA = """
CREATE TABLE hub (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE spoke (id int PRIMARY KEY, hub int, code text);
CREATE TABLE pair (hub int REFERENCES hub, spoke int REFERENCES spoke, note text, PRIMARY KEY (hub, spoke));
CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE leaf (
    id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED,
    code text REFERENCES parent (code) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO leaf SELECT n, 1, 'a' FROM generate_series(1, 60) AS n;
INSERT INTO hub SELECT n, 'c' || n FROM generate_series(1, 100) AS n;
INSERT INTO spoke SELECT n, 1 + n % 2, 'c' || 1 + n % 2 FROM generate_series(1, 150) AS n;
INSERT INTO pair SELECT 3, n, 'note' FROM generate_series(1, 100) AS n;
"""
MAPPING = """
version = 1
[[node]]
table = "public.hub"
label = "Hub"
key = ["id"]
[[node]]
table = "public.spoke"
label = "Spoke"
key = ["id"]
[[node.relationship]]
columns = ["hub"]
type = "HUB"
target = "public.hub"
target_columns = ["id"]
enforced = false
[[node.relationship]]
columns = ["code"]
type = "CODED"
target = "public.hub"
target_columns = ["code"]
enforced = false
[[node]]
table = "public.parent"
label = "Parent"
key = ["id"]
[[node]]
table = "public.leaf"
label = "Leaf"
key = ["id"]
[[node.relationship]]
columns = ["parent"]
type = "PARENT"
target = "public.parent"
target_columns = ["id"]
[[node.relationship]]
columns = ["code"]
type = "PARENT_CODED"
target = "public.parent"
target_columns = ["code"]
[[relationship]]
table = "public.pair"
type = "PAIR"
key = ["hub", "spoke"]
start = { columns = ["hub"], target = "public.hub", target_columns = ["id"] }
end = { columns = ["spoke"], target = "public.spoke", target_columns = ["id"] }
"""
FIRST, LAST = "INSERT INTO hub VALUES (900, 'first')", "INSERT INTO hub VALUES (901, 'last')"
GIANTS = [
    "TRUNCATE pair; TRUNCATE hub CASCADE; TRUNCATE spoke CASCADE",
    "TRUNCATE hub CASCADE; INSERT INTO hub VALUES (1, 'c2'), (2, 'c1'), (5, 'new'); INSERT INTO pair VALUES (1, 1)",
    "DELETE FROM hub WHERE id = 1",
    "DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 1, code = 'a' WHERE id = 2",
    "DELETE FROM hub WHERE id IN (1, 2); INSERT INTO hub VALUES (700, 'c2'), (701, 'c1')",
    "DELETE FROM pair; DELETE FROM hub WHERE id IN (1, 3)",
    "UPDATE spoke SET hub = 5 WHERE id < 20; DELETE FROM hub WHERE id IN (1, 2)",
]


PHASES = {"chunked", "rereading"}
"""Those of a checkpoint inside: the second where the catalogue shows a TRUNCATE before the stream brings it."""


class CrashError(Exception):
    """The end of a process, as far as the stream is concerned."""


class Writes:
    """What the stream wrote piecewise: the limit of each piece that was written."""

    def __init__(self, *, crash_after: int | None = None, memory: int = LIMIT) -> None:
        """Crash after so many pieces; refuse pieces of more than `memory` elements as the server does."""
        self.limits: list[int] = []
        self._crash_after = crash_after
        self._memory = memory

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every write inside."""
        write = Neo4jWriter.write

        async def watch(
            writer: Neo4jWriter,
            steps: Callable[[], Statements],
            before: Checkpoint,
            after: Checkpoint,
            notes: Sequence[Note] = (),
        ) -> None:
            if isinstance(steps, partial) and isinstance(getattr(steps.func, "__self__", None), Piece):
                assert after.phase in PHASES
                if steps.args[0] > self._memory:
                    raise GraphTransactionTooLarge
                assert after.position.lsn == before.position.lsn
                assert after.position.ordinal == before.position.ordinal + 1
                self.limits.append(steps.args[0])
            await write(writer, steps, before, after, notes)
            if len(self.limits) == self._crash_after:
                raise CrashError

        with patch.object(Neo4jWriter, "write", watch):
            yield


async def prepare(postgres: Database) -> None:
    """The tables, with rows."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())


def state(stream: Pipeline) -> tuple[str, int, int]:
    """Phase and ordinal of the checkpoint, and how many nodes and relationships there are."""
    found = stream.driver.execute_query(
        "MATCH (s:GpmCdcCheckpoint) RETURN s.phase, s.ordinal, COUNT { () } + COUNT { ()-->() }"
    ).records[0]
    return found[0], found[1], found[2]


@pytest.mark.parametrize("giant", GIANTS)
async def test_crash_between_pieces_resumes_inside(postgres: Database, neo4j: Neo4jServer, giant: str) -> None:
    """Whatever was deleted stays deleted, the phase says so, and other transactions of the batch are whole."""
    await prepare(postgres)
    crashing, resuming = Writes(crash_after=2), Writes()
    with crashing.watched():
        async with following(postgres, neo4j, MAPPING, batch_elements=LIMIT) as stream:
            await stream.check()
            _, _, before = state(stream)
            await stream.together(FIRST, giant, LAST)
            with pytest.raises(CrashError):
                await stream.caught_up()
            phase, ordinal, left = state(stream)
            assert phase in PHASES
            assert ordinal == 2
            assert before - LIMIT * 2 <= left - 1 < before
    with resuming.watched():
        async with following(postgres, neo4j, MAPPING, batch_elements=LIMIT) as stream:
            await stream.check()
            assert state(stream)[:2] == ("streaming", 0)
    assert resuming.limits


async def test_pieces_are_halved_when_the_server_lacks_memory(postgres: Database, neo4j: Neo4jServer) -> None:
    """The same piece would fail again; half of it may pass, and further pieces begin with that size."""
    await prepare(postgres)
    writes = Writes(memory=LIMIT // 4)
    with writes.watched():
        async with following(postgres, neo4j, MAPPING, batch_elements=LIMIT) as stream:
            await stream.execute("DELETE FROM hub WHERE id = 1")
            await stream.check()
    assert set(writes.limits) == {LIMIT // 4}


async def test_small_deletes_stay_whole(postgres: Database, neo4j: Neo4jServer) -> None:
    """What one transaction holds is deleted in one, even if the batch is divided for its other transactions."""
    await prepare(postgres)
    writes = Writes()
    with writes.watched():
        async with following(postgres, neo4j, MAPPING, batch_elements=LIMIT) as stream:
            await stream.check()
            await stream.together(*("DELETE FROM hub WHERE id = (SELECT max(id) FROM hub)" for _ in range(40)))
            await stream.check()
    assert not writes.limits
    assert len(stream.progress.batches) >= 40
