"""Statements for the nodes of one table: delete, rename, insert, update."""

from collections.abc import Generator, Sequence
from functools import cache

from gpm_cdc.cypher.expressions import (
    Guarded,
    Zeros,
    assignments,
    guarded,
    key_map,
    property_map,
    value,
    without_other_zeros,
    zeros,
)
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.statement import Record, Statement, Statements, chunks
from gpm_cdc.domain.changes import UNCHANGED
from gpm_cdc.domain.types import Wire
from gpm_cdc.projection.batch import Choice, Group, NodeBatch, Rename
from gpm_cdc.projection.plan import EdgePlan, NodePlan, WireRow


def found_text(plan: NodePlan) -> str:
    """The start of a statement about the nodes `n` whose keys the rows begin with."""
    return f"UNWIND $rows AS r MATCH (n{labels(plan.label)} {key_map(plan, plan.key_names)})"


def delete(plan: NodePlan, keys: Sequence[list[Wire]]) -> Statements:
    """Delete nodes by their keys, with every relationship on them."""
    for chunk in chunks(keys):
        yield Statement(f"{found_text(plan)} DETACH DELETE n", chunk)


def empty(plan: NodePlan) -> Statements:
    """Delete all nodes of a table, with every relationship on them."""
    yield Statement(f"MATCH (n{labels(plan.label)}) DETACH DELETE n")


def hide(batch: NodeBatch) -> Generator[Statement, list[Record], list[str]]:
    """Take the label off the nodes of before that go, so that nothing finds them any more; their element ids.

    They are deleted at the end of the transaction: after n deletes every look-up by index in it takes as long as n.
    Measured, 10,000 deletes and 10,000 updates in one batch were a hundred times slower the other way round.

    Of an emptied table nodes stay whose keys are inserted again: deleting and creating the same indexed keys in one
    transaction costs the square of their number.
    """
    plan = batch.plan
    hidden: list[str] = []
    taking = f"REMOVE n{labels(plan.label)} RETURN elementId(n)"
    if batch.emptied:
        kept = yield from kept_nodes(plan, [row for rows in batch.inserted.values() for row in rows])
        records = yield Statement(
            f"MATCH (n{labels(plan.label)}) WHERE NOT elementId(n) IN $rows {taking}", kept, returns=True
        )
        hidden += [record[0] for record in records]
    for rows in chunks(batch.deleted):
        records = yield Statement(f"{found_text(plan)} {taking}", rows, returns=True)
        hidden += [record[0] for record in records]
    return hidden


def kept_nodes(plan: NodePlan, inserted: Sequence[WireRow]) -> Generator[Statement, list[Record], list[str]]:
    """The element ids of the nodes whose keys `inserted` rows bear."""
    kept: list[str] = []
    for rows in chunks(keys_of(plan, inserted)):
        records = yield Statement(f"{found_text(plan)} RETURN elementId(n)", rows, returns=True)
        kept += [record[0] for record in records]
    return kept


def delete_by_id(element_ids: Sequence[str], label: str = "") -> Statements:
    """Delete nodes with all their relationships, those alone that bear `label`, where one is named.

    Where time has passed since the ids were read, the server may have given one to somebody else's node.
    """
    bearing = f" AND n{labels(label)}" if label else ""
    for chunk in chunks(element_ids):
        yield Statement(f"UNWIND $rows AS r MATCH (n) WHERE elementId(n) = r{bearing} DETACH DELETE n", chunk)


def rename(batch: NodeBatch) -> Statements:
    """Give nodes their new keys in place.

    Where a new key is also an old one (swaps, cycles, chains), the keys are taken off first: setting them one by one
    would meet the uniqueness constraint. So they are where a zero changes its sign, which no SET does by itself.
    """
    plan, renames = batch.plan, batch.renamed
    rows = [[*renamed.old, *renamed.new] for renamed in renames]
    found = found_text(plan)
    new = ", ".join(
        f"n.{quote(name)} = {value(plan.fields[index], f'r[{plan.key_size + index}]', guard=True)}"
        for index, name in enumerate(plan.key_names)
    )
    if not _entangled(renames):
        for chunk in chunks(rows):
            yield Statement(f"{found} SET {new}", chunk)
        return
    none = ", ".join(f"n.{quote(name)} = null" for name in plan.key_names)
    apart = "WITH collect([n, r]) AS found UNWIND found AS pair WITH pair[0] AS n, pair[1] AS r"
    yield Statement(f"{found} SET {none} {apart} SET {new}", rows)


def _entangled(renames: Sequence[Rename]) -> bool:
    old = {repr(renamed.old) for renamed in renames}
    return any(repr(renamed.new) in old or _changes_sign(renamed) for renamed in renames)


def _changes_sign(renamed: Rename) -> bool:
    pairs = zip(renamed.old, renamed.new, strict=True)
    return any(old == new and repr(old) != repr(new) for old, new in pairs)


@cache
def _insert_text(plan: NodePlan, group: Group, guard: Guarded) -> str:
    chosen = (group.choice,) if isinstance(group.choice, str) else ()
    every = labels(*dict.fromkeys((plan.label, *plan.extra_labels, *chosen)))
    return f"UNWIND $rows AS r CREATE (n{every} {property_map(plan, group.known, guard)})"


def create(plan: NodePlan, group: Group, rows: Sequence[WireRow]) -> Statements:
    """Create nodes whose keys are known to be free; a taken one violates the uniqueness constraint."""
    for chunk in chunks(rows):
        yield Statement(_insert_text(plan, group, guarded(plan, chunk)), chunk)


