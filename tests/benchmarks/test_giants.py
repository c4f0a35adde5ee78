"""Transactions that mean millions of elements.

`pytest -m benchmark tests/benchmarks/test_giants.py -s` prints the figures. Bounded memory is seen on both sides: that
of the daemon's process, and Neo4j's, which keeps all of a transaction in memory and has less for it than any of these
would need in one piece.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.acceptance.condition import until
from tests.acceptance.stream import Stream

SECONDS = 1_500.0
ROWS = 5_000_000
DAEMON_BYTES = 450_000_000
SCHEMA = """
CREATE TABLE hub (id int PRIMARY KEY);
CREATE TABLE spoke (id int PRIMARY KEY, hub int);
INSERT INTO hub VALUES (1);
INSERT INTO spoke SELECT n, CASE WHEN n <= 300000 THEN 1 END FROM generate_series(1, 1000000) AS n;
"""
MAPPING = """
version = 1
[[node]]
table = "public.hub"
label = "Hub"
key = ["id"]
[[node]]
table = "public.spoke"
label = "Spoke"
key = ["id"]
[[node.relationship]]
columns = ["hub"]
type = "HUB"
target = "public.hub"
target_columns = ["id"]
enforced = false
"""


class Peak:
    """The most memory that any process had which was looked at."""

    def __init__(self) -> None:
        self.bytes = 0
        self.pid = 0
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the process `pid`, which may become another one, as long as the block lasts."""

        def look() -> None:
            while not self._over.wait(0.1):
                try:
                    self.bytes = max(self.bytes, psutil.Process(self.pid).memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()


def count(stream: Stream) -> tuple[int, int]:
    """How many nodes of the mapping and how many relationships there are."""
    found = stream.cypher("RETURN COUNT { (:Hub) } + COUNT { (:Spoke) } AS nodes, COUNT { ()-->() } AS edges")[0]
    return found["nodes"], found["edges"]


@pytest.mark.benchmark
@pytest.mark.timeout(SECONDS * 3)
def test_giants(stream: Stream) -> None:
    """A hub with 300,000 relationships goes, a million rows are emptied, five million inserted, with a kill inside.

    The next process goes on inside, too.
    """
    stream.execute(*(part for part in SCHEMA.split(";") if part.strip()))
    stream.mapping.write_text(MAPPING)
    peak = Peak()
    daemon = stream.run()
    peak.pid = daemon.pid
    with peak.watched():
        stream.wait_current(SECONDS)
        assert count(stream) == (1_000_001, 300_000)
        giants = (
            ("DELETE FROM hub", (1_000_000, 0)),
            ("TRUNCATE spoke", (0, 0)),
            ("INSERT INTO spoke SELECT generate_series(1, 5000000)", (ROWS, 0)),
        )
        for number, (script, left) in enumerate(giants):
            started = time.monotonic()
            stream.execute(script)
            written = time.monotonic()
            if number == len(giants) - 1:
                until(lambda: count(stream)[0] > ROWS // 4, "a quarter of them is there", SECONDS)
                daemon.kill()
                daemon = stream.run()
                peak.pid = daemon.pid
                daemon.wait_line("going on reading", seconds=SECONDS)
            stream.wait_current(SECONDS)
            now = time.monotonic()
            sys.stdout.write(
                f"\n{script}: {written - started:.1f} s in Postgres, in the graph {now - written:.1f} s later;"
                f" daemon {peak.bytes / 1e6:.0f} MB at most\n"
            )
            sys.stdout.flush()
            assert count(stream) == left
    assert daemon.running
    assert peak.bytes < DAEMON_BYTES
