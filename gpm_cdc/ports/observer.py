"""Who is told what the pipeline does: log lines, progress bars and metrics."""

from typing import NamedTuple, Protocol

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.ports.graph import Checkpoint, Phase


class BatchReport(NamedTuple):
    """One committed batch. `seconds` is what the write took.

    `commit_time_us` is that of its last transaction, in microseconds since 2000-01-01 UTC; None for a batch that only
    moved the checkpoint. Only after a batch of phase `streaming` is the graph the state at `position`.
    """

    position: Lsn
    transactions: int
    changes: int
    rows: int
    seconds: float
    commit_time_us: int | None
    phase: Phase = "streaming"


class Observer(Protocol):
    """Told in order, from one task; must return at once."""

    def snapshot_started(self, rows: int) -> None:
        """The copy begins; about how many rows there are, 0 when unknown."""

    def snapshot_progress(self, what: str, rows: int) -> None:
        """`rows` more are in the graph; `what` is the table, or the table and the relationship type."""

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """The graph equals the tables at `position`."""

    def streaming(self, position: Lsn) -> None:
        """The stream goes on from `position`."""

    def batch_applied(self, report: BatchReport) -> None:
        """A batch is committed."""


class RunObserver(Protocol):
    """Told what becomes of a run, beside what it applies; in order, from one task; must return at once."""

    def standing_by(self) -> None:
        """Another process runs the stream."""

    def owning(self) -> None:
        """This process has the stream's lock and goes to work."""

    def moved(self, checkpoint: Checkpoint) -> None:
        """The checkpoint is there now, by our own doing."""

    def retrying(self, error: GpmCdcError) -> None:
        """Trouble with the graph, after which the same is tried again; `owning`, `moved` or `waiting` ends it."""

    def waiting(self, error: GpmCdcError) -> None:
        """`error` ended a stretch; the next one begins soon."""

    def read_again(self, table: TableName, *, whole: bool) -> None:
        """A table, or some rows of it, was read again and is in the graph as it is."""


class NoRunObserver:
    """A RunObserver for runs that nobody asks about."""

    def standing_by(self) -> None:
        """Say nothing."""

    def owning(self) -> None:
        """Say nothing."""

    def moved(self, checkpoint: Checkpoint) -> None:
        """Say nothing."""

    def retrying(self, error: GpmCdcError) -> None:
        """Say nothing."""

    def waiting(self, error: GpmCdcError) -> None:
        """Say nothing."""

    def read_again(self, table: TableName, *, whole: bool) -> None:
        """Say nothing."""
