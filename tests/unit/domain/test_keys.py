import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.keys import KEY_BYTES, check_key
from gpm_cdc.domain.values import Wire
from gpm_cdc.errors.values import KeyBeyondInteger, KeyNotANumber, KeyNotStorable, KeyNotUnicode, KeyTooLong


def check(*values: Wire | None) -> None:
    """Check a key of a label and columns that the error shall name."""
    check_key(values, label="Order", columns=["region", "number"])


@pytest.mark.parametrize(
    "values",
    [
        (1,),
        (-(2**63), 2**63 - 1),
        ("x" * 8000,),
        ("é" * 4000,),
        ("x" * 4000, "y" * 4000),
        (1.5, True, b"x" * 7000, None),
        ([1577934245, 0], [0, 0, -1, 5], [1, 2, 3, 4, "+05:53:28"]),
        (float("inf"), -0.0),
        ([1.0] * 1000,),
    ],
)
def test_what_neo4j_can_hold_passes(values: tuple[Wire | None, ...]) -> None:
    """Up to the limit."""
    check(*values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ((float("nan"),), KeyNotANumber),
        ((1, "x", float("nan")), KeyNotANumber),
        ((2**63,), KeyBeyondInteger),
        ((1, -(2**63) - 1), KeyBeyondInteger),
        (([1, 2**63],), KeyBeyondInteger),
        (("x" * 8001,), KeyTooLong),
        (("é" * 4001,), KeyTooLong),
        (("\U0001f600" * 2001,), KeyTooLong),
        (("x" * 4000, "y" * 4001), KeyTooLong),
        (("x" * 8000, 1), KeyTooLong),
        ((b"x" * 8001,), KeyTooLong),
        ((["abc"] * 1601,), KeyTooLong),
        (([1] * 1001,), KeyTooLong),
        (("\ud800",), KeyNotUnicode),
    ],
)
def test_what_neo4j_cannot_hold_is_refused(values: tuple[Wire, ...], problem: type[KeyNotStorable]) -> None:
    """By an error that names label and columns."""
    with pytest.raises(KeyNotStorable) as caught:
        check(*values)
    assert type(caught.value) is problem
    assert "Order (region, number)" in str(caught.value)
    assert "Order" in caught.value.advice


def test_the_value_stays_out_of_the_error() -> None:
    """It may be anybody's data."""
    with pytest.raises(KeyTooLong) as caught:
        check("secret" * 2000)
    assert "secret" not in repr(caught.value) + str(caught.value) + caught.value.advice
    assert "12000 bytes" in str(caught.value)
    assert str(KEY_BYTES) in str(caught.value)


@given(st.text(max_size=30), st.integers(-(2**63), 2**63 - 1))
def test_ordinary_keys_pass(text: str, number: int) -> None:
    """Any text and any 64-bit integer."""
    check(text, number)
