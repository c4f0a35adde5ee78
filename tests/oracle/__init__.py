"""The oracle: the graph that tables and mapping should give, and how it differs from what Neo4j holds.

Slow and simple on purpose, and without a line of the package under test, so that both can only be wrong independently.
"""

from pathlib import Path

import neo4j

from tests.oracle.actual import actual_graph
from tests.oracle.differ import differences
from tests.oracle.expected import Tables, expected_graph
from tests.oracle.graph import Claim, Graph, Node, Relationship
from tests.oracle.mapping_file import MappingFileError
from tests.oracle.value import Value

__all__ = [
    "Claim",
    "Graph",
    "MappingFileError",
    "Node",
    "Relationship",
    "Tables",
    "Value",
    "actual_graph",
    "assert_equal",
    "differences",
    "expected_graph",
]


def assert_equal(
    dsn: str, mapping: Path | str, driver: neo4j.Driver, *, database: str | None = None, ignore_foreign: bool = False
) -> None:
    """AssertionError with the first differences unless Neo4j holds exactly the graph of the tables."""
    expected = expected_graph(dsn, mapping)
    found = differences(expected, actual_graph(driver, database), ignore_foreign=ignore_foreign)
    if found:
        raise AssertionError(report(expected, found))


_SHOWN = 20


def report(expected: Graph, found: list[str]) -> str:
    """The first differences and how many there are in all."""
    rest = f"\n... and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    size = f"{len(expected.nodes)} nodes and {len(expected.relationships)} relationships expected"
    return f"{len(found)} differences ({size}):\n" + "\n".join(found[:_SHOWN]) + rest
