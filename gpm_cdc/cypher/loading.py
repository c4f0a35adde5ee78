"""Statements that fill the graph from whole tables: all nodes first, then edges, then relationship tables.

`fresh` promises that the mapping owns nothing in the graph yet: everything is created. Otherwise nodes that are there
already are adopted, mapped relationships are made anew, and nodes whose rows do not exist are swept away.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from gpm_cdc.cypher import edges, nodes, relationships
from gpm_cdc.cypher.edges import arrow, path_pattern
from gpm_cdc.cypher.quoting import labels
from gpm_cdc.cypher.reading import in_lists
from gpm_cdc.cypher.statement import Statement, Statements, chunks
from gpm_cdc.projection.batch import insertion
from gpm_cdc.projection.plan import EdgePlan, FieldRow, GraphPlan, NodePlan, RelationshipPlan

DELETES_PER_TRANSACTION = 50_000
"""Far below what a small server's transaction memory holds."""


def load_nodes(plan: NodePlan, rows: Iterable[FieldRow], *, fresh: bool) -> Statements:
    """Write the nodes of `rows`."""
    for group, projected in insertion(plan, rows).items():
        if fresh:
            yield from nodes.create(plan, group, projected)
        else:
            yield from nodes.merge(plan, group, projected, (), ())
            yield from nodes.retype(plan, projected)


def edge_places(edge: EdgePlan) -> tuple[int, ...]:
    """The places of a row that an edge needs: key, then foreign key."""
    return (*range(edge.source.key_size), *edge.end.fields)


def load_edges(edge: EdgePlan, rows: Sequence[FieldRow], *, fresh: bool) -> Statements:
    """Connect nodes along one foreign key; `rows` hold the places of `edge_places`. `fresh`: none is connected yet."""
    places = edge_places(edge)
    complete = [row for row in rows if None not in row]
    yield from edges.connect(edge, [edge.source.project_places(places, row) for row in complete], fresh=fresh)


def load_relationships(plan: RelationshipPlan, rows: Iterable[FieldRow]) -> Statements:
    """Write the relationships of `rows`."""
    for group, projected in insertion(plan, rows).items():
        yield from relationships.create(plan, group, projected)


def mapped_relationship_patterns(plan: GraphPlan) -> list[str]:
    """One pattern, with relationship `e`, per kind of relationship that the mapping owns."""
    patterns = [
        arrow(edge, labels(node.label), labels(edge.end.target.label), "e")
        for node in plan.nodes
        for edge in node.edges
    ]
    patterns += [
        path_pattern(table.start.target.label, table.types, table.end.target.label) for table in plan.relationships
    ]
    return patterns


def delete_some(pattern: str, count: Callable[[int], None]) -> Statements:
    """Delete up to DELETES_PER_TRANSACTION relationships of `pattern`, and tell how many there were."""
    records = yield Statement(
        f"MATCH {pattern} WITH DISTINCT e LIMIT {DELETES_PER_TRANSACTION} DELETE e RETURN count(*)", returns=True
    )
    count(records[0][0])


def node_ids(plan: NodePlan, take: Callable[[Iterable[str]], None]) -> Statements:
    """Read the element ids of all nodes with the label."""
    # Millions of single records would take longer than a transaction may.
    text = in_lists(f"MATCH (n{labels(plan.label)})", {"n": "ns"}, "[n IN ns[start..stop] | elementId(n)]")
    records = yield Statement(text, returns=True)
    take(chain.from_iterable(record[0] for record in records))


def keyed_ids(plan: NodePlan, rows: Sequence[FieldRow], take: Callable[[Iterable[str]], None]) -> Statements:
    """Read the element ids of the nodes that bear the keys of `rows` (key fields only)."""
    places = tuple(range(plan.key_size))
    text = nodes.found_text(plan) + " RETURN elementId(n)"
    for chunk in chunks([plan.project_places(places, row) for row in rows]):
        records = yield Statement(text, chunk, returns=True)
        take(record[0] for record in records)
