"""One stream under test: its database, the graph, the mapping file, and the daemons that run it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import psycopg
from neo4j import Driver, Record

from tests import oracle, servers
from tests.acceptance.condition import until
from tests.acceptance.daemon import Daemon
from tests.patience import PATIENCE

CHECKPOINT = "MATCH (s:GpmCdcCheckpoint {stream: $stream})"
LOCKED_CHECKPOINT = f"{CHECKPOINT} SET s._lock = 1 REMOVE s._lock"
_SHOWN = "RETURN s.lsn AS lsn, s.ordinal AS ordinal, s.epoch AS epoch, s.phase AS phase, s.owner AS owner"
_NOTHING: Mapping[str, object] = MappingProxyType({})


class Checkpoint(NamedTuple):
    """The checkpoint node. Compares by position, then epoch."""

    lsn: int
    ordinal: int
    epoch: int
    phase: str
    owner: str


@dataclass(slots=True)
class Stream:
    """`driver` leads to the graph directly, whatever way a daemon takes."""

    name: str
    postgres: servers.Database | servers.PostgresServer
    neo4j: servers.Neo4jServer
    driver: Driver
    directory: Path
    _daemons: list[Daemon] = field(default_factory=list)

    @property
    def mapping(self) -> Path:
        """The mapping file of every command of this stream."""
        return self.directory / "gpm-cdc.toml"

    def environment(self, uri: str | None, tuning: Mapping[str, object]) -> dict[str, str]:
        """What a command gets; `uri` leads to the graph instead of its own address, `tuning` are settings by name."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GPM_", "PG"))}
        return inherited | {
            "GPM_POSTGRES_DSN": self.postgres.dsn,
            "GPM_NEO4J_URI": uri or self.neo4j.uri,
            "GPM_NEO4J_USER": self.neo4j.user,
            "GPM_NEO4J_PASSWORD": self.neo4j.password,
            "GPM_STREAM": self.name,
            **{f"GPM_{setting.upper()}": str(value) for setting, value in tuning.items()},
        }

    def command(self, *arguments: str, tuning: Mapping[str, object] = _NOTHING) -> subprocess.CompletedProcess[str]:
        """Run a command of gpm-cdc to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gpm_cdc", *arguments],
            env=self.environment(None, tuning),
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def map(self) -> str:
        """Write the inferred mapping; what the command said on stderr."""
        done = self.command("map", "--output", str(self.mapping))
        assert done.returncode == 0, done.stderr
        return done.stderr

    def run(self, *arguments: str, uri: str | None = None, tuning: Mapping[str, object] = _NOTHING) -> Daemon:
        """Start `gpm-cdc run`. The fixture ends what still runs after the test."""
        log = self.directory / f"daemon-{len(self._daemons)}.log"
        daemon = Daemon(["run", *arguments], self.environment(uri, tuning), log)
        self._daemons.append(daemon)
        return daemon

    def close(self) -> None:
        """End every daemon, and show what each said last, should the test have failed."""
        for number, daemon in enumerate(self._daemons):
            if daemon.running:
                daemon.kill()
            sys.stdout.write(f"--- daemon {number}, process {daemon.pid}\n{daemon.said[-1500:]}\n")

    def execute(self, *statements: str) -> None:
        """Run SQL statements, each in a transaction of its own."""
        with psycopg.connect(self.postgres.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def sql(self, text: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """The rows of one SQL query."""
        with psycopg.connect(self.postgres.dsn, autocommit=True) as connection:
            return connection.execute(text.encode(), parameters or None).fetchall()

    def cypher(self, text: str, **parameters: object) -> list[Record]:
        """The records of one Cypher query."""
        return self.driver.execute_query(text, parameters).records

    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint, read without its lock; None while there is none."""
        found = self.cypher(f"{CHECKPOINT} {_SHOWN}", stream=self.name)
        return Checkpoint(**found[0].data()) if found else None

    def confirmed(self) -> int:
        """The position that Postgres may have forgotten everything before; 0 without a slot."""
        rows = self.sql(
            "SELECT (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots WHERE slot_name = %s",
            [self.name],
        )
        return int(str(rows[0][0])) if rows and rows[0][0] is not None else 0

    def walsender(self) -> int | None:
        """The Postgres process that reads the slot."""
        rows = self.sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [self.name])
        return None if not rows or rows[0][0] is None else int(str(rows[0][0]))

    def log_end(self) -> int:
        """Where Postgres's log on disk ends now: everything that is committed lies before."""
        return int(str(self.sql("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint")[0][0]))

    def wait_checkpoint(
        self, what: str, *, epoch: int = 0, lsn: int = 0, phase: str | None = None, seconds: float = 60.0
    ) -> Checkpoint:
        """The first checkpoint seen that is of `epoch` and at `lsn`, or beyond, and in `phase` where one is named."""

        def reached() -> Checkpoint | None:
            found = self.checkpoint()
            if found is None or found.epoch < epoch or found.lsn < lsn:
                return None
            return found if phase in {None, found.phase} else None

        found = until(reached, what, seconds)
        assert found is not None
        return found

    def wait_current(self, seconds: float = 60.0) -> Checkpoint:
        """Wait until the graph includes everything that is committed now."""
        return self.wait_checkpoint("the graph is current", lsn=self.log_end(), phase="streaming", seconds=seconds)

    def assert_equal(self) -> None:
        """The graph is exactly what the tables and the mapping say, and the slot is not ahead of it."""
        oracle.assert_equal(self.postgres.dsn, self.mapping, self.driver)
        # In this order: both move on, also where nothing is written.
        confirmed, found = self.confirmed(), self.checkpoint()
        assert found is not None, "there is no checkpoint"
        assert found.phase == "streaming", found
        assert confirmed <= found.lsn, (confirmed, found)
