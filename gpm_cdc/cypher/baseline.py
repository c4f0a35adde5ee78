"""The baseline: what the last full comparison of a stream's graph has proved, kept beside its checkpoint.

Its properties are not the checkpoint's own: the stream leaves them alone, but for a new copy, which ends them.
"""

from typing import Final

from gpm_cdc.cypher.schema import CHECKPOINT_LABEL
from gpm_cdc.cypher.statement import Statement, Statements

_KEPT = "s.journal_epoch = s.epoch"
"""Whether the owner notes what it writes: one of an earlier version does not, and raises the epoch alone."""

UNLESS_KEPT: Final = f"FOREACH (gap IN CASE WHEN {_KEPT} THEN [] ELSE [0] END | REMOVE s.verified_lsn, s.verified_at)"
"""A clause for who takes the stream `s` over, before the epoch is raised."""

PROVE: Final = (
    f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) WHERE {_KEPT}"
    " AND (s.verified_lsn IS NULL OR s.verified_lsn <= $upto)"
    " SET s.verified_lsn = $upto, s.verified_at = datetime()"
)
"""Everything up to `$upto` was compared and is right. A later proof stays."""

BASELINE: Final = (
    f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) WHERE {_KEPT} AND s.verified_lsn IS NOT NULL"
    " RETURN s.verified_lsn, s.verified_at.epochMillis, datetime().epochMillis - s.verified_at.epochMillis"
)
"""Position, time, and how long ago that was by the server's clock, both in milliseconds."""

_DISPROVE: Final = f"UNWIND $rows AS r MATCH (s:{CHECKPOINT_LABEL} {{stream: r}}) REMOVE s.verified_lsn, s.verified_at"


def disprove(stream: str) -> Statements:
    """Nothing of the graph of `stream` counts as proved any more."""
    yield Statement(_DISPROVE, [stream])
