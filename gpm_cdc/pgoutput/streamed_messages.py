"""What pgoutput's protocols 2 to 4 add: transactions that are sent before they end (2), and two-phase commits (3).

Protocol 4 adds nothing but two fields of StreamAbort. Names, order of fields and units are as in `messages`.
"""

from typing import NamedTuple

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.pgoutput.messages import Message


class StreamStart(NamedTuple):
    """The beginning of a segment of the transaction `xid`, which has not ended; `first` for its first one."""

    xid: int
    first: bool


class StreamStop(NamedTuple):
    """The end of a segment."""


class StreamCommit(NamedTuple):
    """The streamed transaction `xid` committed: its segments count now."""

    xid: int
    commit_lsn: Lsn
    end_lsn: Lsn
    commit_time_us: int


class StreamAbort(NamedTuple):
    """The changes of `subxid` within the streamed transaction `xid` never were; all of it where both are the same.

    Position and time come only with `streaming = parallel`.
    """

    xid: int
    subxid: int
    abort_lsn: Lsn | None = None
    abort_time_us: int | None = None


class BeginPrepare(NamedTuple):
    """The start of a transaction that was prepared, in place of Begin."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepare_time_us: int
    xid: int
    gid: str


class Prepare(NamedTuple):
    """The end of a prepared transaction, in place of Commit: it may still be rolled back."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepare_time_us: int
    xid: int
    gid: str


class StreamPrepare(NamedTuple):
    """The end of a prepared transaction that was streamed."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepare_time_us: int
    xid: int
    gid: str


class CommitPrepared(NamedTuple):
    """COMMIT PREPARED of a transaction that was sent before."""

    commit_lsn: Lsn
    end_lsn: Lsn
    commit_time_us: int
    xid: int
    gid: str


class RollbackPrepared(NamedTuple):
    """ROLLBACK PREPARED of a transaction that was sent before."""

    prepare_end_lsn: Lsn
    rollback_end_lsn: Lsn
    prepare_time_us: int
    rollback_time_us: int
    xid: int
    gid: str


class Streamed(NamedTuple):
    """A message within a segment; `xid` is the subtransaction's, for which a StreamAbort may come."""

    xid: int
    message: Message


type StreamedMessage = (
    Message
    | Streamed
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
    | BeginPrepare
    | Prepare
    | StreamPrepare
    | CommitPrepared
    | RollbackPrepared
)
