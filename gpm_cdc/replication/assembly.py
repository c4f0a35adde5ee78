"""Frames become whole transactions, in commit order."""

from collections.abc import Iterable
from typing import NamedTuple

from gpm_cdc.domain.changes import Change, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.stream import StreamDisordered
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.framing import Keepalive, parse_frame, payload_of
from gpm_cdc.pgoutput.messages import Begin, Commit, LogicalMessage

type Event = Relation | Change

_EVENTS = (Insert, Update, Delete, Relation, Truncate)
"""Made once: a union written out in the loop would be built anew for every row."""

MESSAGE_PREFIX = "gpm_cdc."
"""How the prefixes of messages to this program begin; the name of a stream follows."""

EVENT_BYTES = 256
"""What a decoded event weighs beside its text: the objects that hold it."""


class Transaction(NamedTuple):
    """A committed transaction: its events in order. `end_lsn` is the position after it, to checkpoint and confirm.

    `messages` are the transactional ones to this program. `oversized` are the oids of the relations
    that a transaction beyond the assembler's limit changed: of its events, only the Relations were kept.
    """

    end_lsn: Lsn
    commit_time_us: int
    events: list[Event]
    byte_count: int
    xid: int = 0
    messages: tuple[LogicalMessage, ...] = ()
    oversized: frozenset[int] = frozenset()


class Heartbeat(NamedTuple):
    """Everything before `position` that concerns the stream has been received."""

    position: Lsn
    reply_requested: bool


class Assembler:
    """Collects the messages between Begin and Commit. Feed it every frame, in order."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit` in bytes bounds what is kept of one transaction."""
        self._limit = limit
        self._events: list[Event] | None = None
        self._bytes = 0
        self._xid = 0
        self._messages: list[LogicalMessage] = []
        self._oversized: set[int] = set()

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
                self._hear(frame, done, inside=events is not None)
                continue
            message = decode(payload)
            if isinstance(message, _EVENTS):
                if events is None:
                    raise StreamDisordered(message=type(message).__name__)
                if self._oversized and not isinstance(message, Relation):
                    self._oversized.update(_relations(message))
                    continue
                events.append(message)
                size += len(payload)
            elif isinstance(message, Begin):
                events, size = [], 0
                self._xid = message.xid
            elif isinstance(message, Commit):
                if events is None:
                    raise StreamDisordered(message=type(message).__name__)
                done.append(self._complete(message, events, size))
                events = None
            elif isinstance(message, LogicalMessage):
                self._note(message)
        self._events, self._bytes = events, size
        self._bound()
        return done

    def _note(self, message: LogicalMessage) -> None:
        if message.transactional and message.prefix.startswith(MESSAGE_PREFIX):
            self._messages.append(message)

    def _hear(self, frame: bytes, done: list[Transaction | Heartbeat], *, inside: bool) -> None:
        keepalive = parse_frame(frame)
        if isinstance(keepalive, Keepalive) and not inside:
            done.append(Heartbeat(keepalive.wal_end, keepalive.reply_requested))
        elif isinstance(keepalive, Keepalive) and keepalive.reply_requested:
            done.append(Heartbeat(Lsn(0), reply_requested=True))

    def _complete(self, commit: Commit, events: list[Event], size: int) -> Transaction:
        messages, oversized = tuple(self._messages), frozenset(self._oversized)
        self._messages.clear()
        self._oversized.clear()
        return Transaction(commit.end_lsn, commit.commit_time_us, events, size, self._xid, messages, oversized)

    def _bound(self) -> None:
        """Forget the changes of a transaction that is too large to keep; which relations they concern is enough."""
        events = self._events
        if events is None or self._limit is None or self._bytes + EVENT_BYTES * len(events) <= self._limit:
            return
        for event in events:
            if not isinstance(event, Relation):
                self._oversized.update(_relations(event))
        self._events, self._bytes = [event for event in events if isinstance(event, Relation)], 0


def _relations(change: Change) -> tuple[int, ...]:
    return change.relations if isinstance(change, Truncate) else (change.relation,)
