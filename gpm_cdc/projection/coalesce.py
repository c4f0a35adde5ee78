"""The net change per row of one table over a batch of whole transactions.

A row is followed by its key: `rows` says where each row is at the end of the batch and which key it had before, `gone`
which rows of before are no more. So DELETE and INSERT of one key is an update in place, two key changes are one, and a
row that came and went within the batch leaves nothing.
"""

from collections.abc import Callable, Iterable
from operator import itemgetter

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Insert, Relation, Row, Truncate, Update
from gpm_cdc.errors.stream import RelationChanged, RowFieldUnknown
from gpm_cdc.projection.plan import FieldRow, GraphPlan, NodePlan, RelationshipPlan
from gpm_cdc.wording import say

type Key = str | FieldRow
"""The key's text: the only field itself, or all of them in key order."""

type Planned = NodePlan | RelationshipPlan

_ROW_CHANGES = (Insert, Update, Delete)
"""Made once: a union written out in the loop would be built anew for every row."""


class TableChanges:
    """Net changes of one table. `rows` maps the key at the end to (key at the beginning or None, fields).

    Fields that no event of the batch told stay UNCHANGED. `emptied` means that every row from before the batch is gone.
    """

    __slots__ = ("_composite", "_key_size", "_told", "emptied", "gone", "plan", "rows")

    def __init__(self, plan: Planned) -> None:
        self.plan = plan
        self.rows: dict[Key, tuple[Key | None, FieldRow]] = {}
        self.gone: dict[Key, None] = {}
        self.emptied = False
        self._key_size = plan.key_size
        self._composite = plan.key_size > 1
        key = plan.columns[: plan.key_size]
        self._told = frozenset(place for place, column in enumerate(plan.columns) if column in key)

    def _key(self, row: FieldRow) -> Key:
        return row[: self._key_size] if self._composite else row[0]  # type: ignore[return-value]

    def insert(self, row: FieldRow) -> None:
        """A row came to be. If its key was deleted in this batch it takes that row's place."""
        key = self._key(row)
        self.rows[key] = (self._predecessor(key), row)

    def _predecessor(self, key: Key) -> Key | None:
        """The row of before whose place a new row at `key` takes: the one with this key, if it is gone."""
        if key in self.gone:
            del self.gone[key]
            return key
        return None

    def update(self, row: FieldRow, old: FieldRow | None, *, whole: bool) -> None:
        """A row changed. `old` is its identity before (`whole`: all fields), None when the identity is the same."""
        if old is not None and UNCHANGED in row:
            row = tuple(
                old[index] if value is UNCHANGED and (whole or index in self._told) else value
                for index, value in enumerate(row)
            )
        key = self._key(row)
        before = key if old is None else self._key(old)
        entry = self.rows.get(before) if before == key else self.rows.pop(before, None)
        if entry is None:
            self.rows[key] = (before, row)
            return
        if UNCHANGED in row:
            row = tuple(
                known_value if value is UNCHANGED else value for value, known_value in zip(row, entry[1], strict=True)
            )
        origin = self._predecessor(key) if entry[0] is None else entry[0]
        self.rows[key] = (origin, row)

    def delete(self, old: FieldRow) -> None:
        """A row ceased to be."""
        key = self._key(old)
        entry = self.rows.pop(key, None)
        origin = key if entry is None else entry[0]
        if origin is None:
            return
        successor = self.rows.get(origin)
        if successor is not None and successor[0] is None:
            self.rows[origin] = (origin, successor[1])
        else:
            self.gone[origin] = None

    def truncate(self) -> None:
        """The table was emptied."""
        self.rows.clear()
        self.gone.clear()
        self.emptied = True


