"""Typed values: what a property holds, with its graph type, so that 1, 1.0 and "1" are three values."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import override


@dataclass(frozen=True, slots=True)
class Value:
    """A property's value. `content` is hashable, and two values of one type are the same exactly when it is equal.

    INTEGER int; FLOAT its `repr` (so nan is nan, and -0.0 is not 0.0); STRING str; BOOLEAN bool; BYTES bytes;
    DATE days since 1970-01-01; LOCAL DATETIME (seconds since 1970, nanosecond); ZONED DATETIME the same and the zone
    (offset seconds, or the name of a zone other than UTC); LOCAL TIME nanoseconds of the day; ZONED TIME (nanoseconds
    of the local day, offset seconds); DURATION (months, days, nanoseconds); POINT (SRID, repr of each coordinate);
    LIST a tuple of values; JSON (only ever expected) a JSON text of which any spelling will do.
    """

    type: str
    content: object

    @override
    def __str__(self) -> str:
        """The value for people: its type and what it holds, cut when long."""
        text = f"{self.type} {_shown(self)}"
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text)} characters)"


_LONGEST_SHOWN = 300

type Properties = dict[str, Value]


def float_value(number: float) -> Value:
    """FLOAT: `repr` gives each double its own text, and every NaN the same one."""
    return Value("FLOAT", repr(number))


def list_value(elements: list[Value]) -> Value:
    """LIST of `elements`, in order."""
    return Value("LIST", tuple(elements))


def same(expected: Value, actual: Value) -> bool:
    """Whether `actual` is what the tables say: type and content, a JSON text by what it says."""
    if expected.type == "JSON" and actual.type == "STRING":
        return canonical_json(str(expected.content)) == canonical_json(str(actual.content))
    return expected == actual


def same_properties(expected: Properties, actual: Properties) -> bool:
    """Whether both have the same names with the same values."""
    return expected.keys() == actual.keys() and all(same(value, actual[name]) for name, value in expected.items())


def canonical_json(text: str) -> object:
    """What a JSON text says, hashable; None when it is no JSON.

    White space, the escapes of a string and the spelling of a number (1, 1.0, 1e0) say nothing; the sign of zero does.
    """
    try:
        return _canonical(json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse))
    except ValueError:
        return None


def _refuse(constant: str) -> object:
    message = f"{constant} is not JSON"
    raise ValueError(message)


def _canonical(parsed: object) -> object:
    match parsed:
        case list():
            return ("list", tuple(_canonical(element) for element in parsed))
        case dict():
            return ("object", tuple(sorted((name, _canonical(member)) for name, member in parsed.items())))
        case Decimal():
            whole = parsed == parsed.to_integral_value() and not (parsed.is_zero() and parsed.is_signed())
            return ("number", int(parsed) if whole else repr(float(parsed)))
        case str():
            return ("string", parsed)
        case _:
            return ("literal", str(parsed))


def _shown(value: Value) -> str:
    if value.type == "LIST" and isinstance(value.content, tuple):
        return f"[{', '.join(str(element) for element in value.content)}]"
    return str(value.content) if value.type == "FLOAT" else repr(value.content)
