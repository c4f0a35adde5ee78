"""What a run counts, and the samples that a scrape makes of it.

Everything is written by the task that works and read by threads that serve: attributes are replaced, never grown while
somebody may walk over them. A batch costs some additions, a row nothing.
"""

import asyncio
import bisect
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import SinkError
from gpm_cdc.errors.source import SourceUnreachable
from gpm_cdc.observability import keys, logs, metrics
from gpm_cdc.observability.exposition import Distribution, Health, Measured, Sample, registry_of, serving
from gpm_cdc.observability.metrics import Metric, RunState
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.observer import BatchReport, Observer
from gpm_cdc.runtime.course import Course
from gpm_cdc.source.session import Connection, connect
from gpm_cdc.source.slot import read_slot
from gpm_cdc.source.system import end_of_log
from gpm_cdc.verification.report import Report
from gpm_cdc.wording import say

LOOK_SECONDS: Final = 1.0
"""How often Postgres is asked where its log ends: well below the time between two scrapes."""

_ANSWER_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 5.0
_MICROSECONDS: Final = 1_000_000

_log = logs.logger()


class Meter:
    """An Observer that counts and passes everything on; a RunObserver and a PassObserver that count."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._state: RunState = "starting"
        self._reason = ""
        self._phase: str | None = None
        self.course = Course()
        self.retained: int | None = None
        self._counts = dict.fromkeys((metrics.TRANSACTIONS, metrics.CHANGES, metrics.ROWS, metrics.COPIED_ROWS), 0)
        self._batches = [0] * (len(metrics.BATCH.bounds) + 1)
        self._batch_seconds = 0.0
        self._restarts = Counter(dict.fromkeys(metrics.SERVERS, 0))
        self._retries = 0
        self._rereads: Counter[tuple[str, ...]] = Counter()
        self._passes = Counter(dict.fromkeys(metrics.OUTCOMES, 0))
        self._verified: tuple[tuple[Metric, list[Sample]], ...] = ()

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""
        self._observer.snapshot_started(rows)

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""
        self._counts[metrics.COPIED_ROWS] += rows
        self._observer.snapshot_progress(what, rows)

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""
        self._observer.snapshot_finished(position, seconds)

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        self._observer.streaming(position)

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says. Its position came with `moved`."""
        if report.transactions:
            counts = self._counts
            counts[metrics.TRANSACTIONS] += report.transactions
            counts[metrics.CHANGES] += report.changes
            counts[metrics.ROWS] += report.rows
            self._batches[bisect.bisect_left(metrics.BATCH.bounds, report.seconds)] += 1
            self._batch_seconds += report.seconds
            if report.commit_time_us is not None and report.phase == "streaming":
                self.course.committed((report.commit_time_us + POSTGRES_EPOCH_UNIX_US) / _MICROSECONDS)
        self._observer.batch_applied(report)

    def standing_by(self) -> None:
        """As the port says. How far the graph is the owner knows."""
        self._state, self._phase = "standby", None
        end = self.course.end
        self.course = Course(end=end)

    def owning(self) -> None:
        """As the port says."""
        self._state = "owner"

    def moved(self, checkpoint: Checkpoint) -> None:
        """As the port says. A stream that has just begun has no position yet."""
        self._state, self._phase = "owner", checkpoint.phase
        if checkpoint.position.lsn:
            promising = checkpoint.phase == "streaming" and checkpoint.position.ordinal == 0
            self.course.moved(checkpoint.position.lsn, promising=promising)

    def retrying(self, error: GpmCdcError) -> None:
        """As the port says."""
        self._retries += 1
        self._state, self._reason = "waiting", str(error)

    def waiting(self, error: GpmCdcError) -> None:
        """As the port says."""
        self._restarts["neo4j" if isinstance(error, SinkError) else "postgres"] += 1
        self._state, self._reason = "waiting", str(error)

    def read_again(self, table: TableName, *, whole: bool) -> None:
        """As the port says."""
        self._rereads[str(table), "table" if whole else "rows"] += 1

    def passed(self, report: Report) -> None:
        """As the port says."""
        self._passes[report.verdict] += 1
        findings: list[Sample] = [
            ((table.table, kind), count)
            for table in report.tables
            for kind, count in zip(metrics.WAYS, (table.missing, table.extra, table.different), strict=True)
        ]
        self._verified = (
            (metrics.VERIFY_VERDICT, _one_hot(metrics.VERDICTS, report.verdict)),
            (metrics.VERIFY_TIMESTAMP, [((), time.time())]),
            (metrics.VERIFY_DURATION, [((), report.seconds)]),
            (metrics.VERIFY_ELEMENTS, [((), report.elements_checked)]),
            (metrics.VERIFY_FINDINGS, findings),
            (metrics.VERIFY_UNSETTLED, [((), report.unsettled_count)]),
        )

    def failed(self) -> None:
        """As the port says."""
        self._passes["failed"] += 1

    def health(self) -> Health:
        """Whether the stream is followed or stands by, for any thread."""
        match self._state:
            case "starting":
                return Health(well=False, text=say("starting: not connected to both servers yet"))
            case "standby":
                return Health(well=True, text=say("standing by: another process runs the stream"))
            case "waiting":
                return Health(well=False, text=say("waiting for a server: {reason}", reason=self._reason))
            case "owner":
                return Health(well=True, text=say("running, phase {phase}", phase=self._phase or say("unknown")))

    def samples(self) -> Iterator[tuple[Metric, Iterable[Sample]]]:
        """All that is known, for any thread."""
        course, now = self.course, time.time()
        yield metrics.STATE, _one_hot(metrics.RUN_STATES, self._state)
        yield metrics.PHASE, _one_hot(metrics.PHASES, self._phase)
        yield metrics.GRAPH_POSITION, _known(course.position)
        yield metrics.SOURCE_POSITION, _known(None if course.end is None else course.end.position)
        yield metrics.LAG_BYTES, _known(course.behind_bytes)
        yield metrics.LAG_SECONDS, _known(course.behind_seconds(now))
        yield metrics.RETAINED, _known(self.retained)
        for metric, count in self._counts.items():
            yield metric, [((), count)]
        yield metrics.BATCH, [((), Distribution(tuple(self._batches), self._batch_seconds))]
        yield metrics.RESTARTS, _each(self._restarts)
        yield metrics.RETRIES, [(("neo4j",), self._retries)]
        yield metrics.REREADS, list(self._rereads.copy().items())
        yield metrics.VERIFY_PASSES, _each(self._passes)
        yield from self._verified


