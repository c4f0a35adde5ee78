"""How `run` tells what it does: a live line on a terminal, JSON log lines elsewhere."""

import time
from types import TracebackType
from typing import Self, override

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.observability import keys, logs
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.wording import say

_log = logs.logger()
_PROGRESS_LINE_SECONDS = 5.0


def lag_seconds(report: BatchReport) -> float | None:
    """From the commit in Postgres to now, by the clocks of both machines; None for a batch without transactions."""
    if report.commit_time_us is None:
        return None
    return max(0.0, (time.time_ns() // 1_000 - POSTGRES_EPOCH_UNIX_US - report.commit_time_us) / 1_000_000)


class _Context:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to give back."""


class LogObserver(_Context):
    """An Observer that writes at most one line per batch."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._copied = 0
        self._told = 0.0

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""
        _log.info("snapshot started", **{keys.STREAM: self._stream, keys.ROW_COUNT: rows})

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says, every few seconds."""
        self._copied += rows
        now = time.monotonic()
        if now - self._told >= _PROGRESS_LINE_SECONDS:
            self._told = now
            _log.info("snapshot", **{keys.STREAM: self._stream, keys.TABLE: what, keys.ROW_COUNT: self._copied})

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""
        _log.info(
            "snapshot finished",
            **{
                keys.STREAM: self._stream,
                keys.LSN: render(position),
                keys.ROW_COUNT: self._copied,
                keys.ELAPSED_SECONDS: round(seconds, 3),
            },
        )

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        _log.info("streaming", **{keys.STREAM: self._stream, keys.LSN: render(position)})

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says; a batch that only moved the checkpoint is not worth a line."""
        if report.transactions == 0:
            return
        lag = lag_seconds(report)
        _log.info(
            "batch",
            **{
                keys.STREAM: self._stream,
                keys.LSN: render(report.position),
                keys.TRANSACTION_COUNT: report.transactions,
                keys.CHANGE_COUNT: report.changes,
                keys.ELAPSED_SECONDS: round(report.seconds, 4),
                keys.LAG_SECONDS: None if lag is None else round(lag, 3),
            },
        )


class TerminalObserver(_Context):
    """An Observer that shows a bar while copying and a live line while streaming."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._started = time.monotonic()
        self._rows = 0
        self._transactions = 0

    @override
    def __enter__(self) -> Self:
        self._progress.start()
        return self

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _begin(self, description: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, rate="")
        self._started = time.monotonic()
        self._rows = 0

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 0.001)
        return say("{rate} rows/s", rate=f"{self._rows / seconds:,.0f}")

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""
        self._begin(say("copying"), rows or None)

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""
        self._rows += rows
        if self._task is not None:
            self._progress.update(
                self._task, description=say("copying {what}", what=what), advance=rows, rate=self._rate()
            )

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""
        self._console.print(
            say(
                "copied {rows} rows in {seconds} s, the graph is at {position}",
                rows=f"{self._rows:,}",
                seconds=f"{seconds:.1f}",
                position=render(position),
            )
        )

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        self._begin(say("streaming from {position}", position=render(position)), None)
        self._transactions = 0

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says."""
        self._rows += report.changes
        self._transactions += report.transactions
        lag = lag_seconds(report)
        if self._task is None:
            return
        description = say(
            "{position}: {transactions} transactions",
            position=render(report.position),
            transactions=f"{self._transactions:,}",
        )
        rate = "" if lag is None else say("lag {seconds} s", seconds=f"{lag:.2f}")
        self._progress.update(self._task, description=description, completed=self._rows, rate=rate)
