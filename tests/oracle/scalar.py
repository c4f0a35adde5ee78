"""One Postgres value, as the server prints it, into the value that the graph should hold."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from tests.oracle.array import Nested, parse_array
from tests.oracle.column_type import ColumnType, precision_and_scale
from tests.oracle.temporal import TEMPORAL
from tests.oracle.value import Value, float_value, list_value

type Converter = Callable[[str], Value | None]

CHOICES = ("string", "float", "integer", "boolean")
"""What `types = { column = ... }` may say."""

_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1
_MOST_INTEGER_DIGITS = 18
_MOST_FLOAT_DIGITS = 15
_LARGEST_FLOAT_SCALE = 290
_CARTESIAN = 7203
_LITERAL_TYPES = ("INTEGER", "FLOAT", "BOOLEAN")
_POINT = re.compile(r"\(([^,]+),([^,]+)\)")


def graph_value(text: str, column_type: ColumnType, choice: str | None = None) -> Value:
    """The value for one column that is not NULL: its graph type's, or the Postgres text where that cannot hold it.

    `text` is what the type's output function gives under the pinned settings; `choice` one of CHOICES, or None for the
    default of the type.
    """
    if choice == "string":
        return Value("STRING", text)
    if column_type.element is not None:
        return _array(text, column_type.element, column_type.delimiter, choice)
    return _converter(column_type, choice)(text) or Value("STRING", text)


def _converter(column_type: ColumnType, choice: str | None) -> Converter:
    """The rule for a type that is no array; a None that it gives means: keep the Postgres text."""
    if choice is not None:
        return {"float": _float, "integer": _integer, "boolean": _boolean}[choice]
    if column_type.kind != "b":
        return _string
    if column_type.name == "numeric":
        return _numeric(column_type)
    return _CONVERTERS.get(column_type.name, _string)


def _numeric(column_type: ColumnType) -> Converter:
    brackets = precision_and_scale(column_type)
    if brackets is None:
        return _string
    precision, scale = brackets
    if scale == 0 and precision <= _MOST_INTEGER_DIGITS:
        return _integer
    if precision <= _MOST_FLOAT_DIGITS and abs(scale) <= _LARGEST_FLOAT_SCALE:
        return _float
    return _string


def _string(text: str) -> Value:
    return Value("STRING", text)


def _integer(text: str) -> Value | None:
    try:
        number = Decimal(text)
        whole = int(number)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    fits = whole == number and _SMALLEST_INTEGER <= whole <= _LARGEST_INTEGER
    return Value("INTEGER", whole) if fits else None


def _float(text: str) -> Value | None:
    try:
        number = float(text)
    except ValueError:
        return None
    overflowed = math.isinf(number) and "inf" not in text.lower()
    return None if overflowed else float_value(number)


def _boolean(text: str) -> Value | None:
    return Value("BOOLEAN", text in ("t", "1")) if text in ("t", "f", "1", "0") else None


def _bytes(text: str) -> Value:
    if not text.startswith("\\x"):
        message = "bytea must come in hexadecimal"
        raise ValueError(message)
    return Value("BYTES", bytes.fromhex(text[2:]))


def _vector(text: str) -> Value:
    return list_value([float_value(float(part)) for part in text.strip("[]").split(",") if part])


def _point(text: str) -> Value | None:
    found = _POINT.fullmatch(text)
    if found is None:
        message = f"not a point: {text}"
        raise ValueError(message)
    x, y = float(found[1]), float(found[2])
    return Value("POINT", (_CARTESIAN, repr(x), repr(y))) if math.isfinite(x) and math.isfinite(y) else None


_CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), _integer),
    **dict.fromkeys(("float4", "float8"), _float),
    **dict.fromkeys(("vector", "halfvec"), _vector),
    **TEMPORAL,
    "bool": _boolean,
    "bytea": _bytes,
    "point": _point,
}


def _array(text: str, element_type: ColumnType, delimiter: str, choice: str | None) -> Value:
    """A LIST where Neo4j can hold one, otherwise JSON text."""
    elements = parse_array(text, delimiter)
    convert = _converter(element_type, choice)
    listable = element_type.element is None and (choice is not None or element_type.name not in _NEVER_LISTED)
    values = [convert(element) if isinstance(element, str) else None for element in elements]
    if listable and all(value is not None for value in values):
        return list_value([value for value in values if value is not None])
    return Value("JSON", json.dumps([_json(element, convert) for element in elements]))


_NEVER_LISTED = ("bytea", "vector", "halfvec")


def _json(element: Nested | str | None, convert: Converter) -> object:
    if element is None:
        return None
    if isinstance(element, list):
        return [_json(member, convert) for member in element]
    value = convert(element)
    if value is None or value.type not in _LITERAL_TYPES:
        return element
    if value.type == "FLOAT":
        number = float(str(value.content))
        return number if math.isfinite(number) else element
    return value.content
