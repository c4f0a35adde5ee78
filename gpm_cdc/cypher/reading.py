"""Texts that read the graph back for comparison, in large lists: all elements of a kind, or some by key or id.

All come from the label and type indexes, which hold an element whatever happened to its key or to its neighbours.
Values come as components, guarded, so that a value of any other type than the mapping's comes back as something else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gpm_cdc.cypher.edges import arrow
from gpm_cdc.cypher.expressions import end_map, key_map
from gpm_cdc.cypher.nodes import found_text
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL
from gpm_cdc.domain.graphtypes import BYTES, ORIGINS, guarded
from gpm_cdc.projection.plan import EdgePlan, EndPlan, FieldPlan, NodePlan, PlannedTable, RelationshipPlan

PAGE = 10_000
"""Elements in one list. Measured: row by row is six times slower."""

AT_ENDS_MOST = 20_000
"""What is listed at the most of the relationships that end at some nodes: with more, reading all is as quick."""

LOCKED_CHECKPOINT = (
    f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) SET s._lock = 1 REMOVE s._lock RETURN properties(s)"
)
"""The checkpoint, once its lock is had: until the transaction ends no batch of the stream is under way."""

CHECKPOINT = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) RETURN properties(s)"


class Reading(NamedTuple):
    """How elements of one kind are found and read.

    `every` gives lists of records, each of the compared values, then, where foreign things are asked for, a list of
    their names; those of `every_with_id` begin with the element id. Both hold references to all elements in Neo4j, make
    each list when it is asked for, and skip what has gone by then. `by_key` take rows of key parameters in the order of
    the key, and give one list of element ids. `by_id` takes ids and gives one list of records with ids. `by_end`, one
    for each end of a relationship at which a row's foreign key is, takes keys of the nodes there, and gives a list of
    ids: of all relationships at these nodes, or of AT_ENDS_MOST of them.
    """

    every: str
    every_with_id: str
    by_key: tuple[str, ...]
    by_id: str
    by_end: tuple[str, ...] = ()


def _component(field: FieldPlan, place: str) -> str:
    # A byte array passes for a list of integers, of which it is no list to Cypher.
    kind = "LIST<INTEGER NOT NULL>" if field.type.graph_type == BYTES.name else field.type.graph_type
    return (field.type.component or guarded(kind)).format(p=place)


def _properties(variable: str, plan: PlannedTable, names: Sequence[str], places: Sequence[int]) -> list[str]:
    return [
        _component(plan.fields[place], f"{variable}.{quote(name)}") for name, place in zip(names, places, strict=True)
    ]


def _key(variable: str, plan: PlannedTable) -> list[str]:
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


def in_lists(match: str, collected: Mapping[str, str], listed: str) -> str:
    """All that `match` finds, in lists made by `listed` of the places from `start` to before `stop`."""
    lists = ", ".join(f"collect({variable}) AS {name}" for variable, name in collected.items())
    first = next(iter(collected.values()))
    origins = [f"{expression} AS {name}" for expression, name in ORIGINS.items() if expression in listed]
    for expression, name in ORIGINS.items():
        listed = listed.replace(expression, name)
    kept = ", ".join([*collected.values(), *origins])
    places = f"UNWIND range(0, size({first}) - 1, {PAGE}) AS start"
    last = f"CASE WHEN start + {PAGE} < size({first}) THEN start + {PAGE} ELSE size({first}) END AS stop"
    return f"{match} WITH {lists} WITH {kept} {places} WITH *, {last} RETURN {listed}"


def further_labels(plan: NodePlan) -> tuple[str, ...]:
    """Every label besides the key's that the mapping gives nodes of `plan`, sorted."""
    chosen = () if plan.selector is None else plan.selector.values.values()
    return tuple(sorted({*plan.extra_labels, *chosen}))


def node_reading(plan: NodePlan, *, foreign: bool) -> Reading:
    """Nodes of `plan`: its properties in field order, then whether it bears each of `further_labels`, as a list."""
    return Reading(
        every=_every_node(plan, "", foreign=foreign),
        every_with_id=_every_node(plan, "elementId(r[0]), ", foreign=foreign),
        by_key=(f"{found_text(plan)} RETURN collect(elementId(n))",),
        by_id=(
            f"UNWIND $rows AS r MATCH (n) WHERE elementId(n) = r AND n{labels(plan.label)}"
            f" {_record('n', _node_values(plan, 'n', 'n', foreign=foreign))}"
        ),
    )


def _node_values(plan: NodePlan, node: str, properties: str, *, foreign: bool) -> list[str]:
    others = further_labels(plan)
    names = [field.name for field in plan.fields if field.name is not None]
    values = [_component(field, f"{properties}.{quote(field.name)}") for field in plan.fields if field.name is not None]
    if others:
        values.append(f"[{', '.join(f'{node}{labels(name)}' for name in others)}]")
    if foreign:
        known = (plan.label, *others)
        values.append(f"{_foreign_properties(properties, names)} + {_foreign_labels(node, known)}")
    return values


def _every_node(plan: NodePlan, element_id: str, *, foreign: bool) -> str:
    # All properties at once: to ask the node for each means to walk along its properties for each.
    label = labels(plan.label)
    page = f"[n IN ns[start..stop] WHERE n{label} | [n, properties(n)]]"
    values = ", ".join(_node_values(plan, "r[0]", "r[1]", foreign=foreign))
    return in_lists(f"MATCH (n{label})", {"n": "ns"}, f"[r IN {page} | [{element_id}{values}]]")


