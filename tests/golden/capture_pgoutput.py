"""Records what a real server sends on a replication connection, as golden files for the decoder's tests.

    python tests/golden/capture_pgoutput.py "postgresql://postgres@127.0.0.1:5432/postgres"

The server needs wal_level=logical and the role must be a superuser. A database of its own is made and dropped, its slot
is temporary. The result is pgoutput/<major version>.txt: one frame per line in hexadecimal below the name of the step
of scenario.sql that brought it about, and at the end one keepalive. Positions, transaction ids, times and oids are the
server's own and differ each time.
"""

import argparse
import select
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import pq

from gpm_cdc.domain.lsn import ZERO, Lsn, parse, render
from gpm_cdc.pgoutput.framing import Keepalive, parse_frame, standby_status
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US
from gpm_cdc.pgoutput.session import connection_options, start_replication

_DIRECTORY = Path(__file__).parent / "pgoutput"
NAME = "gpm_cdc_golden"
_PUBLICATIONS = ('golden, "root"', "it's leaves 😀")
_FOREIGN_SETTINGS = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Tokyo",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
}
"""The database's own defaults, to see that the pins of a connection win."""
_DEADLINE_SECONDS = 30.0


class Step(NamedTuple):
    """A named part of the scenario."""

    name: str
    sql: str


def read_scenario(text: str) -> tuple[str, list[Step]]:
    """The SQL before the slot exists, and the steps after."""
    before, *steps = text.partition("-- setup\n")[2].split("-- step: ")
    return before, [Step(*step.split("\n", 1)) for step in steps]


class Stream:
    """The receiving end of a replication connection, blocking."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._received = ZERO

    def start(self) -> None:
        """Make the temporary slot and let the stream begin."""
        self._command(f"CREATE_REPLICATION_SLOT {NAME} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')")
        self._command(start_replication(NAME, ZERO, _PUBLICATIONS))

    def frames_until(self, target: Lsn) -> tuple[list[bytes], bytes]:
        """The frames with data up to `target`, and the keepalive that says that it is reached."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        frames: list[bytes] = []
        while time.monotonic() < deadline:
            keepalive = self._ask(frames, deadline)
            if _wal_end(keepalive) >= target:
                self._received = target
                return frames, self._ask(frames, deadline)
        msg = f"the server did not reach {render(target)} in time"
        raise TimeoutError(msg)

    def _ask(self, frames: list[bytes], deadline: float) -> bytes:
        """Confirm what was received, and wait for the keepalive that answers."""
        clock_us = time.time_ns() // 1000 - POSTGRES_EPOCH_UNIX_US
        position = self._received
        self._pgconn.put_copy_data(standby_status(position, position, position, clock_us, reply_requested=True))
        self._pgconn.flush()
        while time.monotonic() < deadline:
            size, data = self._pgconn.get_copy_data(1)
            frame = bytes(data)
            if size > 0 and isinstance(parse_frame(frame), Keepalive):
                return frame
            if size > 0:
                frames.append(frame)
            elif size < 0:
                msg = f"the server ended the stream: {self._pgconn.get_result()}"
                raise ConnectionError(msg)
            else:
                select.select([self._pgconn.socket], [], [], 1.0)
                self._pgconn.consume_input()
        msg = "the server sent no keepalive in time"
        raise TimeoutError(msg)

    def _command(self, command: str) -> None:
        result = self._pgconn.exec_(command.encode())
        if result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_BOTH}:
            raise ConnectionError(result.error_message.decode())


@contextmanager
def private_database(dsn: str) -> Iterator[None]:
    """A database for this capture alone."""
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {NAME} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            for name, value in _FOREIGN_SETTINGS.items():
                server.execute(f"ALTER DATABASE {NAME} SET {name} = '{value}'")
            yield
        finally:
            server.execute(
                "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = %s", [NAME]
            )
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def capture(dsn: str, scenario: str) -> tuple[int, list[str]]:
    """The server's major version, and the lines of its golden file."""
    before, steps = read_scenario(scenario)
    options = connection_options()
    with (
        private_database(dsn),
        psycopg.connect(dsn, dbname=NAME, autocommit=True, options=options) as session,
        closing(
            psycopg.connect(dsn, dbname=NAME, autocommit=True, options=options, replication="database")
        ) as walsender,
    ):
        version = session.info.parameter_status("server_version")
        session.execute(before.encode())
        stream = Stream(walsender)
        stream.start()
        lines = [f"# server_version {version}"]
        position, keepalive = ZERO, b""
        for step in steps:
            session.execute(step.sql.encode())
            position = _position(session, "SELECT pg_current_wal_flush_lsn()")
            frames, keepalive = stream.frames_until(position)
            lines += [f"# step: {step.name}", *(frame.hex() for frame in frames)]
        lines += ["# step: the server answers a status with a keepalive", keepalive.hex()]
        confirmed = _position(
            session, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s", NAME
        )
        if confirmed != position:
            msg = f"the server took our confirmation of {render(position)} for {render(confirmed)}"
            raise AssertionError(msg)
        return session.info.server_version // 10_000, lines


def _wal_end(frame: bytes) -> Lsn:
    keepalive = parse_frame(frame)
    return keepalive.wal_end if isinstance(keepalive, Keepalive) else ZERO


def _position(session: psycopg.Connection[Any], query: LiteralString, *parameters: str) -> Lsn:
    row = session.execute(query, parameters).fetchone()
    if row is None:
        msg = f"no row from: {query}"
        raise LookupError(msg)
    return parse(row[0])


def main(arguments: Sequence[str]) -> None:
    """Capture from the server of the connection string that the arguments name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dsn", help="connection string of a superuser, to any database of the server")
    dsn = parser.parse_args(arguments).dsn
    major, lines = capture(dsn, (_DIRECTORY / "scenario.sql").read_text())
    path = _DIRECTORY / f"{major}.txt"
    path.write_text("\n".join(lines) + "\n")
    sys.stdout.write(f"{path}: {len(lines)} lines\n")


if __name__ == "__main__":
    main(sys.argv[1:])
