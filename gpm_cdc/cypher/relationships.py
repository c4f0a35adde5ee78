"""Statements for the relationships of one relationship table: delete, insert, update, move."""

from collections.abc import Generator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

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


def _found(plan: RelationshipPlan, kind: str, row: str = "r") -> str:
    """The old relationship, by its key at the first places of a row."""
    if plan.by_ends:
        return (
            f"MATCH (a{_start(plan)} {end_map(plan, plan.start, row)})"
            f"-[e:{kind}]->(b{_end(plan)} {end_map(plan, plan.end, row)})"
        )
    return f"MATCH (a)-[e:{kind} {key_map(plan, plan.key_names, row)}]->(b)"


def kinds(plan: RelationshipPlan) -> tuple[str, ...]:
    """What one text may name: all types at once by the ends, one at a time by the key, whose index is per type."""
    return (_types(plan),) if plan.by_ends else tuple(quote(name) for name in plan.types)


GONE = "_gpm_cdc_gone"
"""Marks relationships that go later in the transaction, where somebody asks whether a node has any left."""


class Former(NamedTuple):
    """The relationships of before that go, by element id, and among them those of moved rows, by place."""

    going: list[str]
    moved: dict[int, str]


def delete(plan: RelationshipPlan, keys: Sequence[list[Wire]]) -> Statements:
    """Delete relationships by their keys of before."""
    for kind in kinds(plan):
        for chunk in chunks(keys):
            yield Statement(f"UNWIND $rows AS r {_found(plan, kind)} DELETE e", chunk)


def empty(plan: RelationshipPlan) -> Statements:
    """Delete every relationship of a table."""
    yield Statement(f"MATCH {_all(plan)} DELETE e")


def _all(plan: RelationshipPlan) -> str:
    return f"({_start(plan)})-[e:{_types(plan)}]->({_end(plan)})"


def _by_id(plan: RelationshipPlan, variable: str, place: str = "r") -> str:
    # Without the types Neo4j means to look through all relationships when it plans on an empty graph.
    return f"UNWIND $rows AS r MATCH ()-[{variable}:{_types(plan)}]->() WHERE elementId({variable}) = {place}"


def delete_by_id(plan: RelationshipPlan, element_ids: Sequence[str]) -> Statements:
    """Delete relationships of a table."""
    for chunk in chunks(element_ids):
        yield Statement(f"{_by_id(plan, 'e')} DELETE e", chunk)


def former(batch: RelationshipBatch, *, marked: bool) -> Generator[Statement, list[Record], Former]:
    """Find the relationships that go: those of an emptied table, and of rows that were deleted or changed their key.

    They are found by what they and their ends are before the batch, and stay until nothing is looked up any more: after
    n relationships are deleted every look-up by their indexes takes as long as n. Until then they keep what moved rows
    leave out. They are `marked` where somebody will ask which nodes have relationships left.
    """
    plan = batch.plan
    mark = f" SET e.{GONE} = true" if marked else ""
    going: list[str] = []
    moved: dict[int, str] = {}
    if batch.emptied:
        records = yield Statement(f"MATCH {_all(plan)}{mark} RETURN elementId(e)", returns=True)
        going += [record[0] for record in records]
    sent = [[*key, None] for key in batch.deleted] + [[*move.old, place] for place, move in enumerate(batch.moved)]
    for kind in kinds(plan):
        text = f"UNWIND $rows AS r {_found(plan, kind)}{mark} RETURN r[{plan.key_size}], elementId(e)"
        for chunk in chunks(sent):
            records = yield Statement(text, chunk, returns=True)
            for place, found in records:
                going.append(found)
                if place is not None:
                    moved[place] = found
    return Former(going, moved)


def _left(plan: RelationshipPlan, end: EndPlan, node: str) -> str:
    """The relationships `e` of the table that have `node` as this end, and do not go."""
    arrow = ("-", "->") if end is plan.start else ("<-", "-")
    return f"{node}{arrow[0]}[e:{_types(plan)}]{arrow[1]}() WHERE e.{GONE} IS NULL"


