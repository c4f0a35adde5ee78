"""One message that means a million elements. `pytest -m benchmark tests/benchmarks -s` prints the figures."""

import sys
import time
from unittest.mock import patch

import pytest

from tests.integration.core import pipeline
from tests.integration.core.pipeline import Pipeline, following
from tests.servers import Database, Neo4jServer

SECONDS = 400.0
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


def count(stream: Pipeline) -> tuple[int, int]:
    """How many nodes of the mapping and how many relationships there are."""
    found = stream.driver.execute_query("RETURN COUNT { (:Hub) } + COUNT { (:Spoke) }, COUNT { ()-->() }").records[0]
    return found[0], found[1]


@pytest.mark.benchmark
@pytest.mark.timeout(SECONDS * 3)
async def test_truncate_of_a_million_and_a_hub(postgres: Database, neo4j: Neo4jServer) -> None:
    """A hub with 300,000 relationships goes, then a table of a million rows is emptied."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    with patch.object(pipeline, "SECONDS", SECONDS):
        async with following(postgres, neo4j, MAPPING) as stream:
            assert count(stream) == (1_000_001, 300_000)
            for script, left in (("DELETE FROM hub", (1_000_000, 0)), ("TRUNCATE spoke", (0, 0))):
                started = time.monotonic()
                await stream.execute(script)
                await stream.caught_up()
                sys.stdout.write(f"\n{script}: {time.monotonic() - started:.1f} s\n")
                assert count(stream) == left