class Binding:
    """A relation of the stream tied to its plan: how to bring its rows into field order."""

    __slots__ = ("pick", "plan", "relation")

    def __init__(self, relation: Relation, plan: Planned) -> None:
        names = [column.name for column in relation.columns]
        missing = [column for column in plan.columns if column not in names]
        shape = tuple((column.name, column.type_oid, column.type_modifier) for column in relation.columns)
        if missing or shape != plan.shape:
            raise RelationChanged(table=str(plan.table), details=_difference(plan.shape, shape))
        carried = {column.name for column in relation.columns if column.in_identity}
        lost = [column for column in plan.columns[: plan.key_size] if column not in carried]
        if lost:
            details = say("the replica identity lost {columns}", columns=", ".join(lost))
            raise RelationChanged(table=str(plan.table), details=details)
        self.plan = plan
        self.relation = relation
        self.pick = _picker([names.index(column) for column in plan.columns])


def _picker(indexes: list[int]) -> Callable[[Row], FieldRow]:
    if len(indexes) == 1:
        only = indexes[0]
        return lambda row: (row[only],)
    return itemgetter(*indexes)


def _difference(planned: tuple[tuple[str, int, int], ...], streamed: tuple[tuple[str, int, int], ...]) -> str:
    before, now = dict.fromkeys(planned), dict.fromkeys(streamed)
    gone = sorted({column[0] for column in before if column not in now})
    new = sorted({column[0] for column in now if column not in before})
    return ", ".join([*(f"-{name}" for name in gone), *(f"+{name}" for name in new)]) or "order"


class Bindings:
    """What the stream has said about relations so far; outlives batches. Relations that are not mapped are skipped."""

    def __init__(self, plan: GraphPlan) -> None:
        self._plan = plan
        self._by_oid: dict[int, Binding | None] = {}

    def learn(self, relation: Relation) -> None:
        """Take a Relation message into account; raises RelationChanged when it no longer fits the plan."""
        planned = self._plan.by_oid.get(relation.oid)
        if planned is None:
            named = self._plan.tables.get(TableName(relation.schema, relation.name))
            if named is not None:
                raise RelationChanged(table=str(named.table), details=f"oid {named.oid} -> {relation.oid}")
        self._by_oid[relation.oid] = None if planned is None else Binding(relation, planned)

    def of(self, oid: int) -> Binding | None:
        """The binding of a relation, None when it is not mapped; RowFieldUnknown when it was never described."""
        try:
            return self._by_oid[oid]
        except KeyError:
            raise RowFieldUnknown(oid=oid) from None


class Coalescer:
    """Collects the net changes of one batch, table by table, in the order in which tables were first touched."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._open: dict[int, tuple[Callable[[Row], FieldRow], TableChanges] | None] = {}
        self.tables: dict[Planned, TableChanges] = {}

    def add(self, events: Iterable[Relation | Change]) -> None:
        """Fold the events of one transaction, in their order, into the net changes."""
        opened = self._open
        for event in events:
            if isinstance(event, _ROW_CHANGES):
                oid = event.relation
                table = opened[oid] if oid in opened else self._table(oid)
                if table is None:
                    continue
                pick, changes = table
                if isinstance(event, Insert):
                    changes.insert(pick(event.new))
                elif isinstance(event, Update):
                    old = event.old
                    changes.update(pick(event.new), None if old is None else pick(old), whole=event.old_kind == "O")
                else:
                    changes.delete(pick(event.old))
            elif isinstance(event, Relation):
                # What fits the plan has its columns in their order, and so the table that is open already.
                self._bindings.learn(event)
            else:
                self._truncate(event)

    def _table(self, oid: int) -> tuple[Callable[[Row], FieldRow], TableChanges] | None:
        binding = self._bindings.of(oid)
        if binding is None:
            self._open[oid] = None
            return None
        changes = self.tables.get(binding.plan)
        if changes is None:
            changes = self.tables[binding.plan] = TableChanges(binding.plan)
        self._open[oid] = (binding.pick, changes)
        return self._open[oid]

    def _truncate(self, event: Truncate) -> None:
        for oid in event.relations:
            table = self._open[oid] if oid in self._open else self._table(oid)
            if table is not None:
                table[1].truncate()
