"""What Neo4j cannot hold in a key or an index.

Sent to Neo4j, such a value aborts the whole transaction with a database error, so it is found before the write.
"""

from collections.abc import Sequence
from typing import Final

from gpm_cdc.domain.values import INTEGER_MAX, INTEGER_MIN, Wire
from gpm_cdc.errors.values import KeyBeyondInteger, KeyNotANumber, KeyNotStorable, KeyNotUnicode, KeyTooLong

KEY_BYTES: Final = 8_000
"""The most that the values of one key may take together.

Neo4j 5 refuses an index entry above 8,164 bytes; the difference is what it adds to each value of a composite key.
"""

_SURELY_SHORT = KEY_BYTES // 4  # a character takes at most four bytes of UTF-8
_NUMBER_BYTES = 9
_LISTED_NUMBER_BYTES = 8
_LISTED_TEXT_OVERHEAD = 2


def check_key(values: Sequence[Wire | None], *, label: str, columns: Sequence[str]) -> None:
    """Raise a KeyNotStorable if Neo4j cannot hold `values` in one index entry.

    `values` are the parameters of one key, or of the columns of one index; None takes no room. `label` and `columns`
    are what the error names; it never tells a value.
    """
    characters = 0
    for value in values:
        if type(value) is str and value.isascii():
            characters += len(value)
        elif type(value) is not int or not INTEGER_MIN <= value <= INTEGER_MAX:
            break
    else:
        if characters <= _SURELY_SHORT:
            return
    _check_closely(values, label, ", ".join(columns))


def _check_closely(values: Sequence[Wire | None], label: str, columns: str) -> None:
    try:
        size = sum(_size(value) for value in values)
    except UnicodeEncodeError:
        raise KeyNotUnicode(label=label, columns=columns) from None
    if size > KEY_BYTES:
        raise KeyTooLong(label=label, columns=columns, size=size, limit=KEY_BYTES)
    for value in values:
        problem = _problem(value)
        if problem is not None:
            raise problem(label=label, columns=columns)


def _problem(value: Wire | None) -> type[KeyNotStorable] | None:
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - the quickest test for NaN
        return KeyNotANumber
    if isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        return KeyBeyondInteger
    if isinstance(value, list) and any(isinstance(part, int) and _problem(part) for part in value):
        return KeyBeyondInteger
    return None


def _size(value: Wire | None) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, list):
        return sum(_listed_size(part) for part in value)
    return _NUMBER_BYTES


def _listed_size(value: Wire) -> int:
    if isinstance(value, str):
        return len(value.encode()) + _LISTED_TEXT_OVERHEAD
    return _size(value) if isinstance(value, list) else _LISTED_NUMBER_BYTES
