"""What every GraphWriter promises, run on the real one and on the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol

import pytest

from gpm_cdc.cypher.statement import Statement, Statements
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.stream import CheckpointMoved, StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Position
from gpm_cdc.sink.writer import open_neo4j
from tests.contract.memory import MemoryWriter
from tests.servers import Neo4jServer

PROBE = "UNWIND $rows AS r CREATE (:Probe {name: r})"


class Subject(Protocol):
    """A writer, and a way to see what it wrote."""

    @property
    def writer(self) -> GraphWriter:
        """What is tested."""

    async def probes(self) -> list[str]:
        """The names that were written, sorted."""


class InNeo4j:
    """The real writer."""

    def __init__(self, writer: GraphWriter, server: Neo4jServer) -> None:
        self.writer = writer
        self._server = server

    async def probes(self) -> list[str]:
        """As Subject says."""
        rows = await self._server.query("MATCH (n:Probe) RETURN n.name AS name ORDER BY name")
        return [row["name"] for row in rows]


class InMemory:
    """The one in memory."""

    def __init__(self) -> None:
        self.writer = MemoryWriter()

    async def probes(self) -> list[str]:
        """As Subject says."""
        return sorted(name for batch in self.writer.written for statement in batch for name in statement.rows)


@pytest.fixture(params=["neo4j", "memory"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Each writer in turn."""
    if request.param == "memory":
        yield InMemory()
        return
    server: Neo4jServer = request.getfixturevalue("neo4j")
    async with open_neo4j(
        server.uri, server.user, server.password, server.database, transaction_timeout=10, notice=lambda _: None
    ) as writer:
        yield InNeo4j(writer, server)


def probe(*names: str) -> Callable[[], Statements]:
    """Steps that write these names, one statement each."""

    def steps() -> Statements:
        for name in names:
            yield Statement(PROBE, [name])

    return steps


def moved(checkpoint: Checkpoint, lsn: int, ordinal: int = 0) -> Checkpoint:
    """The checkpoint further on, streaming."""
    return replace(checkpoint, position=Position(Lsn(lsn), ordinal), phase="streaming")


async def test_unknown_stream_has_no_checkpoint(subject: Subject) -> None:
    """Nothing is made by looking."""
    assert await subject.writer.checkpoint("s") is None
    assert await subject.writer.checkpoint("s", locked=True) is None


async def test_first_take_over_creates_the_checkpoint(subject: Subject) -> None:
    """A new stream begins in phase snapshot at 0/0."""
    taken = await subject.writer.take_over("s", "me")
    assert taken == Checkpoint("s", Position(Lsn(0)), 1, "snapshot", "", 0, "", "me")
    assert await subject.writer.checkpoint("s") == taken


async def test_take_over_raises_the_epoch_and_keeps_the_rest(subject: Subject) -> None:
    """The next owner goes on where the one before has come to."""
    first = await subject.writer.take_over("s", "one")
    after = replace(moved(first, 70), system_identifier="77", timeline=3, mapping_hash="m", tables="t")
    await subject.writer.write(probe("a"), first, after)
    second = await subject.writer.take_over("s", "two")
    assert second == replace(after, epoch=2, owner="two")


async def test_write_moves_data_and_checkpoint(subject: Subject) -> None:
    """After a write both are there."""
    before = await subject.writer.take_over("s", "me")
    await subject.writer.write(probe("a", "b"), before, moved(before, 5))
    assert await subject.probes() == ["a", "b"]
    assert await subject.writer.checkpoint("s", locked=True) == moved(before, 5)


async def test_write_without_statements_moves_the_checkpoint(subject: Subject) -> None:
    """An idle stream goes on as well."""
    before = await subject.writer.take_over("s", "me")
    await subject.writer.write(probe(), before, moved(before, 5))
    assert await subject.writer.checkpoint("s") == moved(before, 5)


async def test_former_owner_is_refused(subject: Subject) -> None:
    """Once another owner has raised the epoch, nothing of the former one gets in."""
    former = await subject.writer.take_over("s", "one")
    taken = await subject.writer.take_over("s", "two")
    with pytest.raises(StreamTakenOver, match="two"):
        await subject.writer.write(probe("a"), former, moved(former, 5))
    assert await subject.probes() == []
    assert await subject.writer.checkpoint("s") == taken


async def test_stream_without_checkpoint_is_refused(subject: Subject) -> None:
    """A checkpoint that was removed is not made up."""
    gone = Checkpoint("s", Position(Lsn(0)), 1, "snapshot", "", 0, "", "me")
    with pytest.raises(StreamTakenOver):
        await subject.writer.write(probe("a"), gone, moved(gone, 5))
    assert await subject.probes() == []


async def test_failing_steps_leave_nothing(subject: Subject) -> None:
    """A batch is in the graph as a whole or not at all, and the checkpoint with it."""
    before = await subject.writer.take_over("s", "me")

    def steps() -> Statements:
        yield Statement(PROBE, ["a"])
        message = "no further"
        raise LookupError(message)

    with pytest.raises(LookupError):
        await subject.writer.write(steps, before, moved(before, 5))
    assert await subject.probes() == []
    assert await subject.writer.checkpoint("s", locked=True) == before
    await subject.writer.write(probe("b"), before, moved(before, 5))
    assert await subject.probes() == ["b"]


async def test_batch_that_is_in_the_graph_is_not_written_again(subject: Subject) -> None:
    """A batch whose answer was lost may be handed over again: it counts once."""
    before = await subject.writer.take_over("s", "me")
    for _ in range(2):
        await subject.writer.write(probe("a"), before, moved(before, 5))
    assert await subject.probes() == ["a"]


async def test_moved_checkpoint_is_refused(subject: Subject) -> None:
    """A checkpoint at a position that the writer neither left nor wants was moved by hand."""
    before = await subject.writer.take_over("s", "me")
    await subject.writer.write(probe(), before, moved(before, 5))
    with pytest.raises(CheckpointMoved):
        await subject.writer.write(probe("a"), moved(before, 6), moved(before, 7))
    assert await subject.probes() == []


async def test_ordinals_are_part_of_the_position(subject: Subject) -> None:
    """Steps at one log position follow each other."""
    before = await subject.writer.take_over("s", "me")
    for number in range(1, 4):
        after = replace(before, position=Position(Lsn(9), number))
        await subject.writer.write(probe(str(number)), before, after)
        before = after
    with pytest.raises(CheckpointMoved):
        await subject.writer.write(probe("x"), replace(before, position=Position(Lsn(9), 1)), moved(before, 9, 7))
    assert await subject.probes() == ["1", "2", "3"]


async def test_streams_do_not_touch_each_other(subject: Subject) -> None:
    """Two streams in one database have checkpoints of their own, and are written at the same time."""
    one, other = await asyncio.gather(subject.writer.take_over("one", "a"), subject.writer.take_over("other", "b"))
    await subject.writer.write(probe("1"), one, moved(one, 5))
    await subject.writer.write(probe("2"), other, moved(other, 50))
    assert await subject.writer.checkpoint("one") == moved(one, 5)
    assert await subject.writer.checkpoint("other") == moved(other, 50)
    assert await subject.probes() == ["1", "2"]
