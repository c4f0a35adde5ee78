"""Graph values as text for people: the type first, since 1, 1.0 and "1" are three different values."""

import json
import math
from datetime import UTC, date, datetime, timedelta

from gpm_cdc.domain.values import GraphValue
from gpm_cdc.verification.report import Finding, KeyValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAGGED = {"date", "local_datetime", "zoned_datetime", "local_time", "zoned_time", "duration", "point"}
_MARK_KIND_TEXT = 3
_NAMES = {bool: "BOOLEAN", int: "INTEGER", float: "FLOAT", str: "STRING", bytes: "BYTES", bytearray: "BYTES"}
_BEYOND_FOUR_DIGITS = 0x10000
_LABELS_START = ":"
_SPOKEN_TYPES = (
    "NULL",
    "FOREIGN",
    "LIST",
    *dict.fromkeys(_NAMES.values()),
    *(tag.upper().replace("_", " ") for tag in _TAGGED),
)


def typed(value: GraphValue) -> str:
    """`INTEGER 1`, `STRING "1"`, `DATE 2024-02-29`."""
    if value is None:
        return "NULL"
    if not isinstance(value, list):
        return f"{_NAMES[type(value)]} {_scalar(value)}"
    tag, parts = (value[0], value[1:]) if value else (None, [])
    if tag == "other" and len(parts) == _MARK_KIND_TEXT and parts[0] == 0:
        _, kind, text = parts
        return f"{str(kind).removesuffix(' NOT NULL')} {'' if text is None else str(text)}".rstrip()
    if _is_built(value) and isinstance(tag, str):
        return f"{_named(tag)} {_built(tag, parts)}"
    if isinstance(tag, str) and tag.startswith("list<") and parts and isinstance(parts[0], list):
        value = parts[0]
    return f"LIST [{', '.join(map(typed, value))}]"


def plain(value: GraphValue) -> KeyValue:
    """A key's value as JSON has it; text for what JSON does not have."""
    if isinstance(value, list) and _is_built(value):
        return typed(value).removeprefix(_named(str(value[0]))).lstrip()
    if isinstance(value, list | bytes | bytearray) or (isinstance(value, float) and not math.isfinite(value)):
        return typed(value)
    return value


def shortened(finding: Finding, length: int) -> Finding:
    """The same with no more than `length` characters of each value."""
    return finding.telling(lambda text: text if len(text) <= length else f"{text[:length]}…")


def without_values(finding: Finding) -> Finding:
    """The same with the types of the values alone, and labels, which are the mapping's.

    The key stays: without it the element could not be found.
    """
    return finding.telling(_type_alone)


def split(text: str) -> tuple[str, str]:
    """The type and the value of a text that `typed` made; the type is empty where this page does not know it."""
    # A type that only Neo4j knows is not cut out of the text, which may go on like a name.
    for name in _SPOKEN_TYPES:
        if text == name or text.startswith(f"{name} "):
            return name, text[len(name) + 1 :]
    return "", text


def _type_alone(text: str) -> str:
    if text.startswith(_LABELS_START):
        return text
    kind, value = split(text)
    return f"{kind} …".lstrip() if value else kind


def visible(text: str) -> str:
    r"""The text with `\u200b` and the like for what one cannot see: two values that differ must look different.

    Also keeps control sequences from a terminal, and a change of the writing direction from a page.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < _BEYOND_FOUR_DIGITS else f"\\U{code:08x}"


def _is_built(value: list[GraphValue]) -> bool:
    """Whether this is a value in parts, and not a list of texts that begins with the name of a type."""
    return len(value) > 1 and value[0] in _TAGGED and not isinstance(value[1], str)


def _named(tag: str) -> str:
    return tag.upper().replace("_", " ")


def _scalar(value: GraphValue) -> str:
    return value.hex() if isinstance(value, bytes | bytearray) else json.dumps(value, ensure_ascii=False)


def _built(tag: str, parts: list[GraphValue]) -> str:
    numbers = [part for part in parts if isinstance(part, int)]
    try:
        if tag == "date":
            return (date(1970, 1, 1) + timedelta(days=numbers[0])).isoformat()
        if tag in {"local_datetime", "zoned_datetime"}:
            moment = (_EPOCH + timedelta(seconds=numbers[0])).replace(tzinfo=None).isoformat()
            return f"{moment}{_fraction(numbers[1])}{'' if tag == 'local_datetime' else str(parts[2])}"
    except OverflowError:
        # Beyond Python's calendar: the numbers themselves.
        return json.dumps(parts)
    if tag in {"local_time", "zoned_time"}:
        hour, minute, second, nanosecond = numbers[:4]
        return f"{hour:02}:{minute:02}:{second:02}{_fraction(nanosecond)}{'' if tag == 'local_time' else str(parts[4])}"
    if tag == "duration":
        months, days, seconds, nanoseconds = numbers
        return f"P{months}M{days}DT{seconds}{_fraction(nanoseconds)}S"
    return json.dumps(parts)


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
