"""Dates, times and intervals from the text that Postgres writes (DateStyle ISO, IntervalStyle postgres, TimeZone UTC).

Each function gives None for a value that the graph type cannot hold: infinity and 24:00.
"""

import re
from collections.abc import Callable

from tests.oracle.value import Value

_NANOSECONDS = 1_000_000_000
_DAY_SECONDS = 86_400
_DATE = re.compile(r"(\d{4,})-(\d\d)-(\d\d)")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_OFFSET = re.compile(r"([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?")
_INTERVAL_PART = re.compile(r"([+-]?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$")


def date(text: str) -> Value | None:
    """DATE."""
    if "infinity" in text:
        return None
    return Value("DATE", _days(text))


def timestamp(text: str) -> Value | None:
    """LOCAL DATETIME."""
    if "infinity" in text:
        return None
    return Value("LOCAL DATETIME", _instant(text))


def timestamp_with_time_zone(text: str) -> Value | None:
    """ZONED DATETIME in UTC; the session's zone must have been UTC."""
    if "infinity" in text:
        return None
    moment = text.removesuffix(" BC")
    if not moment.endswith("+00"):
        message = f"a timestamptz that is not in UTC: {text}"
        raise ValueError(message)
    return Value("ZONED DATETIME", (*_instant(text.replace("+00", "")), 0))


def time(text: str) -> Value | None:
    """LOCAL TIME; 24:00:00 has none."""
    seconds, nanosecond = _clock(text)
    return None if seconds >= _DAY_SECONDS else Value("LOCAL TIME", seconds * _NANOSECONDS + nanosecond)


def time_with_time_zone(text: str) -> Value | None:
    """ZONED TIME with the offset's seconds kept; 24:00:00 has none."""
    split = re.search(r"[+-]", text)
    offset = _OFFSET.fullmatch(text[split.start() :]) if split else None
    if split is None or offset is None:
        message = f"not a timetz: {text}"
        raise ValueError(message)
    seconds, nanosecond = _clock(text[: split.start()])
    sign = -1 if offset[1] == "-" else 1
    shift = sign * (int(offset[2]) * 3600 + int(offset[3] or 0) * 60 + int(offset[4] or 0))
    return None if seconds >= _DAY_SECONDS else Value("ZONED TIME", (seconds * _NANOSECONDS + nanosecond, shift))


def interval(text: str) -> Value | None:
    """DURATION; months, days and the rest stay apart, each with its own sign."""
    if "infinity" in text:
        return None
    parts = {unit: int(count) for count, unit in _INTERVAL_PART.findall(text)}
    nanoseconds = 0
    if clock := _INTERVAL_TIME.search(text):
        whole = int(clock[2]) * 3600 + int(clock[3]) * 60 + int(clock[4])
        nanoseconds = whole * _NANOSECONDS + _fraction(clock[5])
        nanoseconds = -nanoseconds if clock[1] == "-" else nanoseconds
    months = parts.get("year", 0) * 12 + parts.get("mon", 0)
    return Value("DURATION", (months, parts.get("day", 0), nanoseconds))


TEMPORAL: dict[str, Callable[[str], Value | None]] = {
    "date": date,
    "timestamp": timestamp,
    "timestamptz": timestamp_with_time_zone,
    "time": time,
    "timetz": time_with_time_zone,
    "interval": interval,
}


def _days(text: str) -> int:
    """Days from 1970-01-01 in the Gregorian calendar, forwards and backwards; 1 BC is the year 0."""
    found = _DATE.match(text)
    if found is None:
        message = f"not a date: {text}"
        raise ValueError(message)
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if text.endswith(" BC"):
        year = 1 - year
    return _days_before_year(year) + _days_before_month(year, month) + day - 1 - _days_before_year(1970)


def _days_before_year(year: int) -> int:
    last = year - 1
    return 365 * last + last // 4 - last // 100 + last // 400


def _days_before_month(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return sum(lengths[: month - 1])


def _instant(text: str) -> tuple[int, int]:
    day, clock = text.removesuffix(" BC").split(" ")
    seconds, nanosecond = _clock(clock)
    era = " BC" if text.endswith(" BC") else ""
    return _days(day + era) * _DAY_SECONDS + seconds, nanosecond


def _clock(text: str) -> tuple[int, int]:
    found = _TIME.fullmatch(text)
    if found is None:
        message = f"not a time of day: {text}"
        raise ValueError(message)
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]), _fraction(found[4])


def _fraction(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))
