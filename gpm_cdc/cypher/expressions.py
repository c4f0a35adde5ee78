"""How a place of a row becomes a property value in Cypher.

Most values are stored as they are sent. Temporal values and points travel as integers and are built by the statement; a
place that holds NULL or text instead gets the longer form, which costs about twice as much, so it is chosen per batch.
So is what makes the sign of a zero count.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache

from gpm_cdc.cypher.quoting import quote
from gpm_cdc.domain import graphtypes
from gpm_cdc.projection.plan import EndPlan, FieldPlan, PlannedTable, WireRow

type Guarded = frozenset[int]
"""The places that hold NULL or text in some row of the batch, although their type needs an expression."""

type Zeros = tuple[int, ...]
"""The places of all float properties whose values are known, if one of them is a zero in some row of the batch."""


def guarded(planned: PlannedTable, rows: Iterable[WireRow]) -> Guarded:
    """Which places of `rows` need the longer form."""
    built = [index for index, field in enumerate(planned.fields) if field.type.expression is not None]
    if not built:
        return frozenset()
    kept = list(rows)
    return frozenset(index for index in built if any(row[index] is None or type(row[index]) is str for row in kept))


def zeros(planned: PlannedTable, known: Collection[int], rows: Iterable[WireRow]) -> Zeros:
    """Where `without_other_zeros` has to look: all such places or none, so that there are only two texts."""
    places = [index for index in _floats(planned) if index in known]
    if not places:
        return ()
    kept = list(rows)
    return tuple(places) if any(0.0 in [row[index] for row in kept] for index in places) else ()


@cache
def _floats(planned: PlannedTable) -> tuple[int, ...]:
    return tuple(
        index
        for index, field in enumerate(planned.fields)
        if field.name is not None and field.type.graph_type == graphtypes.FLOAT.name
    )


def without_other_zeros(planned: PlannedTable, variable: str, places: Zeros) -> list[str]:
    """Clauses that take a stored zero away where the row has the one of the other sign.

    To Neo4j 0.0 and -0.0 are the same value: setting one over the other changes nothing.
    """
    return [
        f"FOREACH (other IN CASE WHEN r[{index}] = 0.0 AND {stored} = 0.0"
        f" AND toStringOrNull({stored}) <> toStringOrNull(r[{index}]) THEN [0] ELSE [] END | REMOVE {stored})"
        for index in places
        for stored in [f"{variable}.{quote(planned.fields[index].property_name)}"]
    ]


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
    return [f"{variable}.{quote(name)} = {built}" for name, built in _properties(planned, known, guard)]


def property_map(planned: PlannedTable, known: Iterable[int], guard: Guarded) -> str:
    """`{name: r[1], ...}` for each known place that is a property."""
    return _map(_properties(planned, known, guard))


def overlay(
    planned: PlannedTable, variable: str, known: Iterable[int], guard: Guarded, without: Iterable[str] = ()
) -> str:
    """`variable {.*, name: r[1], ...}`: all properties of `variable`, with each known place instead of its own.

    Those called one of `without` are null, so that SET leaves them out.
    """
    entries = [*_entries(_properties(planned, known, guard)), *(f"{quote(name)}: null" for name in without)]
    return f"{variable} {{{', '.join(['.*', *entries])}}}"


def _properties(planned: PlannedTable, known: Iterable[int], guard: Guarded) -> Iterator[tuple[str, str]]:
    for index in known:
        field = planned.fields[index]
        if field.name is not None:
            yield field.name, value(field, f"r[{index}]", guard=index in guard)


def _map(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(_entries(pairs)) + "}"


def _entries(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{quote(name)}: {expression}" for name, expression in pairs]
