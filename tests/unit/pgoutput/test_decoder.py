"""Single messages of the protocol, byte by byte as the Postgres documentation lays them out."""

import pytest

from gpm_cdc.domain.changes import UNCHANGED, Delete, Insert, Relation, RelationColumn, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.protocol import (
    InvalidText,
    MessageTruncated,
    ProtocolError,
    TrailingBytes,
    UnexpectedByte,
    UnknownMessage,
)
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.messages import Begin, Commit, LogicalMessage, Message, Origin, Type

BEGIN = bytes.fromhex("42 8000000000000001 00029f5d7c3b1a00 b2d05e00")
INSERT = bytes.fromhex("49 00004001 4e 0002 74 00000002 3432 6e")
DELETE = bytes.fromhex("44 00004001 4b 0002 74 00000001 31 6e")
COMMIT = bytes.fromhex("43 00 800000000000abcd 800000000000abff fffffffffffffff6")
RELATION = bytes.fromhex("52 ffffffff 7300 7400 64 0001 01 6100 80000001 ffffffff")
MESSAGE = bytes.fromhex("4d 01 8000000000000001 7000 00000002 00ff")

EXAMPLES: dict[str, tuple[bytes, Message]] = {
    "begin, every number in its upper half": (
        BEGIN,
        Begin(Lsn(0x8000000000000001), 738_173_818_444_288, 3_000_000_000),
    ),
    "commit, before 2000": (COMMIT, Commit(Lsn(0x800000000000ABCD), Lsn(0x800000000000ABFF), -10)),
    "origin": (bytes.fromhex("4f ffffffffffffffff c3a400"), Origin(Lsn(0xFFFFFFFFFFFFFFFF), "ä")),
    "relation, oids beyond 2^31": (
        RELATION,
        Relation(4_294_967_295, "s", "t", "d", (RelationColumn("a", 2_147_483_649, -1, in_identity=True),)),
    ),
    "relation without columns in pg_catalog": (
        bytes.fromhex("52 00000001 00 7400 6e 0000"),
        Relation(1, "pg_catalog", "t", "n", ()),
    ),
    "type in pg_catalog": (bytes.fromhex("59 80000000 00 6900"), Type(2_147_483_648, "pg_catalog", "i")),
    "insert": (INSERT, Insert(16385, ["42", None])),
    "insert of a row without columns": (bytes.fromhex("49 00004001 4e 0000"), Insert(16385, [])),
    "insert of an empty string": (bytes.fromhex("49 00004001 4e 0001 74 00000000"), Insert(16385, [""])),
    "insert of binary values": (
        bytes.fromhex("49 00004001 4e 0003 62 00000002 00ff 62 00000000 74 00000001 31"),
        Insert(16385, [b"\x00\xff", b"", "1"]),
    ),
    "insert into a relation of a high oid": (bytes.fromhex("49 80000001 4e 0000"), Insert(2_147_483_649, [])),
    "update without an old row": (
        bytes.fromhex("55 00004001 4e 0002 75 74 00000004 f09f9880"),
        Update(16385, None, None, [UNCHANGED, "😀"]),
    ),
    "update with an old key": (
        bytes.fromhex("55 00004001 4b 0002 74 00000001 4b 6e 4e 0002 74 00000001 4e 6e"),
        Update(16385, "K", ["K", None], ["N", None]),
    ),
    "update with an old row": (
        bytes.fromhex("55 00004001 4f 0001 74 00000001 4f 4e 0001 6e"),
        Update(16385, "O", ["O"], [None]),
    ),
    "update in a relation of a high oid": (
        bytes.fromhex("55 80000001 4e 0000"),
        Update(2_147_483_649, None, None, []),
    ),
    "delete from a relation of a high oid": (bytes.fromhex("44 80000001 4f 0000"), Delete(2_147_483_649, "O", [])),
    "delete by key": (DELETE, Delete(16385, "K", ["1", None])),
    "delete by row": (bytes.fromhex("44 00004001 4f 0001 74 00000001 31"), Delete(16385, "O", ["1"])),
    "truncate": (
        bytes.fromhex("54 00000002 00 00000001 ffffffff"),
        Truncate((1, 4_294_967_295), cascade=False, restart_identity=False),
    ),
    "truncate, cascade": (bytes.fromhex("54 00000000 01"), Truncate((), cascade=True, restart_identity=False)),
    "truncate, restart": (bytes.fromhex("54 00000000 02"), Truncate((), cascade=False, restart_identity=True)),
    "message": (
        MESSAGE,
        LogicalMessage(transactional=True, lsn=Lsn(0x8000000000000001), prefix="p", content=b"\x00\xff"),
    ),
    "message outside a transaction": (
        bytes.fromhex("4d 00 0000000000000001 00 00000000"),
        LogicalMessage(transactional=False, lsn=Lsn(1), prefix="", content=b""),
    ),
}


