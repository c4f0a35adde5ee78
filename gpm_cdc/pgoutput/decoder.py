"""One pgoutput message of protocol version 1, from bytes to the class that stands for it.

Each kind of message has one function, chosen by the message's first byte. It starts to read at the position it is
given, so that later protocol versions (`streamed`), which put a transaction id there, share it; and it returns where it
stopped, so that `decode` alone checks that nothing is left over.

The letters K and O are tags of old rows in here and kinds of messages in other places; only the position tells.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Final, Literal

from gpm_cdc.domain.changes import Delete, Insert, Relation, RelationColumn, Row, Truncate, Update
from gpm_cdc.errors.protocol import MessageTruncated, TrailingBytes, UnexpectedByte, UnknownMessage
from gpm_cdc.pgoutput.fields import Layout, read_bytes, read_row, read_text
from gpm_cdc.pgoutput.messages import Begin, Commit, LogicalMessage, Message, Origin, Type

type _Read = Callable[[bytes, int], tuple[Message, int]]

_NEW: Final = ord("N")
_OLD_KINDS: Final[Mapping[int, Literal["K", "O"]]] = {ord("K"): "K", ord("O"): "O"}
_REPLICA_IDENTITIES: Final = b"dnfi"
_IN_IDENTITY: Final = 1
_CASCADE: Final = 1
_RESTART_IDENTITY: Final = 2
_TRANSACTIONAL: Final = 1
_OID_SIZE: Final = 4

_BEGIN: Final = Layout("Begin", final_lsn="Q", commit_time_us="q", xid="I")
_COMMIT: Final = Layout("Commit", flags="B", commit_lsn="Q", end_lsn="Q", commit_time_us="q")
_ORIGIN: Final = Layout("Origin", commit_lsn="Q")
_RELATION: Final = Layout("Relation", oid="I")
_RELATION_SHAPE: Final = Layout("Relation", replica_identity="B", columns="H")
_COLUMN: Final = Layout("Relation", **{"columns.flags": "B"})
_COLUMN_TYPE: Final = Layout("Relation", **{"columns.type_oid": "I", "columns.type_modifier": "i"})
_TYPE: Final = Layout("Type", oid="I")
_INSERT: Final = Layout("Insert", relation="I", new="B")
_UPDATE: Final = Layout("Update", relation="I", old_kind="B")
_UPDATE_NEW: Final = Layout("Update", new="B")
_DELETE: Final = Layout("Delete", relation="I", old_kind="B")
_TRUNCATE: Final = Layout("Truncate", relations="I", flags="B")
_LOGICAL_MESSAGE: Final = Layout("LogicalMessage", flags="B", lsn="Q")


def decode(payload: bytes | memoryview, fields_at: int = 1) -> Message:
    """The one message that `payload` is, from its first byte to its last; its fields begin at `fields_at`.

    Raises a subclass of ProtocolError: MessageTruncated, TrailingBytes, UnknownMessage, UnexpectedByte, InvalidText.
    `bytes` are read in place; a `memoryview` is copied once.
    """
    if not isinstance(payload, bytes):
        payload = bytes(payload)
    try:
        read = _READERS[payload[0]]
    except IndexError:
        raise MessageTruncated(message="replication", field="tag", offset=0) from None
    except KeyError:
        raise UnknownMessage(tag=payload[0]) from None
    message, end = read(payload, fields_at)
    if end != len(payload):
        raise TrailingBytes(message=type(message).__name__, offset=end)
    return message


def _begin(data: bytes, at: int) -> tuple[Begin, int]:
    return Begin._make(_BEGIN.read(data, at)), at + _BEGIN.size


def _commit(data: bytes, at: int) -> tuple[Commit, int]:
    flags, commit_lsn, end_lsn, commit_time_us = _COMMIT.read(data, at)
    if flags:
        raise UnexpectedByte(message="Commit", field="flags", offset=at, expected="0")
    return Commit(commit_lsn, end_lsn, commit_time_us), at + _COMMIT.size


def _origin(data: bytes, at: int) -> tuple[Origin, int]:
    (commit_lsn,) = _ORIGIN.read(data, at)
    name, end = read_text(data, at + _ORIGIN.size, "Origin", "name")
    return Origin(commit_lsn, name), end


def _relation(data: bytes, at: int) -> tuple[Relation, int]:
    (oid,) = _RELATION.read(data, at)
    schema, at = _schema(data, at + _RELATION.size, "Relation")
    name, at = read_text(data, at, "Relation", "name")
    identity, count = _RELATION_SHAPE.read(data, at)
    if identity not in _REPLICA_IDENTITIES:
        raise UnexpectedByte(message="Relation", field="replica_identity", offset=at, expected="d, n, f, i")
    at += _RELATION_SHAPE.size
    columns = []
    for _ in range(count):
        column, at = _relation_column(data, at)
        columns.append(column)
    return Relation(oid, schema, name, chr(identity), tuple(columns)), at


def _relation_column(data: bytes, at: int) -> tuple[RelationColumn, int]:
    (flags,) = _COLUMN.read(data, at)
    name, at = read_text(data, at + _COLUMN.size, "Relation", "columns.name")
    oid, modifier = _COLUMN_TYPE.read(data, at)
    return RelationColumn(name, oid, modifier, bool(flags & _IN_IDENTITY)), at + _COLUMN_TYPE.size


def _type(data: bytes, at: int) -> tuple[Type, int]:
    (oid,) = _TYPE.read(data, at)
    schema, at = _schema(data, at + _TYPE.size, "Type")
    name, at = read_text(data, at, "Type", "name")
    return Type(oid, schema, name), at


def _schema(data: bytes, at: int, message: str) -> tuple[str, int]:
    """A schema's name; pg_catalog is sent as an empty string."""
    name, end = read_text(data, at, message, "schema")
    return name or "pg_catalog", end


