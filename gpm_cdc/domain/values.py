"""From Postgres's text to the values that travel to Neo4j.

The text is what Postgres prints with these settings: DateStyle ISO, IntervalStyle postgres, TimeZone UTC,
extra_float_digits 3 (any value above 0 prints the same since Postgres 12), bytea_output hex, client_encoding UTF8.
Every parser raises ValueError for text that Postgres does not print so. A value that its graph type cannot hold comes
back as the text itself.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NoReturn

type Wire = int | float | str | bool | bytes | list["Wire"]
"""What travels to Neo4j as a parameter. NULL is the absence of a value and never gets here."""

type GraphValue = int | float | str | bool | bytes | list["GraphValue"] | None
"""What is read back. A property is never None, only parts of a tagged list are (`ValueType.component`)."""

type Decoder = Callable[[str], Wire]

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1
_INTEGER_DIGITS = 19

_SECONDS_PER_DAY = 86_400
_MONTHS_PER_YEAR = 12
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_EPOCH_LOCAL = datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp without time zone has none
_UNIX_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_GREGORIAN_CYCLE_YEARS = 400
_GREGORIAN_CYCLE_DAYS = 146_097
_INFINITE_TIMES = frozenset({"infinity", "-infinity"})
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})

_MOMENT = re.compile(
    r"(?P<year>\d{4,6})-(?P<month>\d\d)-(?P<day>\d\d)"
    r" (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?(?:\+00)?"
    r"(?P<bc> BC)?",
    re.ASCII,
)
_DATE = re.compile(r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)(?P<bc> BC)?", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_ZONED_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-]\d\d)(:\d\d)?(:\d\d)?", re.ASCII)
_INTERVAL = re.compile(
    r"(?:(?P<years>[+-]?\d+) years?)? ?(?:(?P<months>[+-]?\d+) mons?)? ?(?:(?P<days>[+-]?\d+) days?)? ?"
    r"(?:(?P<sign>[+-])?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?",
    re.ASCII,
)


def boolean(text: str) -> bool:
    """True for `t`, false for `f`."""
    return text == "t"


def bit(text: str) -> bool:
    """True for `1`, false for `0`: a bit string of length one."""
    return text == "1"


def binary(text: str) -> bytes:
    r"""The bytes of `\x00ff`, bytea in hexadecimal."""
    return bytes.fromhex(text[2:])


def short_numeric(text: str) -> Wire:
    """A numeric(p, 0) of at most 18 digits; NaN is its own text."""
    return text if text == "NaN" else int(text)


def whole_numeric(text: str) -> Wire:
    """Any numeric as an integer; its own text if it has a fraction, is beyond 64 bits or is not finite."""
    whole, _, fraction = text.partition(".")
    if whole in _NOT_FINITE or fraction.strip("0") or len(whole.lstrip("-")) > _INTEGER_DIGITS:
        return text
    number = int(whole)
    return number if INTEGER_MIN <= number <= INTEGER_MAX else text


def approximate_numeric(text: str) -> Wire:
    """Any numeric as the nearest float; its own text where that would be an infinity that Postgres does not mean."""
    number = float(text)
    return text if math.isinf(number) and text not in _NOT_FINITE else number


def days(text: str) -> Wire:
    """A date in days since 1970-01-01."""
    try:
        return date.fromisoformat(text).toordinal() - _UNIX_EPOCH_ORDINAL
    except ValueError:
        return _far_days(text)


def zoned_moment(text: str) -> Wire:
    """A timestamptz as [seconds since 1970 UTC, nanoseconds of that second]."""
    try:
        since = datetime.fromisoformat(text) - _UNIX_EPOCH
    except ValueError:
        return _far_moment(text)
    return [since.days * 86_400 + since.seconds, since.microseconds * 1000]


def local_moment(text: str) -> Wire:
    """A timestamp without time zone as [seconds, nanoseconds], counted as if it were UTC."""
    try:
        since = datetime.fromisoformat(text) - _UNIX_EPOCH_LOCAL
    except ValueError:
        return _far_moment(text)
    return [since.days * 86_400 + since.seconds, since.microseconds * 1000]


def _far_days(text: str) -> Wire:
    if text in _INFINITE_TIMES:
        return text
    match = _DATE.fullmatch(text)
    if match is None:
        _refuse("a date")
    return _civil_days(match)


def _far_moment(text: str) -> Wire:
    if text in _INFINITE_TIMES:
        return text
    match = _MOMENT.fullmatch(text)
    if match is None:
        _refuse("a timestamp")
    clock = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    return [_civil_days(match) * _SECONDS_PER_DAY + clock, _nanoseconds(match["fraction"])]


def _civil_days(match: re.Match[str]) -> int:
    # Python's calendar ends at both sides; the Gregorian one repeats every 400 years, so the year is moved into it.
    year = 1 - int(match["year"]) if match["bc"] else int(match["year"])
    cycle, year_of_cycle = divmod(year, _GREGORIAN_CYCLE_YEARS)
    within = date(year_of_cycle + _GREGORIAN_CYCLE_YEARS, int(match["month"]), int(match["day"]))
    return within.toordinal() - _UNIX_EPOCH_ORDINAL + (cycle - 1) * _GREGORIAN_CYCLE_DAYS


def clock(text: str) -> Wire:
    """A time as [hour, minute, second, nanosecond]; 24:00:00 is its own text."""
    match = _TIME.fullmatch(text)
    if match is None:
        _refuse("a time")
    hour, minute, second, fraction = match.groups()
    if hour == "24":
        return text
    return [int(hour), int(minute), int(second), _nanoseconds(fraction)]


def zoned_clock(text: str) -> Wire:
    """A timetz as [hour, minute, second, nanosecond, offset as Neo4j prints it]; 24:00:00 is its own text."""
    match = _ZONED_TIME.fullmatch(text)
    if match is None:
        _refuse("a time with time zone")
    hour, minute, second, fraction, hours, minutes, seconds = match.groups()
    if hour == "24":
        return text
    offset = f"{hours}{minutes or ':00'}{seconds or ''}"
    zone = "Z" if offset.strip("+-:0") == "" else offset
    return [int(hour), int(minute), int(second), _nanoseconds(fraction), zone]


def interval(text: str) -> Wire:
    """An interval as [months, days, seconds, nanoseconds of 0 to 999,999,999], never carried into one another."""
    match = _INTERVAL.fullmatch(text)
    if match is None or not text:
        if text in _INFINITE_TIMES:
            return text
        _refuse("an interval")
    months = int(match["years"] or 0) * _MONTHS_PER_YEAR + int(match["months"] or 0)
    seconds, nanoseconds = 0, 0
    if match["hours"]:
        seconds = int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"])
        nanoseconds = _nanoseconds(match["fraction"])
        if match["sign"] == "-":
            seconds, nanoseconds = (-seconds - 1, 1_000_000_000 - nanoseconds) if nanoseconds else (-seconds, 0)
    return [months, int(match["days"] or 0), seconds, nanoseconds]


def _nanoseconds(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def _refuse(kind: str) -> NoReturn:
    # The text itself is a row's value and stays out of the message.
    msg = f"text that Postgres does not print for {kind} with the pinned settings"
    raise ValueError(msg)


def point(text: str) -> Wire:
    """A point `(x,y)` as [x, y]; its own text if a coordinate is not finite, which aborts a Neo4j transaction."""
    x, y = map(float, text[1:-1].split(","))
    return [x, y] if math.isfinite(x) and math.isfinite(y) else text


def vector(text: str) -> Wire:
    """A pgvector `[1,2.5]` as a list of floats."""
    return list(map(float, text[1:-1].split(",")))
