"""Making single rows' part of the graph right, from a snapshot of exactly the position that the graph is at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gpm_cdc.cypher.loading import edge_places
from gpm_cdc.cypher.repairing import repair_nodes, repair_relationships
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.ports.graph import Checkpoint, GraphWriter
from gpm_cdc.ports.source import RowReader
from gpm_cdc.projection.plan import EdgePlan, FieldRow, GraphPlan, NodePlan, RelationshipPlan, RowKey
from gpm_cdc.replication.rereading import Rereads

KEYS_AT_ONCE = 1_000
"""Rows in one transaction of the graph: some tens of milliseconds."""


@dataclass(slots=True)
class Repair:
    """One repair. The checkpoint must be ours, at the position of the reader's snapshot."""

    reader: RowReader
    writer: GraphWriter
    plan: GraphPlan
    checkpoint: Checkpoint

    async def run(self, rereads: Rereads) -> Checkpoint:
        """Make every key of `rereads` right, nodes before relationships. Tables that are not in the plan are left."""
        for node in self.plan.nodes:
            for keys in pieces(rereads.get(node.table)):
                await self._nodes(node, keys)
        for table in self.plan.relationships:
            for keys in pieces(rereads.get(table.table)):
                await self._relationships(table, keys)
        return self.checkpoint

    async def _nodes(self, node: NodePlan, keys: Sequence[RowKey]) -> None:
        rows = await self.reader.keyed(node, range(len(node.fields)), keys)
        children: dict[EdgePlan, list[FieldRow]] = {}
        for edge in self.plan.incoming[node]:
            children[edge] = await self.reader.referring(edge, edge_places(edge), keys)
        wires = [node.project_key(key) for key in keys]
        await self._write(partial(repair_nodes, node, wires, rows, children))

    async def _relationships(self, table: RelationshipPlan, keys: Sequence[RowKey]) -> None:
        rows = await self.reader.keyed(table, range(len(table.fields)), keys)
        wires = [table.project_key(key) for key in keys]
        await self._write(partial(repair_relationships, table, wires, rows))

    async def _write(self, steps: "partial[Statements]") -> None:
        before, self.checkpoint = self.checkpoint, self.checkpoint.stepped()
        await self.writer.write(steps, before, self.checkpoint)


def pieces(keys: frozenset[RowKey] | None) -> Iterator[Sequence[RowKey]]:
    """`keys` in order, as many at a time as are looked up and written together."""
    ordered = sorted(keys or ())
    for start in range(0, len(ordered), KEYS_AT_ONCE):
        yield ordered[start : start + KEYS_AT_ONCE]
