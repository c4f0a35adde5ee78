"""Following the stream: one task reads and decodes, one coalesces the next batch while one writes the present one.

A batch holds whole transactions in commit order. It is closed as soon as the writer is idle, so a lone change is in the
graph at once, and it grows up to its bounds while the writer works, so that a flood is written in large batches.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.journal import Note, bound
from gpm_cdc.cypher.pieces import Piece, pieces
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.domain.lsn import ZERO, Lsn
from gpm_cdc.errors.sink import GraphBatchTooWide, GraphKeyTaken, GraphTransactionTooLarge
from gpm_cdc.errors.stream import TablesMoved
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Phase, Position
from gpm_cdc.ports.observer import BatchReport, Observer
from gpm_cdc.ports.source import ChangeSource
from gpm_cdc.projection.batch import GraphBatch, building
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication.assembly import Assembler, Heartbeat, Transaction
from gpm_cdc.replication.journal import Journal
from gpm_cdc.replication.queue import Item, TransactionQueue
from gpm_cdc.replication.vigil import Brought, Judge, Judged, Judgement, Resuming
from gpm_cdc.wording import say


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a batch and of the queue, and how often the server hears from us. Bytes and seconds.

    `batch_elements` bounds the nodes and relationships that deletes touch in one transaction of the graph. Of a
    transaction beyond `transaction_bytes` the changes are not kept: its tables are read again instead.
    """

    batch_rows: int
    batch_bytes: int
    batch_elements: int
    transaction_bytes: int
    queue_bytes: int
    keepalive_interval: float


class Terms(NamedTuple):
    """How a stretch is followed: within what limits, who hears of it, and who says what may be promised."""

    limits: Limits
    observer: Observer
    judge: Judge


class _OpenBatch:
    """Transactions on their way into one batch."""

    def __init__(self, bindings: Bindings, journal: Journal) -> None:
        self._bindings = bindings
        self._journal = journal
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
        if item.oversized:
            self._refuse(item.oversized)
        self.position = item.end_lsn
        self._items.append(item)
        self.changes += len(item.events)
        self.byte_count += item.byte_count
        self.commit_time_us = item.commit_time_us

    def _refuse(self, oids: Iterable[int]) -> None:
        bindings = filter(None, map(self._bindings.of, oids))
        tables = {binding.plan.table for binding in bindings}
        if tables:
            raise TablesMoved(tables, say("one transaction changed more rows than are kept of one"))

    def fits(self, item: Item, limits: Limits) -> bool:
        """Whether `item` may join. The first always may: a transaction is never split."""
        if self.position == ZERO or isinstance(item, Heartbeat):
            return True
        return (
            self.changes + len(item.events) <= limits.batch_rows
            and self.byte_count + item.byte_count <= limits.batch_bytes
        )

    async def close(self, judge: Judge) -> "_ClosedBatch":
        """Build the batch; meanwhile `judge` looks, as everything in it has been received."""
        items = self._items
        judging = asyncio.ensure_future(judge.judge(Brought(items, self._coalescer.tables, self.position)))
        try:
            graph = await self._built()
            judgement = await judging
        finally:
            judging.cancel()
        several = tuple(items) if len(items) > 1 else ()
        notes = self._journal.of_changes(self._coalescer.tables, self.position)
        return _ClosedBatch(
            graph, notes, self.position, len(items), self.changes, self.commit_time_us, several, judgement
        )

    async def _built(self) -> GraphBatch:
        steps = building(self._coalescer)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                graph: GraphBatch = done.value
                return graph
            # The answers of the sink wait for this task: whoever works long at a stretch here slows the writer down.
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _ClosedBatch:
    """`several` are the transactions of a batch that can be divided; a lone one need not be remembered."""

    graph: GraphBatch
    notes: list[Note]
    position: Lsn
    transactions: int
    changes: int
    commit_time_us: int | None
    several: tuple[Transaction, ...]
    judgement: Judgement


