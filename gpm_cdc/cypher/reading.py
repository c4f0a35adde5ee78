"""Texts that read the graph back for comparison: first the element ids, then the elements by id, in large lists.

Ids come from the label and type indexes, which hold an element whatever happened to its key or to its neighbours.
Values come as components, guarded, so that a value of any other type than the mapping's comes back as something else.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gpm_cdc.cypher.edges import arrow
from gpm_cdc.cypher.expressions import end_map, key_map
from gpm_cdc.cypher.nodes import found_text
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.relationships import key_names
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL
from gpm_cdc.domain.graphtypes import GUARDED_COMPONENT
from gpm_cdc.projection.plan import EdgePlan, EndPlan, FieldPlan, NodePlan, RelationshipPlan

PAGE = 10_000
"""Elements in one list. Measured: row by row is six times slower."""

LOCKED_CHECKPOINT = (
    f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) SET s._lock = 1 REMOVE s._lock RETURN properties(s)"
)
"""The checkpoint, once its lock is had: until the transaction ends no batch of the stream is under way."""

CHECKPOINT = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) RETURN properties(s)"


class Reading(NamedTuple):
    """How elements of one kind are found and read.

    `every` gives lists of all element ids. `by_key` take rows of key parameters in the order of the key, and give one
    list of element ids. `by_id` takes ids and gives one list of records: the element id, then the compared values,
    then, where foreign things are asked for, a list of their names.
    """

    every: str
    by_key: tuple[str, ...]
    by_id: str


def _paged(variable: str) -> str:
    return (
        f" WITH collect(elementId({variable})) AS ids"
        f" UNWIND range(0, size(ids) - 1, {PAGE}) AS start RETURN ids[start..start + {PAGE}]"
    )


def _component(field: FieldPlan, place: str) -> str:
    return (field.type.component or GUARDED_COMPONENT).format(p=place)


def _properties(variable: str, plan: NodePlan, names: Sequence[str], places: Sequence[int]) -> list[str]:
    return [
        _component(plan.fields[place], f"{variable}.{quote(name)}") for name, place in zip(names, places, strict=True)
    ]


def _key(variable: str, plan: NodePlan) -> list[str]:
    return _properties(variable, plan, plan.key_names, range(plan.key_size))


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _foreign_properties(variable: str, names: Sequence[str]) -> str:
    known = ", ".join(map(_text, names))
    return f"[k IN keys({variable}) WHERE NOT k IN [{known}]]"


def _foreign_labels(variable: str, names: Sequence[str]) -> str:
    known = ", ".join(map(_text, names))
    return f"[l IN labels({variable}) WHERE NOT l IN [{known}] | ':' + l]"


def _record(variable: str, values: Sequence[str]) -> str:
    return f"RETURN collect([elementId({variable}), {', '.join(values)}])"


def further_labels(plan: NodePlan) -> tuple[str, ...]:
    """Every label besides the key's that the mapping gives nodes of `plan`, sorted."""
    chosen = () if plan.selector is None else plan.selector.values.values()
    return tuple(sorted({*plan.extra_labels, *chosen}))


def node_reading(plan: NodePlan, *, foreign: bool) -> Reading:
    """Nodes of `plan`: its properties in field order, then whether it bears each of `further_labels`, as a list."""
    others = further_labels(plan)
    values = [_component(field, f"n.{quote(field.name)}") for field in plan.fields if field.name is not None]
    if others:
        values.append(f"[{', '.join(f'n{labels(name)}' for name in others)}]")
    if foreign:
        names = [field.name for field in plan.fields if field.name is not None]
        values.append(f"{_foreign_properties('n', names)} + {_foreign_labels('n', (plan.label, *others))}")
    return Reading(
        every=f"MATCH (n{labels(plan.label)}){_paged('n')}",
        by_key=(f"{found_text(plan)} RETURN collect(elementId(n))",),
        by_id=f"UNWIND $rows AS r MATCH (n) WHERE elementId(n) = r AND n{labels(plan.label)} {_record('n', values)}",
    )


