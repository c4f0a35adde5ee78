"""Graph values as JSON that gives exactly the same values back, whoever carried it.

Booleans, texts, null and lists are themselves, and so are integers that every reader of JSON holds. What many readers
would turn into something else is an object with one key: `{"integer": "9007199254740993"}`, `{"float": "1.0"}`,
`{"bytes": "00ff"}`.
"""

import re
from typing import Final

from gpm_cdc.domain.values import GraphValue

type Portable = bool | int | str | list["Portable"] | dict[str, str] | None

_LARGEST_EXACT: Final = 2**53 - 1
"""Beyond this, readers that know only doubles round."""

_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)


def portable(value: GraphValue) -> Portable:
    """The JSON of `value`, as Python's json module takes it."""
    if isinstance(value, list):
        return [portable(part) for part in value]
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_EXACT:
        return {"integer": str(value)}
    return value


def restored(value: object) -> GraphValue:
    """The value of which `portable` made this. ValueError for what it never makes."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):
        return [restored(part) for part in value]
    if isinstance(value, dict) and len(value) == 1:
        ((kind, text),) = value.items()
        if isinstance(text, str):
            return _tagged(kind, text)
    msg = "JSON that stands for no graph value"
    raise ValueError(msg)


def _tagged(kind: object, text: str) -> GraphValue:
    if kind == "bytes":
        return bytes.fromhex(text)
    if kind == "float":
        return float(text)
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    msg = "JSON that stands for no graph value"
    raise ValueError(msg)
