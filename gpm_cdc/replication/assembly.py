"""Frames become whole transactions, in commit order."""

from collections.abc import Iterable
from typing import NamedTuple

from gpm_cdc.domain.changes import Change, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.stream import StreamDisordered
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.framing import Keepalive, parse_frame, payload_of
from gpm_cdc.pgoutput.messages import Begin, Commit

type Event = Relation | Change

_EVENTS = (Insert, Update, Delete, Relation, Truncate)
"""Made once: a union written out in the loop would be built anew for every row."""


class Transaction(NamedTuple):
    """A committed transaction: its events in order. `end_lsn` is the position after it, to checkpoint and confirm."""

    end_lsn: Lsn
    commit_time_us: int
    events: list[Event]
    byte_count: int


class Heartbeat(NamedTuple):
    """Everything before `position` that concerns the stream has been received."""

    position: Lsn
    reply_requested: bool


class Assembler:
    """Collects the messages between Begin and Commit. Feed it every frame, in order."""

    def __init__(self) -> None:
        self._events: list[Event] | None = None
        self._bytes = 0

    @property
    def inside(self) -> bool:
        """Whether a transaction has begun whose Commit has not arrived."""
        return self._events is not None

    def feed(self, frames: Iterable[bytes]) -> list[Transaction | Heartbeat]:
        """What `frames` complete, in order. Raises the errors of pgoutput, and StreamDisordered out of order."""
        done: list[Transaction | Heartbeat] = []
        events, size = self._events, self._bytes
        for frame in frames:
            payload = payload_of(frame)
            if payload is None:
                keepalive = parse_frame(frame)
                if isinstance(keepalive, Keepalive) and events is None:
                    done.append(Heartbeat(keepalive.wal_end, keepalive.reply_requested))
                elif isinstance(keepalive, Keepalive) and keepalive.reply_requested:
                    done.append(Heartbeat(Lsn(0), reply_requested=True))
                continue
            message = decode(payload)
            if isinstance(message, _EVENTS):
                if events is None:
                    raise StreamDisordered(message=type(message).__name__)
                events.append(message)
                size += len(payload)
            elif isinstance(message, Begin):
                events, size = [], 0
            elif isinstance(message, Commit):
                if events is None:
                    raise StreamDisordered(message=type(message).__name__)
                done.append(Transaction(message.end_lsn, message.commit_time_us, events, size))
                events = None
        self._events, self._bytes = events, size
        return done