def watched(plan: NodePlan, referenced: tuple[int, ...]) -> tuple[int, ...]:
    """The places whose change moves edges: kept foreign keys, and non-key properties that others refer to."""
    own = {index for edge in plan.edges if edge.kept for index in edge.end.fields}
    return tuple(sorted((own | set(referenced)) - set(range(plan.key_size))))


@cache
def _merge_text(
    plan: NodePlan, group: Group, guard: Guarded, zero: Zeros, watch: tuple[int, ...], edges: tuple[EdgePlan, ...]
) -> str:
    parts = [f"UNWIND $rows AS r MERGE (n{labels(plan.label)} {key_map(plan, plan.key_names)})"]
    before = [f"n.{quote(plan.fields[index].property_name)} AS o{index}" for index in watch]
    before += [f"{_ends(edge)} AS e{number}" for number, edge in enumerate(edges)]
    if before:
        parts.append(f"WITH n, r, {', '.join(before)}")
    parts += without_other_zeros(plan, "n", zero)
    settings = assignments(plan, "n", (index for index in group.known if index >= plan.key_size), guard)
    settings += _label_settings(plan, group.choice)
    if settings:
        parts.append(f"SET {', '.join(settings)}")
    removed = _other_labels(plan, group.choice)
    if removed:
        parts.append(f"REMOVE n{labels(*removed)}")
    if before:
        flags = [_differs(f"n.{quote(plan.fields[index].property_name)}", f"o{index}") for index in watch]
        flags += [f"NOT coalesce(e{number} = [{_new_end(edge)}], false)" for number, edge in enumerate(edges)]
        carried = ", ".join([*(f"o{index}" for index in watch), *(f"e{number}" for number in range(len(edges)))])
        parts.append(f"WITH n, r, {carried} WITH r[{len(plan.fields)}] AS i, [{', '.join(flags)}] AS changed")
        parts.append("WHERE any(flag IN changed WHERE flag) RETURN i, changed")
    return " ".join(parts)


def _differs(new: str, old: str) -> str:
    return f"coalesce({new} <> {old}, NOT ({new} IS NULL AND {old} IS NULL))"


def _ends(edge: EdgePlan) -> str:
    arrow = ("-", "->") if edge.outgoing else ("<-", "-")
    names = ", ".join(f"p.{quote(name)}" for name in edge.end.names)
    pattern = f"(n){arrow[0]}[:{quote(edge.type)}]{arrow[1]}(p{labels(edge.end.target.label)})"
    return f"[{pattern} | [{names}]]"


def _new_end(edge: EdgePlan) -> str:
    values = [value(edge.source.fields[index], f"r[{index}]", guard=True) for index in edge.end.fields]
    return f"[{', '.join(values)}]"


def _label_settings(plan: NodePlan, choice: Choice) -> list[str]:
    chosen = [choice] if isinstance(choice, str) else []
    names = dict.fromkeys([*plan.extra_labels, *chosen])
    return [f"n{labels(*names)}"] if names else []


def _other_labels(plan: NodePlan, choice: Choice) -> tuple[str, ...]:
    if plan.selector is None or choice is UNCHANGED:
        return ()
    kept = {plan.label, *plan.extra_labels, choice}
    return tuple(sorted(name for name in set(plan.selector.values.values()) if name not in kept))


def merge(
    plan: NodePlan, group: Group, rows: Sequence[WireRow], watch: tuple[int, ...], edges: tuple[EdgePlan, ...]
) -> Generator[Statement, list[Record], list[Record]]:
    """Upsert nodes by key.

    The generator's value is, per row with a change of something watched, its place in `rows` and one flag per thing.
    `watch` are property places, `edges` foreign keys without properties; both must be known in the group. Flags come in
    that order.
    """
    changed: list[Record] = []
    returns = bool(watch or edges)
    start = 0
    for chunk in chunks(rows):
        zero = zeros(plan, group.known[plan.key_size :], chunk)
        text = _merge_text(plan, group, guarded(plan, chunk), zero, watch, edges)
        sent = [[*row, start + number] for number, row in enumerate(chunk)] if returns else chunk
        changed += yield Statement(text, _sendable(sent), returns)
        start += len(chunk)
    return changed


@cache
def _retype_text(plan: NodePlan) -> str:
    places = [
        f"n.{quote(name)} = {value(plan.fields[index], f'r[{index}]', guard=True)}"
        for index, name in enumerate(plan.key_names)
    ]
    return f"{found_text(plan)} SET {', '.join(places)}"


def retype(plan: NodePlan, rows: Sequence[WireRow]) -> Statements:
    """Give nodes their keys in the right type: a node with the key 1.0 is found by the key 1, and keeps its own.

    Whether it has another type cannot be asked: what the index gives for the property is what was looked for.
    """
    for chunk in chunks(keys_of(plan, rows)):
        yield Statement(_retype_text(plan), chunk)


def _sendable(rows: Sequence[WireRow]) -> Sequence[WireRow]:
    """The rows of a group without the marker of left-out values, which all of them have in the same places, or none."""
    if UNCHANGED not in rows[0]:
        return rows
    return [[None if value is UNCHANGED else value for value in row] for row in rows]


def keys_of(plan: NodePlan, rows: Sequence[WireRow]) -> list[WireRow]:
    """The key of each row."""
    return [row[: plan.key_size] for row in rows]
