"""Rows under one snapshot after the other, none of which is held for longer than it is allowed."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass

from gpm_cdc.domain import graphtypes
from gpm_cdc.domain.catalogue import Catalogue, Column, TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.projection.plan import EndPlan, PlannedTable, RowKey
from gpm_cdc.source.copy import copy_referring, with_keys
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.slices import Join, Stretch, copy_keyed, copy_stretch, leaves, stretches
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.report import Held

_FIRST_BLOCKS = 4_096
"""What is read first, to learn how long it takes: 32 MB."""

_SLICES_PER_SNAPSHOT = 6
"""A slice should take this part of what a snapshot may: how long it will is only known from the one before."""

_LATE = 0.75
"""After this part of what it may be held a snapshot serves nobody any more, but for the rest of the slice in hand."""

_GROWTH = 2
"""How many times as long as the one before a slice may be, in blocks: the machine may be busier by then."""

KEYS_AT_ONCE = 1_000
"""Rows that one query looks up: some milliseconds, in a text of some tens of kilobytes."""

_INTEGERS = frozenset({"int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar"})


@dataclass(slots=True)
class Snapshot:
    """A session that sees the rows as of `position`; `taken` by the monotonic clock."""

    position: Lsn
    session: Connection
    stack: AsyncExitStack
    taken: float


class SlicedRows:
    """A RowReader: used by one task at a time, owns the snapshots that it takes."""

    def __init__(self, catalogue: Catalogue, take: Callable[[], Awaitable[Snapshot]], bound: float, pace: Pace) -> None:
        """`bound` in seconds is how long a snapshot may be held."""
        self._catalogue = catalogue
        self._take = take
        self._bound = bound
        self._pace = pace
        self._current: Snapshot | None = None
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.Task[None] | None = None
        self._blocks = _FIRST_BLOCKS
        self.latest = Lsn(0)
        self.held: list[Held] = []

    def adopt(self, snapshot: Snapshot) -> None:
        """Read under this one from now on."""
        self._current = snapshot
        self.latest = max(self.latest, snapshot.position)
        self._timer = asyncio.get_running_loop().call_later(self._bound * _LATE, self._expire)

    def _expire(self) -> None:
        self._expiry = asyncio.create_task(self._release_idle())

    async def _release_idle(self) -> None:
        # Whoever is reading looks at the clock afterwards.
        if not self._busy:
            await self.release()

    async def release(self) -> None:
        """Hold no snapshot."""
        snapshot, self._current = self._current, None
        if self._timer is not None:
            self._timer.cancel()
        if snapshot is not None:
            self.held.append(Held(snapshot.position, time.monotonic() - snapshot.taken))
            await snapshot.stack.aclose()

    async def close(self) -> None:
        """Release, and wait for a release that is under way."""
        await self.release()
        if self._expiry is not None:
            await asyncio.gather(self._expiry, return_exceptions=True)

    async def _session(self) -> Connection:
        await self._release_late()
        snapshot = self._current
        if snapshot is None:
            snapshot = await self._take()
            self.adopt(snapshot)
        return snapshot.session

    def _late(self) -> bool:
        return self._current is not None and time.monotonic() - self._current.taken > self._bound * _LATE

    async def _release_late(self) -> None:
        if self._late():
            await self.release()

    def joins(self, source: PlannedTable, end: EndPlan) -> bool:
        """As the port says: where Postgres calls equal exactly what the graph does."""
        return end.by_key and None not in self._kinds(source, end)

    def _kinds(self, source: PlannedTable, end: EndPlan) -> list[str | None]:
        return [
            _kind(source, place, self._column(source, place), end.target, at, self._column(end.target, at))
            for place, at in zip(end.fields, end.target_fields, strict=True)
        ]

    def _column(self, table: PlannedTable, place: int) -> Column:
        name = table.columns[place]
        return next(column for column in self._catalogue.tables[table.table].columns if column.name == name)

    async def rows(
        self, table: PlannedTable, places: Sequence[int], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        """As the port says."""
        columns = [table.columns[place] for place in places]
        joins = [self._join(table, end) for end in ends]
        self._busy = True
        try:
            session = await self._session()
            with translated():
                found = await leaves(session, table.table)
        finally:
            self._busy = False
        for _, stretch in stretches(found, self._blocks):
            await self._pace.admitted()
            async for block in self._slice(stretch, columns, joins):
                yield block

    async def keyed(
        self, table: PlannedTable, keys: Sequence[RowKey], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        """As the port says."""
        joins = [self._join(table, end) for end in ends]
        for start in range(0, len(keys), KEYS_AT_ONCE):
            await self._pace.admitted()
            async with self._reading() as session:
                chosen = with_keys(self._catalogue, table, keys[start : start + KEYS_AT_ONCE])
                async for block in copy_keyed(session, chosen, table.columns, joins):
                    yield block

    async def referring(self, table: PlannedTable, end: EndPlan, keys: Sequence[RowKey], most: int) -> list[RowKey]:
        """As the port says."""
        pairs = [
            (table.columns[own], end.target.columns[other])
            for own, other in zip(end.fields, end.target_fields, strict=True)
        ]
        child = (table.table, self._partitioned(table))
        own_key = table.columns[: table.key_size]
        found: list[RowKey] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            parents = with_keys(self._catalogue, end.target, keys[start : start + KEYS_AT_ONCE])
            async with self._reading() as session:
                found += await copy_referring(session, child, own_key, pairs, parents, most - len(found))  # type: ignore[arg-type]
            if len(found) >= most:
                break
        return found

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """A session whose snapshot is not taken away while something short is read; it may be too old afterwards."""
        self._busy = True
        try:
            session = await self._session()
            with translated():
                yield session
        finally:
            self._busy = False
        await self._release_late()

    def _partitioned(self, table: PlannedTable) -> bool:
        return self._catalogue.tables[table.table].kind == "p"

    async def _slice(
        self, stretch: Stretch, columns: Sequence[str], joins: Sequence[Join]
    ) -> AsyncIterator[CopiedRows]:
        """The rows of `stretch`; when the snapshot's time is nearly up, the rest is read first and looked at later."""
        rest: deque[CopiedRows] = deque()
        late = False
        self._busy = True
        try:
            session = await self._session()
            started = time.monotonic()
            with translated(), ExitStack() as hurry:
                async for block in copy_stretch(session, stretch, columns, joins):
                    if not late and self._late():
                        late = True
                        hurry.enter_context(self._pace.alone())
                    if late:
                        rest.append(block)
                    else:
                        yield block
        finally:
            self._busy = False
        taken = time.monotonic() - started
        if stretch.stop is not None:
            allowed = self._bound / _SLICES_PER_SNAPSHOT
            size = stretch.stop - stretch.first
            self._blocks = max(1, min(size * _GROWTH, int(size * allowed / max(taken, 0.001))))
        await self._release_late()
        while rest:
            yield rest.popleft()

    def _join(self, source: PlannedTable, end: EndPlan) -> Join:
        target: TableName = end.target.table
        pairs = tuple(
            (source.columns[place], end.target.columns[at])
            for place, at in zip(end.fields, end.target_fields, strict=True)
        )
        text = tuple(kind == "text" for kind in self._kinds(source, end))
        return Join(target, self._catalogue.tables[target].kind == "p", pairs, text)


def _kind(source: PlannedTable, place: int, column: Column, target: PlannedTable, at: int, key: Column) -> str | None:
    """How two columns are compared; None where Postgres and the graph may differ on what is equal."""
    types = {source.fields[place].type.graph_type, target.fields[at].type.graph_type}
    names = {column.type.resolved.name, key.type.resolved.name}
    if {column.type.resolved.schema, key.type.resolved.schema} != {"pg_catalog"} or len(types) != 1:
        return None
    if names <= _INTEGERS and types == {graphtypes.INTEGER.name}:
        return "plain"
    if types != {graphtypes.STRING.name}:
        return None
    return "plain" if names == {"uuid"} else "text" if names <= _TEXTS else None
