"""Passes of `verify` with their history: one that somebody asked for, or one after the other beside a stream."""

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.verify import NeverVerified, VerifiedTooLongAgo
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.verification import VerifyObserver
from gpm_cdc.runtime.history import kept, recorded
from gpm_cdc.runtime.ledger import KeptLedger
from gpm_cdc.runtime.verify import VerifyOrders, verify
from gpm_cdc.verification.report import Report

_DAY: Final = 86_400.0

_log = logs.logger()


class Unwatched:
    """A VerifyObserver for passes that nobody waits for."""

    def waiting(self, position: Lsn) -> None:
        """Say nothing."""

    def comparing(self, number: int, position: Lsn) -> None:
        """Say nothing."""

    def compared(self, what: str, count: int) -> None:
        """Say nothing."""


class PassObserver(Protocol):
    """Told how scheduled passes end; must return at once."""

    def passed(self, report: Report) -> None:
        """A pass came to a verdict. Beyond the call the findings must not be kept: they may be in a file."""

    def failed(self) -> None:
        """A pass came to no verdict."""


async def recorded_pass(
    settings: Settings,
    mapping: GraphMapping,
    orders: VerifyOrders,
    observer: VerifyObserver,
    *,
    values: bool = True,
    resume: bool = False,
) -> tuple[Report, int | None]:
    """The report of one pass, and the number of its run in the history, None where that is not kept.

    What it settles is kept at once, without the values that differ if `values` is false. `resume` goes on with the
    newest pass that broke off: raises NothingToResume, ResumeDiffers, ResumeOutdated, or another StateError.
    """
    async with recorded(settings, "verify") as entry:
        ledger = KeptLedger(settings, entry, values=values, resume=resume)
        report = await verify(settings, mapping, orders, observer, ledger)
        entry.verdict = report.verdict
        for position in (report.began, report.position):
            if position is not None:
                entry.reached(position)
        entry.count(keys.ELEMENT_COUNT, report.elements_checked)
    return report, entry.number


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often there are to be passes, in seconds: full ones, and incremental ones in between. None: never."""

    full: float | None
    incremental: float | None


async def verify_regularly(
    settings: Settings,
    mapping: GraphMapping,
    schedule: Schedule,
    stop: asyncio.Event,
    observer: PassObserver | None = None,
) -> None:
    """A pass whenever the schedule says so, the first after as long, until `stop` is set.

    Verdicts go to the log, and with their findings to schema gpm_cdc where that is. A pass that fails is a log line: it
    says nothing of the stream, which tells of its own trouble itself.
    """
    regularly = _Regularly(settings, mapping, schedule, observer)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), regularly.pause())
            return
        try:
            await regularly.verify()
        except GpmCdcError as error:
            if observer is not None:
                observer.failed()
            _log.warning("not verified", **{keys.STREAM: settings.stream, keys.ERROR: error.code, "reason": str(error)})


class _Regularly:
    """Passes one after the other; where none has proved the graph lately, a full one takes an incremental one's place.

    Should that find something, or not come to an end, the next full one is when it is due: not again and again.
    """

    def __init__(
        self, settings: Settings, mapping: GraphMapping, schedule: Schedule, observer: PassObserver | None
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._mapping = mapping
        self._full = math.inf if schedule.full is None else schedule.full
        self._incremental = math.inf if schedule.incremental is None else schedule.incremental
        now = time.monotonic()
        self._full_due, self._incremental_due = now + self._full, now + self._incremental
        self._full_possible = now

    def pause(self) -> float:
        """Seconds until a pass is due."""
        return max(0.0, min(self._full_due, self._incremental_due) - time.monotonic())

    async def verify(self) -> None:
        """The pass that is due."""
        full = self._full_due <= time.monotonic()
        try:
            if not full:
                await self._pass(VerifyOrders(incremental=True))
        except (NeverVerified, VerifiedTooLongAgo):
            full = time.monotonic() >= self._full_possible
            if not full:
                raise
        finally:
            self._incremental_due = time.monotonic() + self._incremental
        if full:
            try:
                await self._pass(VerifyOrders())
            finally:
                now = time.monotonic()
                self._full_due, self._full_possible = now + self._full, now + min(self._full, _DAY)
                self._incremental_due = now + self._incremental

    async def _pass(self, orders: VerifyOrders) -> None:
        report, number = await recorded_pass(self._settings, self._mapping, orders, Unwatched())
        _tell(self._settings.stream, report)
        if self._observer is not None:
            self._observer.passed(report)
        if number is not None:
            await asyncio.to_thread(kept, self._settings, number, report, strict=False)


def _tell(stream: str, report: Report) -> None:
    say = _log.info if report.verdict == "clean" else _log.warning
    say(
        "verified",
        **{
            keys.STREAM: stream,
            "kind": report.kind,
            "verdict": report.verdict,
            keys.LSN: None if report.position is None else render(report.position),
            keys.ELEMENT_COUNT: report.elements_checked,
            "finding_count": report.finding_count,
            "inconclusive_count": report.unsettled_count,
            keys.ELAPSED_SECONDS: round(report.seconds, 3),
        },
    )
