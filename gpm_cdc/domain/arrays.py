r"""Postgres's array text: `{1,2,NULL}`, `{"a \"b\"",c}`, `{{1,2},{3,4}}`, `[0:1]={5,6}`.

Neo4j's lists hold no nulls, no lists and one kind of value. An array that is none of this becomes JSON text.
"""

import json
import math
import re
from collections.abc import Callable
from functools import cache

from gpm_cdc.domain.values import Decoder, Wire

type Nested = list[str | Nested | None]
"""An array's elements as text, NULL as None, nested as the array is."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@cache
def _tokens(delimiter: str) -> re.Pattern[str]:
    # The alternatives cover every character that Postgres prints, so that a hole between matches is damage.
    return re.compile(rf'"((?:[^"\\]|\\.)*)"|([{{}}{delimiter}])|([^"\\{{}}{delimiter}]+)', re.DOTALL)


def parse(text: str, delimiter: str = ",") -> Nested:
    """The elements of an array's text. Lower bounds are dropped. ValueError for text that is not an array."""
    body = text.partition("=")[2] if text.startswith("[") else text
    outer: Nested = []
    open_lists = [outer]
    position = 0
    for token in _tokens(delimiter).finditer(body):
        if token.start() != position:
            break
        position = token.end()
        quoted, mark, bare = token.groups()
        if quoted is not None:
            open_lists[-1].append(_ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted)
        elif bare is not None:
            open_lists[-1].append(None if bare == "NULL" else bare)
        elif mark == "{":
            inner: Nested = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif mark == "}":
            open_lists.pop()
            if not open_lists:
                break
    if position != len(body) or len(open_lists) != 1 or len(outer) != 1 or not isinstance(outer[0], list):
        msg = "text that Postgres does not print for an array"
        raise ValueError(msg)
    return outer[0]


def decoder(element: Decoder, *, literal: bool, delimiter: str = ",") -> Decoder:
    """Array text -> list of what `element` gives, or JSON text where a Neo4j list cannot hold the elements.

    `literal` says that the element's own type is INTEGER, FLOAT or BOOLEAN: then the JSON text has its values as
    numbers and booleans, else every element is a string of its Postgres text.
    """
    as_text = element is str
    as_json = json_decoder(element, literal=literal, delimiter=delimiter)

    def decode(text: str) -> Wire:
        if text == "{}":
            return []
        if '"' in text or text.startswith(("{{", "[")):
            elements = parse(text, delimiter)
        else:
            elements = [None if part == "NULL" else part for part in text[1:-1].split(delimiter)]
        wires: list[Wire] = []
        for part in elements:
            if not isinstance(part, str):
                return as_json(text)
            wire = element(part)
            if not as_text and type(wire) is str:
                return as_json(text)
            wires.append(wire)
        return wires

    return decode


def json_decoder(element: Decoder, *, literal: bool, delimiter: str = ",") -> Decoder:
    """Array text -> JSON text, nested as the array is, NULL as null, without spaces. `literal` as in `decoder`."""
    leaf = _literal(element) if literal else str

    def convert(elements: Nested) -> list[object]:
        return [convert(part) if isinstance(part, list) else None if part is None else leaf(part) for part in elements]

    def decode(text: str) -> Wire:
        return json.dumps(convert(parse(text, delimiter)), ensure_ascii=False, separators=(",", ":"))

    return decode


def _literal(element: Decoder) -> Callable[[str], object]:
    # JSON has no NaN and no infinities: those stay strings, as does whatever the element's type cannot hold.
    def leaf(text: str) -> object:
        wire = element(text)
        return text if isinstance(wire, float) and not math.isfinite(wire) else wire

    return leaf
