"""How far a copy has come, kept in the checkpoint, so that one that was cut off goes on where it was.

Its snapshot is gone then, and the next one is of a later position. What was copied is still right but for the rows that
changed in between, which the stream tells: these are read again by their keys, and the copy goes on behind what it had
read. A row that did not change is where it was in the files of its table.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.changes import UNCHANGED
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.ports.source import FIRST, Place
from gpm_cdc.projection.coalesce import Bindings, Coalescer, TableChanges
from gpm_cdc.projection.plan import GraphPlan, PlannedTable, RowKey
from gpm_cdc.replication import records, rereading
from gpm_cdc.replication.assembly import Transaction
from gpm_cdc.replication.records import Records
from gpm_cdc.replication.rereading import Rereads, together

CHANGED_AT_MOST = 50_000
"""Rows that are read again by their keys. With more of them all are copied again: they stand in the checkpoint."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a copy is: all before `place` in the reading with the number `reading` is in the graph.

    `course` is a digest of what is copied in which order, and of the tables as they were. `clean`: before this reading
    the graph had nothing that could be left over. `changed` are the rows that changed since they were copied, by key.
    """

    course: str
    reading: int = 0
    place: Place = FIRST
    clean: bool = False
    changed: Mapping[TableName, frozenset[RowKey]] = field(default_factory=dict)


def course(tables: Sequence[PlannedTable], made_of: Records) -> str:
    """A digest of readings of `tables`, in this order, and of what `made_of` says of them."""
    names = [table.table for table in tables]
    known = records.write({name: made_of[name] for name in names})
    return hashlib.blake2b(json.dumps([names, known]).encode(), digest_size=16).hexdigest()


def write(progress: Progress | None) -> str:
    """`progress` as a text of JSON, which is empty for None."""
    if progress is None:
        return ""
    changed = rereading.write(progress.changed)
    return json.dumps([progress.course, progress.reading, *progress.place, progress.clean, changed])


def read(text: str) -> Progress | None:
    """What `write` wrote; None for an empty text, and for one that another version wrote."""
    try:
        digest, number, leaf, block, clean, changed = json.loads(text or "null")
        return Progress(digest, number, Place(leaf, block), clean, _keys(rereading.read(changed)))
    except (TypeError, ValueError):
        return None


def _keys(rereads: Rereads) -> dict[TableName, frozenset[RowKey]]:
    return {table: keys for table, keys in rereads.items() if keys is not None}


class Changes:
    """Gathers which rows of a plan change. `progress` is None once it cannot be gone on from."""

    def __init__(self, plan: GraphPlan, progress: Progress) -> None:
        self._bindings = Bindings(plan)
        self._plan = plan
        self.progress: Progress | None = progress

    def gather(self, transactions: Sequence[Transaction]) -> None:
        """Take in what `transactions`, the next ones, change."""
        if self.progress is None:
            return
        changed: Rereads = self.progress.changed
        try:
            for table, keys in self._changed(transactions):
                changed = together(changed, {table: keys})
        except (GpmCdcError, _Untold):
            self.progress = None
            return
        known = _keys(changed)
        within = sum(map(len, known.values())) <= CHANGED_AT_MOST
        self.progress = replace(self.progress, changed=known) if within else None

    def _changed(self, transactions: Sequence[Transaction]) -> Iterator[tuple[TableName, frozenset[RowKey]]]:
        coalescer = Coalescer(self._bindings)
        for transaction in transactions:
            if any(oid in self._plan.by_oid for oid in transaction.oversized):
                raise _Untold
            coalescer.add(transaction.events)
        for planned, changes in coalescer.tables.items():
            yield planned.table, frozenset(_touched(changes))


class _Untold(Exception):
    """The keys of what changed are not known."""


def _touched(changes: TableChanges) -> Iterator[RowKey]:
    """The keys that rows had and have."""
    if changes.emptied:
        raise _Untold
    found = [*changes.rows, *(before for before, _ in changes.rows.values() if before is not None), *changes.gone]
    for key in found:
        parts = (key,) if isinstance(key, str) else key
        if any(part is None or part is UNCHANGED for part in parts):
            raise _Untold
        yield tuple(map(str, parts))


def around(plan: GraphPlan, tables: Collection[TableName]) -> GraphPlan:
    """The part of `plan` whose changes matter to a copy of `tables`: these, and the nodes at both ends of theirs.

    A row elsewhere whose relationship is copied may move to a place that was read, and change nothing of it.
    """
    copied = set(tables)
    ends: set[TableName] = set()
    for node in plan.nodes:
        for edge in node.edges:
            pair = {node.table, edge.end.target.table}
            if pair & copied:
                ends |= pair
    for each in plan.relationships:
        if each.table in copied:
            ends |= {each.start.target.table, each.end.target.table}
    return plan.without([table for table in plan.tables if table not in copied | ends])
