"""A second slot that only sees `counter`: which commit made which count, learned without the code under test."""

import struct
from bisect import bisect_right
from typing import Self

import psycopg

_COMMIT = struct.Struct("!cBQQq")


class Witness:
    """Make it before the load, ask it after the load."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = f"{name}_witness"
        self._ends: list[int] = []
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE PUBLICATION {self._name} FOR TABLE counter")
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [self._name])
            row = connection.execute("SELECT n FROM counter").fetchone()
        assert row is not None
        self._before = int(row[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [self._name])

    def learn(self) -> int:
        """Read every commit so far; how many there are."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
                " 'proto_version', '1', 'publication_names', %s)",
                [self._name, self._name],
            ).fetchall()
        for (data,) in rows:
            if data[:1] == b"C":
                _, _, _, end, _ = _COMMIT.unpack(data)
                self._ends.append(end)
        assert self._ends == sorted(self._ends)
        return len(self._ends)

    def count_at(self, lsn: int) -> int:
        """The counter after every transaction whose commit ends at or before `lsn`."""
        return self._before + bisect_right(self._ends, lsn)
