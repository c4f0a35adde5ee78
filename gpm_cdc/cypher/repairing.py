"""Statements that make single elements right, whatever is wrong with them, with the relationships of their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from gpm_cdc.cypher import edges, nodes, relationships
from gpm_cdc.cypher.loading import edge_places, load_relationships
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.domain.types import Wire
from gpm_cdc.projection.batch import insertion
from gpm_cdc.projection.plan import EdgePlan, FieldRow, NodePlan, RelationshipPlan


def repair_nodes(
    plan: NodePlan,
    keys: Sequence[list[Wire]],
    rows: Sequence[FieldRow],
    children: Mapping[EdgePlan, Sequence[FieldRow]],
) -> Statements:
    """Make the nodes with `keys` those of `rows`: with their labels, properties and relationships, or delete them.

    `rows` are all that there are with these keys; `children`, by foreign key, the rows that refer to them, with the
    places of `loading.edge_places`. Relationships that the mapping does not own stay, unless a node goes.
    """
    for edge in plan.edges:
        yield from edges.disconnect(edge, keys)
    for edge in children:
        yield from edges.cut(edge, keys)
    for group, projected in insertion(plan, rows).items():
        yield from nodes.merge(plan, group, projected, (), ())
        yield from nodes.retype(plan, projected)
        for edge in plan.edges:
            yield from edges.connect(edge, edges.rows_of(edge, projected), fresh=False)
    for edge, referring in children.items():
        places = edge_places(edge)
        complete = [edge.source.project_places(places, row) for row in referring if None not in row]
        yield from edges.connect(edge, complete, fresh=False)
    present = {repr(plan.project_key(row[: plan.key_size])) for row in rows}
    yield from nodes.delete(plan, [key for key in keys if repr(key) not in present])


def replace_relationships(plan: RelationshipPlan, rows: Sequence[FieldRow]) -> Statements:
    """Make the relationships of `rows`, some of which may be there already."""
    keys = [plan.project_key(row[: plan.key_size]) for row in rows]
    yield from repair_relationships(plan, keys, rows)


def repair_relationships(plan: RelationshipPlan, keys: Sequence[list[Any]], rows: Sequence[FieldRow]) -> Statements:
    """Make the relationships with `keys` those of `rows`, which are all that there are with these keys."""
    yield from relationships.delete(plan, keys)
    yield from load_relationships(plan, rows)
