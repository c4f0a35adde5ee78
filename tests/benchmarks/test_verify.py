"""Comparisons of a large pair. `pytest -m benchmark tests/benchmarks/test_verify.py -s` prints the figures."""

import asyncio
import statistics
import sys

import pytest

from gpm_cdc import sandbox
from gpm_cdc.bench.verify import measure

ROWS = 1_000_000
TURNS = 5
"""The first ones warm Neo4j up: the median is that of a server that has run for a while."""
RATE = 150_000
"""Nodes and relationships per second."""
MEMORY_BYTES = 300_000_000
SNAPSHOT_SECONDS = 10.0
INCREMENTAL_SECONDS = 10.0
"""After 1,000 changes: far below a full pass."""


@pytest.mark.benchmark
@pytest.mark.timeout(1_800)
def test_a_million_nodes_and_relationships() -> None:
    """At least RATE, in bounded memory, and no snapshot for longer than it may be held; what changed, in seconds."""
    box = asyncio.run(sandbox.up(ephemeral=True))
    try:
        results = []
        for result in measure(box, ROWS, TURNS, lambda _: None, max_snapshot=SNAPSHOT_SECONDS):
            results.append(result)
            sys.stdout.write(
                f"\n{result['name']}: {result['rows']:,} elements,"
                f" {result['rate']:,} elements/s in {result['seconds']:.1f} s, {result['rss_peak_bytes'] / 1e6:.0f} MB,"
                f" {result['snapshots']} snapshots of {result['snapshot_seconds']:.1f} s at most,"
                f" CPU {result['cpu_seconds']}\n"
            )
            sys.stdout.flush()
    finally:
        asyncio.run(sandbox.down(box.directory))
    assert max(result["rss_peak_bytes"] for result in results) < MEMORY_BYTES
    assert max(result["snapshot_seconds"] for result in results) < SNAPSHOT_SECONDS
    seconds = {result["name"]: result["seconds"] for result in results}
    assert seconds["verify.incremental"] < INCREMENTAL_SECONDS
    assert statistics.median(result["rate"] for result in results if result["name"] == "verify.equal") >= RATE