class Streaming:
    """One stretch of following, from one checkpoint on, over one connection."""

    def __init__(
        self,
        source: ChangeSource,
        writer: GraphWriter,
        plan: GraphPlan,
        checkpoint: Checkpoint,
        terms: Terms,
    ) -> None:
        """`checkpoint` must be ours already, past the snapshot; `source` started at or before it."""
        self._source = source
        self._writer = writer
        self._plan = plan
        self.checkpoint = checkpoint
        self._limits, self._observer, judge = terms
        self._looking = judge
        self._judge = Resuming(judge) if checkpoint.position.ordinal else judge
        self._barrier: Lsn | None = None
        self._bindings = Bindings(plan)
        self._journal = Journal(checkpoint.stream, plan)
        self._queue = TransactionQueue(self._limits.queue_bytes)
        self._ready: asyncio.Queue[_ClosedBatch] = asyncio.Queue(maxsize=1)
        self._enqueued = checkpoint.position.lsn
        self._beat_at = 0.0
        self._writing = False

    async def run(self, stop: asyncio.Event, until: Lsn | None = None, *, exactly: bool = False) -> None:
        """Follow until `stop` is set, or until everything before `until` is in the graph; `exactly`: and nothing more.

        Whatever goes wrong ends it with the checkpoint at the last committed batch, and nothing beyond acknowledged.
        Raises TablesMoved, RelationChanged, ValueLeftOut or EndpointTakenOver where tables have to be read again.
        """
        self._barrier = until if exactly else None
        if until is not None and self.checkpoint.position.lsn >= until:
            return
        if not exactly:
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
        assembler = Assembler(self._limits.transaction_bytes)
        while True:
            for item in assembler.feed(await self._source.frames()):
                if isinstance(item, Transaction):
                    if self._barrier is not None and item.end_lsn > self._barrier:
                        # Those that end before the barrier have all come: they come in this order.
                        await self._hear(Heartbeat(self._barrier, reply_requested=False), 0)
                    elif item.end_lsn > self._enqueued:
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
        if self._barrier is not None and beat.position > self._barrier:
            beat = Heartbeat(self._barrier, reply_requested=False)
        if beat.position > self._enqueued and now - self._beat_at >= interval:
            self._beat_at = now
            self._enqueued = beat.position
            await self._queue.put(beat)

    async def _collect(self) -> None:
        changed = self._queue.changed
        while True:
            batch = _OpenBatch(self._bindings, self._journal)
            while True:
                changed.clear()
                item = self._queue.peek()
                if item is not None and batch.fits(item, self._limits):
                    if isinstance(item, Transaction) and item.messages:
                        self._judge.heed(item.messages)
                    batch.add(self._queue.take())
                elif batch.position != ZERO and (item is not None or not self._busy()):
                    break
                else:
                    await changed.wait()
                    continue
                await asyncio.sleep(0)
            await self._ready.put(await batch.close(self._judge))

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
                await self._commit_each(batch)
                return
            if not isinstance(error, GraphBatchTooWide):
                raise _too_large(batch) from error
            await self._delete_in_pieces(batch.graph)
            try:
                await self._commit_whole(batch, None)
            except GraphTransactionTooLarge as still:
                raise _too_large(batch) from still

    async def _commit_each(self, batch: _ClosedBatch) -> None:
        judged = Judged(batch.judgement)
        for item in batch.several:
            await self._commit_alone(item, judged)
        if batch.position > self.checkpoint.position.lsn:
            await self._commit_alone(Heartbeat(batch.position, reply_requested=False), judged)

    async def _commit_alone(self, item: Item, judged: Judge) -> None:
        alone = _OpenBatch(self._bindings, self._journal)
        alone.add(item)
        await self._commit(await alone.close(judged))

    async def _delete_in_pieces(self, graph: GraphBatch) -> None:
        """Delete beforehand what a lone transaction deletes; the next one from this checkpoint on is this one again."""
        limit = self._limits.batch_elements
        for piece in pieces(self._plan, graph):
            while piece.left:
                limit = await self._delete_piece(piece, limit)

    async def _delete_piece(self, piece: Piece, limit: int) -> int:
        """Delete up to `limit` elements in one transaction, or as many as the server has memory for; how many."""
        phase: Phase = "chunked" if self.checkpoint.phase != "rereading" else "rereading"
        after = replace(self.checkpoint.stepped(), phase=phase)
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
        phase, records, rereading, copied = batch.judgement
        after = replace(
            self.checkpoint,
            position=Position(batch.position),
            phase=phase,
            tables=self.checkpoint.tables if records is None else records,
            rereading=self.checkpoint.rereading if rereading is None else rereading,
            copied=self.checkpoint.copied if copied is None else copied,
        )
        how = How(create=True, limit=limit, thinned=self.checkpoint.position.ordinal > 0)
        try:
            await self._writer.write(partial(self._statements, batch, how), self.checkpoint, after, batch.notes)
        except GraphKeyTaken:
            # Somebody put a node there that the stream knows nothing of: it is adopted, which a MERGE does.
            merging = replace(how, create=False)
            await self._writer.write(partial(self._statements, batch, merging), self.checkpoint, after, batch.notes)
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
                phase=phase,
            )
        )

    def _statements(self, batch: _ClosedBatch, how: How) -> Statements:
        yield from statements(self._plan, batch.graph, how)
        yield from bound(self._journal.grown(batch.notes))

    async def _report(self, interval: float) -> None:
        """Keep the connection alive while the sink works; when there is nothing to do, ask where the log ends.

        And look after the tables: a commit can be in the log, and so in a batch, a moment before anybody sees it.
        """
        while True:
            idle = not self._writing and self._queue.peek() is None
            self._source.acknowledge(self.checkpoint.position.lsn, reply_requested=idle)
            if idle and not self.checkpoint.position.ordinal:
                await self._looking.judge(Brought((), {}, ZERO))
            await asyncio.sleep(interval)


def _too_large(batch: _ClosedBatch) -> TablesMoved:
    reason = say("one transaction changed more rows than the graph's server has memory for")
    return TablesMoved(batch.graph.tables, reason)


def _first(failures: BaseExceptionGroup) -> BaseException:
    """The failure that ended the group; the others are its consequences."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
