"""What Neo4j holds, read whole with plain Cypher, temporal values as components: the driver cannot hold every year."""

from collections.abc import Callable, Iterable, Sequence

import neo4j
from neo4j.spatial import Point

from tests.oracle.graph import Graph, Node, Relationship
from tests.oracle.value import Properties, Value, float_value, list_value

_OURS = {"GpmCdcCheckpoint", "GpmCdcTouched"}
_NANOSECONDS = 1_000_000_000

_COMPONENTS = {
    "DATE": "[duration.inDays(date({year: 1970, month: 1, day: 1}), x).days]",
    "LOCAL DATETIME": "[duration.inSeconds(localdatetime({year: 1970}), x).seconds, x.nanosecond]",
    "ZONED DATETIME": (
        "[duration.inSeconds(datetime({epochSeconds: 0}), x).seconds, x.nanosecond, x.offsetSeconds, x.timezone]"
    ),
    "LOCAL TIME": "[x.hour, x.minute, x.second, x.nanosecond]",
    "ZONED TIME": "[x.hour, x.minute, x.second, x.nanosecond, x.offsetSeconds]",
    "DURATION": "[x.months, x.days, x.seconds, x.nanosecondsOfSecond]",
}


def _property_expression(holder: str) -> str:
    """[name, type, content] of every property; bytes, points and plain values as the driver gives them."""
    cases = "".join(
        f" WHEN '{name} NOT NULL' THEN [x IN [v] | {components}][0]"
        f" WHEN 'LIST<{name} NOT NULL> NOT NULL' THEN [x IN v | {components}]"
        for name, components in _COMPONENTS.items()
    )
    return f"[k IN keys({holder}) | [v IN [{holder}[k]] | [k, valueType(v), CASE valueType(v){cases} ELSE v END]][0]]"


_NODES = f"MATCH (n) RETURN elementId(n), labels(n), {_property_expression('n')}"
_RELATIONSHIPS = f"MATCH (a)-[r]->(b) RETURN elementId(a), type(r), elementId(b), {_property_expression('r')}"


def actual_graph(driver: neo4j.Driver, database: str | None = None) -> Graph:
    """Everything in the database except checkpoints and journals. Writers must be still: two statements read it."""
    with driver.session(database=database, default_access_mode=neo4j.READ_ACCESS) as session:
        nodes = tuple(
            Node(handle, frozenset(labels), _properties(properties))
            for handle, labels, properties in session.run(_NODES)
            if _OURS.isdisjoint(labels)
        )
        handles = {node.handle for node in nodes}
        relationships = tuple(
            Relationship(start, kind, end, _properties(properties))
            for start, kind, end, properties in session.run(_RELATIONSHIPS)
            if start in handles and end in handles
        )
    return Graph(nodes, relationships)


def _properties(triples: Iterable[tuple[str, str, object]]) -> Properties:
    return {name: _value(kind.removesuffix(" NOT NULL"), content) for name, kind, content in triples}


def _value(kind: str, content: object) -> Value:
    """The typed value; `kind` is what valueType says, without its NOT NULL."""
    if isinstance(content, (bytes, bytearray)):
        return Value("BYTES", bytes(content))
    if isinstance(content, list) and kind.startswith("LIST<"):
        inner = kind.removeprefix("LIST<").removesuffix(">").removesuffix(" NOT NULL")
        return list_value([_scalar(inner, element) for element in content])
    return _scalar(kind, content)


def _scalar(kind: str, content: object) -> Value:
    if kind in _TEMPORAL and isinstance(content, list):
        return Value(kind, _TEMPORAL[kind](content))
    if isinstance(content, Point):
        return Value("POINT", (content.srid, *(repr(float(part)) for part in content)))
    if isinstance(content, float):
        return float_value(content)
    return Value(_PLAIN[type(content)], content)


def _zone(offset: int, name: str) -> int | str:
    """UTC however it is written is offset 0; another named zone is told by its name, a plain offset by its seconds."""
    return offset if name in ("Z", "UTC") or name[:1] in "+-" else name


def _clock(parts: Sequence[int]) -> int:
    return (parts[0] * 3600 + parts[1] * 60 + parts[2]) * _NANOSECONDS + parts[3]


_PLAIN = {bool: "BOOLEAN", int: "INTEGER", str: "STRING"}

_TEMPORAL: dict[str, Callable[[list[int]], object]] = {
    "DATE": lambda parts: parts[0],
    "LOCAL DATETIME": tuple,
    "ZONED DATETIME": lambda parts: (parts[0], parts[1], _zone(parts[2], str(parts[3]))),
    "LOCAL TIME": _clock,
    "ZONED TIME": lambda parts: (_clock(parts), parts[4]),
    "DURATION": lambda parts: (parts[0], parts[1], parts[2] * _NANOSECONDS + parts[3]),
}
