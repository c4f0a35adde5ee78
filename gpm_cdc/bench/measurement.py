"""One measured stretch of a daemon: its rate by its own log, its processor time and memory by the operating system."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psutil

from gpm_cdc.errors.bench import BenchRunFailed
from gpm_cdc.observability import keys

_NOT_A_WINDOW = 0.001


@dataclass(frozen=True, slots=True)
class Figures:
    """`seconds` from the beginning of the first write to the last commit; processor seconds since the stream began."""

    rows: int
    seconds: float
    cpu_gpm_cdc: float
    cpu_postgres: float
    cpu_neo4j: float
    rss_peak_bytes: int


@dataclass(frozen=True, slots=True)
class Servers:
    """The processes whose time is counted: Postgres with all its children, and Neo4j."""

    postgres: int
    neo4j: int

    def cpu(self) -> tuple[float, float]:
        """Processor seconds so far of (Postgres, Neo4j). Children of Postgres that have ended are counted with it."""
        return _tree(psutil.Process(self.postgres)), _own(psutil.Process(self.neo4j))


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _tree(process: psutil.Process) -> float:
    ended = process.cpu_times()
    total = float(ended.user + ended.system + ended.children_user + ended.children_system)
    for child in process.children(recursive=True):
        try:
            total += _own(child)
        except psutil.NoSuchProcess:
            continue
    return total


def drain(environment: Mapping[str, str], servers: Servers) -> Figures:
    """Run a daemon until everything that is committed is in the graph."""
    command = [sys.executable, "-m", "gpm_cdc", "run", "--until-current"]
    lines: list[dict[str, object]] = []
    first: tuple[float, float, float] | None = None
    last: tuple[float, float, float] = (0.0, 0.0, 0.0)
    peak = 0
    with subprocess.Popen(command, env=dict(environment), stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        daemon = psutil.Process(process.pid)
        for line in process.stderr or ():
            if not line.startswith("{"):
                lines.append({"event": line.strip()})
                continue
            lines.append(json.loads(line))
            if lines[-1]["event"] not in {"streaming", "batch"}:
                continue
            peak = max(peak, daemon.memory_info().rss)
            last = (_own(daemon), *servers.cpu())
            if first is None:
                first = last
    batches = [line for line in lines if line["event"] == "batch"]
    if process.returncode != 0 or first is None or not batches:
        raise BenchRunFailed(detail=_tail(lines))
    return Figures(
        rows=sum(int(str(line[keys.CHANGE_COUNT])) for line in batches),
        seconds=max(_time(batches[-1]) - _time(batches[0]) + _elapsed(batches[0]), _NOT_A_WINDOW),
        cpu_gpm_cdc=last[0] - first[0],
        cpu_postgres=last[1] - first[1],
        cpu_neo4j=last[2] - first[2],
        rss_peak_bytes=peak,
    )


def _elapsed(line: Mapping[str, object]) -> float:
    return float(str(line[keys.ELAPSED_SECONDS]))


def _time(line: Mapping[str, object]) -> float:
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()


def _tail(lines: Sequence[Mapping[str, object]]) -> str:
    return " | ".join(str(line["event"]) for line in lines[-3:])
