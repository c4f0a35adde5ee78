"""Statements for relationships that come from foreign keys of node tables."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from gpm_cdc.cypher.expressions import end_map, key_map
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.statement import Statement, Statements, chunks
from gpm_cdc.projection.plan import EdgePlan, WireRow


def arrow(edge: EdgePlan, child: str, parent: str, relationship: str = "") -> str:
    """The pattern from the row's node to the referenced one, whichever way the relationship points."""
    inner = f"[{relationship}:{quote(edge.type)}]"
    return f"({child})-{inner}->({parent})" if edge.outgoing else f"({child})<-{inner}-({parent})"


def path_pattern(start: str, types: Sequence[str], end: str) -> str:
    """A pattern, with relationship `e`, for relationships by the labels of their ends."""
    kinds = "|".join(map(quote, types))
    return f"({labels(start)})-[e:{kinds}]->({labels(end)})"


def places(edge: EdgePlan) -> tuple[int, ...]:
    """Where an edge row (key, then foreign key) holds the foreign key."""
    size = edge.source.key_size
    return tuple(range(size, size + len(edge.end.fields)))


def rows_of(edge: EdgePlan, rows: Sequence[WireRow]) -> list[list[Any]]:
    """(key, foreign key) of each row whose foreign key is set in full."""
    size, fields = edge.source.key_size, edge.end.fields
    if len(fields) == 1:
        only = fields[0]
        return [[*row[:size], row[only]] for row in rows if row[only] is not None]
    return [
        [*row[:size], *(row[index] for index in fields)]
        for row in rows
        if all(row[index] is not None for index in fields)
    ]


@cache
def _connect_text(edge: EdgePlan, verb: str) -> str:
    source, end = edge.source, edge.end
    return (
        f"UNWIND $rows AS r MATCH (c{labels(source.label)} {key_map(source, source.key_names)})"
        f" MATCH (p{labels(end.target.label)} {end_map(source, end, places=places(edge))})"
        f" {verb} {arrow(edge, 'c', 'p')}"
    )


def connect(edge: EdgePlan, rows: Sequence[list[Any]], *, fresh: bool) -> Statements:
    """Connect children with their parents; a missing parent gives nothing. `fresh`: no child has this edge yet."""
    for chunk in chunks(rows):
        yield Statement(_connect_text(edge, "CREATE" if fresh else "MERGE"), chunk)


@cache
def _connect_as_stored_text(edge: EdgePlan) -> str:
    source = edge.source
    return (
        f"UNWIND $rows AS r MATCH (c{labels(source.label)} {key_map(source, source.key_names)})"
        f" MATCH (p{labels(edge.end.target.label)} {_joined(edge, 'c')}) MERGE {arrow(edge, 'c', 'p')}"
    )


def connect_as_stored(edge: EdgePlan, keys: Sequence[Any]) -> Statements:
    """Connect the children with these keys with the parents that their properties name."""
    for chunk in chunks(keys):
        yield Statement(_connect_as_stored_text(edge), chunk)


@cache
def _disconnect_text(edge: EdgePlan) -> str:
    source = edge.source
    child = f"c{labels(source.label)} {key_map(source, source.key_names)}"
    return f"UNWIND $rows AS r MATCH {arrow(edge, child, 'p' + labels(edge.end.target.label), 'e')} DELETE e"


def disconnect(edge: EdgePlan, keys: Sequence[Any]) -> Statements:
    """Delete this edge of the children with these keys."""
    for chunk in chunks(keys):
        yield Statement(_disconnect_text(edge), chunk)


def _to_parents(edge: EdgePlan, relationship: str = "") -> str:
    """The start of a statement about what leads to the nodes whose keys the rows are."""
    target = edge.end.target
    parent = f"p{labels(target.label)} {key_map(target, target.key_names)}"
    return f"UNWIND $rows AS r MATCH {arrow(edge, 'c' + labels(edge.source.label), parent, relationship)}"


def cut(edge: EdgePlan, keys: Sequence[Any]) -> Statements:
    """Delete this edge of every child of the nodes with these keys."""
    for chunk in chunks(keys):
        yield Statement(f"{_to_parents(edge, 'e')} DELETE e", chunk)


@cache
def _children_text(edge: EdgePlan) -> str:
    return f"{_to_parents(edge)} RETURN DISTINCT elementId(c)"


def children(edge: EdgePlan, keys: Sequence[Any]) -> Statement:
    """Ask for the element ids of the children of the nodes with these keys."""
    return Statement(_children_text(edge), keys, returns=True)


def _joined(edge: EdgePlan, child: str) -> str:
    fields = edge.source.fields
    inner = (f"{quote(name)}: {child}.{quote(fields[index].property_name)}" for name, index in edge.end.pairs)
    return f"{{{', '.join(inner)}}}"


def reattach(edge: EdgePlan, element_ids: Sequence[str]) -> Statements:
    """Connect children, given by element id, with the node that their properties name now."""
    target = labels(edge.end.target.label)
    for chunk in chunks(element_ids):
        yield Statement(
            f"UNWIND $rows AS r MATCH (c) WHERE elementId(c) = r MATCH (p{target} {_joined(edge, 'c')})"
            f" MERGE {arrow(edge, 'c', 'p')}",
            chunk,
        )


@cache
def _mismatched_text(edge: EdgePlan) -> str:
    source = edge.source
    wrong = " OR ".join(
        f"coalesce(c.{quote(source.fields[index].property_name)} <> p.{quote(name)}, true)"
        for name, index in edge.end.pairs
    )
    return f"{_to_parents(edge, 'e')} WHERE {wrong} DELETE e RETURN DISTINCT elementId(c)"


def mismatched(edge: EdgePlan, keys: Sequence[Any]) -> Statement:
    """Cut children off the nodes with these keys where their properties name another; returns their element ids."""
    return Statement(_mismatched_text(edge), keys, returns=True)


@cache
def _adopt_text(edge: EdgePlan) -> str:
    target, source = edge.end.target, edge.source
    child = ", ".join(f"{quote(source.fields[index].property_name)}: p.{quote(name)}" for name, index in edge.end.pairs)
    return (
        f"UNWIND $rows AS r MATCH (p{labels(target.label)} {key_map(target, target.key_names)})"
        f" MATCH (c{labels(source.label)} {{{child}}}) MERGE {arrow(edge, 'c', 'p')}"
    )


def adopt(edge: EdgePlan, keys: Sequence[Any]) -> Statements:
    """Connect nodes that have just got these keys with every child whose properties name them (loose references)."""
    for chunk in chunks(keys):
        yield Statement(_adopt_text(edge), chunk)


def referenced_places(incoming: Sequence[EdgePlan]) -> tuple[int, ...]:
    """The non-key places of a table that the foreign keys `incoming` refer to."""
    return tuple(sorted({index for edge in incoming if not edge.end.by_key for index in edge.end.target_fields}))
