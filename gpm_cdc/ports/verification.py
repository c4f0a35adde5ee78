"""What a comparison needs from both sides."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

from gpm_cdc.cypher.reading import Reading
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.values import Wire
from gpm_cdc.ports.graph import Checkpoint

type ElementRecord = list[Any]
"""The element id, then what the Reading's `by_id` says."""


class LockedRead(NamedTuple):
    """Elements read while the checkpoint was locked: the graph is the state at that checkpoint, nothing under way."""

    checkpoint: Checkpoint
    records: list[ElementRecord]


class GraphReader(Protocol):
    """Reads the graph of one stream. Passing trouble is retried for a while; then GraphUnreachable is raised."""

    async def checkpoint(self, *, locked: bool) -> Checkpoint | None:
        """The stream's checkpoint, None if there is none.

        `locked` waits for the batch that is being written: everything up to the checkpoint can be read afterwards,
        whereas a reader without the lock may see a checkpoint before the last elements of its batch.
        """

    def every(self, reading: Reading) -> AsyncIterator[list[ElementRecord]]:
        """All elements of `reading`, in lists, each as it is when its list is read."""

    async def some(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> list[ElementRecord]:
        """The elements with one of `keys` or of `element_ids`, each once."""

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
