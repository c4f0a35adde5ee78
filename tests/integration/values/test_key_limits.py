"""The limits of keys against the indexes of a real Neo4j."""

from collections.abc import Iterator

import neo4j
import pytest

from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.keys import KEY_BYTES, check_key
from gpm_cdc.domain.types import ValueType, value_type
from gpm_cdc.errors.values import KeyNotStorable
from tests import servers


@pytest.fixture
def graph(neo4j: servers.Neo4jServer) -> Iterator[neo4j.Session]:
    """A session on a graph with a uniqueness constraint on one, and one on four properties."""
    with driver(neo4j) as connected, connected.session(database="neo4j") as session:
        session.run("CREATE CONSTRAINT one_key FOR (n:OneKey) REQUIRE n.a IS UNIQUE").consume()
        session.run("CREATE CONSTRAINT four_key FOR (n:FourKey) REQUIRE (n.a, n.b, n.c, n.d) IS UNIQUE").consume()
        session.run("CALL db.awaitIndexes(60)").consume()
        yield session
        session.run("DROP CONSTRAINT one_key").consume()
        session.run("DROP CONSTRAINT four_key").consume()
        session.run("MATCH (n:OneKey|FourKey) DELETE n").consume()


def driver(server: servers.Neo4jServer) -> neo4j.Driver:
    """A driver for `server`."""
    return neo4j.GraphDatabase.driver(
        server.uri, auth=(server.user, server.password), notifications_min_severity="OFF", telemetry_disabled=True
    )


def accepted(wires: list[object]) -> bool:
    """Whether the key passes the check."""
    try:
        check_key(wires, label="Key", columns=["a"])  # type: ignore[arg-type]
    except KeyNotStorable:
        return False
    return True


def merge(graph: neo4j.Session, label: str, expressions: list[str], wires: list[object]) -> None:
    """Merge one node by its key."""
    pattern = ", ".join(
        f"{name}: {expression.format(v=f'$w[{number}]')}"
        for number, (name, expression) in enumerate(zip("abcd", expressions, strict=False))
    )
    graph.run(f"MERGE (n:{label} {{{pattern}}})", w=wires).consume()


def plain(name: str) -> ValueType:
    """The type of a built-in Postgres type."""
    return value_type(PgType(0, "pg_catalog", name))


SINGLE: dict[str, object] = {
    "ascii": "x" * KEY_BYTES,
    "two bytes a character": "é" * (KEY_BYTES // 2),
    "four bytes a character": "\U0001f600" * (KEY_BYTES // 4),
    "bytes": b"x" * KEY_BYTES,
    "integers": [2**60] * (KEY_BYTES // 8),
    "floats": [0.1] * (KEY_BYTES // 8),
    "texts": ["abc"] * (KEY_BYTES // 5),
    "empty texts": [""] * (KEY_BYTES // 2),
    "infinity": float("inf"),
    "greatest integer": 2**63 - 1,
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_key_at_the_limit_is_accepted_by_both(graph: neo4j.Session, kind: str) -> None:
    """What passes the check passes the index."""
    assert accepted([SINGLE[kind]])
    merge(graph, "OneKey", ["{v}"], [SINGLE[kind]])


LARGEST = {
    "int8": "5",
    "float8": "1.5",
    "timestamptz": "2020-01-01 00:00:00+00",
    "timetz": "03:04:05+05:53:28",
    "interval": "1 mon -00:00:01",
    "point": "(1,2)",
    "text": "",
}


@pytest.mark.parametrize("name", LARGEST)
def test_a_composite_key_at_the_limit_is_accepted_by_both(graph: neo4j.Session, name: str) -> None:
    """What Neo4j adds to each value fits between our limit and its own."""
    other = plain(name)
    wire = other.decode(LARGEST[name])
    length = KEY_BYTES
    while not accepted(["x" * length, wire, wire, wire]):
        length -= 1
    assert length > KEY_BYTES - 150
    expression = other.expression or "{v}"
    merge(graph, "FourKey", ["{v}", expression, expression, expression], ["x" * length, wire, wire, wire])


@pytest.mark.parametrize(
    "wire", ["x" * 8165, "é" * 4083, [1] * 1021, [""] * 4083, float("nan")], ids=lambda wire: str(wire)[:9]
)
def test_a_key_that_neo4j_aborts_on_is_refused_before(graph: neo4j.Session, wire: object) -> None:
    """Each of these ends a transaction in Neo4j."""
    assert not accepted([wire])
    with pytest.raises(neo4j.exceptions.Neo4jError):
        merge(graph, "OneKey", ["{v}"], [wire])
