"""Following the stream: one task reads and decodes, one coalesces the next batch while one writes the present one.

A batch holds whole transactions in commit order. It is closed as soon as the writer is idle, so a lone change is in the
graph at once, and it grows up to its bounds while the writer works, so that a flood is written in large batches.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial

from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.pieces import Piece, pieces
from gpm_cdc.domain.lsn import ZERO, Lsn
from gpm_cdc.errors.sink import GraphBatchTooWide, GraphKeyTaken, GraphTransactionTooLarge
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Position
from gpm_cdc.ports.observer import BatchReport, Observer
from gpm_cdc.ports.source import ChangeSource
from gpm_cdc.projection.batch import GraphBatch, building
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication.assembly import Assembler, Heartbeat, Transaction
from gpm_cdc.replication.queue import Item, TransactionQueue


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a batch and of the queue, and how often the server hears from us. Bytes and seconds.

    `batch_elements` bounds the nodes and relationships that deletes touch in one transaction of the graph.
    """

    batch_rows: int
    batch_bytes: int
    batch_elements: int
    queue_bytes: int
    keepalive_interval: float


class _OpenBatch:
    """Transactions on their way into one batch."""

    def __init__(self, bindings: Bindings) -> None:
        self._coalescer = Coalescer(bindings)
        self._items: list[Transaction] = []
        self.position = ZERO
        self.changes = 0
        self.byte_count = 0
        self.commit_time_us: int | None = None

    def add(self, item: Item) -> None:
        if isinstance(item, Heartbeat):
            self.position = max(self.position, item.position)
            return
        self._coalescer.add(item.events)
        self.position = item.end_lsn
        self._items.append(item)
        self.changes += len(item.events)
        self.byte_count += item.byte_count
        self.commit_time_us = item.commit_time_us

    def fits(self, item: Item, limits: Limits) -> bool:
        """Whether `item` may join. The first always may: a transaction is never split."""
        if self.position == ZERO or isinstance(item, Heartbeat):
            return True
        return (
            self.changes + len(item.events) <= limits.batch_rows
            and self.byte_count + item.byte_count <= limits.batch_bytes
        )

    async def close(self) -> "_ClosedBatch":
        steps = building(self._coalescer)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                graph: GraphBatch = done.value
                break
            # The answers of the sink wait for this task: whoever works long at a stretch here slows the writer down.
            await asyncio.sleep(0)
        items = self._items
        several = tuple(items) if len(items) > 1 else ()
        return _ClosedBatch(graph, self.position, len(items), self.changes, self.commit_time_us, several)


@dataclass(frozen=True, slots=True)
class _ClosedBatch:
    """`several` are the transactions of a batch that can be divided; a lone one need not be remembered."""

    graph: GraphBatch
    position: Lsn
    transactions: int
    changes: int
    commit_time_us: int | None
    several: tuple[Transaction, ...]


