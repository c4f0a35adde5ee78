"""Following a stream, with frames made by hand and a writer in memory that passes the contract of writers."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.source import ConnectionLost
from gpm_cdc.errors.stream import RelationChanged, StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.replication.stream import Limits, Streaming, Terms
from gpm_cdc.replication.vigil import Judged, Judgement
from tests.contract.memory import MemoryWriter
from tests.unit.mapping.tables import TEXT, column, table
from tests.unit.projection.plans import planned
from tests.unit.replication.frames import begin, commit, insert, keepalive, relation

SECONDS = 10.0
TABLE = table("t", [column("id", TEXT), column("name", TEXT)], oid=5)
PLAN = planned('[[node]]\ntable = "public.t"\nlabel = "T"\nkey = ["id"]', TABLE)
SHAPE = relation(5, "t", "id", "name")
START = Checkpoint("s", Position(Lsn(100)), 1, "streaming", "", 1, "", "me")


class Frames:
    """A source whose frames the test sends; it keeps the acknowledgements, each with the checkpoint of its time."""

    def __init__(self, writer: MemoryWriter) -> None:
        self._writer = writer
        self._waiting: asyncio.Queue[list[bytes] | Exception] = asyncio.Queue()
        self.acknowledged: list[Lsn] = []
        self.asked = asyncio.Event()

    def send(self, *frames: bytes) -> None:
        """Let the server send `frames`."""
        self._waiting.put_nowait(list(frames))

    def fail(self, error: Exception) -> None:
        """End the connection."""
        self._waiting.put_nowait(error)

    async def frames(self) -> list[bytes]:
        """As the port says."""
        found = await self._waiting.get()
        if isinstance(found, Exception):
            raise found
        return found

    def acknowledge(self, position: Lsn, *, reply_requested: bool = False) -> None:
        """As the port says; what is not in the graph must not be acknowledged."""
        assert position <= self._writer.checkpoints["s"].position.lsn
        self.acknowledged.append(position)
        if reply_requested:
            self.asked.set()


class Reports:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[BatchReport] = []
        self.told = asyncio.Event()

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
        self.batches.append(report)
        self.told.set()


class Following:
    """A stream that runs."""

    def __init__(self, limits: Limits, until: Lsn | None = None) -> None:
        self.writer = MemoryWriter()
        self.writer.checkpoints["s"] = START
        self.source = Frames(self.writer)
        self.reports = Reports()
        self.stop = asyncio.Event()
        terms = Terms(limits, self.reports, Judged(Judgement("streaming", None)))
        self.streaming = Streaming(self.source, self.writer, PLAN, START, terms)
        self.task = asyncio.create_task(self.streaming.run(self.stop, until))

    async def reached(self, position: int) -> None:
        """Wait until the checkpoint is at `position` or beyond."""
        async with asyncio.timeout(SECONDS):
            while self.writer.checkpoints["s"].position.lsn < position:
                self.reports.told.clear()
                await self.reports.told.wait()

    async def settled(self) -> None:
        """Let every task go on until nothing more happens by itself."""
        for _ in range(50):
            await asyncio.sleep(0)

    def names(self) -> list[list[str]]:
        """For each written batch, the names of its rows in order of their writing."""
        return [[str(row[1]) for statement in batch for row in statement.rows] for batch in self.writer.written]


@asynccontextmanager
async def following(
    *, rows: int = 10_000, size: int = 1_000_000, interval: float = 60.0, until: int | None = None
) -> AsyncIterator[Following]:
    """A stream, cancelled on leaving if it still runs."""
    limits = Limits(
        batch_rows=rows,
        batch_bytes=size,
        batch_elements=1_000,
        transaction_bytes=4_000_000,
        queue_bytes=4_000_000,
        keepalive_interval=interval,
    )
    running = Following(limits, None if until is None else Lsn(until))
    try:
        yield running
    finally:
        running.task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await running.task


_KEYS = itertools.count(1)


def transaction(end: int, *names: str) -> list[bytes]:
    """A transaction that inserts rows with these names and ends at `end`."""
    return [begin(end), SHAPE, *(insert(5, str(next(_KEYS)), name) for name in names), commit(end)]


async def test_lone_transaction_is_written_at_once() -> None:
    """Without anything behind it a transaction does not wait to be joined."""
    async with following() as stream:
        stream.source.send(*transaction(200, "a", "b"))
        await stream.reached(200)
        assert stream.names() == [["a", "b"]]
        assert stream.source.acknowledged[-1] == 200
        assert stream.streaming.checkpoint == replace(START, position=Position(Lsn(200)))


async def test_transactions_join_while_the_writer_works() -> None:
    """What arrives during a write becomes one batch, in commit order."""
    async with following() as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"))
        await stream.settled()
        for end in (300, 400, 500):
            stream.source.send(*transaction(end, str(end)))
        await stream.settled()
        assert stream.names() == []
        assert max(stream.source.acknowledged, default=Lsn(0)) <= 100
        stream.writer.gate.set()
        await stream.reached(500)
        assert stream.names() == [["a"], ["300", "400", "500"]]
        assert [report.transactions for report in stream.reports.batches] == [1, 3]
        assert [report.position for report in stream.reports.batches] == [200, 500]


async def test_batches_respect_the_bound_of_rows() -> None:
    """A batch is closed before the transaction that would pass the bound; one alone may pass it."""
    async with following(rows=4) as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"))
        await stream.settled()
        # Each transaction counts its rows and the description of the table.
        stream.source.send(*transaction(300, "b"), *transaction(400, "c"), *transaction(500, *"defghi"))
        stream.source.send(*transaction(600, "j"))
        await stream.settled()
        stream.writer.gate.set()
        await stream.reached(600)
        assert stream.names() == [["a"], ["b", "c"], [*"defghi"], ["j"]]


async def test_batches_respect_the_bound_of_bytes() -> None:
    """Wide rows fill a batch before their number does."""
    async with following(size=3_000) as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"))
        await stream.settled()
        for end in (300, 400, 500):
            stream.source.send(*transaction(end, "x" * 1_200))
        await stream.settled()
        stream.writer.gate.set()
        await stream.reached(500)
        assert [len(names) for names in stream.names()] == [1, 2, 1]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_batches_hold_whole_transactions_in_order(data: st.DataObject) -> None:
    """However frames arrive, whatever the bounds and whenever the writer is held up: no row is lost, moved or split."""
    counts = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    bound = data.draw(st.integers(1, 8))
    ends = [200 + 10 * number for number in range(len(counts))]
    bodies = [[f"{end}.{number}" for number in range(count)] for end, count in zip(ends, counts, strict=True)]
    frames = [frame for end, body in zip(ends, bodies, strict=True) for frame in transaction(end, *body)]
    pieces = data.draw(
        st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=len(frames), max_size=len(frames))
    )

    async def follow() -> None:
        async with following(rows=bound) as stream:
            sent = 0
            for size, held in pieces:
                if held:
                    stream.writer.gate.clear()
                else:
                    stream.writer.gate.set()
                stream.source.send(*frames[sent : sent + size])
                sent += size
                await asyncio.sleep(0)
                if sent >= len(frames):
                    break
            stream.writer.gate.set()
            await stream.reached(ends[-1])
            written = [names for names in stream.names() if names]
            assert [name for names in written for name in names] == [name for body in bodies for name in body]
            batch_of = {name: number for number, names in enumerate(written) for name in names}
            for body in bodies:
                assert len({batch_of[name] for name in body}) <= 1
            assert sum(report.transactions for report in stream.reports.batches) == len(counts)
            assert stream.source.acknowledged == sorted(stream.source.acknowledged)

    asyncio.run(follow())


async def test_what_was_applied_before_is_skipped() -> None:
    """After a reconnect the server sends again what was not confirmed: what the checkpoint covers is passed over."""
    async with following() as stream:
        stream.source.send(*transaction(90, "old"), *transaction(100, "old too"), *transaction(110, "new"))
        await stream.reached(110)
        assert stream.names() == [["new"]]


async def test_keepalive_moves_the_checkpoint_of_an_idle_stream() -> None:
    """When nothing received is unapplied, the log's end is checkpointed first and acknowledged then."""
    async with following(interval=0.01) as stream:
        await stream.source.asked.wait()
        stream.source.send(keepalive(900))
        await stream.reached(900)
        assert stream.names() == [[]]
        assert stream.source.acknowledged[-1] == 900
        assert stream.reports.batches[-1].commit_time_us is None