@pytest.mark.parametrize(("payload", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_message_is_read_field_by_field(payload: bytes, expected: Message) -> None:
    """Every field has its place, its size and its sign; the class is the exact one."""
    message = decode(payload)
    assert message == expected
    assert type(message) is type(expected)


@pytest.mark.parametrize("payload", [payload for payload, _ in EXAMPLES.values()], ids=EXAMPLES.keys())
def test_every_strict_prefix_is_refused(payload: bytes) -> None:
    """A message that ends too early is never taken for a shorter one."""
    for length in range(len(payload)):
        with pytest.raises(MessageTruncated) as caught:
            decode(payload[:length])
        assert caught.value.facts["offset"] == length


@pytest.mark.parametrize("payload", [payload for payload, _ in EXAMPLES.values()], ids=EXAMPLES.keys())
def test_trailing_bytes_are_refused(payload: bytes) -> None:
    """What follows a message means that its length was misread."""
    with pytest.raises(TrailingBytes) as caught:
        decode(payload + b"N")
    assert caught.value.facts["offset"] == len(payload)


def test_a_memoryview_is_read_like_bytes() -> None:
    """The driver's buffer can be passed as it is, and what is read does not refer to it."""
    buffer = bytearray(INSERT)
    message = decode(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert message == Insert(16385, ["42", None])


TRUNCATIONS: dict[str, tuple[bytes, str, str]] = {
    "nothing at all": (b"", "replication", "tag"),
    "first number": (BEGIN[:5], "Begin", "final_lsn"),
    "last number": (BEGIN[:-1], "Begin", "xid"),
    "name without its terminator": (RELATION[:6], "Relation", "schema"),
    "second name": (RELATION[:8], "Relation", "name"),
    "column count": (RELATION[:11], "Relation", "columns"),
    "column name": (RELATION[:14], "Relation", "columns.name"),
    "column modifier": (RELATION[:-1], "Relation", "columns.type_modifier"),
    "row's tag": (INSERT[:5], "Insert", "new"),
    "row's column count": (INSERT[:7], "Insert", "new"),
    "value's kind": (INSERT[:8], "Insert", "new[0]"),
    "value's length": (INSERT[:10], "Insert", "new[0]"),
    "value": (INSERT[:14], "Insert", "new[0]"),
    "second value": (INSERT[:15], "Insert", "new[1]"),
    "old value": (DELETE[:-1], "Delete", "old[1]"),
    "binary value": (bytes.fromhex("49 00004001 4e 0001 62 00000002 00"), "Insert", "new[0]"),
    "value of a length beyond 2^31": (bytes.fromhex("49 00004001 4e 0001 74 ffffffff 31"), "Insert", "new[0]"),
    "truncated tables": (bytes.fromhex("54 ffffffff 00 00000001"), "Truncate", "relations"),
    "content": (MESSAGE[:-1], "LogicalMessage", "content"),
}


@pytest.mark.parametrize(("payload", "message", "field"), TRUNCATIONS.values(), ids=TRUNCATIONS.keys())
def test_a_truncation_names_message_and_field(payload: bytes, message: str, field: str) -> None:
    """The error says which field of which message is cut, and where."""
    with pytest.raises(MessageTruncated) as caught:
        decode(payload)
    assert caught.value.facts == {"message": message, "field": field, "offset": len(payload)}


UNEXPECTED: dict[str, tuple[str, str, str, int, str]] = {
    "commit flags": ("43 01 000000000000abcd 000000000000abff 0000000000000000", "Commit", "flags", 1, "0"),
    "replica identity": ("52 00000001 7300 7400 78 0000", "Relation", "replica_identity", 9, "d, n, f, i"),
    "insert of an old row": ("49 00004001 4f 0000", "Insert", "new", 5, "N"),
    "update with an unknown row": ("55 00004001 44 0000", "Update", "new", 5, "K, O, N"),
    "update with two old rows": ("55 00004001 4b 0000 4f 0000", "Update", "new", 8, "N"),
    "delete of a new row": ("44 00004001 4e 0000", "Delete", "old_kind", 5, "K, O"),
    "kind of a value": ("49 00004001 4e 0002 6e 78", "Insert", "new[1]", 9, "n, u, t, b"),
    "length of a value": ("49 00004001 4e 0002 74 00000000 00", "Insert", "new[1]", 13, "n, u, t, b"),
    "kind of an old value": ("44 00004001 4b 0001 4b", "Delete", "old[0]", 8, "n, u, t, b"),
}


@pytest.mark.parametrize(
    ("payload", "message", "field", "offset", "expected"), UNEXPECTED.values(), ids=UNEXPECTED.keys()
)
def test_an_unexpected_byte_names_its_place(payload: str, message: str, field: str, offset: int, expected: str) -> None:
    """A byte that stands for something must be one that the protocol knows there."""
    with pytest.raises(UnexpectedByte) as caught:
        decode(bytes.fromhex(payload))
    assert caught.value.facts == {"message": message, "field": field, "offset": offset, "expected": expected}


@pytest.mark.parametrize("tag", sorted(set(range(256)) - set(b"BCORYIUDTM")))
def test_an_unknown_message_is_refused(tag: int) -> None:
    """Among them K, the tag of an old key, and the messages of later protocol versions."""
    with pytest.raises(UnknownMessage) as caught:
        decode(bytes([tag]) + INSERT[1:])
    assert caught.value.facts == {"tag": tag}


NOT_UTF_8: dict[str, tuple[str, str, str, int]] = {
    "origin": ("4f 0000000000000000 ff00", "Origin", "name", 9),
    "schema": ("59 00000001 c300 7400", "Type", "schema", 5),
    "relation": ("52 00000001 7300 e49400 64 0000", "Relation", "name", 7),
    "column": ("52 00000001 7300 7400 64 0001 00 c000 00000001 00000001", "Relation", "columns.name", 13),
    "prefix": ("4d 00 0000000000000001 f09f00 00000000", "LogicalMessage", "prefix", 10),
    "value": ("49 00004001 4e 0002 6e 74 00000002 61ff", "Insert", "new[1]", 14),
    "surrogate": ("55 00004001 4e 0001 74 00000003 eda080", "Update", "new[0]", 13),
    "old value": ("44 00004001 4b 0001 74 00000001 80", "Delete", "old[0]", 13),
}


@pytest.mark.parametrize(("payload", "message", "field", "offset"), NOT_UTF_8.values(), ids=NOT_UTF_8.keys())
def test_text_that_is_not_utf_8_is_refused(payload: str, message: str, field: str, offset: int) -> None:
    """No replacement characters: the value would differ from the table's without a sign."""
    with pytest.raises(InvalidText) as caught:
        decode(bytes.fromhex(payload))
    assert caught.value.facts == {"message": message, "field": field, "offset": offset}


def test_a_value_cut_inside_a_character_is_truncated_not_invalid() -> None:
    """The cause is named, not what follows from it."""
    with pytest.raises(MessageTruncated):
        decode(bytes.fromhex("49 00004001 4e 0001 74 00000004 f09f"))


ERRORS = [
    MessageTruncated(message="Insert", field="new[0]", offset=9),
    TrailingBytes(message="Begin", offset=21),
    UnexpectedByte(message="Delete", field="old_kind", offset=5, expected="K, O"),
    InvalidText(message="Insert", field="new[0]", offset=13),
    UnknownMessage(tag=0x62),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_can_be_told_to_a_person(error: ProtocolError) -> None:
    """All facts that the texts ask for are there, there is a remedy, and nobody is told that repeating helps."""
    assert str(error)
    assert error.advice
    assert error.exit_code is ExitCode.PERSON
    assert not error.retryable


def test_an_error_does_not_hold_row_values() -> None:
    """What is logged or reported of a broken message can be read by people who may not read the table."""
    payload = INSERT[:8] + b"t\x00\x00\x00\x06secret" + b"t\x00\x00\x00\x06\xffsecret"
    with pytest.raises(InvalidText) as caught:
        decode(payload)
    assert "secret" not in f"{caught.value} {caught.value.facts} {caught.value.advice}"
    assert caught.value.__suppress_context__
