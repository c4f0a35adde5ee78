"""The stream that a test runs, and what ends with it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import neo4j as neo4j_driver
import pytest

from tests import servers
from tests.acceptance.stream import Stream


@pytest.fixture
def driver(neo4j: servers.Neo4jServer) -> Iterator[neo4j_driver.Driver]:
    """A blocking driver on the empty graph."""
    with neo4j_driver.GraphDatabase.driver(
        neo4j.uri, auth=(neo4j.user, neo4j.password), notifications_min_severity="OFF"
    ) as opened:
        yield opened


@pytest.fixture
def stream(
    postgres: servers.Database, neo4j: servers.Neo4jServer, driver: neo4j_driver.Driver, tmp_path: Path
) -> Iterator[Stream]:
    """A stream from an empty database to an empty graph; its daemons end with the test."""
    made = Stream(f"test_{secrets.token_hex(4)}", postgres, neo4j, driver, tmp_path)
    yield made
    made.close()
