"""The reference of a comparison: a position, the rows as they were there, and the changes from there on."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.source import SlotBlocked, SourceRefused, SourceUnreachable
from gpm_cdc.errors.verify import NoSpareSlot, PassDisturbed
from gpm_cdc.replication.assembly import Assembler, Transaction
from gpm_cdc.runtime.mapped import Mapped
from gpm_cdc.runtime.slices import SlicedRows, Snapshot
from gpm_cdc.source.copy import snapshot_session
from gpm_cdc.source.fingerprint import Fingerprint, changed, fingerprint, lock_tables, open_writers
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.stream import NewSlot, ReplicationStream
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.touched import Touched
from gpm_cdc.wording import say

_STARTS = 5
"""Attempts to get a snapshot during which no table changes its shape."""

_ASK_SECONDS = 0.2
"""How often the server is asked where its log ends while that is waited for."""

_CONFIGURATION_LIMIT_EXCEEDED = "53400"


class Tail:
    """A ChangeTail over one replication connection; runs from `follow` on until that is left."""

    def __init__(self, stream: ReplicationStream, touched: Touched, position: Lsn, patience: float) -> None:
        """`patience` in seconds bounds each wait in `reach`."""
        self._stream = stream
        self._touched = touched
        self._received = position
        self._patience = patience
        self._progress = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[None]:
        """Consume changes in the background. What ends that is raised by the next `reach`."""
        self._task = asyncio.create_task(self._consume())
        try:
            yield
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _consume(self) -> None:
        assembler = Assembler()
        try:
            while True:
                for item in assembler.feed(await self._stream.frames()):
                    if isinstance(item, Transaction):
                        self._touched.add(item.events)
                        self._received = max(self._received, item.end_lsn)
                    else:
                        self._received = max(self._received, item.position)
                        if item.reply_requested:
                            self._stream.acknowledge(self._received)
                self._progress.set()
                await asyncio.sleep(0)
        finally:
            self._progress.set()

    async def reach(self, position: Lsn) -> None:
        """As the port says. PassDisturbed when the changes do not come."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    if self._task is not None and self._task.done():
                        self._task.result()
                    if self._received >= position:
                        return
                    self._progress.clear()
                    self._stream.acknowledge(self._received, reply_requested=True)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._progress.wait(), _ASK_SECONDS)
        except TimeoutError:
            detail = say("Postgres has not sent its changes for {seconds} seconds", seconds=f"{self._patience:g}")
            raise PassDisturbed(detail=detail) from None


@dataclass(frozen=True, slots=True)
class Reference:
    """`touched` grows by what was committed from `position` on, `shapes` are of then.

    `rows` are those of all commits before `position`, or before a later one where they have been changed since.
    """

    position: Lsn
    rows: SlicedRows
    tail: Tail
    touched: Touched
    shapes: Fingerprint


@asynccontextmanager
async def open_walsender(settings: Settings) -> AsyncIterator[ReplicationStream]:
    """A replication connection, closed on leaving; NoSpareSlot when the server has none left."""
    try:
        stream = await ReplicationStream.open(
            settings.conninfo, wal_sender_timeout=settings.wal_sender_timeout, lock_timeout=settings.lock_timeout
        )
    except SourceUnreachable as error:
        if "max_wal_senders" in str(error):
            raise NoSpareSlot(detail=error.facts["detail"]) from error
        raise
    try:
        yield stream
    finally:
        await stream.close()


@asynccontextmanager
async def open_reference(
    settings: Settings, mapped: Mapped, postgres: Connection, *, patience: float, bound: float, pace: Pace
) -> AsyncIterator[Reference]:
    """A reference at the present end of the log. Everything in the server is temporary and gone on leaving.

    `patience` and `bound` in seconds: for the changes to come, and how long a snapshot may be held.
    Raises SlotBlocked, NoSpareSlot, and PassDisturbed when tables change their shape again and again.
    """
    tables = tuple(mapped.plan.tables)
    moved: list[TableName] = []
    for _ in range(_STARTS):
        shapes = await shapes_of(settings, mapped, postgres)
        async with open_walsender(settings) as stream:
            name = f"{settings.stream}_v{secrets.token_hex(4)}"
            made = await _slot(settings, postgres, stream, name)
            async with AsyncExitStack() as stack:
                first = await _imported(settings, tables, made, stack)
                # The snapshot does not cover what happened to a table between its making and the lock.
                moved = changed(shapes, await shapes_of(settings, mapped, postgres))
                if moved:
                    continue
                await stream.start(name, settings.publication_name, made.consistent_point)
                touched = Touched(mapped.plan)
                tail = Tail(stream, touched, made.consistent_point, patience)
                rows = SlicedRows(mapped.catalogue, partial(_later, settings, mapped, postgres, shapes), bound, pace)
                first.stack = stack.pop_all()
                rows.adopt(first)
                try:
                    async with tail.follow():
                        yield Reference(made.consistent_point, rows, tail, touched, shapes)
                finally:
                    await rows.close()
                return
    tables_moved = ", ".join(map(str, moved))
    raise PassDisturbed(detail=say("{tables} change their shape or their files all the time", tables=tables_moved))


async def _imported(settings: Settings, tables: Sequence[TableName], made: NewSlot, stack: AsyncExitStack) -> Snapshot:
    """The snapshot of a new slot in a session of its own, with the tables locked against whatever it does not cover."""
    taken = time.monotonic()
    session = await stack.enter_async_context(snapshot_session(settings.conninfo, made.snapshot))
    await lock_tables(session, tables, seconds=settings.lock_timeout)
    return Snapshot(made.consistent_point, session, stack, taken)


async def _later(settings: Settings, mapped: Mapped, postgres: Connection, shapes: Fingerprint) -> Snapshot:
    """A later snapshot of the same tables, whose changes are followed already; its slot is gone when it is imported."""
    name = f"{settings.stream}_v{secrets.token_hex(4)}"
    async with open_walsender(settings) as stream, AsyncExitStack() as stack:
        made = await _slot(settings, postgres, stream, name)
        snapshot = await _imported(settings, tuple(mapped.plan.tables), made, stack)
        moved = changed(shapes, await shapes_of(settings, mapped, postgres))
        if moved:
            raise altered(moved)
        snapshot.stack = stack.pop_all()
    return snapshot


def altered(tables: Iterable[TableName]) -> PassDisturbed:
    """What to raise when the shape or the files of `tables` are not those that were read."""
    names = ", ".join(map(str, tables))
    return PassDisturbed(detail=say("{tables} were altered, truncated or rewritten while they were read", tables=names))


async def shapes_of(
    settings: Settings, mapped: Mapped, postgres: Connection, tables: Iterable[TableName] | None = None
) -> Fingerprint:
    """What `tables`, or all mapped ones, are at this moment."""
    chosen = tuple(mapped.plan.tables if tables is None else tables)
    with translated():
        return await fingerprint(postgres, chosen, settings.publication_name)


async def _slot(settings: Settings, postgres: Connection, stream: ReplicationStream, name: str) -> NewSlot:
    try:
        return await stream.create_slot(name, temporary=True, lock_timeout=settings.lock_timeout)
    except SlotBlocked as error:
        with translated():
            pids = ", ".join(await open_writers(postgres)) or "?"
        raise SlotBlocked(seconds=f"{settings.lock_timeout:g}", pids=pids) from error
    except SourceRefused as error:
        if error.facts["sqlstate"] == _CONFIGURATION_LIMIT_EXCEEDED:
            raise NoSpareSlot(detail=error.facts["detail"]) from error
        raise
