"""What has to be known of tables beside the changes of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn


class Refiled(NamedTuple):
    """The rows of the table with this oid are in other files: it was truncated, or it was rewritten.

    A transaction with the number `xid` did it, if that is known; it ends before `end`.
    """

    oid: int
    xid: int | None
    end: Lsn


class Grown(NamedTuple):
    """Enums of a table have got labels; `labels` are those that its columns may hold now.

    A row that came before `end` with another one holds a label that was added and is called otherwise since.
    """

    labels: Mapping[str, frozenset[str]]
    end: Lsn


@dataclass(frozen=True, slots=True)
class Moves:
    """What became of tables that was not accepted yet. `moved` have to be read again."""

    moved: frozenset[TableName] = frozenset()
    refiled: Mapping[TableName, Refiled] = field(default_factory=dict)
    grown: Mapping[TableName, Grown] = field(default_factory=dict)


class TableWatch(Protocol):
    """Holds what tables are now against what the graph was made of."""

    async def look(self) -> Moves:
        """Every change that is visible to a transaction that begins now. Raises the errors of the source."""

    def accept(self, table: TableName) -> str:
        """Take the present labels or files of `table` for what the graph was made of; the records to keep then."""
