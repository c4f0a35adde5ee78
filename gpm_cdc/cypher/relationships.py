"""Statements for the relationships of one relationship table: delete, insert, update, move."""

from collections.abc import Generator, Sequence
from functools import cache
from typing import Any

from gpm_cdc.cypher.expressions import (
    Guarded,
    Zeros,
    assignments,
    end_map,
    guarded,
    key_map,
    overlay,
    property_map,
    value,
    without_other_zeros,
    zeros,
)
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.statement import Record, Statement, Statements, chunks
from gpm_cdc.domain.changes import UNCHANGED
from gpm_cdc.domain.types import Wire
from gpm_cdc.errors.stream import ValueLeftOut
from gpm_cdc.projection.batch import Group, Move, RelationshipBatch
from gpm_cdc.projection.plan import EndPlan, RelationshipPlan, WireRow


def _start(plan: RelationshipPlan) -> str:
    return labels(plan.start.target.label)


def _end(plan: RelationshipPlan) -> str:
    return labels(plan.end.target.label)


def _types(plan: RelationshipPlan) -> str:
    return "|".join(quote(name) for name in plan.types)


def _ends(plan: RelationshipPlan) -> str:
    """Both end nodes of a row in field order."""
    return f"MATCH (a{_start(plan)} {end_map(plan, plan.start)}) MATCH (b{_end(plan)} {end_map(plan, plan.end)})"


def key_names(plan: RelationshipPlan) -> tuple[str, ...]:
    """The properties that hold the key of a relationship that is not found by its ends."""
    return tuple(field.name or field.column for field in plan.fields[: plan.key_size])


def _found(plan: RelationshipPlan, kind: str, row: str = "r") -> str:
    """The old relationship, by its key at the first places of a row."""
    if plan.by_ends:
        return (
            f"MATCH (a{_start(plan)} {end_map(plan, plan.start, row)})"
            f"-[e:{kind}]->(b{_end(plan)} {end_map(plan, plan.end, row)})"
        )
    return f"MATCH (a)-[e:{kind} {key_map(plan, key_names(plan), row)}]->(b)"


def _kinds(plan: RelationshipPlan) -> tuple[str, ...]:
    """What one text may name: all types at once by the ends, one at a time by the key, whose index is per type."""
    return (_types(plan),) if plan.by_ends else tuple(quote(name) for name in plan.types)


def empty(batch: RelationshipBatch) -> Statements:
    """Delete every relationship of an emptied table."""
    if batch.emptied:
        plan = batch.plan
        yield Statement(f"MATCH ({_start(plan)})-[e:{_types(plan)}]->({_end(plan)}) DELETE e")


def delete(plan: RelationshipPlan, keys: Sequence[list[Wire]]) -> Statements:
    """Delete relationships by their keys of before."""
    for kind in _kinds(plan):
        for chunk in chunks(keys):
            yield Statement(f"UNWIND $rows AS r {_found(plan, kind)} DELETE e", chunk)


def set_aside(plan: RelationshipPlan, moves: Sequence[Move]) -> Generator[Statement, list[Record], dict[int, str]]:
    """Delete moved relationships; keep the properties of those whose rows came without some values.

    They rest on nodes that live until `restore`, within this transaction. The generator's value maps places in `moves`
    to the element ids of these nodes.
    """
    partial = [[*move.old, place] for place, move in enumerate(moves) if UNCHANGED in move.row]
    resting: dict[int, str] = {}
    for kind in _kinds(plan):
        for chunk in chunks(partial):
            records = yield Statement(
                f"UNWIND $rows AS r {_found(plan, kind)} CREATE (rest) SET rest = properties(e)"
                f" RETURN r[{plan.key_size}], elementId(rest)",
                chunk,
                returns=True,
            )
            resting.update((record[0], record[1]) for record in records)
    yield from delete(plan, [move.old for move in moves])
    return resting


