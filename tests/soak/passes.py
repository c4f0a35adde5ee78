"""Passes of verify, one after the other, and what may not be among them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import ExitCode, GpmCdcError
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.passes import Unwatched
from gpm_cdc.runtime.verify import MAX_SNAPSHOT, VerifyOrders, verify
from gpm_cdc.verification.report import Report, Unsettled

OLDEST = 2
"""For how many further passes a question may stay open."""

_SHOWN = 5

type Question = tuple[str | None, str | None]
"""Table and key of what was left open; None for all of it."""

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass, by the monotonic clock; `error` is what kept it from a report."""

    started: float
    ended: float
    report: Report | None
    error: str = ""

    @property
    def verdict(self) -> str:
        """The report's, or inconclusive."""
        return "inconclusive" if self.report is None else self.report.verdict

    @property
    def questions(self) -> set[Question]:
        """What it left open."""
        if self.report is None:
            return {(None, None)}
        return {(asked.table, None if asked.key is None else str(dict(asked.key))) for asked in self.report.unsettled}

    @property
    def reasons(self) -> list[str]:
        """Why it left something open, each reason once."""
        asked: list[Unsettled] = [] if self.report is None else list(self.report.unsettled)
        return sorted({question.reason for question in asked} | ({self.error} if self.error else set()))


@dataclass(slots=True)
class Passes:
    """All passes of a soak, and the faults among them."""

    settings: Settings
    mapping: GraphMapping
    say: Say
    excused: Callable[[Pass], bool] | None = None
    """Where the schema is changed: whether a pass can have seen that. Whoever has not leaves no table open."""
    bounds: tuple[float, ...] = (MAX_SNAPSHOT,)
    """Seconds for which passes may hold a snapshot, in turns: a change of the schema waits for as long."""
    made: list[Pass] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    oldest: int = 0
    """For how many further passes a question stayed open, at most."""
    _ages: dict[Question, int] = field(default_factory=dict)

    async def make(self) -> Pass:
        """One more."""
        started = time.monotonic()
        report, error = None, ""
        orders = VerifyOrders(max_snapshot=self.bounds[len(self.made) % len(self.bounds)])
        try:
            report = await verify(self.settings, self.mapping, orders, Unwatched())
        except GpmCdcError as refused:
            error = f"{refused.code}: {refused}"
            if refused.exit_code != ExitCode.REPEAT:
                self.faults.append(f"pass {len(self.made) + 1} was refused: {error}")
        done = Pass(started, time.monotonic(), report, error)
        self.made.append(done)
        faults = list(self._judged(done))
        self._tell(done)
        for fault in faults:
            self.say(f"      FAULT {fault}")
        self.faults += faults
        return done

    def _judged(self, done: Pass) -> Iterator[str]:
        number = len(self.made)
        if done.report is not None and done.report.finding_count:
            shown = [finding.as_json() for finding in done.report.findings[:_SHOWN]]
            yield f"pass {number} has {done.report.finding_count} findings, such as {shown}"
        asked = done.questions
        if self.excused is not None and self.excused(done):
            asked = set()
        elif self.excused is not None and any(key is None for _, key in asked):
            yield f"pass {number} saw no change, and says {done.reasons}"
        self._ages = {question: self._ages.get(question, -1) + 1 for question in asked}
        self.oldest = max([self.oldest, *self._ages.values()])
        old = [question for question, age in self._ages.items() if age >= OLDEST]
        if old:
            yield f"pass {number} leaves open what the {OLDEST} before it left open, such as {old[:_SHOWN]}"

    def _tell(self, done: Pass) -> None:
        report = done.report
        checked = 0 if report is None else report.elements_checked
        line = f"pass {len(self.made):4} {done.ended - done.started:6.1f} s  {checked:7,} elements  {done.verdict}"
        if done.reasons:
            line += f"  {len(done.questions)} open: {'; '.join(done.reasons)}"
        self.say(line)

    def count(self, verdict: str) -> int:
        """How many have this verdict."""
        return sum(done.verdict == verdict for done in self.made)

    @property
    def longest_held(self) -> float:
        """Seconds for which a snapshot was held, at most."""
        reports = [done.report for done in self.made if done.report is not None]
        return max((held.seconds for report in reports for held in report.snapshots), default=0.0)
