"""A consistent copy: every row of some tables, or of all of them, as one exported snapshot shows it.

A stream begins with one of all tables; tables that changed where the stream does not tell are copied again. The
checkpoint stays in its phase until the last batch, and its ordinal counts batches, so that a lost commit answer can be
settled here as well. A copy that was interrupted is begun again: what it left behind is adopted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gpm_cdc.cypher import loading, nodes
from gpm_cdc.cypher.statement import Statements, no_statements
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.ports.source import SnapshotReader
from gpm_cdc.projection.plan import EdgePlan, FieldRow, GraphPlan, NodePlan, PlannedTable, RelationshipPlan

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


@dataclass(slots=True)
class Snapshot:
    """One copy. The checkpoint must be ours, at the position of the snapshot, in a phase that promises nothing.

    `fresh` promises that the mapping owns nothing in the graph yet. `finish` makes the last checkpoint of the one
    before it.
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
    _writing: asyncio.Task[None] | None = field(default=None, init=False)

    async def run(self) -> Checkpoint:
        """Copy; the checkpoint that is returned says `streaming`."""
        started = time.monotonic()
        await self._announce()
        try:
            if not self.fresh:
                await self._clear()
            for node in self.scope.nodes:
                await self._copy_nodes(node)
            for edge in self.scope.edges:
                what = f"{edge.source.table} -[{edge.type}]-"
                places = loading.edge_places(edge)
                await self._copy(edge.source, places, what, partial(loading.load_edges, edge))
            for table in self.scope.relationships:
                await self._copy(
                    table,
                    range(len(table.fields)),
                    str(table.table),
                    partial(loading.load_relationships, table),
                )
            await self._write(no_statements, done=True)
            await self._settled()
        except BaseException:
            await self._abandon()
            raise
        self.observer.snapshot_finished(self.checkpoint.position.lsn, time.monotonic() - started)
        return self.checkpoint

    async def _announce(self) -> None:
        edges = [edge.source for edge in self.scope.edges]
        total = 0
        for table in (*self.scope.nodes, *edges, *self.scope.relationships):
            total += await self.reader.estimate(table)
        self.observer.snapshot_started(total)

    async def _copy_nodes(self, node: NodePlan) -> None:
        before: set[str] = set()
        if not self.fresh:
            await self._write(lambda: loading.node_ids(node, before.update))
            await self._settled()
        places = range(len(node.fields))
        await self._copy(node, places, str(node.table), lambda rows: loading.load_nodes(node, rows, fresh=self.fresh))
        if before:
            await self._sweep(node, before)

    async def _sweep(self, node: NodePlan, before: set[str]) -> None:
        """Delete the nodes of before that no row of the table accounts for."""
        await self._copy(
            node,
            range(node.key_size),
            str(node.table),
            lambda rows: loading.keyed_ids(node, rows, before.difference_update),
            counted=False,
        )
        leftover = sorted(before)
        for start in range(0, len(leftover), self.batch_rows):
            part = leftover[start : start + self.batch_rows]
            await self._write(partial(nodes.delete_by_id, part, node.label))

    async def _clear(self) -> None:
        for removal in self.scope.removals:
            found = [1]
            while found[-1]:
                await self._write(partial(removal, found.append))
                await self._settled()
        await self.writer.prepare(self.plan, self.scope.retired)

    async def _copy(
        self,
        table: PlannedTable,
        places: Sequence[int],
        what: str,
        load: Callable[[Sequence[FieldRow]], Statements],
        *,
        counted: bool = True,
    ) -> None:
        async for rows in _batches(self.reader.rows(table, places), self.batch_rows):
            await self._write(partial(load, rows))
            if counted:
                self.observer.snapshot_progress(what, len(rows))
        await self._settled()

    async def _write(self, steps: Steps, *, done: bool = False) -> None:
        """Begin writing a batch once the one before is committed; meanwhile the next is read."""
        await self._settled()
        before = self.checkpoint
        after = before.stepped()
        if done:
            after = replace(self.finish(before), position=Position(before.position.lsn), phase="streaming")
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


async def _batches(blocks: AsyncIterator[CopiedRows], size: int) -> AsyncIterator[list[FieldRow]]:
    """The rows of `blocks` in lists of `size`."""
    pending: list[FieldRow] = []
    async for block in blocks:
        pending += block
        while len(pending) >= size:
            yield pending[:size]
            pending = pending[size:]
    if pending:
        yield pending