class Streaming:
    """One stretch of following, from one checkpoint on, over one connection."""

    def __init__(
        self,
        source: ChangeSource,
        writer: GraphWriter,
        plan: GraphPlan,
        checkpoint: Checkpoint,
        *,
        limits: Limits,
        observer: Observer,
    ) -> None:
        """`checkpoint` must be ours already, past the snapshot; `source` started at or before it."""
        self._source = source
        self._writer = writer
        self._plan = plan
        self.checkpoint = checkpoint
        self._limits = limits
        self._observer = observer
        self._bindings = Bindings(plan)
        self._queue = TransactionQueue(limits.queue_bytes)
        self._ready: asyncio.Queue[_ClosedBatch] = asyncio.Queue(maxsize=1)
        self._enqueued = checkpoint.position.lsn
        self._beat_at = 0.0
        self._writing = False

    async def run(self, stop: asyncio.Event, until: Lsn | None = None) -> None:
        """Follow until `stop` is set, or until everything before `until` is in the graph.

        Whatever goes wrong ends it with the checkpoint at the last committed batch, and nothing beyond acknowledged.
        """
        if until is not None and self.checkpoint.position.lsn >= until:
            return
        self._observer.streaming(self.checkpoint.position.lsn)
        interval = self._limits.keepalive_interval if until is None else self._limits.keepalive_interval / 10
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._read(interval)),
                    group.create_task(self._collect()),
                    group.create_task(self._report(interval)),
                ]
                await self._write(stop, until)
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures

    async def _read(self, interval: float) -> None:
        assembler = Assembler()
        while True:
            for item in assembler.feed(await self._source.frames()):
                if isinstance(item, Transaction):
                    if item.end_lsn > self._enqueued:
                        self._enqueued = item.end_lsn
                        await self._queue.put(item)
                else:
                    await self._hear(item, interval)
            await asyncio.sleep(0)

    async def _hear(self, beat: Heartbeat, interval: float) -> None:
        """A keepalive: when nothing received is unapplied the checkpoint may move to its position, now and then."""
        if beat.reply_requested:
            self._source.acknowledge(self.checkpoint.position.lsn)
        now = time.monotonic()
        if beat.position > self._enqueued and now - self._beat_at >= interval:
            self._beat_at = now
            self._enqueued = beat.position
            await self._queue.put(beat)

    async def _collect(self) -> None:
        changed = self._queue.changed
        while True:
            batch = _OpenBatch(self._bindings)
            while True:
                changed.clear()
                item = self._queue.peek()
                if item is not None and batch.fits(item, self._limits):
                    batch.add(self._queue.take())
                elif batch.position != ZERO and (item is not None or not self._busy()):
                    break
                else:
                    await changed.wait()
                    continue
                await asyncio.sleep(0)
            await self._ready.put(await batch.close())

    def _busy(self) -> bool:
        return self._writing or not self._ready.empty()

    async def _write(self, stop: asyncio.Event, until: Lsn | None) -> None:
        stopped = asyncio.ensure_future(stop.wait())
        taking = asyncio.ensure_future(self._ready.get())
        try:
            while not stop.is_set():
                self._queue.changed.set()
                await asyncio.wait({taking, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    return
                self._writing = True
                await self._commit(taking.result())
                self._writing = False
                if until is not None and self.checkpoint.position.lsn >= until:
                    return
                taking = asyncio.ensure_future(self._ready.get())
        finally:
            stopped.cancel()
            taking.cancel()
            await asyncio.gather(stopped, taking, return_exceptions=True)

    async def _commit(self, batch: _ClosedBatch) -> None:
        """Write `batch`: in one transaction if that can be, else each of its own alone, else its deletes in pieces."""
        try:
            await self._commit_whole(batch, self._limits.batch_elements)
        except GraphTransactionTooLarge as error:
            if batch.several:
                for item in batch.several:
                    await self._commit_alone(item)
                if batch.position > self.checkpoint.position.lsn:
                    await self._commit_alone(Heartbeat(batch.position, reply_requested=False))
            elif isinstance(error, GraphBatchTooWide):
                await self._delete_in_pieces(batch.graph)
                await self._commit_whole(batch, None)
            else:
                raise

    async def _commit_alone(self, item: Item) -> None:
        alone = _OpenBatch(self._bindings)
        alone.add(item)
        await self._commit(await alone.close())

    async def _delete_in_pieces(self, graph: GraphBatch) -> None:
        """Delete beforehand what a lone transaction deletes; the next one from this checkpoint on is this one again."""
        limit = self._limits.batch_elements
        for piece in pieces(self._plan, graph):
            while piece.left:
                limit = await self._delete_piece(piece, limit)

    async def _delete_piece(self, piece: Piece, limit: int) -> int:
        """Delete up to `limit` elements in one transaction, or as many as the server has memory for; how many."""
        lsn, ordinal = self.checkpoint.position
        after = replace(self.checkpoint, position=Position(lsn, ordinal + 1), phase="chunked")
        while True:
            try:
                await self._writer.write(partial(piece.statements, limit), self.checkpoint, after)
            except GraphTransactionTooLarge:
                if limit == 1:
                    raise
                limit //= 2
            else:
                self.checkpoint = after
                return limit

    async def _commit_whole(self, batch: _ClosedBatch, limit: int | None) -> None:
        started = time.monotonic()
        after = replace(self.checkpoint, position=Position(batch.position), phase="streaming")
        how = How(create=True, limit=limit, thinned=self.checkpoint.phase == "chunked")
        try:
            await self._writer.write(partial(statements, self._plan, batch.graph, how), self.checkpoint, after)
        except GraphKeyTaken:
            # Somebody put a node there that the stream knows nothing of: it is adopted, which a MERGE does.
            merging = replace(how, create=False)
            await self._writer.write(partial(statements, self._plan, batch.graph, merging), self.checkpoint, after)
        self.checkpoint = after
        self._source.acknowledge(batch.position)
        self._observer.batch_applied(
            BatchReport(
                position=batch.position,
                transactions=batch.transactions,
                changes=batch.changes,
                rows=batch.graph.row_count,
                seconds=time.monotonic() - started,
                commit_time_us=batch.commit_time_us,
            )
        )

    async def _report(self, interval: float) -> None:
        """Keep the connection alive while the sink works, and ask an idle server where its log ends."""
        while True:
            idle = not self._writing and self._queue.peek() is None
            self._source.acknowledge(self.checkpoint.position.lsn, reply_requested=idle)
            await asyncio.sleep(interval)


def _first(failures: BaseExceptionGroup) -> BaseException:
    """The failure that ended the group; the others are its consequences."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
