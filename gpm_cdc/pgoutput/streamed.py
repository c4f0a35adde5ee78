"""Messages of protocols 1 to 4. Inside a segment of a streamed transaction each carries a transaction id.

The stream itself is read with protocol 1, which brings committed transactions only. This decoder is for whoever reads
what other consumers asked for.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gpm_cdc.errors.protocol import MessageTruncated, TrailingBytes, UnexpectedByte, UnknownMessage
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.fields import Layout, read_text
from gpm_cdc.pgoutput.streamed_messages import (
    BeginPrepare,
    CommitPrepared,
    Prepare,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    Streamed,
    StreamedMessage,
    StreamPrepare,
    StreamStart,
    StreamStop,
)

LAST_PROTOCOL: Final = 4

type _Read = Callable[[bytes], tuple[StreamedMessage, int]]

_WITH_XID: Final = frozenset(b"RYIUDTM")
"""Kinds of messages that carry a transaction id within a segment; Origin does not."""

_FIELDS_AT: Final = 1
_XID: Final = Layout("Streamed", xid="I")
_STREAM_START: Final = Layout("StreamStart", xid="I", first="B")
_STREAM_COMMIT: Final = Layout("StreamCommit", xid="I", flags="B", commit_lsn="Q", end_lsn="Q", commit_time_us="q")
_STREAM_ABORT: Final = Layout("StreamAbort", xid="I", subxid="I")
_PARALLEL_ABORT: Final = Layout("StreamAbort", xid="I", subxid="I", abort_lsn="Q", abort_time_us="q")
_BEGIN_PREPARE: Final = Layout("BeginPrepare", prepare_lsn="Q", end_lsn="Q", prepare_time_us="q", xid="I")
_ROLLBACK: Final = Layout(
    "RollbackPrepared",
    flags="B", prepare_end_lsn="Q", rollback_end_lsn="Q", prepare_time_us="q", rollback_time_us="q", xid="I",
)  # fmt: skip


class StreamedDecoder:
    """Decodes the messages of one connection, in their order: what they mean depends on the segment they are in."""

    def __init__(self, protocol: int, *, parallel: bool = False) -> None:
        """`protocol` is what was asked for, and `parallel` whether `streaming` was. ValueError for another protocol."""
        if not 1 <= protocol <= LAST_PROTOCOL:
            msg = f"protocol {protocol} is not one of 1 to {LAST_PROTOCOL}"
            raise ValueError(msg)
        readers: dict[int, _Read] = {}
        if protocol >= 2:  # noqa: PLR2004 - the protocol that streams
            readers |= {ord("S"): _stream_start, ord("E"): _stream_stop, ord("c"): _stream_commit}
            readers[ord("A")] = _parallel_abort if parallel else _stream_abort
        if protocol >= 3:  # noqa: PLR2004 - the protocol that knows two phases
            readers |= _TWO_PHASE
        self._readers: Mapping[int, _Read] = readers
        self._in_segment = False

    def decode(self, payload: bytes) -> StreamedMessage:
        """The one message that `payload` is. Raises what `decoder.decode` raises."""
        if not payload:
            raise MessageTruncated(message="replication", field="tag", offset=0)
        tag = payload[0]
        read = self._readers.get(tag)
        if read is not None:
            return self._framing(read, payload)
        if self._in_segment and tag in _WITH_XID:
            (xid,) = _XID.read(payload, _FIELDS_AT)
            return Streamed(xid, decode(payload, _FIELDS_AT + _XID.size))
        return decode(payload)

    def _framing(self, read: _Read, payload: bytes) -> StreamedMessage:
        message, end = read(payload)
        if end != len(payload):
            raise TrailingBytes(message=type(message).__name__, offset=end)
        if isinstance(message, StreamStart | StreamStop):
            starts = isinstance(message, StreamStart)
            if starts == self._in_segment:
                raise UnknownMessage(tag=payload[0])
            self._in_segment = starts
        return message


def _stream_start(data: bytes) -> tuple[StreamStart, int]:
    xid, first = _STREAM_START.read(data, _FIELDS_AT)
    return StreamStart(xid, bool(first)), _FIELDS_AT + _STREAM_START.size


def _stream_stop(_: bytes) -> tuple[StreamStop, int]:
    return StreamStop(), _FIELDS_AT


def _stream_commit(data: bytes) -> tuple[StreamCommit, int]:
    xid, flags, *rest = _STREAM_COMMIT.read(data, _FIELDS_AT)
    _refuse_flags("StreamCommit", flags, _FIELDS_AT + _XID.size)
    return StreamCommit._make((xid, *rest)), _FIELDS_AT + _STREAM_COMMIT.size


def _stream_abort(data: bytes) -> tuple[StreamAbort, int]:
    return StreamAbort._make((*_STREAM_ABORT.read(data, _FIELDS_AT), None, None)), _FIELDS_AT + _STREAM_ABORT.size


def _parallel_abort(data: bytes) -> tuple[StreamAbort, int]:
    return StreamAbort._make(_PARALLEL_ABORT.read(data, _FIELDS_AT)), _FIELDS_AT + _PARALLEL_ABORT.size


def _begin_prepare(data: bytes) -> tuple[BeginPrepare, int]:
    facts = _BEGIN_PREPARE.read(data, _FIELDS_AT)
    gid, end = read_text(data, _FIELDS_AT + _BEGIN_PREPARE.size, "BeginPrepare", "gid")
    return BeginPrepare._make((*facts, gid)), end


def _rollback_prepared(data: bytes) -> tuple[RollbackPrepared, int]:
    flags, *facts = _ROLLBACK.read(data, _FIELDS_AT)
    _refuse_flags("RollbackPrepared", flags, _FIELDS_AT)
    gid, end = read_text(data, _FIELDS_AT + _ROLLBACK.size, "RollbackPrepared", "gid")
    return RollbackPrepared._make((*facts, gid)), end


def _second_phase(kind: type[Prepare | StreamPrepare | CommitPrepared]) -> _Read:
    """The reader of messages with the fields that these three share."""
    name = kind.__name__
    first = "commit" if kind is CommitPrepared else "prepare"
    layout = Layout(name, **{"flags": "B", f"{first}_lsn": "Q", "end_lsn": "Q", f"{first}_time_us": "q", "xid": "I"})

    def read(data: bytes) -> tuple[StreamedMessage, int]:
        flags, *facts = layout.read(data, _FIELDS_AT)
        _refuse_flags(name, flags, _FIELDS_AT)
        gid, end = read_text(data, _FIELDS_AT + layout.size, name, "gid")
        return kind._make((*facts, gid)), end

    return read


def _refuse_flags(message: str, flags: int, at: int) -> None:
    if flags:
        raise UnexpectedByte(message=message, field="flags", offset=at, expected="0")


_TWO_PHASE: Final[Mapping[int, _Read]] = {
    ord("b"): _begin_prepare,
    ord("P"): _second_phase(Prepare),
    ord("p"): _second_phase(StreamPrepare),
    ord("K"): _second_phase(CommitPrepared),
    ord("r"): _rollback_prepared,
}
