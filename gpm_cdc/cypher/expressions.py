"""How a place of a row becomes a property value in Cypher.

Most values are stored as they are sent. Temporal values and points travel as integers and are built by the statement; a
place that holds NULL or text instead gets the longer form, which costs about twice as much, so it is chosen per batch.
"""

from collections.abc import Iterable, Sequence

from gpm_cdc.cypher.quoting import quote
from gpm_cdc.projection.plan import EndPlan, FieldPlan, PlannedTable, WireRow

type Guarded = frozenset[int]
"""The places that hold NULL or text in some row of the batch, although their type needs an expression."""


def guarded(planned: PlannedTable, rows: Iterable[WireRow]) -> Guarded:
    """Which places of `rows` need the longer form."""
    built = [index for index, field in enumerate(planned.fields) if field.type.expression is not None]
    if not built:
        return frozenset()
    kept = list(rows)
    return frozenset(index for index in built if any(row[index] is None or type(row[index]) is str for row in kept))


def value(field: FieldPlan, place: str, *, guard: bool) -> str:
    """The expression that builds the value of `field` from the parameter at `place`."""
    template = field.type.expression
    if template is None:
        return place
    built = template.format(v=place)
    if not guard:
        return built
    return f"CASE WHEN {place} IS NULL OR {place} IS :: STRING THEN {place} ELSE {built} END"


def key_map(planned: PlannedTable, names: Sequence[str], row: str = "r", first: int = 0) -> str:
    """`{id: r[0], ...}`: the key of `planned` from consecutive places of a parameter row."""
    return _map(
        (name, value(planned.fields[index], f"{row}[{first + index}]", guard=True)) for index, name in enumerate(names)
    )


def end_map(planned: PlannedTable, end: EndPlan, row: str = "r", places: Sequence[int] | None = None) -> str:
    """The properties by which `end` is found, from the places of its fields in a row of `planned`."""
    return _map(
        (name, value(planned.fields[index], f"{row}[{place}]", guard=True))
        for name, index, place in zip(end.names, end.fields, places or end.fields, strict=True)
    )


def assignments(planned: PlannedTable, variable: str, known: Iterable[int], guard: Guarded) -> list[str]:
    """`n.name = r[1]` for each known place that is a property."""
    return [
        f"{variable}.{quote(field.name)} = {value(field, f'r[{index}]', guard=index in guard)}"
        for index in known
        if (field := planned.fields[index]).name is not None
    ]


def property_map(planned: PlannedTable, known: Iterable[int], guard: Guarded) -> str:
    """`{name: r[1], ...}` for each known place that is a property."""
    return _map(
        (field.name, value(field, f"r[{index}]", guard=index in guard))
        for index in known
        if (field := planned.fields[index]).name is not None
    )


def _map(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{quote(name)}: {expression}" for name, expression in pairs) + "}"
