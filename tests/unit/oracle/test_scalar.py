"""Postgres texts and the values they should be in the graph."""

import datetime as dt
import struct

import pytest
from hypothesis import given, strategies as st

from tests.oracle.column_type import ColumnType, array_of, numeric
from tests.oracle.scalar import graph_value
from tests.oracle.value import Value, float_value, list_value, same

INT4, TEXT, DATE, FLOAT8, BOOL = (ColumnType(name) for name in ("int4", "text", "date", "float8", "bool"))
ENUM = ColumnType("public.mood", kind="e")


@pytest.mark.parametrize(
    ("text", "column_type", "expected"),
    [
        ("32767", ColumnType("int2"), Value("INTEGER", 32767)),
        ("-9223372036854775808", ColumnType("int8"), Value("INTEGER", -(2**63))),
        ("4294967295", ColumnType("oid"), Value("INTEGER", 4294967295)),
        ("999999999999999999", numeric(18), Value("INTEGER", 999999999999999999)),
        ("9999999999999999999", numeric(19), Value("STRING", "9999999999999999999")),
        ("NaN", numeric(18), Value("STRING", "NaN")),
        ("NaN", numeric(10, 2), Value("FLOAT", "nan")),
        ("12.50", numeric(15, 2), Value("FLOAT", "12.5")),
        ("12.50", numeric(16, 2), Value("STRING", "12.50")),
        ("12.50", numeric(), Value("STRING", "12.50")),
        ("1200", numeric(5, -2), Value("FLOAT", "1200.0")),
        ("0", numeric(15, 290), Value("FLOAT", "0.0")),
        ("0", numeric(15, 291), Value("STRING", "0")),
        ("1000", numeric(3, -291), Value("STRING", "1000")),
        ("$1,234.50", ColumnType("money"), Value("STRING", "$1,234.50")),
        ("0.1", ColumnType("float4"), Value("FLOAT", "0.1")),
        ("-0", FLOAT8, Value("FLOAT", "-0.0")),
        ("5e-324", FLOAT8, Value("FLOAT", "5e-324")),
        ("-Infinity", FLOAT8, Value("FLOAT", "-inf")),
        ("t", BOOL, Value("BOOLEAN", content=True)),
        ("f", BOOL, Value("BOOLEAN", content=False)),
        ("a   ", ColumnType("bpchar", modifier=8), Value("STRING", "a   ")),
        ("", TEXT, Value("STRING", "")),
        ("happy", ENUM, Value("STRING", "happy")),
        ("(1,2)", ColumnType("public.pair", kind="c"), Value("STRING", "(1,2)")),
        ("\\x00ff", ColumnType("bytea"), Value("BYTES", b"\x00\xff")),
        ('{"b": 1.0}', ColumnType("jsonb"), Value("STRING", '{"b": 1.0}')),
        ("[0.1,-2]", ColumnType("vector"), list_value([float_value(0.1), float_value(-2.0)])),
        ("(1,-0)", ColumnType("point"), Value("POINT", (7203, "1.0", "-0.0"))),
        ("(1,Infinity)", ColumnType("point"), Value("STRING", "(1,Infinity)")),
        ("((0,0),(1,1))", ColumnType("box"), Value("STRING", "((0,0),(1,1))")),
    ],
)
def test_a_scalar_becomes_the_value_of_its_type(text: str, column_type: ColumnType, expected: Value) -> None:
    """Each Postgres type has one graph type, and a value that does not fit stays the text."""
    assert graph_value(text, column_type) == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("1970-01-02", "date", Value("DATE", 1)),
        ("4713-11-24 BC", "date", Value("DATE", -2440222)),
        ("5874897-12-31", "date", Value("DATE", 2145042905)),
        ("infinity", "date", Value("STRING", "infinity")),
        ("1969-12-31 23:59:59.5", "timestamp", Value("LOCAL DATETIME", (-1, 500_000_000))),
        ("-infinity", "timestamp", Value("STRING", "-infinity")),
        ("1970-01-01 00:00:00.000001+00", "timestamptz", Value("ZONED DATETIME", (0, 1000, 0))),
        ("0001-01-01 00:00:00+00 BC", "timestamptz", Value("ZONED DATETIME", (-62167219200, 0, 0))),
        ("23:59:59.999999", "time", Value("LOCAL TIME", 86_399_999_999_000)),
        ("24:00:00", "time", Value("STRING", "24:00:00")),
        ("12:00:00-05:53:28", "timetz", Value("ZONED TIME", (43_200_000_000_000, -21208))),
        ("12:00:00+00", "timetz", Value("ZONED TIME", (43_200_000_000_000, 0))),
        ("24:00:00+00", "timetz", Value("STRING", "24:00:00+00")),
        ("00:00:00", "interval", Value("DURATION", (0, 0, 0))),
        ("1 year 2 mons -3 days", "interval", Value("DURATION", (14, -3, 0))),
        ("-1 mons +1 day -00:00:00.5", "interval", Value("DURATION", (-1, 1, -500_000_000))),
        ("1 mon 100:00:01.000001", "interval", Value("DURATION", (1, 0, 360_001_000_001_000))),
        ("infinity", "interval", Value("STRING", "infinity")),
    ],
)
def test_a_moment_becomes_its_components(text: str, name: str, expected: Value) -> None:
    """Dates count days, moments seconds and nanoseconds, intervals keep months, days and the rest apart."""
    assert graph_value(text, ColumnType(name)) == expected


