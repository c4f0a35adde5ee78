"""Frames as a server sends them, for tests."""

import struct


def data(payload: bytes) -> bytes:
    """A message in its frame."""
    return struct.pack(">cQQq", b"w", 0, 0, 0) + payload


def keepalive(wal_end: int, *, reply_requested: bool = False) -> bytes:
    """The server's keepalive."""
    return struct.pack(">cQqB", b"k", wal_end, 0, reply_requested)


def begin(end_lsn: int) -> bytes:
    """The start of the transaction that ends at `end_lsn`."""
    return data(struct.pack(">cQqI", b"B", end_lsn - 8, 0, 1))


def commit(end_lsn: int, time_us: int = 5) -> bytes:
    """The end of the transaction that ends at `end_lsn`."""
    return data(struct.pack(">cBQQq", b"C", 0, end_lsn - 8, end_lsn, time_us))


def relation(oid: int, table: str, *columns: str, key: int = 1) -> bytes:
    """A table of text columns, the first `key` of which identify a row."""
    head = struct.pack(">cI", b"R", oid) + b"public\0" + table.encode() + b"\0d" + struct.pack(">H", len(columns))
    return data(
        head
        + b"".join(
            struct.pack(">B", index < key) + name.encode() + b"\0" + struct.pack(">Ii", 25, -1)
            for index, name in enumerate(columns)
        )
    )


def row(*values: str | None) -> bytes:
    """A row of texts."""
    fields = [
        b"n" if value is None else b"t" + struct.pack(">I", len(value.encode())) + value.encode() for value in values
    ]
    return struct.pack(">H", len(values)) + b"".join(fields)


def insert(oid: int, *values: str | None) -> bytes:
    """A new row."""
    return data(struct.pack(">cIc", b"I", oid, b"N") + row(*values))


def delete(oid: int, *values: str | None) -> bytes:
    """A row that is gone, by its key."""
    return data(struct.pack(">cIc", b"D", oid, b"K") + row(*values))


def message(*, transactional: bool) -> bytes:
    """What pg_logical_emit_message sends."""
    return data(struct.pack(">cBQ", b"M", transactional, 1) + b"prefix\0" + struct.pack(">I", 2) + b"hi")


def origin() -> bytes:
    """Where a transaction came from."""
    return data(struct.pack(">cQ", b"O", 3) + b"elsewhere\0")
