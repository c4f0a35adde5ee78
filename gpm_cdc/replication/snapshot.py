"""A consistent copy: every row of some tables, or of all of them, as one exported snapshot shows it.

A stream begins with one of all tables; tables that changed where the stream does not tell are copied again. The
checkpoint stays in its phase until the last batch, its ordinal counts batches, so that a lost commit answer can be
settled here as well, and it says how far the copy is. One that was interrupted goes on from there under another
snapshot, or is begun again: what it left behind is adopted.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import batched
from typing import NamedTuple

from gpm_cdc.cypher import loading, nodes
from gpm_cdc.cypher.repairing import replace_relationships
from gpm_cdc.cypher.statement import Statements, no_statements
from gpm_cdc.domain.elements import ElementIds
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.ports.source import FIRST, Place, SnapshotReader
from gpm_cdc.projection.plan import EdgePlan, FieldRow, GraphPlan, NodePlan, PlannedTable, RelationshipPlan
from gpm_cdc.replication import progress
from gpm_cdc.replication.progress import Progress

type Steps = Callable[[], Statements]

type Removal = Callable[[Callable[[int], None]], Statements]
"""Statements that take a part away and tell how much that was; to be repeated until it is nothing."""


@dataclass(frozen=True, slots=True)
class CopyScope:
    """What a copy is of. Whatever `removals` leave, and the structures of `retired` labels and types, goes first."""

    nodes: tuple[NodePlan, ...]
    edges: tuple[EdgePlan, ...]
    relationships: tuple[RelationshipPlan, ...]
    removals: tuple[Removal, ...] = ()
    retired: frozenset[str] = frozenset()


def everything(plan: GraphPlan, *, fresh: bool) -> CopyScope:
    """The whole graph of `plan`. `fresh` promises that the mapping owns nothing in it yet."""
    patterns = () if fresh else loading.mapped_relationship_patterns(plan)
    return CopyScope(
        nodes=plan.nodes,
        edges=tuple(edge for node in plan.nodes for edge in node.edges),
        relationships=plan.relationships,
        removals=tuple(partial(loading.delete_some, pattern) for pattern in patterns),
    )


type Load = Callable[[Sequence[FieldRow]], Statements]


class Reading(NamedTuple):
    """One reading of a table: of which fields, and what becomes of the rows. `node` is set where nodes are made."""

    table: PlannedTable
    places: Sequence[int]
    what: str
    load: Load
    node: NodePlan | None = None


@dataclass(slots=True)
class Snapshot:
    """One copy. The checkpoint must be ours, at the position of the snapshot, in a phase that promises nothing.

    `fresh` promises that the mapping owns nothing in the graph yet. `finish` makes the last checkpoint of the one
    before it. `course` is a digest of what is copied, and `begun` how far a copy with the same digest is, whose changed
    rows have been made right since.
    """

    reader: SnapshotReader
    writer: GraphWriter
    plan: GraphPlan
    scope: CopyScope
    checkpoint: Checkpoint
    finish: Callable[[Checkpoint], Checkpoint]
    fresh: bool
    batch_rows: int
    observer: Observer
    course: str
    begun: Progress | None = None
    _progress: Progress | None = field(default=None, init=False)
    _writing: asyncio.Task[None] | None = field(default=None, init=False)

    async def run(self) -> Checkpoint:
        """Copy; the checkpoint that is returned says `streaming`."""
        started = time.monotonic()
        self._progress = self.begun
        first = 0 if self.begun is None else self.begun.reading
        readings = [*self._readings()][first:]
        await self._announce(readings)
        try:
            if not self.fresh:
                await self._clear()
            for number, reading in enumerate(readings, first):
                begun = self._progress
                if begun is None or begun.reading != number:
                    begun = Progress(self.course, number)
                await self._read(reading, begun)
            await self._write(no_statements, done=True)
            await self._settled()
        except BaseException:
            await self._abandon()
            raise
        self.observer.snapshot_finished(self.checkpoint.position.lsn, time.monotonic() - started)
        return self.checkpoint

    def _readings(self) -> Iterator[Reading]:
        anew = self.begun is None
        for node in self.scope.nodes:
            load: Load = partial(loading.load_nodes, node, fresh=self.fresh)
            yield Reading(node, range(len(node.fields)), str(node.table), load, node)
        for edge in self.scope.edges:
            what = f"{edge.source.table} -[{edge.type}]-"
            yield Reading(edge.source, loading.edge_places(edge), what, partial(loading.load_edges, edge, fresh=anew))
        for table in self.scope.relationships:
            load = partial(loading.load_relationships, table) if anew else partial(replace_relationships, table)
            yield Reading(table, range(len(table.fields)), str(table.table), load)

    async def _announce(self, readings: Sequence[Reading]) -> None:
        total = 0
        for reading in readings:
            total += await self.reader.estimate(reading.table)
        self.observer.snapshot_started(total)

    async def _read(self, reading: Reading, begun: Progress) -> None:
        self._progress = begun
        before = ElementIds()
        if reading.node is not None and not self.fresh and not begun.clean:
            await self._write(partial(loading.node_ids, reading.node, before.update))
            await self._settled()
        await self._copy(reading, replace(begun, clean=not before))
        if reading.node is not None and before:
            await self._sweep(reading.node, before)

    async def _sweep(self, node: NodePlan, before: ElementIds) -> None:
        """Delete the nodes of before that no row of the table accounts for."""
        keys = self.reader.rows(node, range(node.key_size))
        async for rows, _ in batches(keys, self.batch_rows, FIRST):
            await self._write(partial(loading.keyed_ids, node, rows, before.difference_update))
        await self._settled()
        for part in batched(before, self.batch_rows):
            await self._write(partial(nodes.delete_by_id, part, node.label))

    async def _clear(self) -> None:
        for removal in self.scope.removals:
            found = [1]
            while found[-1]:
                await self._write(partial(removal, found.append))
                await self._settled()
        await self.writer.prepare(self.plan, self.scope.retired)

    async def _copy(self, reading: Reading, begun: Progress) -> None:
        blocks = self.reader.rows(reading.table, reading.places, begun.place)
        async for rows, reached in batches(blocks, self.batch_rows, begun.place):
            self._progress = replace(begun, place=reached)
            await self._write(partial(reading.load, rows))
            self.observer.snapshot_progress(reading.what, len(rows))
        await self._settled()

    async def _write(self, steps: Steps, *, done: bool = False) -> None:
        """Begin writing a batch once the one before is committed; meanwhile the next is read."""
        await self._settled()
        before = self.checkpoint
        copied = "" if self._progress is None else progress.write(self._progress)
        after = replace(before.stepped(), copied=copied)
        if done:
            last = self.finish(before)
            after = replace(last, position=Position(before.position.lsn), phase="streaming", copied="")
        self._writing = asyncio.create_task(self.writer.write(steps, before, after))
        self.checkpoint = after

    async def _settled(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _abandon(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def batches(
    blocks: AsyncIterator[CopiedRows | Place], size: int, reached: Place
) -> AsyncIterator[tuple[list[FieldRow], Place]]:
    """The rows of `blocks` in lists of `size`, each with the last place before which all have come with it."""
    pending: list[FieldRow] = []
    places: deque[tuple[int, Place]] = deque()
    given = 0
    async for block in blocks:
        if isinstance(block, Place):
            places.append((given + len(pending), block))
            continue
        pending += block
        while len(pending) >= size:
            given += size
            reached = _reached(places, given, reached)
            yield pending[:size], reached
            pending = pending[size:]
    if pending:
        yield pending, _reached(places, given + len(pending), reached)


def _reached(places: deque[tuple[int, Place]], given: int, reached: Place) -> Place:
    """The last of `places` that lies within the first `given` rows, else `reached`; what it passes is taken off."""
    while places and places[0][0] <= given:
        reached = places.popleft()[1]
    return reached
