"""The history of `run` and `verify` in schema `gpm_cdc`, where that schema is: never a reason to wait or to fail.

A command does the same with and without it. What keeps the history from being written is one log line of level debug.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gpm_cdc import __version__
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.observer import BatchReport, Observer
from gpm_cdc.source.session import connect, query
from gpm_cdc.state import passes, runs
from gpm_cdc.state.database import transaction
from gpm_cdc.state.passes import PassSummary
from gpm_cdc.state.runs import Outcome, RunCommand, Verdict
from gpm_cdc.verification.rendering import without_values
from gpm_cdc.verification.report import Report
from gpm_cdc.verification.spool import Retold

_WRITABLE: Final = (
    "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
    " AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND NOT pg_is_in_recovery()"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'gpm_cdc' AND c.relname = 'run'"
)
"""Asked first, since a refused INSERT would put an error into the server's log at every start of a command."""

LEAVE_SECONDS: Final = 3.0
"""What a command that ends waits for what it wrote before, where the server did not answer meanwhile."""

_log = logs.logger()


@dataclass(slots=True)
class Entry:
    """What a command has to tell of itself; it fills in what it learns while it works.

    `detail` holds counts by name and other facts of a few bytes, as JSON has them; never row values.
    """

    number: int | None = None
    """The row's, once the command has left the context and if it was written."""

    first_lsn: Lsn | None = None
    last_lsn: Lsn | None = None
    verdict: Verdict | None = None
    detail: dict[str, int | float | str] = field(default_factory=dict)
    beginning: asyncio.Task[int | None] | None = None
    """Gives the row's number, or None where there is to be no row."""

    async def begun(self) -> int | None:
        """The row's number, as soon as it is written; None where it is not."""
        return None if self.beginning is None else await asyncio.shield(self.beginning)

    def reached(self, position: Lsn) -> None:
        """The graph is at `position` now."""
        self.first_lsn = position if self.first_lsn is None else self.first_lsn
        self.last_lsn = position

    def count(self, name: str, number: int) -> None:
        """Add `number` to the count `name`."""
        before = self.detail.get(name, 0)
        self.detail[name] = number + (before if isinstance(before, int) else 0)

    def observing(self, observer: Observer) -> Observer:
        """An observer that fills this entry and tells `observer` everything."""
        return _Chronicler(self, observer)


@asynccontextmanager
async def recorded(settings: Settings, command: RunCommand) -> AsyncIterator[Entry]:
    """Keep the history of a command that works inside this context.

    The start is written beside the work, so that an unreachable server delays nothing; the end when the context is
    left, which waits a few seconds for the server at the most. An exception is noted by its code and goes on its way.
    """
    entry = Entry()
    beginning = entry.beginning = asyncio.create_task(_begin(settings, command))
    outcome: Outcome = "failed"
    try:
        yield entry
    except asyncio.CancelledError:
        outcome = "stopped"
        raise
    except Exception as error:
        entry.detail[keys.ERROR] = error.code if isinstance(error, GpmCdcError) else type(error).__name__
        raise
    else:
        outcome = "done"
    finally:
        await asyncio.wait({beginning}, timeout=LEAVE_SECONDS)
        number = beginning.result() if beginning.done() else None
        beginning.cancel()
        if number is not None:
            await asyncio.to_thread(_finish, settings.state_conninfo, number, outcome, entry)
        entry.number = number


async def _begin(settings: Settings, command: RunCommand) -> int | None:
    """The number of the new row; None where there is to be none."""
    try:
        async with connect(settings.state_conninfo) as connection:
            answer = await query(connection, _WRITABLE)
        if not answer or not answer[0][0]:
            _log.debug("no history", reason="schema gpm_cdc is not there or may not be written")
            return None
        owner = f"{socket.gethostname()}:{os.getpid()}"
        return await asyncio.to_thread(_start, settings.state_conninfo, settings.stream, command, owner)
    except GpmCdcError as error:
        _log.debug("no history", **{keys.ERROR: error.code})
        return None


def _start(conninfo: str, stream: str, command: RunCommand, owner: str) -> int:
    with transaction(conninfo) as connection:
        return runs.begin(connection, stream=stream, command=command, owner=owner)


def _finish(conninfo: str, number: int, outcome: Outcome, entry: Entry) -> None:
    try:
        with transaction(conninfo) as connection:
            runs.finish(
                connection,
                number,
                outcome=outcome,
                positions=(entry.first_lsn, entry.last_lsn),
                verdict=entry.verdict,
                detail=entry.detail,
            )
    except GpmCdcError as error:
        _log.debug("history stays open", **{keys.ERROR: error.code})


def kept(settings: Settings, number: int, report: Report, *, strict: bool) -> bool:
    """Keep what the verify that is run `number` found; False where that is not possible. Waits for the server.

    Findings that are older than the settings allow go.
    """
    findings = report.findings if settings.history_values else Retold(report.findings, without_values)
    try:
        with transaction(settings.state_conninfo) as connection:
            if not passes.keepable(connection):
                _log.debug("pass not kept", reason="its tables are not there or may not be written")
                return False
            passes.keep(
                connection,
                number,
                replace(report, findings=findings),
                strict=strict,
                version=__version__,
                limit=settings.history_findings,
            )
    except GpmCdcError as error:
        _log.debug("pass not kept", **{keys.ERROR: error.code})
        return False
    _prune(settings)
    return True


def last_pass(settings: Settings) -> PassSummary | None:
    """The last pass of verify that is kept; None where none is, or where that cannot be told. Waits for the server."""
    try:
        with transaction(settings.state_conninfo) as connection:
            if not passes.keepable(connection):
                return None
            found = passes.passes(connection, settings.stream, 1)
    except GpmCdcError as error:
        _log.debug("no pass", **{keys.ERROR: error.code})
        return None
    return found[0] if found else None


def _prune(settings: Settings) -> None:
    try:
        with transaction(settings.state_conninfo) as connection:
            passes.prune(connection, settings.stream, settings.history_days)
    except GpmCdcError as error:
        _log.debug("old findings stay", **{keys.ERROR: error.code})


class _Chronicler:
    """An Observer that notes positions and counts, and passes everything on."""

    def __init__(self, entry: Entry, observer: Observer) -> None:
        self._entry = entry
        self._observer = observer

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""
        self._observer.snapshot_started(rows)

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""
        self._entry.count("snapshot_row_count", rows)
        self._observer.snapshot_progress(what, rows)

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""
        self._entry.reached(position)
        self._observer.snapshot_finished(position, seconds)

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        self._entry.reached(position)
        self._observer.streaming(position)

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says."""
        self._entry.reached(report.position)
        self._entry.count(keys.TRANSACTION_COUNT, report.transactions)
        self._entry.count(keys.CHANGE_COUNT, report.changes)
        self._observer.batch_applied(report)
