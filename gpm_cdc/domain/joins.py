"""Join forms: what a column whose equal values can be written differently is matched by.

Postgres calls 1.0 and 1.00 equal, `a` and `a  ` as char(n), `a` and `A` as citext, a month and 30 days. A node keeps
such a value as it is, and beside it the join form, which is equal exactly where Postgres says so. So the two ends of a
reference find each other by an index, from either side, whatever either of them is written like.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final, Literal

from gpm_cdc.domain import graphtypes, values
from gpm_cdc.domain.graphtypes import GraphType
from gpm_cdc.domain.types import ValueType
from gpm_cdc.domain.values import INTEGER_MAX, INTEGER_MIN, Decoder, Wire

type JoinForm = Literal["number", "unpadded", "folded", "elapsed"]
"""`number`: of a numeric or integer. `unpadded`: without blanks at the end. `folded`: citext in lower case. `elapsed`:
an interval in microseconds, of months that have 30 days of 24 hours."""

type Lowercase = Mapping[int, str]
"""The characters that a database's lower() changes, by code point, where it changes each by itself."""

_INTEGER_DIGITS: Final = 18  # any number with so many fits into 64 bits
_DAYS_PER_MONTH: Final = 30
_SECONDS_PER_DAY: Final = 86_400


def number(text: str) -> Wire:
    """A number as an integer where it is one of 64 bits, else its text without zeros at the end of the fraction."""
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    if text.removeprefix("-").isdecimal():
        if len(text) <= _INTEGER_DIGITS:
            return int(text)
        return _whole(text)
    return text


def _whole(text: str) -> Wire:
    # Python refuses to read numbers of thousands of digits.
    if len(text) > len(str(INTEGER_MIN)):
        return text
    whole = int(text)
    return whole if INTEGER_MIN <= whole <= INTEGER_MAX else text


def unpadded(text: str) -> Wire:
    """The text without the blanks at its end."""
    return text.rstrip(" ")


def elapsed(text: str) -> Wire:
    """An interval in microseconds, as text beyond 64 bits; an infinite one is its own text."""
    parts = values.interval(text)
    if not isinstance(parts, list):
        return parts
    months, days, seconds, nanoseconds = (part for part in parts if isinstance(part, int))
    whole = ((months * _DAYS_PER_MONTH + days) * _SECONDS_PER_DAY + seconds) * 1_000_000 + nanoseconds // 1000
    return whole if INTEGER_MIN <= whole <= INTEGER_MAX else str(whole)


_DECODERS: Final[dict[JoinForm, tuple[Decoder, GraphType]]] = {
    "number": (number, graphtypes.INTEGER),
    "unpadded": (unpadded, graphtypes.STRING),
    "elapsed": (elapsed, graphtypes.INTEGER),
}


def join_type(form: JoinForm, lowercase: Lowercase | None) -> ValueType:
    """How a join form travels. `lowercase` is what `folded` needs; ValueError without it."""
    if form != "folded":
        return _plain(form)
    if lowercase is None:
        msg = "characters of this database cannot be folded one by one"
        raise ValueError(msg)
    return _typed(lambda text: text.translate(lowercase), graphtypes.STRING)


@cache
def _plain(form: JoinForm) -> ValueType:
    return _typed(*_DECODERS[form])


def _typed(decode: Decoder, graph: GraphType) -> ValueType:
    return ValueType(
        name=graph.name.lower(),
        decode=decode,
        expression=graph.expression,
        # Text beside integers is none here: no value is lost by it.
        fallback=False,
        component=graph.component,
        graph_type=graph.name,
        _graph=graph,
    )