async def test_keepalive_never_overtakes_a_transaction() -> None:
    """A position beyond a transaction that is still waiting is not acknowledged before it is written."""
    async with following(interval=0.01) as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"), keepalive(900))
        await stream.settled()
        assert max(stream.source.acknowledged) == 100
        stream.writer.gate.set()
        await stream.reached(900)
        assert stream.names()[0] == ["a"]


async def test_keepalive_of_the_past_moves_nothing() -> None:
    """A keepalive that was overtaken by a transaction does not take the checkpoint back."""
    async with following(interval=0.01) as stream:
        stream.source.send(*transaction(200, "a"))
        await stream.reached(200)
        stream.source.send(keepalive(150))
        await stream.settled()
        stream.source.send(*transaction(300, "b"))
        await stream.reached(300)
        assert [report.position for report in stream.reports.batches] == [200, 300]


async def test_keepalive_inside_a_transaction_moves_nothing() -> None:
    """While a transaction is being received, a keepalive's position may lie beyond its rows."""
    async with following(interval=0.01) as stream:
        frames = transaction(200, "a")
        stream.source.send(*frames[:3], keepalive(900))
        await stream.settled()
        await asyncio.sleep(0.05)
        assert stream.writer.checkpoints["s"] == START
        stream.source.send(*frames[3:])
        await stream.reached(200)
        assert stream.names() == [["a"]]


