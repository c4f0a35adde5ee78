from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.joins import join_type, number

NUMBERS = (
    st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(-10, 10, places=2) | st.integers().map(Decimal)
)


def printed(value: Decimal) -> str:
    """As Postgres prints a numeric: no exponent, no minus before zero."""
    return f"{abs(value) if value == 0 else value:f}"


@given(NUMBERS, st.integers(0, 30))
def test_equal_numbers(value: Decimal, zeros: int) -> None:
    """Zeros at the end of a fraction do not count; a whole number of 64 bits is one."""
    text = printed(value)
    longer = f"{text}{'' if '.' in text else '.'}{'0' * zeros}" if zeros else text
    form = number(longer)
    assert form == number(text)
    assert Decimal(form) == value  # type: ignore[arg-type]
    whole = value == value.to_integral_value() and -(2**63) <= value < 2**63
    assert isinstance(form, int) is whole


@given(NUMBERS, NUMBERS)
def test_different_numbers(one: Decimal, other: Decimal) -> None:
    """Two numbers have one form exactly when they are equal."""
    assert (number(printed(one)) == number(printed(other))) == (one == other)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("100", 100),
        ("100.00", 100),
        ("0.00", 0),
        ("-0.50", "-0.5"),
        ("9223372036854775807.0", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", "9223372036854775808"),
        ("1" + "0" * 5000, "1" + "0" * 5000),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_odd_numbers(text: str, form: int | str) -> None:
    """Limits of 64 bits, numbers beyond Python's reading, and those that are none."""
    assert number(text) == form


@pytest.mark.parametrize(
    ("texts", "span"),
    [
        (("1 mon", "30 days", "29 days 24:00:00", "720:00:00", "1 mon 1 day -24:00:00"), timedelta(days=30)),
        (("1 year", "12 mons", "360 days"), timedelta(days=360)),
        (("-1 mons +30 days", "00:00:00"), timedelta()),
        (("-00:00:00.000001",), timedelta(microseconds=-1)),
    ],
)
def test_equal_intervals(texts: tuple[str, ...], span: timedelta) -> None:
    """A month has 30 days of 24 hours."""
    decode = join_type("elapsed", None).decode
    assert {decode(text) for text in texts} == {span // timedelta(microseconds=1)}


def test_long_intervals() -> None:
    """Beyond 64 bits as text; an infinite one is its own text."""
    decode = join_type("elapsed", None).decode
    assert decode("178000000 years") == str(178_000_000 * 360 * 86_400_000_000)
    assert decode("infinity") == "infinity"


def test_texts() -> None:
    """Only blanks count as padding; only the characters of the database are folded."""
    assert join_type("unpadded", None).decode(" a\t  ") == " a\t"
    assert join_type("folded", {65: "a"}).decode("ABa") == "aBa"
    with pytest.raises(ValueError, match="folded"):
        join_type("folded", None)
