"""The sessions that write: pgbench, which comes with the sandbox's Postgres."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpm_cdc.sandbox.postgres import psql
from tests.soak.scripts import MIXED, SPARING

SESSIONS = 8
_SPARING_SESSIONS = 2
_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")


@dataclass(frozen=True, slots=True)
class Load:
    """Transactions per second, of those sessions that are not sparing and of those that are."""

    mixed: float
    sparing: float


class Writers:
    """SESSIONS sessions that write for some seconds. `close` ends them before."""

    def __init__(self, dsn: str, directory: Path, load: Load, *, seconds: int, seed: int) -> None:
        parts = [("mixed", MIXED, SESSIONS - _SPARING_SESSIONS, load.mixed)]
        parts.append(("sparing", SPARING, _SPARING_SESSIONS, load.sparing))
        self._processes = [
            _start(dsn, _written(directory / name, scripts), clients, rate, (seconds, seed))
            for name, scripts, clients, rate in parts
        ]

    @property
    def running(self) -> bool:
        """Whether any of them has time left."""
        return any(process.poll() is None for process in self._processes)

    def done(self) -> tuple[int, int]:
        """Wait for their end: how many transactions they made, and how many were given up for deadlocks.

        AssertionError if a session ended early: then a script of ours does what Postgres refuses.
        """
        made = failed = 0
        for process in self._processes:
            said, errors = process.communicate()
            assert process.returncode == 0, errors[-2000:]
            made += sum(map(int, _PROCESSED.findall(said)))
            failed += sum(map(int, _FAILED.findall(said)))
        return made, failed

    def close(self) -> None:
        """End them at once."""
        for process in self._processes:
            with process:
                process.kill()


def _written(directory: Path, scripts: Mapping[str, tuple[str, int]]) -> list[str]:
    """The options that name the scripts, which are written to files."""
    directory.mkdir()
    options = []
    for name, (text, weight) in scripts.items():
        path = directory / f"{name}.sql"
        path.write_text(text)
        options.append(f"--file={path}@{weight}")
    return options


def _start(dsn: str, scripts: list[str], clients: int, rate: float, span: tuple[int, int]) -> subprocess.Popen[str]:
    seconds, seed = span
    options = [f"--client={clients}", f"--rate={rate:g}", f"--time={seconds}", f"--random-seed={seed}"]
    return subprocess.Popen(
        [psql().with_name("pgbench"), "--no-vacuum", "--max-tries=9", *options, *scripts, dsn],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
