"""The frames inside COPY data on a replication connection: what the server sends, and the client's one answer.

From the chapter "Streaming Replication Protocol" of the Postgres documentation. All times, those that callers pass
included, are microseconds since 2000-01-01 00:00 UTC.
"""

import struct
from typing import Final, NamedTuple

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.protocol import MessageTruncated, TrailingBytes, UnknownFrame
from gpm_cdc.pgoutput.fields import Layout

_XLOG_DATA: Final = ord("w")
_KEEPALIVE: Final = ord("k")
_STATUS: Final = ord("r")
_XLOG_DATA_HEADER: Final = Layout("XLogData", start="Q", end="Q", send_time_us="q")
_KEEPALIVE_BODY: Final = Layout("Keepalive", wal_end="Q", send_time_us="q", reply_requested="B")
_PAYLOAD_AT: Final = 1 + _XLOG_DATA_HEADER.size
_KEEPALIVE_SIZE: Final = 1 + _KEEPALIVE_BODY.size
_pack_status: Final = struct.Struct(">BQQQqB").pack


class XLogData(NamedTuple):
    """A message with its place in the log. `payload` is a slice of the frame, of the same kind as the frame.

    `start` and `end` do not measure progress: both are 0 for a Relation or a Type. Only a Commit's own `end_lsn` says
    how far the stream has come.
    """

    start: Lsn
    end: Lsn
    send_time_us: int
    payload: bytes | memoryview


class Keepalive(NamedTuple):
    """The server is there. Everything before `wal_end` that concerns the stream has been sent ahead of it.

    With `reply_requested` the server ends the connection unless a standby status arrives soon.
    """

    wal_end: Lsn
    send_time_us: int
    reply_requested: bool


type Frame = XLogData | Keepalive


def parse_frame(frame: bytes | memoryview) -> Frame:
    """The content of one COPY data message. Raises MessageTruncated, TrailingBytes and UnknownFrame."""
    tag = _tag(frame)
    if tag == _XLOG_DATA:
        start, end, send_time_us = _XLOG_DATA_HEADER.read(frame, 1)
        return XLogData(start, end, send_time_us, frame[_PAYLOAD_AT:])
    if tag != _KEEPALIVE:
        raise UnknownFrame(tag=tag)
    wal_end, send_time_us, reply_requested = _KEEPALIVE_BODY.read(frame, 1)
    if len(frame) != _KEEPALIVE_SIZE:
        raise TrailingBytes(message="Keepalive", offset=_KEEPALIVE_SIZE)
    return Keepalive(wal_end, send_time_us, bool(reply_requested))


def payload_of(frame: bytes | memoryview) -> bytes | None:
    """The message inside an XLogData frame, None for a frame of another kind: `parse_frame` tells which.

    The way for a loop that sees every row: it leaves the header unread and copies the payload once, into the bytes that
    `decode` reads in place. Raises MessageTruncated.
    """
    if len(frame) < _PAYLOAD_AT or frame[0] != _XLOG_DATA:
        if _tag(frame) != _XLOG_DATA:
            return None
        _XLOG_DATA_HEADER.read(frame, 1)
    return bytes(frame[_PAYLOAD_AT:])


def standby_status(written: Lsn, flushed: Lsn, applied: Lsn, clock_us: int, *, reply_requested: bool) -> bytes:
    """The frame that tells the server how far we are; every position is the first byte not yet dealt with.

    Postgres believes it: the slot forgets what is before `flushed`, so a position beyond what was received loses
    changes for good. A lower one than before is ignored. `reply_requested` asks for a keepalive at once.
    """
    return _pack_status(_STATUS, written, flushed, applied, clock_us, reply_requested)


def _tag(frame: bytes | memoryview) -> int:
    if not frame:
        raise MessageTruncated(message="replication", field="tag", offset=0)
    return frame[0]