@cache
def _takeovers_text(plan: RelationshipPlan, end: EndPlan) -> str:
    target = end.target
    size = target.key_size
    fields = [target.fields[index] for index in end.target_fields]
    same = " AND ".join(
        f"n.{quote(name)} = {value(field, f'r[{size + place}]', guard=True)}"
        for place, (name, field) in enumerate(zip(end.names, fields, strict=True))
    )
    held = ", ".join(f"n.{quote(name)}" for name in end.names)
    taken = ", ".join(value(field, f"t[{place}]", guard=True) for place, field in enumerate(fields))
    left = f"EXISTS {{ {_left(plan, end, '(n)')} }}"
    return (
        f"UNWIND $rows[0] AS r MATCH (n{labels(target.label)} {key_map(target, target.key_names)})"
        f" WHERE NOT coalesce({same}, false) AND {left}"
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
def _staying_text(plan: RelationshipPlan, end: EndPlan, most: int) -> str:
    node = f"(n{labels(end.target.label)} {key_map(end.target, end.target.key_names)})"
    return f"UNWIND $rows AS r MATCH {_left(plan, end, node)} RETURN DISTINCT elementId(e) LIMIT {most + 1}"


def staying(
    plan: RelationshipPlan, end: EndPlan, keys: Sequence[list[Wire]], updated: Sequence[WireRow]
) -> Generator[Statement, list[Record], bool]:
    """Ask whether nodes with `keys` have relationships of which no row of the batch tells where they belong.

    `updated` are rows that keep their keys: a relationship with a key of its own is put where such a row says.
    """
    told = [] if plan.by_ends else [row[: plan.key_size] for row in updated]
    found: set[str] = set()
    for chunk in chunks(keys):
        # The number is rounded up so that the texts stay few.
        most = 0 if not told else 1 << len(told).bit_length()
        records = yield Statement(_staying_text(plan, end, most), chunk, returns=True)
        if len(records) > most:
            return True
        found.update(record[0] for record in records)
    for kind in kinds(plan) if found else ():
        for rows in chunks(told):
            records = yield Statement(f"UNWIND $rows AS r {_found(plan, kind)} RETURN elementId(e)", rows, returns=True)
            found.difference_update(record[0] for record in records)
    return bool(found)


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


def restore(plan: RelationshipPlan, moves: Sequence[Move], moved: Mapping[int, str]) -> Statements:
    """Create moved relationships at their new ends, with the values of the former ones where the row has none."""
    whole: dict[Group, list[WireRow]] = {}
    partial: dict[Group, list[WireRow]] = {}
    homeless = [move.row for place, move in enumerate(moves) if UNCHANGED in move.row and place not in moved]
    yield from _refuse_incomplete(plan, homeless)
    for place, move in enumerate(moves):
        if UNCHANGED in move.row:
            partial.setdefault(move.group, []).append([*_plain(move.row), moved.get(place)])
        else:
            whole.setdefault(move.group, []).append(move.row)
    for group, rows in whole.items():
        yield from create(plan, group, rows)
    width = len(plan.fields)
    for group, rows in partial.items():
        for chunk in chunks(rows):
            yield Statement(
                f"{_by_id(plan, 'o', f'r[{width}]')} {_ends(plan)}"
                f" CREATE (a)-[e:{_type(plan, group)}]->(b)"
                f" SET e = {overlay(plan, 'o', group.known, guarded(plan, chunk), without=(GONE,))}",
                chunk,
            )


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
        for name, index in end.pairs
    ]
    same = " AND ".join([f"a{_start(plan)}", f"b{_end(plan)}", *tests])
    return (
        f"UNWIND $rows AS r OPTIONAL {_found(plan, _type(plan, group))}{change}"
        f" WITH r, a, b, e WHERE NOT coalesce(e IS NOT NULL AND {same}, false)"
        f" RETURN r[{len(plan.fields)}], elementId(e)"
    )


type Misplaced = dict[int, str | None]
"""The places of rows whose relationship is missing, of another type, or between other nodes; its element id, if any."""


def update_by_key(
    plan: RelationshipPlan, group: Group, rows: Sequence[WireRow]
) -> Generator[Statement, list[Record], Misplaced]:
    """Set properties of relationships found by their key; the generator's value are the rows that need more."""
    misplaced: Misplaced = {}
    start = 0
    for chunk in chunks(rows):
        sent = [[*_plain(row), start + number] for number, row in enumerate(chunk)]
        zero = zeros(plan, group.known[plan.key_size :], chunk)
        text = _update_by_key_text(plan, group, guarded(plan, chunk), zero)
        records = yield Statement(text, sent, returns=True)
        misplaced.update((record[0], record[1]) for record in records)
        start += len(chunk)
    missing = [[*_plain(rows[place]), place] for place, found in misplaced.items() if found is None]
    for kind in kinds(plan):
        if kind == _type(plan, group):
            continue
        for chunk in chunks(missing):
            text = f"UNWIND $rows AS r {_found(plan, kind)} RETURN r[{len(plan.fields)}], elementId(e)"
            records = yield Statement(text, chunk, returns=True)
            misplaced.update((record[0], record[1]) for record in records)
    return misplaced


@cache
def _repoint_text(plan: RelationshipPlan, group: Group, guard: Guarded) -> str:
    properties = overlay(plan, "e", group.known, guard)
    width = len(plan.fields)
    return (
        f"{_by_id(plan, 'e', f'r[{width}]')} {_ends(plan)}"
        f" CREATE (a)-[x:{_type(plan, group)}]->(b) SET x = {properties} DELETE e"
        f" RETURN r[{width + 1}]"
    )


def repoint(plan: RelationshipPlan, group: Group, rows: Sequence[WireRow], misplaced: Misplaced) -> Statements:
    """Replace relationships that `update_by_key` found misplaced, keeping values that the rows leave out.

    A row whose relationship did not exist (an end was missing) is created, or ValueLeftOut if it lacks values; one
    whose end is missing now is deleted.
    """
    left = dict(misplaced)
    sent = [[*_plain(rows[place]), found, place] for place, found in misplaced.items() if found is not None]
    for chunk in chunks(sent):
        records = yield Statement(_repoint_text(plan, group, guarded(plan, chunk)), chunk, returns=True)
        for record in records:
            del left[record[0]]
    yield from delete_by_id(plan, [found for found in left.values() if found is not None])
    again = [rows[place] for place in left]
    yield from _refuse_incomplete(plan, [row for row in again if UNCHANGED in row])
    yield from create(plan, group, [row for row in again if UNCHANGED not in row])
