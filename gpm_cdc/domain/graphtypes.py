"""Neo4j's side of the type table: how a value is built from its parameter and how it is read back without loss.

Temporal values and points are built from numbers inside the statement and taken apart there again: the driver is slow
with them, knows no year beyond 9999 and drops the seconds of an offset.
"""

from dataclasses import dataclass
from typing import Final

from gpm_cdc.domain.values import GraphValue, Wire

# `LIST<INTEGER | FLOAT>` would not admit a list of integers: it asks for a list that is declared to hold both.
_PLAIN: Final = "{p} IS :: BOOLEAN | INTEGER | FLOAT | STRING | " + " | ".join(
    f"LIST<{element} NOT NULL>" for element in ("BOOLEAN", "INTEGER", "FLOAT", "STRING")
)
_OTHERWISE: Final = f"WHEN {_PLAIN} THEN {{p}} ELSE ['other', 0, valueType({{p}}), toStringOrNull({{p}})] END"

GUARDED_COMPONENT: Final = f"CASE {_OTHERWISE}"
"""Reads a property `{p}` of unknown type: plain values and lists of them as they are, others as a list tagged `other`.

The number in it keeps it apart from every list of texts, since a stored list holds values of one type.
The driver tells a byte array, which Cypher takes for a list of integers, from such a list.
"""

ORIGINS: Final = {
    "date({year: 1970, month: 1, day: 1})": "date_origin",
    "localdatetime({year: 1970})": "local_origin",
    "datetime({epochSeconds: 0})": "zoned_origin",
}
"""What components count from, and a variable for each: made once per value, they cost more than all the rest."""


def guarded(name: str) -> str:
    """Reads a property `{p}` that should be a plain one of type `name` as GUARDED_COMPONENT does, asking that first."""
    return f"CASE WHEN {{p}} IS :: {name} THEN {{p}} {_OTHERWISE}"


@dataclass(frozen=True, slots=True)
class GraphType:
    """A Neo4j property type.

    `name` is what `valueType()` prints, without the outermost `NOT NULL`; BYTES it calls LIST<INTEGER NOT NULL>.
    `expression` and `component` are Cypher templates as `domain.types.ValueType` describes them, None where the driver
    carries the value faithfully both ways. `constants` are the parts that `component` gives after those of the
    parameter, because every stored value has them. `element` is set for a list that is built by element.
    """

    name: str
    tag: str = ""
    expression: str | None = None
    component: str | None = None
    constants: tuple[GraphValue, ...] = ()
    element: "GraphType | None" = None

    def stored(self, wire: Wire) -> GraphValue:
        """What `component` gives for the value that `expression` builds from `wire`."""
        if self.component is None:
            return wire  # type: ignore[return-value]  # every Wire is a GraphValue, but lists are invariant
        if self.element is not None and isinstance(wire, list):
            return [self.tag, [self.element.stored(part) for part in wire]]
        parts = wire if isinstance(wire, list) else [wire]
        return [self.tag, *parts, *self.constants]


def _built(name: str, tag: str, expression: str, parts: str, *constants: GraphValue) -> GraphType:
    component = f"CASE WHEN {{p}} IS :: {name} NOT NULL THEN ['{tag}', {parts}] {_OTHERWISE}"
    return GraphType(name, tag, expression, component, constants)


def list_of(element: GraphType) -> GraphType:
    """The type of a list without nulls of `element`."""
    name = f"LIST<{element.name} NOT NULL>"
    if element.expression is None or element.component is None:
        return GraphType(name)
    tag = f"list<{element.tag}>"
    expression = f"[x IN {{v}} | {element.expression.replace('{v}', 'x')}]"
    parts = f"[x IN {{p}} | {element.component.replace('{p}', 'x')}]"
    component = f"CASE WHEN {{p}} IS :: {name} NOT NULL THEN ['{tag}', {parts}] {_OTHERWISE}"
    return GraphType(name, tag, expression, component, element=element)


INTEGER: Final = GraphType("INTEGER")
FLOAT: Final = GraphType("FLOAT")
STRING: Final = GraphType("STRING")
BOOLEAN: Final = GraphType("BOOLEAN")
BYTES: Final = GraphType("BYTES")
DATE: Final = _built(
    "DATE",
    "date",
    "date({{year: 1970, month: 1, day: 1}}) + duration({{days: {v}}})",
    "duration.inDays(date({{year: 1970, month: 1, day: 1}}), {p}).days",
)
LOCAL_DATETIME: Final = _built(
    "LOCAL DATETIME",
    "local_datetime",
    "localdatetime(datetime({{epochSeconds: {v}[0], nanosecond: {v}[1]}}))",
    "duration.inSeconds(localdatetime({{year: 1970}}), {p}).seconds, {p}.nanosecond",
)
ZONED_DATETIME: Final = _built(
    "ZONED DATETIME",
    "zoned_datetime",
    "datetime({{epochSeconds: {v}[0], nanosecond: {v}[1]}})",
    # Not {p}.epochSeconds: it rounds fractions before 1970 towards zero, and far years end in a database error.
    "duration.inSeconds(datetime({{epochSeconds: 0}}), {p}).seconds, {p}.nanosecond, {p}.timezone",
    "Z",
)
LOCAL_TIME: Final = _built(
    "LOCAL TIME",
    "local_time",
    "localtime({{hour: {v}[0], minute: {v}[1], second: {v}[2], nanosecond: {v}[3]}})",
    "{p}.hour, {p}.minute, {p}.second, {p}.nanosecond",
)
ZONED_TIME: Final = _built(
    "ZONED TIME",
    "zoned_time",
    "time({{hour: {v}[0], minute: {v}[1], second: {v}[2], nanosecond: {v}[3], timezone: {v}[4]}})",
    "{p}.hour, {p}.minute, {p}.second, {p}.nanosecond, {p}.timezone",
)
DURATION: Final = _built(
    "DURATION",
    "duration",
    "duration({{months: {v}[0], days: {v}[1], seconds: {v}[2], nanoseconds: {v}[3]}})",
    "{p}.months, {p}.days, {p}.seconds, {p}.nanosecondsOfSecond",
)
_CARTESIAN_SRID = 7203
POINT: Final = _built(
    "POINT",
    "point",
    "point({{x: {v}[0], y: {v}[1], srid: 7203}})",
    # Asking a point of two dimensions for z is an error.
    "{p}.x, {p}.y, {p}.srid, CASE WHEN {p}.srid IN [4979, 9157] THEN {p}.z END",
    _CARTESIAN_SRID,
    None,
)
