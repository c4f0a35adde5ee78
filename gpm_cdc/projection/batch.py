"""The element changes of one batch, ready for a sink: what to delete, rename, insert and update, in graph values.

Rows are grouped by what one statement can treat alike: which fields are known, and which label or type the
discriminator chose. Each key appears once.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.changes import UNCHANGED, Unchanged
from gpm_cdc.domain.keys import check_key
from gpm_cdc.domain.types import Wire
from gpm_cdc.errors.stream import SelectorValueUnlisted
from gpm_cdc.projection.coalesce import Coalescer, Key, TableChanges
from gpm_cdc.projection.plan import FieldRow, NodePlan, PlannedTable, RelationshipPlan, WireRow

type Choice = str | Literal[Unchanged.UNCHANGED] | None
"""What the discriminator chose: a label or type, None for none, UNCHANGED where the row does not tell."""


class Group(NamedTuple):
    """Rows that one statement can treat alike. `known` are the places whose values are known."""

    known: tuple[int, ...]
    choice: Choice


type Groups = dict[Group, list[WireRow]]

ROWS_PER_STEP = 250
"""About a millisecond of work."""


class Rename(NamedTuple):
    """A row whose key changed, as graph values in key order."""

    old: list[Wire]
    new: list[Wire]


class Move(NamedTuple):
    """A relationship row whose key changed. Values that the stream left out are UNCHANGED: only the graph has them."""

    old: list[Wire]
    group: Group
    row: WireRow


@dataclass(slots=True)
class NodeBatch:
    """Changes of one node table. `deleted` are keys of before the batch; all other rows bear their new keys."""

    plan: NodePlan
    emptied: bool
    deleted: list[list[Wire]] = field(default_factory=list)
    renamed: list[Rename] = field(default_factory=list)
    inserted: Groups = field(default_factory=dict)
    updated: Groups = field(default_factory=dict)


@dataclass(slots=True)
class RelationshipBatch:
    """Changes of one relationship table, as in NodeBatch."""

    plan: RelationshipPlan
    emptied: bool
    deleted: list[list[Wire]] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)
    inserted: Groups = field(default_factory=dict)
    updated: Groups = field(default_factory=dict)


@dataclass(slots=True)
class GraphBatch:
    """The net element changes of a batch of whole transactions."""

    nodes: list[NodeBatch] = field(default_factory=list)
    relationships: list[RelationshipBatch] = field(default_factory=list)

    @property
    def tables(self) -> set[TableName]:
        """The tables whose rows the batch touches."""
        return {batch.plan.table for batch in self.nodes} | {batch.plan.table for batch in self.relationships}

    @property
    def row_count(self) -> int:
        """How many rows the batch touches, emptied tables not counted."""
        return sum(_size(batch) for batch in self.nodes) + sum(
            _size(batch) + len(batch.moved) for batch in self.relationships
        )


def _size(batch: NodeBatch | RelationshipBatch) -> int:
    return len(batch.deleted) + sum(map(len, batch.inserted.values())) + sum(map(len, batch.updated.values()))


def build(coalescer: Coalescer) -> GraphBatch:
    """Project the net changes that `coalescer` collected."""
    steps = building(coalescer)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            batch: GraphBatch = done.value
            return batch


def building(coalescer: Coalescer) -> Generator[None, None, GraphBatch]:
    """As `build`, pausing after every ROWS_PER_STEP rows, so that whoever drives it can do something else meanwhile."""
    batch = GraphBatch()
    for changes in coalescer.tables.values():
        planned = changes.plan
        if isinstance(planned, NodePlan):
            batch.nodes.append((yield from _nodes(planned, changes)))
        else:
            batch.relationships.append((yield from _relationships(planned, changes)))
    return batch


def insertion(planned: NodePlan | RelationshipPlan, rows: Iterable[FieldRow]) -> Groups:
    """Rows that are new to the graph, such as those of a snapshot, grouped."""
    groups: Groups = {}
    for row in rows:
        _append(groups, planned, row, new=True)
    return groups


def choice_of(planned: PlannedTable, row: FieldRow) -> Choice:
    """What the discriminator of `row` chose; SelectorValueUnlisted for a relationship row without a type."""
    index = planned.selector_index
    if index is None or planned.selector is None:
        return None
    text = row[index]
    if text is UNCHANGED:
        return UNCHANGED
    chosen = planned.selector.values.get(text) if isinstance(text, str) else None
    if chosen is None and isinstance(planned, RelationshipPlan):
        raise SelectorValueUnlisted(table=str(planned.table), column=planned.selector.column)
    return chosen


def group_of(planned: PlannedTable, row: FieldRow) -> Group:
    """The group that `row` belongs to."""
    return Group(_known(row), choice_of(planned, row))


def _known(row: FieldRow) -> tuple[int, ...]:
    if UNCHANGED in row:
        return tuple(index for index, value in enumerate(row) if value is not UNCHANGED)
    return _WHOLE[len(row)].known


class _WholeRows(dict[int, Group]):
    """The group of rows of each size of which everything is known and nothing chosen: one object, made once."""

    def __missing__(self, size: int) -> Group:
        self[size] = Group(tuple(range(size)), None)
        return self[size]


_WHOLE = _WholeRows()


def _append(groups: Groups, planned: PlannedTable, row: FieldRow, *, new: bool) -> None:
    """Add `row` to its group. `new` says that its key is new to the graph, which an index has to hold."""
    whole = UNCHANGED not in row
    group = _WHOLE[len(row)] if whole and planned.selector is None else group_of(planned, row)
    projected = planned.project(row)
    # An integer always fits; it is by far the most frequent key.
    if new and (planned.key_size > 1 or type(projected[0]) is not int):
        _check(planned, projected, range(planned.key_size))
    if isinstance(planned, NodePlan):
        for places in planned.indexed:
            _check(planned, projected, places)
    rows = groups.get(group)
    if rows is None:
        groups[group] = [projected]
    else:
        rows.append(projected)


def _check(planned: PlannedTable, projected: WireRow, places: Sequence[int]) -> None:
    """Refuse what an index cannot hold, before the write: sent to Neo4j it would abort the whole transaction."""
    values = [None if value is UNCHANGED else value for value in (projected[place] for place in places)]
    label = planned.label if isinstance(planned, NodePlan) else str(planned.table)
    check_key(values, label=label, columns=[planned.columns[place] for place in places])


def _key(planned: PlannedTable, key: Key) -> list[Wire]:
    return planned.project_key(key if isinstance(key, tuple) else (key,))


def _nodes(planned: NodePlan, changes: TableChanges) -> Generator[None, None, NodeBatch]:
    batch = NodeBatch(planned, changes.emptied, [_key(planned, key) for key in changes.gone])
    inserted, updated, renamed = batch.inserted, batch.updated, batch.renamed
    for number, (key, (origin, row)) in enumerate(changes.rows.items(), start=1):
        if number % ROWS_PER_STEP == 0:
            yield
        if origin is None:
            _append(inserted, planned, row, new=True)
            continue
        if origin != key:
            renamed.append(Rename(_key(planned, origin), _key(planned, key)))
        _append(updated, planned, row, new=origin != key)
    return batch


def _relationships(planned: RelationshipPlan, changes: TableChanges) -> Generator[None, None, RelationshipBatch]:
    batch = RelationshipBatch(planned, changes.emptied, [_key(planned, key) for key in changes.gone])
    for number, (key, (origin, row)) in enumerate(changes.rows.items(), start=1):
        if number % ROWS_PER_STEP == 0:
            yield
        if origin is None:
            _append(batch.inserted, planned, row, new=True)
        elif origin != key:
            batch.moved.append(Move(_key(planned, origin), group_of(planned, row), planned.project(row)))
        else:
            _append(batch.updated, planned, row, new=False)
    return batch
