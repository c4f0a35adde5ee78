"""Protocols 2 to 4: what real servers sent (tests/golden/streamed), and messages made by hand."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.changes import Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.protocol import MessageTruncated, ProtocolError, TrailingBytes, UnexpectedByte, UnknownMessage
from gpm_cdc.pgoutput.framing import Keepalive, parse_frame
from gpm_cdc.pgoutput.messages import Begin, Commit, LogicalMessage, Origin, Type
from gpm_cdc.pgoutput.streamed import StreamedDecoder
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

GOLDEN = Path(__file__).parents[2] / "golden" / "streamed"
CAPTURES = sorted(path.name.removesuffix(".txt.gz") for path in GOLDEN.glob("*.txt.gz"))
ROWS = 900

COMMITTED = {
    "a small transaction": {"insert": 1},
    "a large one": {"insert": ROWS, "message": 1, "truncate": 1},
    "updates, deletes and a subtransaction that was rolled back": {"update": ROWS + 1 + 9},
    "two phases, committed": {"insert": 1},
    "two phases, rolled back": {},
    "two phases, large": {"delete": ROWS - 9},
    "a message outside of any transaction": {"message": 1, "insert": 1},
}
"""What each step of the capture committed, whatever the protocol."""


def payloads(name: str) -> Iterator[tuple[str, list[bytes]]]:
    """The steps of a capture with the messages that each brought."""
    steps: list[tuple[str, list[bytes]]] = []
    for line in gzip.decompress((GOLDEN / f"{name}.txt.gz").read_bytes()).decode().splitlines():
        if line.startswith("# step: "):
            steps.append((line.removeprefix("# step: "), []))
        elif not line.startswith("#"):
            frame = parse_frame(bytes.fromhex(line))
            assert not isinstance(frame, Keepalive)
            steps[-1][1].append(bytes(frame.payload))
    yield from steps


def decoder_of(name: str) -> StreamedDecoder:
    """The decoder for a capture."""
    protocol = int(name.partition("-")[2])
    return StreamedDecoder(protocol, parallel=protocol == 4)


class Consumer:
    """Counts what is committed, as the documentation says that a consumer has to treat these messages."""

    def __init__(self) -> None:
        self.committed: Counter[str] = Counter()
        self._segment: int | None = None
        self._open: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._prepared: dict[str, list[str]] = {}
        self._current: list[str] = []

    def feed(self, message: StreamedMessage) -> None:  # noqa: C901, PLR0912 - one case for each kind
        """The next message."""
        match message:
            case StreamStart():
                self._segment = message.xid
            case StreamStop():
                self._segment = None
            case Streamed():
                assert self._segment is not None
                self._open[self._segment] += [(message.xid, kind) for kind in kinds(message.message)]
            case StreamCommit():
                self.committed.update(kind for _, kind in self._open.pop(message.xid))
            case StreamAbort():
                kept = [each for each in self._open[message.xid] if each[0] != message.subxid]
                self._open[message.xid] = [] if message.subxid == message.xid else kept
            case Begin() | BeginPrepare():
                self._current = []
            case Commit():
                self.committed.update(self._current)
            case Prepare():
                self._prepared[message.gid] = self._current
            case StreamPrepare():
                self._prepared[message.gid] = [kind for _, kind in self._open.pop(message.xid)]
            case CommitPrepared():
                self.committed.update(self._prepared.pop(message.gid))
            case RollbackPrepared():
                del self._prepared[message.gid]
            case LogicalMessage(transactional=False):
                self.committed.update(["message"])
            case _:
                self._current += kinds(message)


def kinds(message: object) -> list[str]:
    """The name of a change; nothing for what only describes."""
    match message:
        case Insert() | Update() | Delete() | Truncate():
            return [type(message).__name__.lower()]
        case LogicalMessage():
            return ["message"]
        case _:
            assert isinstance(message, Relation | Type)
            return []


def test_every_version_and_protocol_is_captured() -> None:
    """Each protocol that a supported version speaks."""
    assert CAPTURES == ["15-2", "15-3", "16-2", "16-3", "16-4", "17-2", "17-3", "17-4", "18-2", "18-3", "18-4"]


@pytest.mark.parametrize("name", CAPTURES)
def test_golden_frames_say_what_was_committed(name: str) -> None:
    """Read as a consumer reads them, all protocols of all versions tell the same."""
    decoder, consumer = decoder_of(name), Consumer()
    seen: set[type] = set()
    for step, messages in payloads(name):
        consumer.committed.clear()
        for payload in messages:
            message = decoder.decode(payload)
            seen.add(type(message))
            consumer.feed(message)
        assert dict(consumer.committed) == COMMITTED[step], step
    assert {StreamStart, StreamStop, StreamCommit, StreamAbort, Streamed} <= seen
    if not name.endswith("-2"):
        assert {BeginPrepare, Prepare, StreamPrepare, CommitPrepared, RollbackPrepared} <= seen


@pytest.mark.parametrize("name", CAPTURES)
def test_every_prefix_of_a_golden_message_raises(name: str) -> None:
    """One message of each kind, cut anywhere; and with a byte too many."""
    decoder, tried = decoder_of(name), set()
    for _, messages in payloads(name):
        for payload in messages:
            message = decoder.decode(payload)
            kind = (type(message), type(message.message)) if isinstance(message, Streamed) else type(message)
            if kind in tried or isinstance(message, StreamStart | StreamStop):
                continue
            tried.add(kind)
            for end in range(len(payload)):
                with pytest.raises(MessageTruncated):
                    decoder.decode(payload[:end])
            with pytest.raises(TrailingBytes):
                decoder.decode(payload + b"\0")


def test_protocol_4_tells_where_it_aborted() -> None:
    """Only with streaming = parallel."""
    for name in ("18-3", "18-4"):
        decoder = decoder_of(name)
        aborts = [
            message
            for _, messages in payloads(name)
            for message in map(decoder.decode, messages)
            if isinstance(message, StreamAbort)
        ]
        assert aborts
        assert all((abort.abort_lsn is not None) is (name == "18-4") for abort in aborts)


def test_kinds_of_a_later_protocol() -> None:
    """A message that the protocol does not have is unknown; so is a protocol that nobody speaks."""
    begin = b"b" + bytes(28) + b"gid\0"
    assert StreamedDecoder(3).decode(begin) == BeginPrepare(Lsn(0), Lsn(0), 0, 0, "gid")
    with pytest.raises(UnknownMessage):
        StreamedDecoder(2).decode(begin)
    with pytest.raises(UnknownMessage):
        StreamedDecoder(1).decode(b"E")
    with pytest.raises(ValueError, match="protocol 5"):
        StreamedDecoder(5)


def test_segments_do_not_nest() -> None:
    """A start within a segment and a stop outside of one are not what a server sends."""
    decoder = StreamedDecoder(2)
    start = b"S" + (7).to_bytes(4) + b"\1"
    with pytest.raises(UnknownMessage):
        decoder.decode(b"E")
    assert decoder.decode(start) == StreamStart(7, first=True)
    with pytest.raises(UnknownMessage):
        decoder.decode(start)
    assert decoder.decode(b"I" + (0xFFFFFFFF).to_bytes(4) + (5).to_bytes(4) + b"N\0\1n") == Streamed(
        0xFFFFFFFF, Insert(5, [None])
    )
    assert isinstance(decoder.decode(b"O" + bytes(8) + b"name\0"), Origin)
    assert decoder.decode(b"E") == StreamStop()


def test_flags_are_none() -> None:
    """Flags that no version sends are refused: what they mean is not known."""
    with pytest.raises(UnexpectedByte):
        StreamedDecoder(2).decode(b"c" + bytes(4) + b"\1" + bytes(24))
    with pytest.raises(UnexpectedByte):
        StreamedDecoder(3).decode(b"P\1" + bytes(28) + b"gid\0")


@given(st.sampled_from((1, 2, 3, 4)), st.booleans(), st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes(protocol: int, parallel: bool, messages: list[bytes]) -> None:  # noqa: FBT001 - drawn
    """Whatever arrives is a message or one of our errors."""
    decoder = StreamedDecoder(protocol, parallel=parallel)
    for payload in messages:
        with suppress(ProtocolError):
            assert decoder.decode(payload) is not None
