"""Frames of the replication connection, byte by byte."""

import struct

import pytest

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.protocol import MessageTruncated, TrailingBytes, UnknownFrame
from gpm_cdc.pgoutput.framing import Keepalive, XLogData, parse_frame, payload_of, standby_status

DATA = bytes.fromhex("77 8000000000000001 ffffffffffffffff fffffffffffffff6") + b"payload"
KEEPALIVE = bytes.fromhex("6b ffffffffffffffff 00029f5d7c3b1a00 01")


def test_data_is_parsed() -> None:
    """Positions are unsigned, the time is signed, the rest is the payload."""
    expected = XLogData(Lsn(0x8000000000000001), Lsn(0xFFFFFFFFFFFFFFFF), -10, b"payload")
    assert parse_frame(DATA) == expected
    assert parse_frame(DATA[:25]) == expected._replace(payload=b"")


def test_a_keepalive_is_parsed() -> None:
    """Its last byte says whether the server waits for an answer."""
    expected = Keepalive(Lsn(0xFFFFFFFFFFFFFFFF), 738_173_818_444_288, reply_requested=True)
    assert parse_frame(KEEPALIVE) == expected
    assert parse_frame(KEEPALIVE[:-1] + b"\0") == expected._replace(reply_requested=False)


def test_a_payload_is_not_copied_out_of_a_buffer() -> None:
    """A memoryview's payload is a part of the same buffer."""
    frame = parse_frame(memoryview(DATA))
    assert isinstance(frame, XLogData)
    assert isinstance(frame.payload, memoryview)
    assert frame.payload.obj is DATA


def test_the_short_way_gives_the_same_payload() -> None:
    """From bytes and from a buffer, always as bytes; a frame without a message gives None."""
    assert payload_of(DATA) == b"payload"
    assert payload_of(memoryview(DATA)) == b"payload"
    assert type(payload_of(memoryview(DATA))) is bytes
    assert payload_of(DATA[:25]) == b""
    assert payload_of(KEEPALIVE) is None


@pytest.mark.parametrize("frame", [DATA[:25], KEEPALIVE], ids=["data", "keepalive"])
def test_every_strict_prefix_of_a_frame_is_refused(frame: bytes) -> None:
    """A frame that ends inside its header is seen, by way of a buffer too."""
    for length in range(len(frame)):
        for cut in (frame[:length], memoryview(frame)[:length]):
            with pytest.raises(MessageTruncated) as caught:
                parse_frame(cut)
            assert caught.value.facts["offset"] == length


def test_every_strict_prefix_of_a_header_is_refused_on_the_short_way() -> None:
    """A cut header is not taken for an empty message."""
    for length in range(25):
        with pytest.raises(MessageTruncated) as caught:
            payload_of(DATA[:length])
        assert caught.value.facts["offset"] == length


def test_a_keepalive_with_more_bytes_is_refused() -> None:
    """What follows a keepalive is not ignored."""
    with pytest.raises(TrailingBytes, match="complete after 18 bytes"):
        parse_frame(KEEPALIVE + b"\0")


def test_an_unknown_frame_is_refused() -> None:
    """The short way leaves the judgement to the long one."""
    assert payload_of(b"z") is None
    with pytest.raises(UnknownFrame, match="0x7a") as caught:
        parse_frame(b"z")
    assert caught.value.advice


def test_a_status_has_every_field_in_its_place() -> None:
    """Written, flushed and applied in this order, the clock, and whether a reply is wanted."""
    status = standby_status(Lsn(2**64 - 1), Lsn(2), Lsn(1), -10, reply_requested=True)
    assert status.hex(" ", -8) == bytes.fromhex(
        "72 ffffffffffffffff 0000000000000002 0000000000000001 fffffffffffffff6 01"
    ).hex(" ", -8)
    assert standby_status(Lsn(0), Lsn(0), Lsn(0), 0, reply_requested=False) == b"r" + bytes(33)


def test_a_status_refuses_what_is_no_position() -> None:
    """A position that does not fit is a mistake of ours and never reaches the server as another one."""
    with pytest.raises(struct.error):
        standby_status(Lsn(-1), Lsn(0), Lsn(0), 0, reply_requested=False)