def _insert(data: bytes, at: int) -> tuple[Insert, int]:
    relation, kind = _INSERT.read(data, at)
    at += _INSERT.size
    if kind != _NEW:
        raise UnexpectedByte(message="Insert", field="new", offset=at - 1, expected="N")
    new, end = read_row(data, at, "Insert", "new")
    return Insert(relation, new), end


def _update(data: bytes, at: int) -> tuple[Update, int]:
    relation, kind = _UPDATE.read(data, at)
    at += _UPDATE.size
    old: Row | None = None
    old_kind = _OLD_KINDS.get(kind)
    if old_kind is not None:
        old, at = read_row(data, at, "Update", "old")
        (kind,) = _UPDATE_NEW.read(data, at)
        at += _UPDATE_NEW.size
    if kind != _NEW:
        expected = "K, O, N" if old is None else "N"
        raise UnexpectedByte(message="Update", field="new", offset=at - 1, expected=expected)
    new, end = read_row(data, at, "Update", "new")
    return Update(relation, old_kind, old, new), end


def _delete(data: bytes, at: int) -> tuple[Delete, int]:
    relation, kind = _DELETE.read(data, at)
    at += _DELETE.size
    old_kind = _OLD_KINDS.get(kind)
    if old_kind is None:
        raise UnexpectedByte(message="Delete", field="old_kind", offset=at - 1, expected="K, O")
    old, end = read_row(data, at, "Delete", "old")
    return Delete(relation, old_kind, old), end


def _truncate(data: bytes, at: int) -> tuple[Truncate, int]:
    count, flags = _TRUNCATE.read(data, at)
    at += _TRUNCATE.size
    end = at + count * _OID_SIZE
    if end > len(data):
        raise MessageTruncated(message="Truncate", field="relations", offset=len(data))
    relations = struct.unpack_from(f">{count}I", data, at)
    return Truncate(relations, bool(flags & _CASCADE), bool(flags & _RESTART_IDENTITY)), end


def _logical_message(data: bytes, at: int) -> tuple[LogicalMessage, int]:
    flags, lsn = _LOGICAL_MESSAGE.read(data, at)
    prefix, at = read_text(data, at + _LOGICAL_MESSAGE.size, "LogicalMessage", "prefix")
    content, end = read_bytes(data, at, "LogicalMessage", "content")
    return LogicalMessage(bool(flags & _TRANSACTIONAL), lsn, prefix, content), end


_READERS: Final[Mapping[int, _Read]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("I"): _insert,
    ord("U"): _update,
    ord("D"): _delete,
    ord("T"): _truncate,
    ord("M"): _logical_message,
}