def edge_reading(edge: EdgePlan, *, foreign: bool) -> Reading:
    """Relationships of a foreign key: the key of the row's node, then that of the referenced one."""
    source, target = edge.source, edge.end.target

    def values(start: str, end: str, relationship: str) -> list[str]:
        child, parent = (start, end) if edge.outgoing else (end, start)
        further = [_foreign_properties(relationship, ())] if foreign else []
        return [*_key(child, source), *_key(parent, target), *further]

    first, second = (source, target) if edge.outgoing else (target, source)
    by_key = f"c{labels(source.label)} {key_map(source, source.key_names)}"
    found = f"UNWIND $rows AS r MATCH {arrow(edge, by_key, 'p' + labels(target.label), 'e')}"
    by_keys = (f"{found} RETURN collect(elementId(e))",)
    by_end = (_at_end(target, arrow(edge, "c" + labels(source.label), "p", "e")),)
    return _relationships(quote(edge.type), first, second, values, by_keys, bare=not foreign)._replace(by_end=by_end)


def _at_end(target: NodePlan, pattern: str) -> str:
    found = f"UNWIND $rows AS r MATCH (p{labels(target.label)} {key_map(target, target.key_names)})"
    return f"{found} MATCH {pattern} WITH DISTINCT e LIMIT {AT_ENDS_MOST} RETURN collect(elementId(e))"


def relationship_reading(plan: RelationshipPlan, *, foreign: bool) -> Reading:
    """Relationships of a table: its key, type, the key of the start node, that of the end node, further properties."""
    start, end = plan.start, plan.end
    rest = [field for field in plan.fields[plan.key_size :] if field.name is not None]
    names = [field.name for field in plan.fields if field.name is not None]

    def values(first: str, second: str, relationship: str) -> list[str]:
        further = [_foreign_properties(relationship, names)] if foreign else []
        return [
            *_row_key(plan, first, second, relationship),
            f"type({relationship})",
            *_key(first, start.target),
            *_key(second, end.target),
            *(_component(field, f"{relationship}.{quote(field.property_name)}") for field in rest),
            *further,
        ]

    types = "|".join(quote(name) for name in plan.types)
    by_end = (
        _at_end(start.target, f"(p)-[e:{types}]->({labels(end.target.label)})"),
        _at_end(end.target, f"({labels(start.target.label)})-[e:{types}]->(p)"),
    )
    reading = _relationships(types, start.target, end.target, values, _by_row_key(plan, types), bare=False)
    return reading._replace(by_end=by_end)


def _relationships(
    types: str,
    start: NodePlan,
    end: NodePlan,
    values: Callable[[str, str, str], list[str]],
    by_key: tuple[str, ...],
    *,
    bare: bool,
) -> Reading:
    """`values` of start, end and relationship; `bare` when those of every relationship need only its ends."""
    # From the type's index, not along the chains of the nodes, which a writer rebuilds while they are walked.
    match = f"MATCH (a)-[e:{types}]->(b)"
    ends = {"a": "xs", "b": "ys"}
    places = f"i IN range(start, stop - 1) WHERE xs[i]{labels(start.label)} AND ys[i]{labels(end.label)}"
    record = ", ".join(values("xs[i]", "ys[i]", "es[i]"))
    condition = f"a{labels(start.label)} AND b{labels(end.label)}"
    return Reading(
        every=in_lists(match, ends if bare else {**ends, "e": "es"}, f"[{places} | [{record}]]"),
        every_with_id=in_lists(match, {**ends, "e": "es"}, f"[{places} | [elementId(es[i]), {record}]]"),
        by_key=by_key,
        by_id=(
            # The id of a relationship that has gone may be that of one of another type by now.
            f"UNWIND $rows AS r MATCH (a)-[e]->(b) WHERE elementId(e) = r AND e:{types} AND {condition}"
            f" {_record('e', values('a', 'b', 'e'))}"
        ),
    )


def _row_key(plan: RelationshipPlan, start: str, end: str, relationship: str) -> list[str]:
    """The key of a row: properties of the relationship, or of its ends where these are the key."""
    if not plan.by_ends:
        return _key(relationship, plan)
    places = _end_places(plan.start, start) | _end_places(plan.end, end)
    return [places[place] for place in range(plan.key_size)]


def _end_places(end: EndPlan, variable: str) -> dict[int, str]:
    values = _properties(variable, end.target, end.names, end.target_fields)
    return dict(zip(end.fields, values, strict=True))


def _by_row_key(plan: RelationshipPlan, types: str) -> tuple[str, ...]:
    if not plan.by_ends:
        # One text per type: the index on the key is per type.
        keyed = key_map(plan, plan.key_names)
        return tuple(
            f"UNWIND $rows AS r MATCH ()-[e:{quote(kind)} {keyed}]->() RETURN collect(elementId(e))"
            for kind in plan.types
        )
    start, end = plan.start, plan.end
    a = f"(a{labels(start.target.label)} {end_map(plan, start)})"
    b = f"(b{labels(end.target.label)} {end_map(plan, end)})"
    return (f"UNWIND $rows AS r MATCH {a} MATCH {b} MATCH (a)-[e:{types}]->(b) RETURN collect(elementId(e))",)
