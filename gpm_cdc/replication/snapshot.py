"""The consistent copy that a stream begins with: every mapped row as one exported snapshot shows it.

The checkpoint stays in phase `snapshot` until the last batch, and its ordinal counts batches, so that a lost commit
answer can be settled here as well. A copy that was interrupted is begun again: what it left behind is adopted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gpm_cdc.cypher import loading, nodes
from gpm_cdc.cypher.statement import Statements, no_statements
from gpm_cdc.ports.graph import Checkpoint, GraphWriter, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.ports.source import SnapshotReader
from gpm_cdc.projection.plan import FieldRow, GraphPlan, NodePlan, PlannedTable

type Steps = Callable[[], Statements]


@dataclass(slots=True)
class Snapshot:
    """One copy. The checkpoint must be ours, in phase `snapshot`, at the slot's consistent point.

    `fresh` promises that the mapping owns nothing in the graph yet.
    """

    reader: SnapshotReader
    writer: GraphWriter
    plan: GraphPlan
    checkpoint: Checkpoint
    fresh: bool
    batch_rows: int
    observer: Observer
    _writing: asyncio.Task[None] | None = field(default=None, init=False)

    async def run(self) -> Checkpoint:
        """Copy everything; the checkpoint that is returned says `streaming`."""
        started = time.monotonic()
        await self._announce()
        try:
            if not self.fresh:
                await self._clear_relationships()
            for node in self.plan.nodes:
                await self._copy_nodes(node)
            for node in self.plan.nodes:
                for edge in node.edges:
                    what = f"{node.table} -[{edge.type}]-"
                    places = loading.edge_places(edge)
                    await self._copy(node, places, what, partial(loading.load_edges, edge))
            for table in self.plan.relationships:
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
        edges = [node for node in self.plan.nodes for _ in node.edges]
        total = 0
        for table in (*self.plan.nodes, *edges, *self.plan.relationships):
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
            await self._write(partial(nodes.delete_by_id, part))

    async def _clear_relationships(self) -> None:
        for pattern in loading.mapped_relationship_patterns(self.plan):
            found = [1]
            while found[-1]:
                await self._write(partial(loading.delete_some, pattern, found.append))
                await self._settled()

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
        lsn, ordinal = before.position
        after = replace(
            before,
            position=Position(lsn, 0 if done else ordinal + 1),
            phase="streaming" if done else "snapshot",
        )
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


async def _batches(blocks: AsyncIterator[list[FieldRow]], size: int) -> AsyncIterator[list[FieldRow]]:
    """The rows of `blocks` in lists of `size`."""
    pending: list[FieldRow] = []
    async for block in blocks:
        pending += block
        while len(pending) >= size:
            yield pending[:size]
            pending = pending[size:]
    if pending:
        yield pending