@cache
def _takeovers_text(plan: RelationshipPlan, end: EndPlan) -> str:
    target = end.target
    size = target.key_size
    arrow = ("-", "->") if end is plan.start else ("<-", "-")
    fields = [target.fields[index] for index in end.target_fields]
    same = " AND ".join(
        f"n.{quote(name)} = {value(field, f'r[{size + place}]', guard=True)}"
        for place, (name, field) in enumerate(zip(end.names, fields, strict=True))
    )
    held = ", ".join(f"n.{quote(name)}" for name in end.names)
    taken = ", ".join(value(field, f"t[{place}]", guard=True) for place, field in enumerate(fields))
    return (
        f"UNWIND $rows[0] AS r MATCH (n{labels(target.label)} {key_map(target, target.key_names)})"
        f" WHERE NOT coalesce({same}, false) AND EXISTS {{ (n){arrow[0]}[:{_types(plan)}]{arrow[1]}() }}"
        f" WITH collect([{held}]) AS gone UNWIND $rows[1] AS t WITH gone WHERE [{taken}] IN gone RETURN count(*)"
    )


def takeovers(
    plan: RelationshipPlan, end: EndPlan, leaving: Sequence[list[Any]], taken: Sequence[list[Any]]
) -> Statement:
    """Ask how many nodes take over values by which `end` found another node that still has relationships of `plan`.

    `leaving` are nodes as they are before the batch: key, then the values after it, None for those that go. `taken` are
    the values of nodes after the batch.
    """
    return Statement(_takeovers_text(plan, end), [leaving, taken], returns=True)


@cache
def _create_text(plan: RelationshipPlan, group: Group, guard: Guarded) -> str:
    properties = property_map(plan, group.known, guard)
    return f"UNWIND $rows AS r {_ends(plan)} CREATE (a)-[:{_type(plan, group)} {properties}]->(b)"


def _type(plan: RelationshipPlan, group: Group) -> str:
    return quote(group.choice if isinstance(group.choice, str) else plan.types[0])


def create(plan: RelationshipPlan, group: Group, rows: Sequence[WireRow]) -> Statements:
    """Create relationships that are new; a row with a missing end gives nothing."""
    for chunk in chunks(rows):
        yield Statement(_create_text(plan, group, guarded(plan, chunk)), chunk)


def restore(plan: RelationshipPlan, moves: Sequence[Move], resting: dict[int, str]) -> Statements:
    """Create moved relationships at their new ends, with the values that were set aside where the row has none."""
    whole: dict[Group, list[WireRow]] = {}
    partial: dict[Group, list[WireRow]] = {}
    homeless = [move.row for place, move in enumerate(moves) if UNCHANGED in move.row and place not in resting]
    yield from _refuse_incomplete(plan, homeless)
    for place, move in enumerate(moves):
        if UNCHANGED in move.row:
            partial.setdefault(move.group, []).append([*_plain(move.row), resting.get(place)])
        else:
            whole.setdefault(move.group, []).append(move.row)
    for group, rows in whole.items():
        yield from create(plan, group, rows)
    width = len(plan.fields)
    for group, rows in partial.items():
        for chunk in chunks(rows):
            properties = overlay(plan, "rest", group.known, guarded(plan, chunk))
            yield Statement(
                f"UNWIND $rows AS r MATCH (rest) WHERE elementId(rest) = r[{width}] {_ends(plan)}"
                f" CREATE (a)-[e:{_type(plan, group)}]->(b) SET e = {properties}",
                chunk,
            )
    if resting:
        yield Statement("UNWIND $rows AS r MATCH (rest) WHERE elementId(rest) = r DELETE rest", list(resting.values()))


def _refuse_incomplete(plan: RelationshipPlan, rows: Sequence[WireRow]) -> Statements:
    """Raise ValueLeftOut if one of `rows`, which have no relationship and lack values, has both ends now."""
    ends = (*plan.start.fields, *plan.end.fields)
    rows = [row for row in rows if all(row[index] is not None for index in ends)]
    if any(row[index] is UNCHANGED for row in rows for index in ends):
        raise ValueLeftOut(table=str(plan.table))
    for chunk in chunks([_plain(row) for row in rows]):
        records = yield Statement(f"UNWIND $rows AS r {_ends(plan)} RETURN 1 LIMIT 1", chunk, returns=True)
        if records:
            raise ValueLeftOut(table=str(plan.table))


def _plain(row: WireRow) -> list[Any]:
    return [None if field is UNCHANGED else field for field in row]


