"""The Postgres side: the stream of frames, and the rows that a snapshot shows."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.projection.plan import EdgePlan, FieldRow, PlannedTable


class ChangeSource(Protocol):
    """A started replication stream. One task calls `frames`; `acknowledge` may be called beside it."""

    async def frames(self) -> list[bytes]:
        """The next COPY data frames, at least one, in the order of the stream; cancelling loses none.

        Raises ConnectionLost (retryable) when the stream ends, whoever ended it.
        """

    def acknowledge(self, position: Lsn, *, reply_requested: bool = False) -> None:
        """Tell the server that everything before `position` is durable; it may forget that part of its log.

        `position` must not be beyond what was received and applied. With `reply_requested` a keepalive comes back.
        """


class Place(NamedTuple):
    """A place in the files of a table: in the partition with the number `leaf`, before the block `block`.

    A row stays in its place until it is changed, or its table gets other files. Places are ordered.
    """

    leaf: int
    block: int


FIRST = Place(0, 0)
"""Before every row."""


class SnapshotReader(Protocol):
    """Rows as one exported snapshot shows them, however long the reading takes."""

    def rows(
        self, table: PlannedTable, places: Sequence[int], start: Place = FIRST
    ) -> AsyncIterator[CopiedRows | Place]:
        """Blocks of rows of `table`, each with the fields at `places`, in that order; a Place when all before it came.

        Rows come in the order of their places, those before `start` not at all, or some of them.
        """

    async def estimate(self, table: PlannedTable) -> int:
        """About how many rows there are, for progress only; 0 when unknown."""


class RowReader(Protocol):
    """Single rows, under the same snapshot as a SnapshotReader. Keys are as Postgres prints them, in key order."""

    async def keyed(
        self, table: PlannedTable, places: Sequence[int], keys: Sequence[tuple[str, ...]]
    ) -> list[FieldRow]:
        """The rows of `table` with one of `keys`, with the fields at `places`. SourceRefused for what is no key."""

    async def referring(self, edge: EdgePlan, places: Sequence[int], keys: Sequence[tuple[str, ...]]) -> list[FieldRow]:
        """The rows whose foreign key `edge` names a row with one of `keys`, with the fields at `places`."""
