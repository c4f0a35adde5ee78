import math
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, strategies as st

from gpm_cdc.domain import values

FIRST_DAY, LAST_DAY = -2_440_588, 2_145_042_541  # of Postgres's dates: 4714-11-24 BC and 5874897-12-31


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970, by the arithmetic of a 400-year cycle that starts in March."""
    cycle, day_of_cycle = divmod(days + 719_468, 146_097)
    year_of_cycle = (day_of_cycle - day_of_cycle // 1460 + day_of_cycle // 36_524 - day_of_cycle // 146_096) // 365
    day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle // 4 - year_of_cycle // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_cycle + cycle * 400 + (month <= 2)
    return year, month, day_of_year - (153 * shifted_month + 2) // 5 + 1


def print_date(days: int) -> tuple[str, str]:
    """A date as Postgres prints it, and the era that follows it."""
    year, month, day = civil(days)
    return f"{1 - year if year < 1 else year:04d}-{month:02d}-{day:02d}", " BC" if year < 1 else ""


def print_fraction(microseconds: int) -> str:
    """Microseconds behind a point, without trailing zeros."""
    return f".{microseconds:06d}".rstrip("0") if microseconds else ""


@given(st.integers(FIRST_DAY, LAST_DAY))
@example(FIRST_DAY)
@example(LAST_DAY)
@example(-719_528)  # 0001-01-01 BC, the leap year 0
@example(2_932_897)  # 10000-01-01, the first day that Python does not know
def test_a_date_is_its_days_since_1970(days: int) -> None:
    """Over the whole range of Postgres, before Christ and beyond year 9999 too."""
    text, era = print_date(days)
    assert values.days(text + era) == days


@given(
    st.integers(FIRST_DAY * 86_400, 106_751_991 * 86_400),
    st.one_of(st.just(0), st.integers(0, 999_999)),
    st.booleans(),
)
def test_a_timestamp_is_seconds_and_nanoseconds(seconds: int, microseconds: int, zoned: bool) -> None:  # noqa: FBT001
    """Over the whole range of Postgres, with and without time zone."""
    days, clock = divmod(seconds, 86_400)
    text, era = print_date(days)
    text += f" {clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}{print_fraction(microseconds)}"
    parse = values.zoned_moment if zoned else values.local_moment
    assert parse(text + ("+00" if zoned else "") + era) == [seconds, microseconds * 1000]


@given(st.datetimes())
def test_common_and_far_timestamps_are_parsed_alike(moment: datetime) -> None:
    """The quick way and the thorough way agree wherever both can be taken."""
    text = str(moment)
    assert values._far_moment(text) == values.local_moment(text)
    assert values._far_moment(f"{text}+00") == values.zoned_moment(f"{text}+00")
    whole = (moment.replace(microsecond=0, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert values.local_moment(text) == [whole, moment.microsecond * 1000]


@given(st.dates())
def test_common_and_far_dates_are_parsed_alike(day: date) -> None:
    """The quick way and the thorough way agree wherever both can be taken."""
    assert values._far_days(str(day)) == values.days(str(day))


@pytest.mark.parametrize("parse", [values.days, values.zoned_moment, values.local_moment, values.interval])
@pytest.mark.parametrize("text", ["infinity", "-infinity"])
def test_an_infinite_time_is_its_text(parse: values.Decoder, text: str) -> None:
    """Neo4j has no infinite dates, timestamps and durations."""
    assert parse(text) == text


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.days, "01/02/2020"),
        (values.days, "2020-02-30"),
        (values.local_moment, "Thu Jan 02 03:04:05 2020"),
        (values.local_moment, "10000-01-01"),
        (values.zoned_moment, "12020-01-02 03:04:05+05"),
        (values.clock, "3:04"),
        (values.zoned_clock, "03:04:05"),
        (values.interval, "@ 1 year"),
        (values.interval, "P1Y"),
        (values.interval, ""),
    ],
)
def test_text_of_other_session_settings_is_refused_without_quoting_it(parse: values.Decoder, text: str) -> None:
    """A setting that was not pinned must not become a wrong value."""
    with pytest.raises(ValueError, match=r"text that Postgres does not print|day is out of range|must be in range"):
        parse(text)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
@example(0, 0, -1)
@example(0, 0, 0)
@example(-13, 0, 0)
@example(-1, 1, -1)
def test_an_interval_keeps_its_parts_apart(months: int, days: int, microseconds: int) -> None:
    """Months, days, seconds and nanoseconds; the nanoseconds are never negative, as Neo4j has them."""
    text = print_interval(months, days, microseconds)
    seconds, below = divmod(microseconds, 1_000_000)
    assert values.interval(text) == [months, days, seconds, below * 1000]


def print_interval(months: int, days: int, microseconds: int) -> str:
    """An interval in the style `postgres`."""
    years, rest = int(months / 12), math.fmod(months, 12)
    parts: list[str] = []
    negative = False
    for amount, unit in ((years, "year"), (int(rest), "mon"), (days, "day")):
        if amount:
            parts.append(f"{'+' if negative and amount > 0 else ''}{amount} {unit}{'' if amount == 1 else 's'}")
            negative = amount < 0
    if microseconds or not parts:
        whole, below = divmod(abs(microseconds), 1_000_000)
        sign = "-" if microseconds < 0 else "+" if negative else ""
        clock = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        parts.append(f"{sign}{clock}{print_fraction(below)}")
    return " ".join(parts)


@given(st.times())
def test_a_time_is_hour_minute_second_and_nanosecond(time: object) -> None:
    """Microseconds are kept."""
    hour, minute, second = (int(part) for part in str(time)[:8].split(":"))
    fraction = str(time)[9:]
    text = str(time)[:8] + (f".{fraction}".rstrip("0") if fraction else "")
    assert values.clock(text) == [hour, minute, second, int(fraction or 0) * 1000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("03:04:05.1+00", [3, 4, 5, 100_000_000, "Z"]),
        ("03:04:05-00:00:01", [3, 4, 5, 0, "-00:00:01"]),
        ("03:04:05+05:53:28", [3, 4, 5, 0, "+05:53:28"]),
        ("03:04:05-08", [3, 4, 5, 0, "-08:00"]),
        ("03:04:05+05:30", [3, 4, 5, 0, "+05:30"]),
        ("24:00:00+00", "24:00:00+00"),
    ],
)
def test_a_time_with_zone_keeps_its_offset(text: str, expected: values.Wire) -> None:
    """Seconds of the offset too; the end of a day, which Neo4j lacks, is text."""
    assert values.zoned_clock(text) == expected


def test_the_end_of_a_day_is_its_text() -> None:
    """24:00:00 is a time in Postgres and none in Neo4j."""
    assert values.clock("24:00:00") == "24:00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.000", 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807.0", 2**63 - 1),
        ("9223372036854775808", "9223372036854775808"),
        ("0.5", "0.5"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_numeric_as_integer_is_exact_or_its_text(text: str, expected: values.Wire) -> None:
    """Nothing is rounded; more digits than Python converts are no trouble."""
    assert values.whole_numeric(text) == expected
    assert type(values.whole_numeric(text)) is type(expected)


@pytest.mark.parametrize("text", ["1e400", "-" + "9" * 400])
def test_a_numeric_beyond_every_float_is_its_text(text: str) -> None:
    """It does not become an infinity that Postgres never said."""
    assert values.approximate_numeric(text) == text


def test_infinities_and_nan_of_a_numeric_are_floats() -> None:
    """FLOAT has them."""
    assert values.approximate_numeric("-Infinity") == -math.inf
    assert math.isnan(values.approximate_numeric("NaN"))  # type: ignore[arg-type]


def test_nan_of_a_short_numeric_is_its_text() -> None:
    """INTEGER has no NaN."""
    assert values.short_numeric("NaN") == "NaN"
    assert values.short_numeric("-12") == -12


@pytest.mark.parametrize("text", ["(NaN,1)", "(1,Infinity)", "(-Infinity,NaN)"])
def test_a_point_off_the_plane_is_its_text(text: str) -> None:
    """A coordinate that is not finite would abort the transaction in Neo4j."""
    assert values.point(text) == text


def test_simple_values_are_what_they_look_like() -> None:
    """Booleans, bytes, points, vectors."""
    assert [values.boolean("t"), values.boolean("f"), values.bit("1"), values.bit("0")] == [True, False, True, False]
    assert values.binary("\\x00ff") == b"\x00\xff"
    assert values.binary("\\x") == b""
    assert values.point("(1,-2.5e-10)") == [1.0, -2.5e-10]
    assert values.vector("[1,2.5]") == [1.0, 2.5]
