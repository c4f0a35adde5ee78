"""Every metric: name, unit, labels, meaning. A table is a label, never part of a name."""

from typing import Final, Literal, NamedTuple

from gpm_cdc.observability import keys


class Metric(NamedTuple):
    """One measured quantity. The name ends in its unit, a counter's in `_total` behind that."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


APPLIED_CHANGES: Final = Metric(
    "gpm_cdc_applied_changes_total", "counter", (keys.STREAM,), "Row changes committed to the graph."
)
APPLIED_TRANSACTIONS: Final = Metric(
    "gpm_cdc_applied_transactions_total", "counter", (keys.STREAM,), "Postgres transactions committed to the graph."
)
BATCH_SECONDS: Final = Metric(
    "gpm_cdc_batch_seconds", "histogram", (keys.STREAM,), "Time from the first statement of a batch to its commit."
)
SNAPSHOT_ROWS: Final = Metric(
    "gpm_cdc_snapshot_rows_total", "counter", (keys.STREAM, keys.TABLE), "Rows copied by the snapshot."
)
LAG_BYTES: Final = Metric(
    "gpm_cdc_lag_bytes", "gauge", (keys.STREAM,), "Log written by Postgres that the graph does not include yet."
)
LAG_SECONDS: Final = Metric(
    "gpm_cdc_lag_seconds", "gauge", (keys.STREAM,), "Age of the oldest commit that the graph does not include yet."
)
RETAINED_BYTES: Final = Metric(
    "gpm_cdc_retained_bytes", "gauge", (keys.STREAM,), "Log that Postgres keeps on disk for the stream's slot."
)
EPOCH: Final = Metric("gpm_cdc_epoch", "gauge", (keys.STREAM,), "How often the stream's ownership changed.")

ALL: Final = (
    APPLIED_CHANGES,
    APPLIED_TRANSACTIONS,
    BATCH_SECONDS,
    SNAPSHOT_ROWS,
    LAG_BYTES,
    LAG_SECONDS,
    RETAINED_BYTES,
    EPOCH,
)
