import itertools

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.changes import Insert, Relation
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.protocol import ProtocolError
from gpm_cdc.errors.stream import StreamDisordered
from gpm_cdc.replication.assembly import Assembler, Heartbeat, Transaction
from tests.unit.replication.frames import begin, commit, data, insert, keepalive, message, origin, relation

TABLE = relation(5, "t", "id", "name")
STREAM = [
    keepalive(50),
    message(transactional=False),
    begin(100),
    origin(),
    TABLE,
    insert(5, "1", "a"),
    keepalive(95),
    message(transactional=True),
    insert(5, "2", None),
    keepalive(96, reply_requested=True),
    commit(100, time_us=7),
    keepalive(110, reply_requested=True),
    begin(200),
    commit(200),
    begin(300),
    insert(5, "3", "c"),
    commit(300),
    keepalive(310),
]


def test_transactions_and_heartbeats() -> None:
    """Whole transactions in order; a keepalive inside one says nothing about progress, but may ask for an answer."""
    items = Assembler().feed(STREAM)
    assert [(item.end_lsn, len(item.events)) for item in items if isinstance(item, Transaction)] == [
        (100, 3),
        (200, 0),
        (300, 1),
    ]
    assert [item if isinstance(item, Heartbeat) else item.end_lsn for item in items] == [
        Heartbeat(Lsn(50), reply_requested=False),
        Heartbeat(Lsn(0), reply_requested=True),
        100,
        Heartbeat(Lsn(110), reply_requested=True),
        200,
        300,
        Heartbeat(Lsn(310), reply_requested=False),
    ]
    first = next(item for item in items if isinstance(item, Transaction))
    assert first.commit_time_us == 7
    assert [type(event) for event in first.events] == [Relation, Insert, Insert]
    assert first.events[1:] == [Insert(5, ["1", "a"]), Insert(5, ["2", None])]


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    """However the frames arrive in pieces, the same transactions come out."""
    assembler = Assembler()
    places = [0, *sorted(cuts), len(STREAM)]
    items = [item for first, last in itertools.pairwise(places) for item in assembler.feed(STREAM[first:last])]
    assert items == Assembler().feed(STREAM)
    assert not assembler.inside


def test_byte_count_is_that_of_the_rows() -> None:
    """A transaction knows how much text it holds; what comes before it does not count."""
    small, large = (
        item
        for item in Assembler().feed(
            [begin(10), TABLE, insert(5, "1", "a"), commit(10), begin(20), insert(5, "1", "a" * 1_000), commit(20)]
        )
        if isinstance(item, Transaction)
    )
    assert small.byte_count < 100
    assert 1_000 < large.byte_count < 1_100


def test_inside() -> None:
    """Between Begin and Commit a transaction is open."""
    assembler = Assembler()
    assembler.feed([begin(100)])
    assert assembler.inside
    assembler.feed([insert(5, "1", "a"), commit(100)])
    assert not assembler.inside


@pytest.mark.parametrize("frames", [[insert(5, "1", "a")], [commit(100)], [begin(10), commit(10), TABLE]])
def test_rows_outside_of_a_transaction_are_an_error(frames: list[bytes]) -> None:
    """A stream out of order must not be guessed at."""
    with pytest.raises(StreamDisordered):
        Assembler().feed(frames)


@pytest.mark.parametrize("frame", [b"", b"x", data(b""), data(b"?"), b"k123"])
def test_broken_frames_are_protocol_errors(frame: bytes) -> None:
    """Bytes that no server sends are named, not passed over."""
    with pytest.raises(ProtocolError):
        Assembler().feed([frame])
