"""What the journal keeps: every key of every batch, in the batch's own transaction, within bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gpm_cdc.cypher.journal import FORMER_PAGES, PAGE_SIZE, TABLE_SIZE, Note, bound
from gpm_cdc.cypher.statement import Statement, Statements, no_statements
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.stream import StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.sink.reader import Neo4jReader, open_reader
from gpm_cdc.sink.writer import Neo4jWriter, open_neo4j
from tests.servers import Neo4jServer

PAGES = (
    "MATCH (p:GpmCdcTouched) WITH p.table AS table, p.state AS state, count(*) AS pages,"
    " sum(CASE WHEN p.keys IS NULL THEN 1 ELSE 0 END) AS whole, max(p.upto) AS upto RETURN * ORDER BY table, state"
)


class Keeper:
    """A writer with a stream `s`, which moves on with each batch, and a reader beside it."""

    def __init__(self, server: Neo4jServer, writer: Neo4jWriter, reader: Neo4jReader, checkpoint: Checkpoint) -> None:
        self.server = server
        self.writer = writer
        self.reader = reader
        self.checkpoint = checkpoint

    async def batch(self, lsn: int, *texts: str | None, table: str = "t") -> None:
        """A batch up to `lsn` with a note for each of `texts`."""
        await self._write(lsn, [["s", "public", table, lsn, text] for text in texts])

    async def bounded(self, lsn: int) -> None:
        """A batch that looks after the size of the table's pages."""
        await self._write(lsn, [], bound([["s", "public", "t"]]))

    async def _write(self, lsn: int, notes: list[Note], steps: Statements | None = None) -> None:
        after = replace(self.checkpoint, position=Position(Lsn(lsn)), phase="streaming")
        await self.writer.write(lambda: steps or no_statements(), self.checkpoint, after, notes)
        self.checkpoint = after

    async def pages(self) -> list[tuple[str, str, int, int]]:
        """Table, state, number of pages, how many of them are without keys."""
        rows = await self.server.query(PAGES)
        return [(row["table"], row["state"], row["pages"], row["whole"]) for row in rows]

    async def told(self) -> list[tuple[str, str | None]]:
        """What a pass reads: tables and texts, sorted."""
        pages = (await self.reader.journaled()).pages
        return sorted(((table, keys) for _, table, keys in pages), key=repr)


@asynccontextmanager
async def _keeping(server: Neo4jServer) -> AsyncIterator[Keeper]:
    where = server.uri, server.user, server.password, server.database
    async with (
        open_neo4j(*where, transaction_timeout=10, notice=lambda _: None) as writer,
        open_reader(*where, stream="s", transaction_timeout=10) as reader,
    ):
        yield Keeper(server, writer, reader, await writer.take_over("s", "me"))


@pytest.fixture
async def keeper(neo4j: Neo4jServer) -> AsyncIterator[Keeper]:
    """A stream that begins."""
    async with _keeping(neo4j) as keeper:
        yield keeper


async def test_batches_add_to_one_page_per_table(keeper: Keeper) -> None:
    """Until it is full: then another one is begun."""
    await keeper.batch(1, "a")
    await keeper.batch(2, "b")
    await keeper.batch(2, "c", table="u")
    assert await keeper.told() == [("t", "ab"), ("u", "c")]
    await keeper.batch(3, "x" * PAGE_SIZE)
    await keeper.batch(4, "d")
    assert await keeper.pages() == [("t", "full", 1, 0), ("t", "open", 1, 0), ("u", "open", 1, 0)]
    assert await keeper.told() == [("t", "ab" + "x" * PAGE_SIZE), ("t", "d"), ("u", "c")]


async def test_notes_are_written_with_the_batch_or_not_at_all(keeper: Keeper) -> None:
    """Neither a batch that fails nor a former owner leaves any; the next owner goes on with the same page."""
    await keeper.batch(1, "a")
    after = replace(keeper.checkpoint, position=Position(Lsn(2)))
    notes = [["s", "public", "t", 2, "b"]]

    def failing() -> Statements:
        yield Statement("RETURN 1 / 0")

    with pytest.raises(Exception, match="zero"):
        await keeper.writer.write(failing, keeper.checkpoint, after, notes)
    former = keeper.checkpoint
    keeper.checkpoint = await keeper.writer.take_over("s", "another")
    with pytest.raises(StreamTakenOver):
        await keeper.writer.write(no_statements, former, after, notes)
    await keeper.batch(3, "c")
    assert await keeper.told() == [("t", "ac")]


async def test_a_batch_without_keys_is_about_the_whole_table(keeper: Keeper) -> None:
    """What comes after it on the same page adds nothing: all of the table is named already."""
    await keeper.batch(1, "a")
    await keeper.batch(2, None)
    await keeper.batch(3, "b", "x" * PAGE_SIZE)
    assert await keeper.told() == [("t", None)]
    assert await keeper.pages() == [("t", "open", 1, 1)]


async def test_more_than_a_table_may_have_becomes_a_page_without_keys(keeper: Keeper) -> None:
    """Which stands for all of them; up to there nothing is given up."""
    part = "x" * (TABLE_SIZE // 10)
    for turn in range(9):
        await keeper.batch(turn + 1, part)
    await keeper.batch(10, "a")
    await keeper.bounded(11)
    assert await keeper.pages() == [("t", "full", 9, 0), ("t", "open", 1, 0)]
    await keeper.batch(12, part, part)
    await keeper.bounded(13)
    assert await keeper.pages() == [("t", "open", 1, 1)]
    await keeper.batch(14, "b")
    assert await keeper.told() == [("t", None)]
    await keeper.reader.begin_proof()
    await keeper.reader.prove(Lsn(13))
    assert await keeper.told() == [("t", None)], "b was written later"


async def test_a_proof_takes_away_what_was_written_before_it(keeper: Keeper) -> None:
    """Pages that were closed, and have nothing later than its position."""
    await keeper.batch(1, "a")
    await keeper.reader.begin_proof()
    await keeper.batch(2, "b")
    await keeper.reader.begin_proof()
    await keeper.batch(3, "c")
    await keeper.reader.prove(Lsn(1))
    assert await keeper.told() == [("t", "b"), ("t", "c")]
    first = await keeper.reader.baseline()
    assert first is not None
    assert first.position == 1
    await keeper.reader.prove(Lsn(3))
    assert await keeper.told() == []
    assert await keeper.pages() == [("t", "open", 1, 0)], "the open page is still written to"
    await keeper.reader.prove(Lsn(2))
    baseline = await keeper.reader.baseline()
    assert baseline is not None
    assert baseline.position == 3


async def test_passes_that_prove_nothing_do_not_pile_up_pages(keeper: Keeper) -> None:
    """Closed pages are bounded in number, too."""
    await keeper.server.query(
        f"UNWIND range(1, {FORMER_PAGES}) AS k CREATE (:GpmCdcTouched {{stream: 's', schema: 'public', table: 't',"
        " state: 'former', upto: k, keys: 'a'})"
    )
    await keeper.batch(2_000, "a")
    await keeper.batch(2_000, "c", table="u")
    await keeper.reader.begin_proof()
    assert await keeper.pages() == [("t", "former", 1, 1), ("u", "former", 1, 0)]
    await keeper.reader.prove(Lsn(1_999))
    assert await keeper.told() == [("t", None), ("u", "c")]
