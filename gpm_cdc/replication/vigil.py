"""Before each batch: are the tables still what the graph was made of?

A table whose shape, partitions or enums changed is read again. Where only its files are other ones, a TRUNCATE explains
it if the stream brings one of that very transaction: until it does, or has passed the place where it should have, the
checkpoint promises nothing. The catalogue may show it before the stream brings it, or some batches after.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.changes import UNCHANGED, Truncate
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.stream import TablesMoved
from gpm_cdc.pgoutput.messages import LogicalMessage
from gpm_cdc.ports.graph import Phase
from gpm_cdc.ports.tables import Grown, Moves, TableWatch
from gpm_cdc.projection.coalesce import Planned, TableChanges
from gpm_cdc.replication import progress
from gpm_cdc.replication.assembly import Transaction
from gpm_cdc.replication.progress import Changes
from gpm_cdc.replication.rereading import Requests, write
from gpm_cdc.wording import say


class Judgement(NamedTuple):
    """What a batch leaves behind: the phase, the records, what is to be read again, how far (None: as before)."""

    phase: Phase
    records: str | None
    rereading: str | None = None
    copied: str | None = None


_QUIET = Judgement("streaming", None)

PROMISING_NOTHING = Judgement("rereading", None)


class Brought(NamedTuple):
    """What a batch brings, up to `position`: its transactions, and their net changes by table."""

    transactions: Sequence[Transaction]
    changes: Mapping[Planned, TableChanges]
    position: Lsn


class _Emptying(NamedTuple):
    """A TRUNCATE of the table with this oid, by the transaction of this number."""

    oid: int
    xid: int | None


class Judge(Protocol):
    """Says what may be promised of the graph after a batch. Batches are judged in their order."""

    async def judge(self, brought: Brought) -> Judgement:
        """Whether a batch may be written; TablesMoved if not.

        To be asked when all of it has been received: then whatever happened before it can be seen.
        """

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """Hear what a transaction says to this program, before it joins a batch; what is raised ends the stretch."""


class Vigil:
    """A Judge by what the catalogue says."""

    def __init__(self, watch: TableWatch, requests: Requests) -> None:
        self._watch = watch
        self._requests = requests
        self._emptied: dict[_Emptying, Lsn] = {}

    async def judge(self, brought: Brought) -> Judgement:
        """As Judge says."""
        # A commit is in the log before anybody can see it: a TRUNCATE may explain what a later look shows.
        self._emptied |= _emptied(brought)
        moves = await self._watch.look()
        if moves.moved:
            raise TablesMoved(moves.moved, say("changed where the stream does not tell how"))
        if not moves.refiled and not moves.grown:
            return _QUIET
        explained = list(self._explained(moves, brought))
        records: str | None = None
        for table in explained:
            records = self._watch.accept(table)
        unexplained = moves.refiled.keys() - set(explained)
        return Judgement("rereading" if unexplained else "streaming", records)

    def _explained(self, moves: Moves, brought: Brought) -> Iterator[TableName]:
        """The tables of which everything is known now; TablesMoved for those of which it never will be."""
        for table, refiled in moves.refiled.items():
            emptied = self._emptied.get(_Emptying(refiled.oid, refiled.xid))
            if emptied is not None and emptied <= brought.position:
                self._forget(refiled.oid, emptied)
                yield table
            elif brought.position >= refiled.end:
                raise TablesMoved([table], say("its rows were stored anew"))
        for table, grown in moves.grown.items():
            if _relabelled(grown, table, brought.changes):
                raise TablesMoved([table], say("a label of an enum is called otherwise"))
            if brought.position >= grown.end:
                yield table

    def _forget(self, oid: int, position: Lsn) -> None:
        """What emptied this table up to `position` explains nothing any more."""
        self._emptied = {each: end for each, end in self._emptied.items() if each.oid != oid or end > position}

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """As Judge says: RepairAsked for a request to this stream."""
        self._requests.heed(messages)


def _emptied(brought: Brought) -> dict[_Emptying, Lsn]:
    """What emptied mapped tables, and where; nobody would ever ask for the others, which would pile up."""
    mapped = {planned.oid for planned in brought.changes}
    return {
        _Emptying(oid, transaction.xid): transaction.end_lsn
        for transaction in brought.transactions
        for event in transaction.events
        if isinstance(event, Truncate)
        for oid in event.relations
        if oid in mapped
    }


def _relabelled(grown: Grown, table: TableName, changes: Mapping[Planned, TableChanges]) -> bool:
    """Whether a row came with a label that is not there any more."""
    for planned, change in changes.items():
        if planned.table == table:
            places = [
                (planned.columns.index(name), grown.labels[name]) for name in grown.labels if name in planned.columns
            ]
            return any(
                row[place] is not None and row[place] is not UNCHANGED and row[place] not in labels
                for _, row in change.rows.values()
                for place, labels in places
            )
    return False


class Judged:
    """A Judge that has judged, and hears nothing."""

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement

    async def judge(self, brought: Brought) -> Judgement:
        """The judgement."""
        del brought
        return self._judgement

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """Nothing."""


class Gathering:
    """A Judge on the way to where something is read again: nothing is promised, and what `requests` take in is kept.

    So is what happens to a copy that was begun, whose `changes` are gathered; None if there is none. The checkpoint
    stays in `phase`.
    """

    def __init__(self, phase: Phase, requests: Requests, changes: Changes | None) -> None:
        self._phase: Phase = phase
        self._requests = requests
        self._changes = changes

    async def judge(self, brought: Brought) -> Judgement:
        """As Judge says; never TablesMoved."""
        copied = ""
        if self._changes is not None:
            self._changes.gather(brought.transactions)
            copied = progress.write(self._changes.progress)
        return Judgement(self._phase, None, write(self._requests.covered), copied)

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """As Judge says: RepairAsked for what cannot join."""
        self._requests.heed(messages)


class Resuming:
    """Lets the rest of a transaction pass that is in the graph in part, though nothing may be promised of it."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._first = True

    async def judge(self, brought: Brought) -> Judgement:
        """As the other one, but for the first batch."""
        first, self._first = self._first, False
        try:
            return await self._judge.judge(brought)
        except TablesMoved:
            if not first:
                raise
        return PROMISING_NOTHING

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """As the other one."""
        self._judge.heed(messages)
