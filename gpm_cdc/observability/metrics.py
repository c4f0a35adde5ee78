"""Every metric of `run`: its name, unit, labels and meaning, declared once. docs/metrics.md is made from this.

Names follow Prometheus: base units (seconds, bytes), `_total` for counters. A table is a label, never part of a name.
No label and no text holds anything of a row. Each sample also bears the label `stream`.
"""

from dataclasses import dataclass
from typing import Final, Literal

type Kind = Literal["counter", "gauge", "histogram", "state"]
"""`state`: a gauge per possible state, 1 for the present one and 0 for the others."""

type RunState = Literal["starting", "standby", "owner", "waiting"]

STREAM: Final = "stream"
SERVERS: Final = ("postgres", "neo4j")
RUN_STATES: Final[tuple[RunState, ...]] = ("starting", "standby", "owner", "waiting")
PHASES: Final = ("snapshot", "chunked", "rereading", "streaming")
VERDICTS: Final = ("clean", "drift", "inconclusive")
OUTCOMES: Final = (*VERDICTS, "failed")
WAYS: Final = ("missing", "extra", "different")
EXTENTS: Final = ("table", "rows")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `unit` ends the name, before `_total`; `labels` are those beside `stream`, with their values.

    A label whose values are not listed is the name of a mapped table. `bounds` are the upper ends of a histogram's
    buckets, ascending, without infinity.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Every label of a sample."""
        return (STREAM, *(name for name, _ in self.labels))


_TABLE: Final = ("table", ())

STATE: Final = Metric(
    "gpm_cdc_state",
    "state",
    "state",
    "What this process does: it brings the graph forward (owner), stands by for another one that does (standby), waits"
    " for a server before it tries again (waiting), or has not come to either yet (starting).",
    (("state", RUN_STATES),),
)
PHASE: Final = Metric(
    "gpm_cdc_phase",
    "state",
    "phase",
    "The phase of the checkpoint. Only in streaming is the graph the state after a commit. Absent until this process"
    " owns the stream.",
    (("phase", PHASES),),
)
GRAPH_POSITION: Final = Metric(
    "gpm_cdc_graph_position_bytes",
    "gauge",
    "bytes",
    "How far the graph is in Postgres's log: the LSN of the checkpoint as a number. Absent until this process owns the"
    " stream.",
)
SOURCE_POSITION: Final = Metric(
    "gpm_cdc_source_position_bytes",
    "gauge",
    "bytes",
    "Where Postgres's log on disk ends: an LSN as a number, asked for once a second. Absent while Postgres cannot be"
    " asked.",
)
LAG_BYTES: Final = Metric(
    "gpm_cdc_lag_bytes",
    "gauge",
    "bytes",
    "The log between the two positions, whoever wrote it. Absent while one of them is.",
)
LAG_SECONDS: Final = Metric(
    "gpm_cdc_lag_seconds",
    "gauge",
    "seconds",
    "0 while the graph is at the end of the log; else the time since the latest moment of which it is known that the"
    " graph has every commit from before it, such as the commit that was applied last. Goes on growing while tables are"
    " read again. Absent before there was such a moment, and while Postgres cannot be asked.",
)
RETAINED: Final = Metric(
    "gpm_cdc_slot_retained_bytes",
    "gauge",
    "bytes",
    "Log that Postgres keeps on its disk for the stream's slot. Absent without a slot, when it has lost its log, and"
    " while Postgres cannot be asked.",
)
TRANSACTIONS: Final = Metric(
    "gpm_cdc_transactions_total", "counter", "transactions", "Transactions of Postgres that were applied."
)
CHANGES: Final = Metric(
    "gpm_cdc_changes_total", "counter", "changes", "Changes in them, as the stream sent them: rows and truncations."
)
ROWS: Final = Metric(
    "gpm_cdc_rows_total",
    "counter",
    "rows",
    "Rows that were sent to Neo4j for them: several changes of one element in a batch become one.",
)
COPIED_ROWS: Final = Metric(
    "gpm_cdc_copied_rows_total",
    "counter",
    "rows",
    "Rows that were copied, at the beginning or because tables were read again.",
)
BATCH: Final = Metric(
    "gpm_cdc_batch_seconds",
    "histogram",
    "seconds",
    "What it took to write a batch of transactions to Neo4j. Batches that only moved the checkpoint are left out.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
RESTARTS: Final = Metric(
    "gpm_cdc_restarts_total",
    "counter",
    "restarts",
    "Times that trouble with a server ended a stretch of following, after which it was begun again.",
    (("server", SERVERS),),
)
RETRIES: Final = Metric(
    "gpm_cdc_retries_total",
    "counter",
    "retries",
    "Times that something was tried again at once, without another beginning.",
    (("server", ("neo4j",)),),
)
REREADS: Final = Metric(
    "gpm_cdc_rereads_total",
    "counter",
    "rereads",
    "Times that a table was read again, whole or some rows of it.",
    (_TABLE, ("extent", EXTENTS)),
)
VERIFY_PASSES: Final = Metric(
    "gpm_cdc_verify_passes_total",
    "counter",
    "passes",
    "Passes of verify that this process made (--verify-every), by their verdict; failed are those that came to none.",
    (("outcome", OUTCOMES),),
)
VERIFY_VERDICT: Final = Metric(
    "gpm_cdc_verify_verdict",
    "state",
    "verdict",
    "The verdict of the last such pass that came to one. This and what follows is absent before the first.",
    (("verdict", VERDICTS),),
)
VERIFY_TIMESTAMP: Final = Metric(
    "gpm_cdc_verify_timestamp_seconds", "gauge", "seconds", "When that pass ended, in seconds since 1970-01-01 UTC."
)
VERIFY_DURATION: Final = Metric("gpm_cdc_verify_duration_seconds", "gauge", "seconds", "How long that pass took.")
VERIFY_ELEMENTS: Final = Metric(
    "gpm_cdc_verify_elements", "gauge", "elements", "Nodes and relationships that it compared."
)
VERIFY_FINDINGS: Final = Metric(
    "gpm_cdc_verify_findings",
    "gauge",
    "findings",
    "What it found: elements that are missing from the graph, extra in it, or different.",
    (_TABLE, ("kind", WAYS)),
)
VERIFY_UNSETTLED: Final = Metric("gpm_cdc_verify_unsettled_questions", "gauge", "questions", "What it could not tell.")

METRICS: Final = (
    STATE,
    PHASE,
    GRAPH_POSITION,
    SOURCE_POSITION,
    LAG_BYTES,
    LAG_SECONDS,
    RETAINED,
    TRANSACTIONS,
    CHANGES,
    ROWS,
    COPIED_ROWS,
    BATCH,
    RESTARTS,
    RETRIES,
    REREADS,
    VERIFY_PASSES,
    VERIFY_VERDICT,
    VERIFY_TIMESTAMP,
    VERIFY_DURATION,
    VERIFY_ELEMENTS,
    VERIFY_FINDINGS,
    VERIFY_UNSETTLED,
)
"""All of them, in the order in which they are shown."""
