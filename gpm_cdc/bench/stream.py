"""`bench stream`: every workload through the daemon, and the ceiling of each operation in the same run."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

import gpm_cdc
from gpm_cdc import sandbox
from gpm_cdc.bench import ceiling
from gpm_cdc.bench.measurement import Figures, Servers, drain
from gpm_cdc.bench.workload import MAPPING, SCHEMA, Workload, prepare, write
from gpm_cdc.errors.bench import BenchRunFailed
from gpm_cdc.wording import say

OPERATIONS = ("insert", "update", "delete", "mixed")
SIZES = (1, 100, 1_000)
CEILING_SIZES = (5_000, 10_000, 20_000)
CEILING_ROWS = 100_000
_WARM_UP_ROWS = 60_000

type Tell = Callable[[str], None]
type Result = dict[str, Any]


def plan(rows: int, operations: Sequence[str], sizes: Sequence[int]) -> list[Workload]:
    """The workloads to measure. Transactions of one row are a tenth as many rows: writing them is what takes long."""
    return [
        Workload(operation, size, rows if size > 1 else max(rows // 10, 1))
        for operation in operations
        for size in sizes
    ]


def measure(box: sandbox.Sandbox, workloads: Sequence[Workload], repeats: int, tell: Tell) -> Iterator[Result]:
    """Measure each workload on a sandbox of its own, which is changed; results in the order of `workloads`.

    Stream and ceiling take turns, `repeats` times each, since the server gets faster while it is warm and the machine
    may have other work; medians are what is told.
    """
    status = sandbox.status(box.directory)
    pids = {server.name: server.pid or 0 for server in status.servers}
    with tempfile.TemporaryDirectory(prefix="gpm-cdc-bench-") as directory:
        config = Path(directory) / "gpm-cdc.toml"
        config.write_text(MAPPING, encoding="utf-8")
        with psycopg.connect(box.postgres_dsn, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute(SCHEMA)
            servers = Servers(pids["postgres"], pids["neo4j"])
            turns = _Turns(box, connection, environment(box, config), servers)
            drain_quietly(turns.environment)
            sizes = {}
            for operation in dict.fromkeys(workload.operation for workload in workloads):
                tell(say("warming up: {operation}", operation=operation))
                sizes[operation] = int(turns.ceiling(operation, _WARM_UP_ROWS, CEILING_SIZES)["size"])
                turns.stream(Workload(operation, 1_000, _WARM_UP_ROWS))
            for workload in workloads:
                tell(say("measuring {name}", name=workload.name))
                figures, ceilings = [], []
                for _ in range(repeats):
                    figures.append(turns.stream(workload))
                    best = [sizes[workload.operation]]
                    ceilings.append(turns.ceiling(workload.operation, CEILING_ROWS, best)["rate"])
                yield _result(workload, figures, statistics.median(ceilings), versions(connection, box))


@dataclass(frozen=True, slots=True)
class _Turns:
    """What is measured in turn on one pair of servers."""

    box: sandbox.Sandbox
    connection: psycopg.Connection[tuple[object, ...]]
    environment: dict[str, str]
    servers: Servers

    def stream(self, workload: Workload) -> Figures:
        """The daemon catching up with `workload`."""
        prepare(self.connection, workload)
        drain_quietly(self.environment)
        write(self.connection, workload)
        return drain(self.environment, self.servers)

    def ceiling(self, operation: str, rows: int, sizes: Sequence[int]) -> dict[str, float]:
        """The bare loop at the best of `sizes`; tables and graph are empty afterwards."""
        asked = {
            "uri": self.box.neo4j_uri,
            "user": self.box.neo4j_user,
            "password": self.box.neo4j_password,
            "name": operation,
            "rows": rows,
            "sizes": sizes,
        }
        # -P keeps the directory of the script off the path: its neighbours bear names of the standard library.
        command = [sys.executable, "-P", str(ceiling.__file__)]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise BenchRunFailed(detail=_complaint(done.stderr))
        # The graph is empty now; a stream that finds nothing to update there would be measured wrong.
        self.connection.execute("TRUNCATE item, purchase")
        drain_quietly(self.environment)
        measured: dict[str, float] = json.loads(done.stdout)
        return measured


def drain_quietly(environment: dict[str, str]) -> None:
    """Let a daemon catch up without measuring it."""
    command = [sys.executable, "-m", "gpm_cdc", "run", "--until-current"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BenchRunFailed(detail=_complaint(done.stderr))


def _complaint(text: str) -> str:
    """The line that says what went wrong: ours, or the last of another program."""
    lines = text.strip().splitlines() or ["-"]
    return next((line for line in lines if line.startswith("error: ")), lines[-1])


def environment(box: sandbox.Sandbox, config: Path) -> dict[str, str]:
    """The environment of a process that works on `box` by the mapping in `config`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GPM_")}
    return kept | {
        "GPM_POSTGRES_DSN": box.postgres_dsn,
        "GPM_NEO4J_URI": box.neo4j_uri,
        "GPM_NEO4J_USER": box.neo4j_user,
        "GPM_NEO4J_PASSWORD": box.neo4j_password,
        "GPM_CONFIG": str(config),
        "GPM_STREAM": "bench",
    }


def versions(connection: psycopg.Connection[tuple[object, ...]], box: sandbox.Sandbox) -> dict[str, str]:
    """What was measured, for the report."""
    neo4j = next(server.version for server in sandbox.status(box.directory).servers if server.name == "neo4j")
    return {
        "gpm_cdc": gpm_cdc.__version__,
        "python": platform.python_version(),
        "postgres": str(connection.info.parameter_status("server_version")),
        "neo4j": neo4j,
        "neo4j_driver": importlib.metadata.version("neo4j"),
    }


def _result(workload: Workload, measured: Sequence[Figures], ceiling_rate: float, versions: dict[str, str]) -> Result:
    figures = sorted(measured, key=lambda each: each.rows / each.seconds)[len(measured) // 2]
    rate = figures.rows / figures.seconds
    return {
        "name": workload.name,
        "rows": figures.rows,
        "seconds": round(figures.seconds, 3),
        "rate": round(rate),
        "ceiling_rate": round(ceiling_rate),
        "ratio": round(rate / ceiling_rate, 3),
        "cpu_seconds": {
            "gpm_cdc": round(figures.cpu_gpm_cdc, 2),
            "postgres": round(figures.cpu_postgres, 2),
            "neo4j": round(figures.cpu_neo4j, 2),
        },
        "rss_peak_bytes": figures.rss_peak_bytes,
        "versions": versions,
    }
