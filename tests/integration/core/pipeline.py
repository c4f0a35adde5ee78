"""A stream inside this process: a daemon between a test's database and the graph, with a gate before the graph."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal
from unittest.mock import patch

import neo4j
import psycopg

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.journal import Note
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.domain.lsn import ZERO, Lsn
from gpm_cdc.mapping.text import parse
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.replication.assembly import Heartbeat
from gpm_cdc.replication.queue import Item, TransactionQueue
from gpm_cdc.runtime import daemon as daemon_module
from gpm_cdc.runtime.daemon import Daemon, Orders
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.sink.writer import Neo4jWriter, Notice
from gpm_cdc.source.system import current_position
from tests.oracle import Tables, actual_graph, differences
from tests.oracle.graph import Graph
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer

type Steps = Callable[[], Statements]
type Moment = Literal["before", "inside", "after"]


class Progress:
    """An Observer that lets others wait for positions."""

    def __init__(self) -> None:
        self.position = ZERO
        self.batches: list[BatchReport] = []
        self.copied = 0
        self.moved = asyncio.Event()

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""
        del what
        self.copied += rows

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        self.position = position
        self.moved.set()

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says."""
        self.batches.append(report)
        if report.phase == "streaming":
            self.position = report.position
            self.moved.set()


class Pipeline:
    """A running stream. SQL goes through `execute`; `check` waits until it is in the graph and compares."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        tables: Tables,
        mapping: str,
        driver: neo4j.Driver,
        progress: Progress,
    ) -> None:
        self.connection = connection
        self.gate = asyncio.Event()
        self.gate.set()
        self.received = ZERO
        self.arrived = asyncio.Event()
        self.progress = progress
        self.driver = driver
        self.name = connection.info.dbname
        self._tables = tables
        self._mapping = mapping
        self.task: asyncio.Task[None] | None = None
        self.start: Callable[[], None] = lambda: None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.crashes = 0
        self._cut: tuple[int, Moment] | None = None

    def crash_at(self, writes: int, moment: Moment) -> None:
        """Cut the stream off at this write from now on; `caught_up` begins it again."""
        self._cut = (writes, moment)

    def _moment(self) -> Moment | None:
        """When, around the write that is about to happen, the stream is cut off."""
        if self._cut is None:
            return None
        writes, moment = self._cut
        self._cut = (writes - 1, moment) if writes > 1 else None
        return moment if writes == 1 else None

    def _cancel(self) -> None:
        assert self.task is not None
        self.crashes += 1
        self.task.cancel()

    async def written(self, write: Callable[[Steps], Awaitable[None]], steps: Steps) -> None:
        """Do a write, unless the stream is to be cut off before it, inside it or after it."""
        moment = self._moment()
        if moment == "before":
            self._cancel()
            await asyncio.Event().wait()
        await write(self._interrupted(steps) if moment == "inside" else steps)
        if moment == "after":
            self._cancel()
            await asyncio.Event().wait()

    def _interrupted(self, steps: Steps) -> Steps:
        def interrupted() -> Statements:
            self._cancel()
            yield from steps()

        return interrupted

    async def execute(self, *transactions: str) -> None:
        """Run each script in a transaction of its own."""
        for script in transactions:
            try:
                await self.connection.execute(f"BEGIN; {script}; COMMIT".encode())
            finally:
                await self.connection.rollback()

    async def together(self, *transactions: str) -> None:
        """Run each script in a transaction of its own, and let all of them reach the graph in one batch."""
        async with self.held():
            await self.execute(*transactions)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """What is committed inside is written when the block is left, in batches as large as the limits allow."""
        self.gate.clear()
        try:
            await self.execute("SELECT pg_logical_emit_message(true, 'test', '')")
            yield
            await self.drained()
        finally:
            self.gate.set()

    async def drained(self) -> None:
        """Wait until everything committed so far was received; with the gate shut it waits to be written."""
        target = await current_position(self.connection)
        async with asyncio.timeout(PATIENCE):
            while self.received < target:
                self.arrived.clear()
                await self.arrived.wait()

    async def caught_up(self, *, told: bool = True) -> None:
        """Wait until everything committed so far is in the graph; raise what ended the stream, if it ended.

        A message comes last, unless it must not be `told` any: when the stream has it, whatever was done before can be
        seen in the catalogue.
        """
        if told:
            await self.connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")
        assert self.task is not None
        async with asyncio.timeout(PATIENCE):
            target = await current_position(self.connection)
            while self.progress.position < target:
                self.progress.moved.clear()
                waiting = asyncio.create_task(self.progress.moved.wait())
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self.task.cancelled():
                    target = await self._restarted()
                elif self.task.done():
                    self.task.result()
                    message = "the stream ended by itself"
                    raise AssertionError(message)

    async def _restarted(self) -> Lsn:
        """Begin again after a cut, and after what is to happen `meanwhile`; the position of all that."""
        if self.meanwhile is not None:
            await self.meanwhile()
        self.start()
        return await current_position(self.connection)

    def expected(self) -> Graph:
        """The graph that the tables give now."""
        return self._tables.graph(self._mapping)

    def actual(self) -> Graph:
        """The graph as it is."""
        return actual_graph(self.driver)

    async def check(self) -> None:
        """The graph equals the tables, or AssertionError with the differences."""
        await self.caught_up()
        found = differences(*await asyncio.gather(asyncio.to_thread(self.expected), asyncio.to_thread(self.actual)))
        assert not found, "\n".join(found[:20])


@contextmanager
def _tapped(pipeline: Pipeline) -> Iterator[None]:
    """Put the gate before every write, and note what arrives."""
    put = TransactionQueue.put

    @asynccontextmanager
    async def open_gated(settings: Settings, notice: Notice) -> AsyncIterator[Neo4jWriter]:
        async with open_writer(settings, notice) as writer:
            write = writer.write

            async def write_gated(
                steps: Steps, before: Checkpoint, after: Checkpoint, notes: Sequence[Note] = ()
            ) -> None:
                await pipeline.gate.wait()
                await pipeline.written(lambda chosen: write(chosen, before, after, notes), steps)

            with patch.object(writer, "write", write_gated):
                yield writer

    async def put_noted(queue: TransactionQueue, item: Item) -> None:
        await put(queue, item)
        pipeline.received = item.position if isinstance(item, Heartbeat) else item.end_lsn
        pipeline.arrived.set()

    with patch.object(daemon_module, "open_writer", open_gated), patch.object(TransactionQueue, "put", put_noted):
        yield


def settings_for(postgres: Database, graph: Neo4jServer, **changes: object) -> Settings:
    """Settings for a stream between two servers that answers at once."""
    facts: dict[str, object] = {
        "postgres_dsn": postgres.dsn,
        "neo4j_uri": graph.uri,
        "neo4j_user": graph.user,
        "neo4j_password": graph.password,
        "neo4j_database": graph.database,
        "stream": postgres.name,
        "keepalive_interval": 0.05,
        **changes,
    }
    return Settings.model_validate(facts)


@asynccontextmanager
async def following(
    postgres: Database,
    graph: Neo4jServer,
    mapping: str,
    orders: Orders | None = None,
    *,
    cut: tuple[int, Moment] | None = None,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    **changes: object,
) -> AsyncIterator[Pipeline]:
    """A stream that has begun to follow, ended on leaving. The tables of `mapping` must be there.

    `cut` is as in `crash_at`, from the very first write on; `meanwhile` happens before the stream begins again.
    """
    settings = settings_for(postgres, graph, **changes)
    progress = Progress()
    stop = asyncio.Event()
    with (
        neo4j.GraphDatabase.driver(graph.uri, auth=(graph.user, graph.password)) as driver,
        Tables.of(postgres.dsn) as tables,
    ):
        async with await postgres.connect(client_encoding="UTF8") as connection:
            pipeline = Pipeline(connection, tables, mapping, driver, progress)

            def start() -> None:
                progress.position = ZERO
                daemon = Daemon(settings, parse(mapping, where="test"), orders or Orders(), progress)
                pipeline.task = asyncio.create_task(daemon.run(stop))

            pipeline.start = start
            pipeline.meanwhile = meanwhile
            if cut is not None:
                pipeline.crash_at(*cut)
            with _tapped(pipeline):
                start()
                try:
                    await pipeline.caught_up()
                    yield pipeline
                finally:
                    stop.set()
                    pipeline.gate.set()
                    assert pipeline.task is not None
                    async with asyncio.timeout(PATIENCE):
                        await asyncio.gather(pipeline.task, return_exceptions=True)