async def test_server_that_asks_is_answered_while_the_writer_works() -> None:
    """The connection stays alive however long a write takes, with the position that is safe."""
    async with following() as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"))
        await stream.settled()
        answers = len(stream.source.acknowledged)
        stream.source.send(keepalive(300, reply_requested=True))
        await stream.settled()
        assert len(stream.source.acknowledged) > answers
        assert stream.source.acknowledged[-1] == 100


async def test_until_ends_when_the_position_is_in_the_graph() -> None:
    """`run` returns by itself, and has applied whole transactions only."""
    async with following(until=250) as stream:
        stream.source.send(*transaction(200, "a"))
        await stream.reached(200)
        await stream.settled()
        assert not stream.task.done()
        stream.source.send(*transaction(300, "b"))
        async with asyncio.timeout(SECONDS):
            await stream.task
        assert stream.names() == [["a"], ["b"]]


async def test_until_that_is_reached_already() -> None:
    """Nothing is to be done, and nothing is done."""
    async with following(until=100) as stream:
        async with asyncio.timeout(SECONDS):
            await stream.task
        assert stream.source.acknowledged == []


async def test_stop_finishes_the_batch_in_hand() -> None:
    """What is being written is completed and acknowledged, nothing further is begun."""
    async with following() as stream:
        stream.writer.gate.clear()
        stream.source.send(*transaction(200, "a"))
        await stream.settled()
        stream.source.send(*transaction(300, "b"))
        await stream.settled()
        stream.stop.set()
        await stream.settled()
        assert not stream.task.done()
        stream.writer.gate.set()
        async with asyncio.timeout(SECONDS):
            await stream.task
        assert stream.names() == [["a"]]
        assert stream.source.acknowledged[-1] == 200


async def test_stop_of_an_idle_stream() -> None:
    """With nothing in hand it ends at once."""
    async with following() as stream:
        await stream.settled()
        stream.stop.set()
        async with asyncio.timeout(SECONDS):
            await stream.task


async def test_lost_connection_ends_the_stream_and_no_task_stays() -> None:
    """The error that ended it comes out as it is, and everything that ran beside it has ended."""
    others = asyncio.all_tasks()
    async with following() as stream:
        stream.source.send(*transaction(200, "a"))
        await stream.reached(200)
        stream.source.fail(ConnectionLost(detail="gone"))
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(SECONDS):
                await stream.task
        await stream.settled()
        assert asyncio.all_tasks() == others
        assert stream.streaming.checkpoint.position.lsn == 200


async def test_refused_writer_ends_the_stream() -> None:
    """Once another owner has the stream, nothing more is acknowledged."""
    async with following() as stream:
        await stream.writer.take_over("s", "other")
        stream.source.send(*transaction(200, "a"))
        with pytest.raises(StreamTakenOver):
            async with asyncio.timeout(SECONDS):
                await stream.task
        assert max(stream.source.acknowledged, default=Lsn(0)) <= 100
        assert stream.names() == []


async def test_changed_table_stops_the_stream_before_its_transaction() -> None:
    """What was committed before the change is applied, the transaction that brings it is not."""
    async with following() as stream:
        stream.source.send(*transaction(200, "a"))
        await stream.reached(200)
        other = relation(5, "t", "id", "name", "more")
        stream.source.send(begin(300), other, insert(5, "1", "b", "c"), commit(300))
        with pytest.raises(RelationChanged):
            async with asyncio.timeout(SECONDS):
                await stream.task
        assert stream.names() == [["a"]]
        assert stream.source.acknowledged[-1] == 200


async def test_cancelled_stream_leaves_no_task() -> None:
    """Cancelling is a normal way out."""
    others = asyncio.all_tasks()
    async with following() as stream:
        await stream.settled()
        stream.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stream.task
        await stream.settled()
        assert asyncio.all_tasks() == others
