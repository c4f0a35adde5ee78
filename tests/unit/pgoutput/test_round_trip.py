"""Whatever a server can say is read back as it was meant: an encoder of its own, against the decoder."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.changes import UNCHANGED, Delete, Field, Insert, Relation, RelationColumn, Row, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.protocol import MessageTruncated, ProtocolError
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.framing import parse_frame
from gpm_cdc.pgoutput.messages import Begin, Commit, LogicalMessage, Message, Origin, Type


def encode(message: Message) -> bytes:  # noqa: C901, PLR0911 - one case for each kind
    """`message` as the documentation says that a server writes it."""
    match message:
        case Begin(final_lsn, time_us, xid):
            return b"B" + number(final_lsn, 8) + number(time_us, 8) + number(xid, 4)
        case Commit(commit_lsn, end_lsn, time_us):
            return b"C\0" + number(commit_lsn, 8) + number(end_lsn, 8) + number(time_us, 8)
        case Origin(commit_lsn, name):
            return b"O" + number(commit_lsn, 8) + text(name)
        case Relation(oid, schema, name, identity, columns):
            head = b"R" + number(oid, 4) + namespace(schema) + text(name) + identity.encode()
            return head + number(len(columns), 2) + b"".join(map(encode_column, columns))
        case Type(oid, schema, name):
            return b"Y" + number(oid, 4) + namespace(schema) + text(name)
        case Insert(relation, new):
            return b"I" + number(relation, 4) + b"N" + encode_row(new)
        case Update(relation, kind, old, new):
            before = b"" if kind is None or old is None else kind.encode() + encode_row(old)
            return b"U" + number(relation, 4) + before + b"N" + encode_row(new)
        case Delete(relation, kind, old):
            return b"D" + number(relation, 4) + kind.encode() + encode_row(old)
        case Truncate(relations, cascade, restart_identity):
            head = b"T" + number(len(relations), 4) + number(cascade + 2 * restart_identity, 1)
            return head + b"".join(number(relation, 4) for relation in relations)
        case LogicalMessage(transactional, lsn, prefix, content):
            return b"M" + number(transactional, 1) + number(lsn, 8) + text(prefix) + counted(content)


def encode_column(column: RelationColumn) -> bytes:
    """A column of a Relation."""
    return (
        number(column.in_identity, 1) + text(column.name) + number(column.type_oid, 4) + number(column.type_modifier, 4)
    )


def encode_row(row: Row) -> bytes:
    """A row: the number of its columns, then each with its kind."""
    return number(len(row), 2) + b"".join(map(encode_field, row))


def encode_field(field: Field) -> bytes:
    """A value with its kind."""
    if field is None:
        return b"n"
    if field is UNCHANGED:
        return b"u"
    return b"t" + counted(field.encode()) if isinstance(field, str) else b"b" + counted(field)


def number(value: int, size: int) -> bytes:
    """A number of `size` bytes; a negative one as its two's complement."""
    return (value % (1 << 8 * size)).to_bytes(size)


def counted(content: bytes) -> bytes:
    """Bytes after their number."""
    return number(len(content), 4) + content


def text(value: str) -> bytes:
    """A string and its terminator."""
    return value.encode() + b"\0"


def namespace(schema: str) -> bytes:
    """The name of a schema, nothing for pg_catalog."""
    return text("" if schema == "pg_catalog" else schema)


lsns = st.integers(0, 2**64 - 1).map(Lsn)
oids = st.integers(0, 2**32 - 1)
times = st.integers(-(2**63), 2**63 - 1)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
schemas = st.one_of(st.just("pg_catalog"), names.filter(bool))
values = st.text(st.characters(codec="utf-8"))
rows = st.lists(st.one_of(st.none(), st.just(UNCHANGED), values, st.binary(max_size=50)), max_size=20)
columns = st.builds(RelationColumn, names, oids, st.integers(-(2**31), 2**31 - 1), st.booleans())
messages = st.one_of(
    st.builds(Begin, lsns, times, oids),
    st.builds(Commit, lsns, lsns, times),
    st.builds(Origin, lsns, names),
    st.builds(Relation, oids, schemas, names, st.sampled_from("dnfi"), st.lists(columns, max_size=10).map(tuple)),
    st.builds(Type, oids, schemas, names),
    st.builds(Insert, oids, rows),
    st.builds(Update, oids, st.none(), st.none(), rows),
    st.builds(Update, oids, st.sampled_from("KO"), rows, rows),
    st.builds(Delete, oids, st.sampled_from("KO"), rows),
    st.builds(Truncate, st.lists(oids, max_size=10).map(tuple), st.booleans(), st.booleans()),
    st.builds(LogicalMessage, st.booleans(), lsns, names, st.binary()),
)


@given(messages)
def test_what_is_written_is_read_back(message: Message) -> None:
    """Decoding undoes encoding, for each message and each value it can hold."""
    decoded = decode(encode(message))
    assert decoded == message
    assert type(decoded) is type(message)


@given(messages, st.data())
def test_a_prefix_is_never_a_message(message: Message, data: st.DataObject) -> None:
    """Wherever a message is cut, the cut is seen."""
    payload = encode(message)
    length = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(MessageTruncated) as caught:
        decode(payload[:length])
    assert caught.value.facts["offset"] == length


@given(st.binary(), st.sampled_from(b"BCORYIUDTM"))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes, tag: int) -> None:
    """Nothing that can come from a connection raises any other error, and what is accepted was read to its end."""
    payload = bytes([tag]) + data
    try:
        message = decode(payload)
    except ProtocolError:
        return
    assert len(encode(message)) == len(payload)


@given(st.binary(), st.sampled_from([b"", b"w", b"k"]))
def test_any_bytes_are_a_frame_or_a_protocol_error(data: bytes, tag: bytes) -> None:
    """Nothing that can come from a connection raises any other error."""
    with suppress(ProtocolError):
        parse_frame(tag + data)
