"""python -m tests.oracle DSN MAPPING NEO4J_URI [USER PASSWORD]: the differences, exit 1 if there are any."""

import sys
from pathlib import Path

import neo4j

from tests.oracle import actual_graph, differences, expected_graph, report


def main(dsn: str, mapping: str, uri: str, *credentials: str) -> int:
    """Compare and print."""
    expected = expected_graph(dsn, Path(mapping))
    with neo4j.GraphDatabase.driver(uri, auth=(credentials[0], credentials[1]) if credentials else None) as driver:
        found = differences(expected, actual_graph(driver))
    sys.stdout.write(f"{report(expected, found)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
