"""Deletes of more elements than one Neo4j transaction should hold, in pieces.

One small message can mean a million elements: a TRUNCATE, or the DELETE of a node with that many relationships. Pieces
take away beforehand what the batch deletes anyway, so each may be repeated, and the batch deletes what they leave.
They leave the relationships of relationship tables to the rows of these, which Postgres sends and which may still need
their properties.
"""

from collections.abc import Iterator, Sequence

from gpm_cdc.cypher.nodes import found_text, kept_nodes
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.statement import Statement, Statements, chunks
from gpm_cdc.errors.sink import GraphBatchTooWide
from gpm_cdc.projection.batch import GraphBatch, NodeBatch
from gpm_cdc.projection.plan import GraphPlan, RelationshipPlan


def require_narrow(batch: GraphBatch, limit: int) -> Statements:
    """GraphBatchTooWide if emptied tables and deleted nodes together touch more than `limit` elements.

    Emptied tables are asked for in the server's count store, which takes no time; deleted nodes for their degree.
    """
    touched = 0
    for text, rows in _censuses(batch):
        records = yield Statement(text, rows, returns=True)
        touched += records[0][0]
        if touched > limit:
            raise GraphBatchTooWide


def _censuses(batch: GraphBatch) -> Iterator[tuple[str, Sequence[object]]]:
    for table in batch.relationships:
        if table.emptied:
            for name in table.plan.types:
                yield f"MATCH ()-[e:{quote(name)}]->() RETURN count(e)", ()
    for nodes in batch.nodes:
        if nodes.emptied:
            label = labels(nodes.plan.label)
            yield f"MATCH (n{label}) RETURN count(n)", ()
            yield f"MATCH (n{label})-[e]->() RETURN count(e)", ()
            yield f"MATCH (n{label})<-[e]-() RETURN count(e)", ()
        for keys in chunks(nodes.deleted):
            yield f"{found_text(nodes.plan)} RETURN coalesce(sum(1 + COUNT {{ (n)--() }}), 0)", keys


class Piece:
    """Part of the deletes of a batch: run `statements` in transactions of their own while `left`."""

    def __init__(self, before: str, after: str, rows: Sequence[object], kept: NodeBatch | None = None) -> None:
        """The texts before and after LIMIT; their rows, or the node batch whose inserted rows keep their nodes."""
        self._before = before
        self._after = after
        self._rows = rows
        self._kept = kept
        self.left = True

    def statements(self, limit: int) -> Statements:
        """Delete at most `limit` elements; afterwards `left` says whether there may be more."""
        rows = self._rows
        if self._kept is not None:
            inserted = [row for rows in self._kept.inserted.values() for row in rows]
            rows = yield from kept_nodes(self._kept.plan, inserted)
        records = yield Statement(f"{self._before} LIMIT {limit} {self._after} RETURN count(*)", rows, returns=True)
        self.left = records[0][0] >= limit


def pieces(plan: GraphPlan, batch: GraphBatch) -> Iterator[Piece]:
    """The deletes of `batch`, in an order in which each piece holds no more elements than its limit says."""
    kinds = [quote(name) for table in plan.relationships for name in table.types]
    loose = f"[e:!({'|'.join(kinds)})]" if kinds else "[e]"
    for table in batch.relationships:
        if table.emptied:
            yield Piece(f"MATCH {_relationships(table.plan)} WITH e", "DELETE e", ())
    for nodes in batch.nodes:
        if nodes.emptied:
            going = f"MATCH (n{labels(nodes.plan.label)}) WHERE NOT elementId(n) IN $rows"
            yield Piece(f"{going} MATCH (n)-{loose}-() WITH DISTINCT e", "DELETE e", (), nodes)
            yield Piece(f"{going} WITH n", "DETACH DELETE n", (), nodes)
        for keys in chunks(nodes.deleted):
            yield Piece(f"{found_text(nodes.plan)} MATCH (n)-{loose}-() WITH DISTINCT e", "DELETE e", keys)


def _relationships(plan: RelationshipPlan) -> str:
    kinds = "|".join(quote(name) for name in plan.types)
    return f"({labels(plan.start.target.label)})-[e:{kinds}]->({labels(plan.end.target.label)})"