def _one_hot(states: Iterable[str], present: str | None) -> list[Sample]:
    return [] if present is None else [((state,), float(state == present)) for state in states]


def _known(value: float | None) -> list[Sample]:
    return [] if value is None else [((), value)]


def _each(counts: Counter[str]) -> list[Sample]:
    return [((label,), count) for label, count in counts.items()]


@contextmanager
def served(settings: Settings, meter: Meter) -> Iterator[None]:
    """Serve what `meter` counts where the settings say so, while inside. MetricsNotServed at the start."""
    address = settings.metrics_address
    if address is None:
        yield
        return
    registry = registry_of(Measured(settings.stream, meter.samples))
    with serving(address, registry, meter.health):
        _log.info("metrics", **{keys.STREAM: settings.stream, "address": settings.metrics})
        yield


async def watch_log(settings: Settings, meter: Meter) -> None:
    """Tell `meter` where the source's log ends and how much of it the slot retains, until cancelled.

    Over a connection of its own, so that it can be told while the stream waits for something.
    """
    while True:
        try:
            async with connect(settings.conninfo) as connection:
                while True:
                    await _look(connection, settings.slot_name, meter)
                    await asyncio.sleep(LOOK_SECONDS)
        except GpmCdcError as error:
            meter.course.unseen()
            meter.retained = None
            _log.debug("end of log unknown", **{keys.STREAM: settings.stream, keys.ERROR: error.code})
            await asyncio.sleep(_PAUSE_SECONDS)


async def _look(connection: Connection, slot_name: str, meter: Meter) -> None:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            now = time.time()
            end = await end_of_log(connection)
            slot = await read_slot(connection, slot_name)
    except TimeoutError as silence:
        raise SourceUnreachable(detail=say("it does not answer")) from silence
    meter.course.ends(end, now)
    meter.retained = None if slot is None else slot.retained