@cache
def _merge_by_ends_text(plan: RelationshipPlan, group: Group, guard: Guarded, zero: Zeros) -> str:
    settings = assignments(plan, "e", group.known, guard)
    chosen = _type(plan, group)
    parts = [f"UNWIND $rows AS r {_ends(plan)} MERGE (a)-[e:{chosen}]->(b)"]
    others = [quote(name) for name in plan.types if quote(name) != chosen]
    if others:
        parts.append(
            f"WITH r, a, b, e OPTIONAL MATCH (a)-[o:{'|'.join(others)}]->(b)"
            " FOREACH (old IN CASE WHEN o IS NULL THEN [] ELSE [o] END | SET e += properties(old) DELETE old)"
        )
    parts += without_other_zeros(plan, "e", zero)
    if settings:
        parts.append(f"SET {', '.join(settings)}")
    return " ".join(parts)


def merge_by_ends(plan: RelationshipPlan, group: Group, rows: Sequence[WireRow]) -> Statements:
    """Upsert relationships that are found by their ends, whatever type they had."""
    for chunk in chunks(rows):
        text = _merge_by_ends_text(plan, group, guarded(plan, chunk), zeros(plan, group.known, chunk))
        yield Statement(text, [_plain(row) for row in chunk])


@cache
def _update_by_key_text(plan: RelationshipPlan, group: Group, guard: Guarded, zero: Zeros) -> str:
    settings = assignments(plan, "e", (index for index in group.known if index >= plan.key_size), guard)
    change = "".join(f" {clause}" for clause in without_other_zeros(plan, "e", zero))
    change += f" SET {', '.join(settings)}" if settings else ""
    tests = [
        f"{node}.{quote(name)} = {value(plan.fields[index], f'r[{index}]', guard=True)}"
        for node, end in (("a", plan.start), ("b", plan.end))
        for name, index in zip(end.names, end.fields, strict=True)
    ]
    same = " AND ".join([f"a{_start(plan)}", f"b{_end(plan)}", *tests])
    return (
        f"UNWIND $rows AS r OPTIONAL {_found(plan, _type(plan, group))}{change}"
        f" WITH r, a, b, e WHERE NOT coalesce(e IS NOT NULL AND {same}, false) RETURN r[{len(plan.fields)}]"
    )


def update_by_key(
    plan: RelationshipPlan, group: Group, rows: Sequence[WireRow]
) -> Generator[Statement, list[Record], list[int]]:
    """Set properties of relationships found by their key.

    The generator's value are the places of rows whose relationship is missing, of another type, or between other nodes.
    """
    misplaced: list[int] = []
    start = 0
    for chunk in chunks(rows):
        sent = [[*_plain(row), start + number] for number, row in enumerate(chunk)]
        zero = zeros(plan, group.known[plan.key_size :], chunk)
        text = _update_by_key_text(plan, group, guarded(plan, chunk), zero)
        records = yield Statement(text, sent, returns=True)
        misplaced += [record[0] for record in records]
        start += len(chunk)
    return misplaced


@cache
def _repoint_text(plan: RelationshipPlan, group: Group, kind: str, guard: Guarded) -> str:
    properties = overlay(plan, "e", group.known, guard)
    return (
        f"UNWIND $rows AS r MATCH ()-[e:{kind} {key_map(plan, key_names(plan))}]->() {_ends(plan)}"
        f" CREATE (a)-[x:{_type(plan, group)}]->(b) SET x = {properties} DELETE e"
        f" RETURN r[{len(plan.fields)}]"
    )


def repoint(plan: RelationshipPlan, group: Group, rows: Sequence[WireRow]) -> Statements:
    """Replace relationships that `update_by_key` found misplaced, keeping values that the rows leave out.

    A row whose relationship did not exist (an end was missing) is created, or ValueLeftOut if it lacks values; one
    whose end is missing now is deleted.
    """
    left = dict(enumerate(rows))
    for kind in (quote(name) for name in plan.types):
        sent = [[*_plain(row), place] for place, row in left.items()]
        for chunk in chunks(sent):
            text = _repoint_text(plan, group, kind, guarded(plan, chunk))
            records = yield Statement(text, chunk, returns=True)
            for record in records:
                left.pop(record[0], None)
    if not left:
        return
    yield from delete(plan, [list(row[: plan.key_size]) for row in left.values()])  # type: ignore[arg-type]
    yield from _refuse_incomplete(plan, [row for row in left.values() if UNCHANGED in row])
    yield from create(plan, group, [row for row in left.values() if UNCHANGED not in row])
