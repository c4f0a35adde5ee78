"""Records what a real server sends with pgoutput's protocols 2 to 4, as golden files for the decoder's tests.

    python tests/golden/capture_streamed.py "postgresql://postgres@127.0.0.1:5432/postgres"

As capture_pgoutput.py, but the server needs max_prepared_transactions > 0 too. The result is
streamed/<major version>-<protocol>.txt.gz: one frame per line in hexadecimal below the name of its step. Large
transactions are made of many small rows, since a server streams what exceeds logical_decoding_work_mem, 64 kB at the
least.
"""

# ruff: noqa: S608 - SQL from constants of this file

import argparse
import gzip
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, LiteralString, override

import psycopg

from gpm_cdc.domain.lsn import ZERO, Lsn, parse
from gpm_cdc.pgoutput.session import connection_options
from tests.golden.capture_pgoutput import NAME, Step, Stream, private_database

DIRECTORY = Path(__file__).parent / "streamed"
PROTOCOLS = {15: (2, 3), 16: (2, 3, 4), 17: (2, 3, 4), 18: (2, 3, 4)}
_ROWS = 900

SETUP = """
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE item (id positive PRIMARY KEY, note text);
CREATE TABLE other (id integer PRIMARY KEY);
CREATE PUBLICATION streamed FOR TABLE item, other;
"""
_FILL = f"INSERT INTO item SELECT generate_series(1, {_ROWS})"
STEPS = (
    Step("a small transaction", "INSERT INTO item VALUES (100000, 'small')"),
    Step("a large one", f"{_FILL}; SELECT pg_logical_emit_message(true, 'told', 'within'); TRUNCATE other"),
    Step("updates, deletes and a subtransaction that was rolled back", f"""
        BEGIN; UPDATE item SET note = 'n'; SAVEPOINT a; DELETE FROM item WHERE id <= {_ROWS}; ROLLBACK TO a;
        UPDATE item SET id = id + 50000 WHERE id < 10; COMMIT"""),
    Step("two phases, committed", """
        BEGIN; INSERT INTO other VALUES (1); PREPARE TRANSACTION 'first ü'; COMMIT PREPARED 'first ü'"""),
    Step("two phases, rolled back", """
        BEGIN; INSERT INTO other VALUES (2); PREPARE TRANSACTION 'second'; ROLLBACK PREPARED 'second'"""),
    Step("two phases, large", f"""
        BEGIN; DELETE FROM item WHERE id BETWEEN 10 AND {_ROWS}; PREPARE TRANSACTION 'third';
        COMMIT PREPARED 'third'"""),
    Step("a message outside of any transaction", """
        SELECT pg_logical_emit_message(false, 'told', 'outside'); INSERT INTO other VALUES (3)"""),
)  # fmt: skip


class StreamedStream(Stream):
    """Of one protocol, with everything asked for that it has."""

    def __init__(self, connection: psycopg.Connection[Any], protocol: int) -> None:
        super().__init__(connection)
        self._protocol = protocol

    @override
    def start(self) -> None:
        two_phase = self._protocol >= 3
        streaming = "parallel" if self._protocol >= 4 else "on"
        options = {
            "proto_version": str(self._protocol),
            "publication_names": "streamed",
            "messages": "on",
            "streaming": streaming,
            **({"two_phase": "on"} if two_phase else {}),
        }
        listed = ", ".join(f"{name} '{value}'" for name, value in options.items())
        kind = ", TWO_PHASE" if two_phase else ""
        self._command(f"CREATE_REPLICATION_SLOT {NAME} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing'{kind})")
        self._command(f"START_REPLICATION SLOT {NAME} LOGICAL 0/0 ({listed})")


def capture(dsn: str, protocol: int) -> list[str]:
    """The lines of the golden file of `protocol`."""
    options = f"{connection_options()} -c logical_decoding_work_mem=64kB"
    with (
        private_database(dsn),
        psycopg.connect(dsn, dbname=NAME, autocommit=True) as session,
        closing(psycopg.connect(dsn, dbname=NAME, autocommit=True, options=options, replication="database")) as sender,
    ):
        session.execute(SETUP)
        stream = StreamedStream(sender, protocol)
        stream.start()
        lines = [f"# server_version {session.info.parameter_status('server_version')}"]
        for step in STEPS:
            for statement in step.sql.split(";") if "PREPARE" in step.sql else [step.sql]:
                session.execute(statement.encode())
            frames, _ = stream.frames_until(_position(session, "SELECT pg_current_wal_flush_lsn()"))
            lines += [f"# step: {step.name}", *(frame.hex() for frame in frames)]
        return lines


def _position(session: psycopg.Connection[Any], query: LiteralString) -> Lsn:
    row = session.execute(query).fetchone()
    return ZERO if row is None else parse(row[0])


def main(arguments: Sequence[str]) -> None:
    """Capture every protocol that the server of the connection string speaks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dsn", help="connection string of a superuser, to any database of the server")
    dsn = parser.parse_args(arguments).dsn
    with psycopg.connect(dsn) as connection:
        major = connection.info.server_version // 10_000
    DIRECTORY.mkdir(exist_ok=True)
    for protocol in PROTOCOLS[major]:
        path = DIRECTORY / f"{major}-{protocol}.txt.gz"
        content = "\n".join(capture(dsn, protocol)) + "\n"
        path.write_bytes(gzip.compress(content.encode(), mtime=0))
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
