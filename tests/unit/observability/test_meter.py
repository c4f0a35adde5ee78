"""What a run tells its meter, and what a scrape shows of it."""

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.sink import GraphUnreachable
from gpm_cdc.errors.source import SourceUnreachable
from gpm_cdc.observability import metrics
from gpm_cdc.observability.exposition import Measured, registry_of
from gpm_cdc.observability.metrics import METRICS
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US
from gpm_cdc.ports.graph import Checkpoint, Phase, Position
from gpm_cdc.ports.observer import BatchReport, NoRunObserver
from gpm_cdc.runtime.course import Course
from gpm_cdc.runtime.measuring import Meter
from gpm_cdc.verification.report import Finding, Report, TableReport, Unsettled
from tests.scraping import Scrape, present, read

TROUBLE = GraphUnreachable(uri="bolt://graph:7687", detail="refused")


class Told:
    """An Observer that keeps the names of what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def snapshot_started(self, rows: int) -> None:
        """As the port says."""
        self.names.append(f"started {rows}")

    def snapshot_progress(self, what: str, rows: int) -> None:
        """As the port says."""
        self.names.append(f"progress {what} {rows}")

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """As the port says."""
        self.names.append(f"finished {position} {seconds}")

    def streaming(self, position: Lsn) -> None:
        """As the port says."""
        self.names.append(f"streaming {position}")

    def batch_applied(self, report: BatchReport) -> None:
        """As the port says."""
        self.names.append(f"batch {report.position}")


def checkpoint(lsn: int, phase: Phase = "streaming", ordinal: int = 0) -> Checkpoint:
    """A checkpoint of the stream."""
    return Checkpoint("s", Position(Lsn(lsn), ordinal), 1, phase, "", 1, "", "me")


def batch(lsn: int, *, ago: float | None = 0.0, transactions: int = 1, seconds: float = 0.02) -> BatchReport:
    """A batch whose last commit was `ago` seconds ago; None for one without transactions."""
    commit = None if ago is None else int((time.time() - ago) * 1e6) - POSTGRES_EPOCH_UNIX_US
    return BatchReport(Lsn(lsn), transactions, 5 * transactions, 3 * transactions, seconds, commit)


def scrape(meter: Meter) -> Scrape:
    """What Prometheus would read."""
    return read(generate_latest(registry_of(Measured("s", meter.samples))).decode(), "s")


def names(found: Scrape) -> set[str]:
    """Which of the declared metrics have a sample."""
    samples = {name for name, *_ in found}
    return {each.name for each in METRICS if samples & {each.name, f"{each.name}_count"}}


@pytest.fixture
def meter() -> Meter:
    """A meter at its beginning."""
    return Meter(Told())


def test_a_run_that_has_just_begun(meter: Meter) -> None:
    """Counters are there from the start, so that their first step is seen; what is not known is left out."""
    found = scrape(meter)
    assert present(found, "gpm_cdc_state") == "starting"
    counted = {each.name for each in METRICS if each.kind in {"counter", "histogram"}}
    assert names(found) == (counted - {metrics.REREADS.name}) | {metrics.STATE.name}
    assert found["gpm_cdc_restarts_total", "neo4j"] == 0
    assert not meter.health().well


def test_everything_is_told_to_the_observer_behind() -> None:
    """A meter takes nothing away from log and progress bar."""
    told = Told()
    meter = Meter(told)
    meter.snapshot_started(7)
    meter.snapshot_progress("t", 4)
    meter.snapshot_finished(Lsn(3), 1.5)
    meter.streaming(Lsn(4))
    meter.batch_applied(batch(9, transactions=0))
    assert told.names == ["started 7", "progress t 4", "finished 3 1.5", "streaming 4", "batch 9"]


def test_batches_are_counted(meter: Meter) -> None:
    """Transactions, changes, rows and seconds; a batch that only moves the checkpoint is none."""
    meter.batch_applied(batch(200, transactions=2, seconds=0.02))
    meter.batch_applied(batch(300, transactions=3, seconds=0.025))
    meter.batch_applied(batch(400, transactions=0, ago=None))
    meter.batch_applied(batch(500, seconds=31.0))
    found = scrape(meter)
    assert found["gpm_cdc_transactions_total",] == 6
    assert found["gpm_cdc_changes_total",] == 30
    assert found["gpm_cdc_rows_total",] == 18
    assert found["gpm_cdc_batch_seconds_count",] == 3
    assert math.isclose(found["gpm_cdc_batch_seconds_sum",], 31.045)
    buckets = [found["gpm_cdc_batch_seconds_bucket", bound] for bound in ("0.01", "0.025", "0.05", "30.0", "+Inf")]
    assert buckets == [0, 2, 2, 2, 3]


def test_copied_rows_are_counted(meter: Meter) -> None:
    """At the beginning, and when a table is read again."""
    meter.snapshot_progress("one", 4)
    meter.snapshot_progress("two", 5)
    meter.read_again(TableName("public", "one"), whole=True)
    meter.read_again(TableName("public", "one"), whole=False)
    meter.read_again(TableName("public", "one"), whole=False)
    found = scrape(meter)
    assert found["gpm_cdc_copied_rows_total",] == 9
    assert found["gpm_cdc_rereads_total", "public.one", "table"] == 1
    assert found["gpm_cdc_rereads_total", "public.one", "rows"] == 2


@pytest.mark.parametrize("phase", metrics.PHASES)
def test_phase_and_position_are_those_of_the_checkpoint(meter: Meter, phase: Phase) -> None:
    """One phase at a time. Whoever owns the stream knows them."""
    meter.owning()
    meter.moved(checkpoint(0, "snapshot"))
    assert "gpm_cdc_graph_position_bytes" not in names(scrape(meter))
    meter.moved(checkpoint(5_000, phase))
    found = scrape(meter)
    assert {key[1]: value for key, value in found.items() if key[0] == "gpm_cdc_phase"} == {
        each: float(each == phase) for each in metrics.PHASES
    }
    assert found["gpm_cdc_graph_position_bytes",] == 5_000
    assert found["gpm_cdc_state", "owner"] == 1
    assert meter.health() == (True, f"running, phase {phase}")


def test_trouble_is_told_by_server_and_ends(meter: Meter) -> None:
    """A retry ends with the next step of the checkpoint, a restart with the ownership."""
    meter.owning()
    meter.moved(checkpoint(100))
    meter.retrying(TROUBLE)
    well, text = meter.health()
    assert not well
    assert "refused" in text
    assert scrape(meter)["gpm_cdc_state", "waiting"] == 1
    meter.moved(checkpoint(200))
    assert meter.health().well
    meter.waiting(TROUBLE)
    meter.waiting(SourceUnreachable(detail="gone"))
    assert not meter.health().well
    found = scrape(meter)
    assert found["gpm_cdc_retries_total", "neo4j"] == 1
    assert found["gpm_cdc_restarts_total", "neo4j"] == 1
    assert found["gpm_cdc_restarts_total", "postgres"] == 1
    assert found["gpm_cdc_graph_position_bytes",] == 200
    meter.owning()
    assert meter.health().well


def test_a_standby_does_not_tell_of_the_graph(meter: Meter) -> None:
    """Its knowledge is old: what it said as the owner goes."""
    meter.moved(checkpoint(100))
    meter.course.ends(Lsn(150), time.time())
    meter.standing_by()
    found = scrape(meter)
    absent = {"gpm_cdc_phase", "gpm_cdc_graph_position_bytes", "gpm_cdc_lag_bytes", "gpm_cdc_lag_seconds"}
    assert not absent & names(found)
    assert found["gpm_cdc_source_position_bytes",] == 150
    assert found["gpm_cdc_state", "standby"] == 1
    assert meter.health().well


def test_lag_is_told_in_bytes_and_seconds(meter: Meter) -> None:
    """By the age of the last commit while behind, 0 at the end of the log."""
    meter.moved(checkpoint(100))
    meter.course.ends(Lsn(350), time.time())
    meter.moved(checkpoint(300))
    meter.batch_applied(batch(300, ago=20.0))
    found = scrape(meter)
    assert found["gpm_cdc_lag_bytes",] == 50
    assert 20 <= found["gpm_cdc_lag_seconds",] < 30
    meter.moved(checkpoint(350))
    found = scrape(meter)
    assert (found["gpm_cdc_lag_bytes",], found["gpm_cdc_lag_seconds",]) == (0, 0)


def test_commits_applied_while_tables_are_read_again_do_not_make_the_graph_current(meter: Meter) -> None:
    """Other tables are missing still: the lag goes on growing, also at the end of the log."""
    meter.moved(checkpoint(100))
    meter.course.ends(Lsn(100), time.time() - 40)
    meter.moved(checkpoint(200, "rereading"))
    meter.batch_applied(batch(200)._replace(phase="rereading"))
    meter.course.ends(Lsn(200), time.time())
    assert scrape(meter)["gpm_cdc_lag_seconds",] >= 40
    meter.moved(checkpoint(200))
    assert scrape(meter)["gpm_cdc_lag_seconds",] == 0


def test_an_idle_source_does_not_make_the_graph_old() -> None:
    """After hours without a commit the log grows by a record: late is the graph only since then."""
    course = Course()
    course.moved(Lsn(100), promising=True)
    course.committed(0.0)
    for now in range(1, 10_000, 1_000):
        course.ends(Lsn(100), now)
    course.ends(Lsn(150), 9_002.0)
    assert course.behind_seconds(9_003.0) == 9_003 - 9_001
    course.moved(Lsn(150), promising=True)
    assert course.behind_seconds(9_003.0) == 0


def test_a_graph_that_keeps_up_with_a_busy_log_is_not_late() -> None:
    """Where there is more log at each look, the graph is complete up to the looks that it has passed since."""
    course = Course()
    for now in range(1, 100):
        course.ends(Lsn(100 * now), now)
        course.moved(Lsn(100 * now - 50), promising=True)
    behind = course.behind_seconds(99.0)
    assert behind is not None
    assert behind <= 2


def test_what_nobody_knows_is_not_told() -> None:
    """Without a position, or an end, or any moment at which the graph was complete."""
    course = Course()
    assert (course.behind_bytes, course.behind_seconds(0.0)) == (None, None)
    course.moved(Lsn(100), promising=True)
    assert (course.behind_bytes, course.behind_seconds(0.0)) == (None, None)
    course.ends(Lsn(200), 1.0)
    assert (course.behind_bytes, course.behind_seconds(5.0)) == (100, None)
    course.unseen()
    assert (course.behind_bytes, course.behind_seconds(0.0)) == (None, None)


@given(st.lists(st.tuples(st.sampled_from(["end", "move"]), st.integers(0, 30)), max_size=60))
def test_lag_is_never_below_the_truth(steps: list[tuple[str, int]]) -> None:
    """A graph that lacks something written at a time is at least as late as that, by whatever was seen of the log."""
    course, end, position = Course(), 1, 0
    ends: list[tuple[int, float]] = []
    for now, (kind, size) in enumerate(steps, start=1):
        if kind == "end":
            end += size
            ends.append((end, float(now)))
            course.ends(Lsn(end), now)
        else:
            position = min(end, position + size)
            course.moved(Lsn(position), promising=True)
        told = course.behind_seconds(now)
        complete = [at for reached, at in ends if reached <= position]
        if told is not None:
            assert told >= (0 if position >= end else now - max(complete))
        if position >= end and ends:
            assert told == 0


def test_a_pass_of_verify_is_told_whole(meter: Meter) -> None:
    """Verdict, time, duration, elements, findings by table and kind; the next pass takes the place of all of it."""
    tables = [
        TableReport("public.a", nodes=10, relationships=4, missing=1, extra=2, different=3),
        TableReport("public.b", nodes=6),
    ]
    findings = [Finding("public.a", "A", "missing", {"id": 1}, (), None, None)] * 6
    report = Report(Lsn(9), 2.5, tables, findings, [Unsettled("public.b", None, "busy")])
    before = time.time()
    meter.passed(report)
    found = scrape(meter)
    verdicts = {key[1]: value for key, value in found.items() if key[0] == "gpm_cdc_verify_verdict"}
    assert verdicts == {"clean": 0, "drift": 1, "inconclusive": 0}
    assert before <= found["gpm_cdc_verify_timestamp_seconds",] <= time.time()
    assert found["gpm_cdc_verify_duration_seconds",] == 2.5
    assert found["gpm_cdc_verify_elements",] == 21
    assert [found["gpm_cdc_verify_findings", "public.a", kind] for kind in metrics.WAYS] == [1, 2, 3]
    assert found["gpm_cdc_verify_findings", "public.b", "extra"] == 0
    assert found["gpm_cdc_verify_unsettled_questions",] == 1
    meter.failed()
    meter.passed(replace(report, tables=tables[1:], findings=[], unsettled=[]))
    found = scrape(meter)
    assert found["gpm_cdc_verify_verdict", "clean"] == 1
    assert ("gpm_cdc_verify_findings", "public.a", "extra") not in found
    outcomes = {key[1]: value for key, value in found.items() if key[0] == "gpm_cdc_verify_passes_total"}
    assert outcomes == {"clean": 1, "drift": 1, "inconclusive": 0, "failed": 1}


def test_every_declared_metric_is_measured_with_its_help(meter: Meter) -> None:
    """Nothing is declared that never shows, and what shows is described as declared."""
    meter.moved(checkpoint(100))
    meter.course.ends(Lsn(350), time.time())
    meter.batch_applied(batch(100))
    meter.retained = 7
    meter.read_again(TableName("public", "one"), whole=True)
    meter.passed(Report(Lsn(9), 2.5, [TableReport("public.a")], [], []))
    assert names(scrape(meter)) == {each.name for each in METRICS}
    text = generate_latest(registry_of(Measured("s", meter.samples))).decode()
    described = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in METRICS:
        family = described[metric.name.removesuffix("_total")]
        assert family.documentation == metric.meaning
        assert family.type == ("gauge" if metric.kind == "state" else metric.kind)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.label_names)
            for label, values in metric.labels:
                assert not values or sample.labels[label] in values


def test_nobody_need_be_told() -> None:
    """A run without anybody who asks about it."""
    nobody = NoRunObserver()
    nobody.owning()
    nobody.moved(checkpoint(1))
