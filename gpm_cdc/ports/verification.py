"""What a comparison needs from both sides."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from gpm_cdc.cypher.reading import Reading
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.domain.values import Wire
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.projection.plan import EndPlan, PlannedTable, RowKey

type ElementRecord = list[Any]
"""The element id, if asked for, then what the Reading says."""


class LockedRead(NamedTuple):
    """Elements read while the checkpoint was locked: the graph is the state at that checkpoint, nothing under way."""

    checkpoint: Checkpoint
    records: list[ElementRecord]


class Baseline(NamedTuple):
    """What the last full pass proved: everything up to `position`, when it ended, and how many seconds ago that was."""

    position: Lsn
    ended_at: datetime
    age: float


type Page = tuple[str, str, str | None]
"""Schema, table, and keys as `cypher.journal.note` got them, or None for the whole table."""


class Journaled(NamedTuple):
    """A baseline, and all pages that have anything later than it, as they were at this checkpoint."""

    checkpoint: Checkpoint
    baseline: Baseline | None
    pages: list[Page]


class RowReader(Protocol):
    """The rows that were there at a position, as often as they are read.

    What changed after the position of the pass may be as it was then or later, be there twice or not at all.
    """

    def joins(self, source: PlannedTable, end: EndPlan) -> bool:
        """Whether `rows` can tell for a row of `source` if the row that `end` names exists."""

    def rows(
        self, table: PlannedTable, places: Sequence[int], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        """Blocks of rows of `table`: the fields at `places`, then per end `t` if the row it names exists, or `f`."""

    def keyed(
        self, table: PlannedTable, keys: Sequence[RowKey], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        """As `rows` with every field, for those rows alone that have one of `keys`, which are looked up."""

    async def referring(self, table: PlannedTable, end: EndPlan, keys: Sequence[RowKey], most: int) -> list[RowKey]:
        """The keys of the rows of `table` whose `end` is a row of its target with one of `keys`; at most `most`.

        SourceRefused where Postgres itself cannot tell them so.
        """

    @property
    def latest(self) -> Lsn:
        """No row so far was read as of a later position."""


class GraphReader(Protocol):
    """Reads the graph of one stream. Passing trouble is retried for a while; then GraphUnreachable is raised."""

    async def checkpoint(self, *, locked: bool) -> Checkpoint | None:
        """The stream's checkpoint, None if there is none.

        `locked` waits for the batch that is being written: everything up to the checkpoint can be read afterwards,
        whereas a reader without the lock may see a checkpoint before the last elements of its batch.
        """

    def every(self, reading: Reading, *, with_ids: bool) -> AsyncIterator[list[ElementRecord]]:
        """All elements of `reading`, in lists, each as it is when its list is read; without ids unless asked for.

        Passing trouble is not waited out here: after GraphUnreachable begin again.
        """

    async def some(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> list[ElementRecord]:
        """The elements with one of `keys` or of `element_ids`, each once."""

    async def at_end(self, text: str, keys: Sequence[Sequence[Wire]]) -> list[str]:
        """The ids of the relationships at the nodes with `keys`, as a text of `Reading.by_end` finds them."""

    async def some_locked(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> LockedRead:
        """As `some`, under the checkpoint's lock: few enough at once that the stream does not wait noticeably.

        StreamUnknown when the checkpoint is gone.
        """


class ChangeTail(Protocol):
    """What the source commits after the snapshot of a pass. It is consumed as it comes."""

    async def reach(self, position: Lsn) -> None:
        """Return when every transaction that ends at or before `position` is consumed; later ones may be, too."""


class VerifyObserver(Protocol):
    """Told how a comparison goes, from one task; must return at once."""

    def waiting(self, position: Lsn) -> None:
        """The graph is not at `position` yet."""

    def comparing(self, number: int, position: Lsn) -> None:
        """Comparison `number`, from 1, begins at `position`."""

    def compared(self, what: str, count: int) -> None:
        """`count` more rows of a table, or elements of a label or relationship type, were read."""