def edge_reading(edge: EdgePlan, *, foreign: bool) -> Reading:
    """Relationships of a foreign key: the key of the row's node, then that of the referenced one."""
    source, target = edge.source, edge.end.target
    child, parent = ("a", "b") if edge.outgoing else ("b", "a")
    values = [*_key(child, source), *_key(parent, target)]
    if foreign:
        values.append(_foreign_properties("e", ()))
    condition = f"{child}{labels(source.label)} AND {parent}{labels(target.label)}"
    by_key = f"c{labels(source.label)} {key_map(source, source.key_names)}"
    return Reading(
        every=_every_relationship(quote(edge.type), condition),
        by_key=(
            (
                f"UNWIND $rows AS r MATCH {arrow(edge, by_key, 'p' + labels(target.label), 'e')}"
                " RETURN collect(elementId(e))"
            ),
        ),
        by_id=_relationship_by_id(condition, values),
    )


def relationship_reading(plan: RelationshipPlan, *, foreign: bool) -> Reading:
    """Relationships of a table: its key, type, the key of the start node, that of the end node, further properties."""
    start, end = plan.start, plan.end
    rest = [field for field in plan.fields[plan.key_size :] if field.name is not None]
    values = [
        *_row_key(plan),
        "type(e)",
        *_key("a", start.target),
        *_key("b", end.target),
        *(_component(field, f"e.{quote(field.name or '')}") for field in rest),
    ]
    if foreign:
        names = [field.name for field in plan.fields if field.name is not None]
        values.append(_foreign_properties("e", names))
    condition = f"a{labels(start.target.label)} AND b{labels(end.target.label)}"
    types = "|".join(quote(name) for name in plan.types)
    return Reading(
        every=_every_relationship(types, condition),
        by_key=_by_row_key(plan, types),
        by_id=_relationship_by_id(condition, values),
    )


def _row_key(plan: RelationshipPlan) -> list[str]:
    """The key of a row: properties of the relationship, or of its ends where these are the key."""
    if not plan.by_ends:
        names = key_names(plan)
        return [_component(plan.fields[place], f"e.{quote(name)}") for place, name in enumerate(names)]
    places = _end_places(plan.start, "a") | _end_places(plan.end, "b")
    return [places[place] for place in range(plan.key_size)]


def _end_places(end: EndPlan, variable: str) -> dict[int, str]:
    values = _properties(variable, end.target, end.names, end.target_fields)
    return dict(zip(end.fields, values, strict=True))


def _by_row_key(plan: RelationshipPlan, types: str) -> tuple[str, ...]:
    if not plan.by_ends:
        # One text per type: the index on the key is per type.
        keyed = key_map(plan, key_names(plan))
        return tuple(
            f"UNWIND $rows AS r MATCH ()-[e:{quote(kind)} {keyed}]->() RETURN collect(elementId(e))"
            for kind in plan.types
        )
    start, end = plan.start, plan.end
    a = f"(a{labels(start.target.label)} {end_map(plan, start)})"
    b = f"(b{labels(end.target.label)} {end_map(plan, end)})"
    return (f"UNWIND $rows AS r MATCH {a} MATCH {b} MATCH (a)-[e:{types}]->(b) RETURN collect(elementId(e))",)


def _every_relationship(types: str, condition: str) -> str:
    # From the type's index, not along the chains of the nodes, which a writer rebuilds while they are walked.
    return f"MATCH ()-[e:{types}]->() WITH e, startNode(e) AS a, endNode(e) AS b WHERE {condition}{_paged('e')}"


def _relationship_by_id(condition: str, values: Sequence[str]) -> str:
    return f"UNWIND $rows AS r MATCH (a)-[e]->(b) WHERE elementId(e) = r AND {condition} {_record('e', values)}"
