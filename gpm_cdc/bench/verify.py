"""`bench verify`: tables are filled, the daemon copies them, and comparisons are measured: equal, changed, damaged."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo4j
import psutil
import psycopg

from gpm_cdc import sandbox
from gpm_cdc.bench.measurement import Servers
from gpm_cdc.bench.stream import drain_quietly, environment, versions
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.bench import BenchRunFailed
from gpm_cdc.wording import say

type Tell = Callable[[str], None]
type Result = dict[str, Any]

MAPPING = """
version = 1

[[node]]
table = "public.item"
label = "Item"
key = ["id"]
[[node.relationship]]
columns = ["parent_id"]
type = "PARENT"
target = "public.item"
target_columns = ["id"]

[[node]]
table = "public.purchase"
label = "Purchase"
key = ["id"]
[[node.relationship]]
columns = ["item_id"]
type = "ITEM"
target = "public.item"
target_columns = ["id"]
"""

_SCHEMA = """
CREATE TABLE item (
    id bigint PRIMARY KEY, parent_id bigint NOT NULL, name text NOT NULL, email text NOT NULL, city text,
    amount double precision, active boolean, created timestamptz, score integer);
CREATE TABLE purchase (
    id bigint PRIMARY KEY, item_id bigint NOT NULL, buyer text, note text, amount double precision, paid boolean,
    created timestamptz, quantity integer);
"""
_FILLING = (
    """
    INSERT INTO item
    SELECT k, k * 7919 %% %(rows)s + 1, 'name ' || k, 'user' || k || '@example.com', 'city ' || k %% 100, k * 1.5,
           k %% 2 = 0, to_timestamp(1700000000 + k), k %% 1000
    FROM generate_series(1, %(rows)s::bigint) AS k
    """,
    """
    INSERT INTO purchase
    SELECT k, k * 104729 %% %(rows)s + 1, 'buyer ' || k %% 1000, 'note ' || k, k * 1.5, k %% 2 = 0,
           to_timestamp(1700000000 + k), k %% 10
    FROM generate_series(1, %(rows)s::bigint) AS k
    """,
)
_KEYS = """
ALTER TABLE item ADD FOREIGN KEY (parent_id) REFERENCES item;
ALTER TABLE purchase ADD FOREIGN KEY (item_id) REFERENCES item;
ANALYZE item, purchase
"""


def measure(
    box: sandbox.Sandbox, rows: int, repeats: int, tell: Tell, *, max_snapshot: float | None = None
) -> Iterator[Result]:
    """Compare `rows` nodes and as many relationships, `repeats` times, on a sandbox of its own, which is changed.

    Then what 1,000 updates have changed, incrementally, and then everything again, with 10 damaged nodes. The rows are
    half of one table, half of another, each with a foreign key. `max_snapshot` as `verify` takes it.
    """
    pids = {server.name: server.pid or 0 for server in sandbox.status(box.directory).servers}
    servers = Servers(pids["postgres"], pids["neo4j"])
    with tempfile.TemporaryDirectory(prefix="gpm-cdc-bench-") as directory:
        config = Path(directory) / "gpm-cdc.toml"
        config.write_text(MAPPING, encoding="utf-8")
        variables = environment(box, config)
        with psycopg.connect(box.postgres_dsn, autocommit=True) as connection:
            tell(say("writing {rows} rows", rows=f"{rows:,}"))
            connection.execute(_SCHEMA)
            for text in _FILLING:
                connection.execute(text, {"rows": rows // 2})
            connection.execute(_KEYS)
            tell(say("copying them into the graph"))
            drain_quietly(variables)
            found = versions(connection, box)
        for turn in range(1, repeats + 1):
            tell(say("comparing, {turn} of {count}", turn=turn, count=repeats))
            yield _result("verify.equal", _compare(variables, servers, max_snapshot), found)
        tell(say("comparing {count} changes", count=f"{_CHANGES:,}"))
        with psycopg.connect(box.postgres_dsn, autocommit=True) as connection:
            connection.execute(_CHANGING, {"step": max(1, rows // 2 // _CHANGES), "count": _CHANGES})
        drain_quietly(variables)
        yield _result("verify.incremental", _compare(variables, servers, max_snapshot, "--incremental"), found)
        tell(say("comparing {count} damaged nodes among the others", count=_DAMAGED))
        with neo4j.GraphDatabase.driver(box.neo4j_uri, auth=(box.neo4j_user, box.neo4j_password)) as driver:
            driver.execute_query(_DAMAGING, step=max(1, rows // 2 // _DAMAGED), count=_DAMAGED)
        damaged = _compare(variables, servers, max_snapshot)
        if damaged.report["finding_count"] != _DAMAGED:
            raise BenchRunFailed(detail=f"verify: {damaged.report['finding_count']}")
        yield _result("verify.damaged", damaged, found)


_CHANGES = 1_000
_CHANGING = "UPDATE item SET score = score + 1 WHERE id %% %(step)s = 0 AND id <= %(step)s::bigint * %(count)s"
_DAMAGED = 10
_DAMAGING = "UNWIND range(1, $count) AS k MATCH (n:Item {id: k * $step}) SET n.score = -1"
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Pass:
    """One run of `gpm-cdc verify`: its report, processor seconds of gpm-cdc, Postgres and Neo4j, peak memory."""

    report: Mapping[str, Any]
    cpu: Sequence[float]
    rss_peak_bytes: int


def _compare(variables: Mapping[str, str], servers: Servers, bound: float | None, *options: str) -> _Pass:
    command = [sys.executable, "-m", "gpm_cdc", "verify", "--json", *options]
    if bound is not None:
        command += ["--max-snapshot", f"{bound:g}"]
    before = servers.cpu()
    with (
        ThreadPoolExecutor(1) as aside,
        subprocess.Popen(command, env=dict(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,  # noqa: S603
    ):
        watched = aside.submit(_watch, process.pid)
        output, complaint = process.communicate()
        peak, own = watched.result()
    after = servers.cpu()
    if process.returncode not in (ExitCode.DONE, ExitCode.FINDING):
        raise BenchRunFailed(detail=complaint.decode().strip() or output.decode().strip()[-500:])
    return _Pass(json.loads(output), (own, after[0] - before[0], after[1] - before[1]), peak)


def _watch(pid: int) -> tuple[int, float]:
    """Peak memory and processor seconds of a process, looked at until it ends."""
    process = psutil.Process(pid)
    peak, seconds = 0, 0.0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            with process.oneshot():
                peak = max(peak, process.memory_info().rss)
                times = process.cpu_times()
        except psutil.NoSuchProcess:
            break
        seconds = float(times.user + times.system)
        time.sleep(_LOOK_SECONDS)
    return peak, seconds


def _result(name: str, passed: _Pass, found: dict[str, str]) -> Result:
    report = passed.report
    seconds = float(report["seconds"])
    return {
        "name": name,
        "rows": report["elements_checked"],
        "seconds": seconds,
        "rate": round(report["elements_checked"] / seconds),
        "cpu_seconds": dict(
            zip(("gpm_cdc", "postgres", "neo4j"), (round(each, 2) for each in passed.cpu), strict=True)
        ),
        "rss_peak_bytes": passed.rss_peak_bytes,
        "snapshot_seconds": max(held["seconds"] for held in report["snapshots"]),
        "snapshots": len(report["snapshots"]),
        "versions": found,
    }