@given(st.dates())
def test_a_date_is_the_same_day_as_in_the_standard_library(day: dt.date) -> None:
    """The calendar agrees with Python's in all the years that Python has."""
    assert graph_value(day.isoformat(), DATE) == Value("DATE", day.toordinal() - dt.date(1970, 1, 1).toordinal())


@given(st.datetimes())
def test_a_timestamp_is_the_same_instant_as_in_the_standard_library(moment: dt.datetime) -> None:
    """Seconds and nanoseconds agree with Python's arithmetic."""
    past = moment - dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp has no zone
    seconds = past.days * 86_400 + past.seconds
    text = moment.isoformat(sep=" ")
    assert graph_value(text, ColumnType("timestamp")) == Value("LOCAL DATETIME", (seconds, past.microseconds * 1000))
    assert graph_value(f"{text}+00", ColumnType("timestamptz")) == Value(
        "ZONED DATETIME", (seconds, past.microseconds * 1000, 0)
    )


@given(st.floats())
def test_two_floats_are_one_value_exactly_when_their_bits_say_so(number: float) -> None:
    """A double survives; NaN is NaN; the sign of zero counts."""
    value = graph_value(repr(number).replace("inf", "Infinity").replace("nan", "NaN"), FLOAT8)
    assert value == float_value(number)
    if number == number:  # noqa: PLR0124 - not NaN
        assert struct.pack(">d", float(str(value.content))) == struct.pack(">d", number)


@pytest.mark.parametrize(
    ("text", "column_type", "expected"),
    [
        ("{}", array_of(INT4), []),
        ("{1,2}", array_of(INT4), [Value("INTEGER", 1), Value("INTEGER", 2)]),
        ("[5:6]={1,2}", array_of(INT4), [Value("INTEGER", 1), Value("INTEGER", 2)]),
        (
            r'{"a \"b\" \\",c d,"NULL","","{"}',
            array_of(TEXT),
            [Value("STRING", text) for text in ('a "b" \\', "c d", "NULL", "", "{")],
        ),
        ("{NaN,1}", array_of(FLOAT8), [Value("FLOAT", "nan"), Value("FLOAT", "1.0")]),
        ("{t,f}", array_of(BOOL), [Value("BOOLEAN", content=True), Value("BOOLEAN", content=False)]),
        ("{1.50}", array_of(numeric()), [Value("STRING", "1.50")]),
        ('{"(1,2)"}', array_of(ColumnType("point")), [Value("POINT", (7203, "1.0", "2.0"))]),
        (
            "{(1,1),(0,0);(2,2),(0,0)}",
            array_of(ColumnType("box"), ";"),
            [Value("STRING", "(1,1),(0,0)"), Value("STRING", "(2,2),(0,0)")],
        ),
        ("{1970-01-01,1969-12-31}", array_of(DATE), [Value("DATE", 0), Value("DATE", -1)]),
    ],
)
def test_an_array_becomes_a_list(text: str, column_type: ColumnType, expected: list[Value]) -> None:
    """Elements keep their own types and their order, whatever the quotes."""
    assert graph_value(text, column_type) == list_value(expected)


