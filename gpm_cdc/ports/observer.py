"""Who is told what the pipeline does: log lines and progress bars."""

from typing import NamedTuple, Protocol

from gpm_cdc.domain.lsn import Lsn


class BatchReport(NamedTuple):
    """One committed batch. `seconds` is what the write took.

    `commit_time_us` is that of its last transaction, in microseconds since 2000-01-01 UTC; None for a batch that only
    moved the checkpoint.
    """

    position: Lsn
    transactions: int
    changes: int
    rows: int
    seconds: float
    commit_time_us: int | None


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