@pytest.mark.parametrize(
    ("text", "column_type", "json"),
    [
        ("{1,NULL}", array_of(INT4), "[1, null]"),
        ("{{1,2},{3,4}}", array_of(INT4), "[[1,2],[3,4]]"),
        ('{"NULL",NULL}', array_of(TEXT), '["NULL",null]'),
        ("{1.5,NaN,-Infinity,NULL}", array_of(FLOAT8), '[1.5,"NaN","-Infinity",null]'),
        ("{1.50,NULL}", array_of(numeric()), '["1.50",null]'),
        ("{1,NaN}", array_of(numeric(5)), '[1,"NaN"]'),
        ("{t,NULL}", array_of(BOOL), "[true,null]"),
        ("{infinity,2020-01-01}", array_of(DATE), '["infinity","2020-01-01"]'),
        ('{"\\\\x00"}', array_of(ColumnType("bytea")), '["\\\\x00"]'),
        ("{}", array_of(ColumnType("bytea")), "[]"),
    ],
)
def test_an_array_that_no_list_can_hold_becomes_json_text(text: str, column_type: ColumnType, json: str) -> None:
    """NULLs, further dimensions, bytes and elements without a graph value are told as JSON, in any spelling of it."""
    value = graph_value(text, column_type)
    assert value.type == "JSON"
    assert same(value, Value("STRING", json))
    assert not same(value, Value("STRING", json.replace("[", "[0,", 1)))


@pytest.mark.parametrize(
    ("text", "column_type", "choice", "expected"),
    [
        ("12.10", numeric(), "float", Value("FLOAT", "12.1")),
        ("12.10", numeric(), "integer", Value("STRING", "12.10")),
        ("12.00", numeric(), "integer", Value("INTEGER", 12)),
        ("9223372036854775808", numeric(20), "integer", Value("STRING", "9223372036854775808")),
        ("1" + "0" * 400, numeric(), "float", Value("STRING", "1" + "0" * 400)),
        ("7", INT4, "string", Value("STRING", "7")),
        ("7", INT4, "float", Value("FLOAT", "7.0")),
        ("1", ColumnType("bit", modifier=1), "boolean", Value("BOOLEAN", content=True)),
        ("{7,8}", array_of(INT4), "string", Value("STRING", "{7,8}")),
        ("{7}", array_of(numeric()), "float", list_value([Value("FLOAT", "7.0")])),
    ],
)
def test_a_chosen_type_replaces_the_default(text: str, column_type: ColumnType, choice: str, expected: Value) -> None:
    """`types` in the mapping decides, and what does not fit the choice stays the text."""
    assert graph_value(text, column_type, choice) == expected


def test_a_json_text_is_compared_by_what_it_says() -> None:
    """White space and spelling do not matter; values, their types and their order do."""
    expected = Value("JSON", '[1, 0.5, "é", true]')
    assert same(expected, Value("STRING", '[1.0,5e-1,"\\u00e9",true]'))
    assert not same(expected, Value("STRING", '[0.5, 1, "é", true]'))
    assert not same(expected, Value("STRING", '[1, 0.5, "é", 1]'))
    assert not same(expected, Value("STRING", "[1, 0.5"))
    assert not same(expected, list_value([Value("INTEGER", 1)]))
