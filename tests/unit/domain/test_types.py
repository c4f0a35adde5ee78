import pytest

from gpm_cdc.domain import graphtypes
from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.types import TYPE_CHOICES, value_type
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.values import TypeChoiceRefused, UnsupportedType

BIGINT = PgType(20, "pg_catalog", "int8")
TEXT = PgType(25, "pg_catalog", "text")


def built_in(name: str, modifier: int = -1, element: PgType | None = None) -> PgType:
    """A type of Postgres itself."""
    return PgType(0, "pg_catalog", name, modifier=modifier, element=element)


def numeric(precision: int, scale: int) -> PgType:
    """The numeric of a precision and a scale, its modifier packed as Postgres packs it."""
    return built_in("numeric", (precision << 16 | scale & 0x7FF) + 4)


@pytest.mark.parametrize(
    ("precision", "scale", "name"),
    [
        (18, 0, "integer"),
        (19, 0, "string"),
        (1, 0, "integer"),
        (15, 2, "float"),
        (16, 2, "string"),
        (15, -1, "float"),
        (16, -1, "string"),
        (15, 290, "float"),
        (15, 291, "string"),
        (15, -290, "float"),
        (15, -291, "string"),
        (2, 1000, "string"),
        (1000, 0, "string"),
    ],
)
def test_a_numeric_follows_from_its_precision_and_scale(precision: int, scale: int, name: str) -> None:
    """INTEGER and FLOAT only where every value survives the round trip."""
    assert value_type(numeric(precision, scale)).name == name


def test_a_numeric_without_precision_is_text() -> None:
    """Any number of digits may come."""
    assert value_type(built_in("numeric")).graph_type == "STRING"


@pytest.mark.parametrize(
    "pg_type",
    [
        built_in("xml"),
        built_in("name", element=built_in("char")),
        built_in("oidvector", element=built_in("oid")),
        PgType(0, "app", "mood", kind="e"),
        PgType(0, "app", "pair", kind="c"),
        PgType(0, "app", "floats", kind="r"),
        PgType(0, "app", "manyfloats", kind="m"),
        PgType(0, "ext", "citext"),
        PgType(0, "ext", "hstore"),
    ],
    ids=lambda pg_type: pg_type.name,
)
def test_text_is_its_own_value(pg_type: PgType) -> None:
    """Nothing is called for a value that stays as Postgres prints it, whatever its catalogue entry says of elements."""
    text = value_type(pg_type)
    assert text.decode is str
    assert (text.graph_type, text.expression, text.component, text.fallback) == ("STRING", None, None, False)


def test_a_point_is_no_array_of_floats() -> None:
    """Its catalogue entry names an element type all the same."""
    assert value_type(built_in("point", element=built_in("float8"))).name == "point"


def test_a_domain_is_its_base_type_with_its_own_modifier() -> None:
    """Also a domain over a domain, an array of domains and a domain over an array."""
    price = PgType(1, "app", "price", kind="d", base=numeric(12, 2))
    cheap = PgType(2, "app", "cheap", kind="d", base=price)
    assert value_type(cheap) is value_type(numeric(12, 2))
    assert value_type(built_in("_price", element=cheap)).name == "list<float>"
    assert value_type(DAYS).name == "list<date>"


def test_an_array_has_the_modifier_of_its_elements() -> None:
    """numeric(12,2)[] carries it on the array."""
    modifier = numeric(12, 2).modifier
    assert value_type(built_in("_numeric", modifier, built_in("numeric"))).name == "list<float>"
    assert value_type(built_in("_numeric", -1, built_in("numeric"))).name == "list<string>"


DAYS = PgType(3, "app", "days", kind="d", base=built_in("_date", element=built_in("date")))


@pytest.mark.parametrize("element", [built_in("bytea"), PgType(0, "ext", "vector"), DAYS], ids=lambda kind: kind.name)
def test_an_array_of_what_no_list_holds_is_json_text(element: PgType) -> None:
    """Byte arrays, and whatever is a list itself."""
    travelling = value_type(PgType(0, "app", "_x", element=element))
    assert (travelling.name, travelling.graph_type) == ("string", "STRING")
    assert travelling.decode('{"a,b",NULL}') == '["a,b",null]'


def test_equal_types_share_one_object() -> None:
    """The hot path may compare by identity, and compiles one text per type."""
    assert value_type(PgType(20, "pg_catalog", "int8")) is value_type(BIGINT)
    first, second = (value_type(built_in("_date", element=built_in("date"))) for _ in range(2))
    assert first is second


@pytest.mark.parametrize(
    "pg_type",
    [
        built_in("regclass"),
        PgType(0, "public", "geometry"),
        PgType(0, "pg_catalog", "record", kind="p"),
        PgType(0, "public", "_geometry", element=PgType(0, "public", "geometry")),
    ],
    ids=lambda pg_type: pg_type.name,
)
def test_an_unknown_type_is_refused_by_name_unless_kept_as_text(pg_type: PgType) -> None:
    """The error names the type and the line to write, and that line works."""
    with pytest.raises(UnsupportedType) as caught:
        value_type(pg_type)
    assert f"{pg_type.schema}.{pg_type.name}" in str(caught.value)
    assert '{ <column> = "string" }' in caught.value.advice
    assert caught.value.exit_code is ExitCode.PERSON
    assert value_type(pg_type, "string").decode is str


@pytest.mark.parametrize(
    ("pg_type", "accepted"),
    [
        (BIGINT, {"string", "integer", "float"}),
        (built_in("numeric"), {"string", "integer", "float"}),
        (numeric(12, 2), {"string", "integer", "float"}),
        (built_in("float8"), {"string", "float"}),
        (built_in("bool"), {"string", "boolean"}),
        (built_in("bit", 1), {"string", "boolean"}),
        (built_in("bit", 8), {"string"}),
        (built_in("date"), {"string"}),
        (TEXT, {"string"}),
        (built_in("_text", element=TEXT), {"string"}),
        (built_in("_date", element=built_in("date")), {"string"}),
        (built_in("name", element=built_in("char")), {"string"}),
    ],
    ids=lambda value: value.name if isinstance(value, PgType) else None,
)
def test_a_choice_is_taken_where_it_means_something(pg_type: PgType, accepted: set[str]) -> None:
    """Every other one is refused with those that are accepted."""
    for choice in TYPE_CHOICES:
        if choice in accepted:
            assert value_type(pg_type, choice).name == choice
        else:
            with pytest.raises(TypeChoiceRefused) as caught:
                value_type(pg_type, choice)
            assert all(name in caught.value.advice for name in accepted)


@pytest.mark.parametrize(
    ("array", "accepted"),
    [
        (built_in("_int8", element=BIGINT), {"integer", "float"}),
        (built_in("_numeric", element=built_in("numeric")), {"integer", "float"}),
        (built_in("_bit", 1, built_in("bit")), {"boolean"}),
        (built_in("_date", element=built_in("date")), set()),
        (PgType(0, "app", "_days", element=DAYS), set()),
    ],
    ids=lambda value: value.name if isinstance(value, PgType) else None,
)
def test_a_choice_for_an_array_is_that_of_its_elements(array: PgType, accepted: set[str]) -> None:
    """But `string` keeps the whole array as Postgres prints it."""
    assert value_type(array, "string").decode is str
    for choice in ("integer", "float", "boolean"):
        if choice in accepted:
            assert value_type(array, choice).name == f"list<{choice}>"
        else:
            with pytest.raises(TypeChoiceRefused):
                value_type(array, choice)
    if "float" in accepted:
        assert value_type(array, "float").decode("{1,NULL}") == "[1.0,null]"


def test_an_unknown_choice_is_refused() -> None:
    """A misspelled one too."""
    with pytest.raises(TypeChoiceRefused, match="strnig"):
        value_type(TEXT, "strnig")


def test_a_default_that_is_chosen_is_the_default() -> None:
    """Saying what would happen anyway changes nothing."""
    assert value_type(numeric(18, 0), "integer") is value_type(numeric(18, 0))
    assert value_type(numeric(12, 2), "float") is value_type(numeric(12, 2))


def test_templates_fill_with_a_name_and_leave_cypher() -> None:
    """Both are templates of str.format, for one value and for a list."""
    moment = value_type(built_in("timestamptz"))
    assert moment.expression is not None
    assert moment.expression.format(v="r[3]") == "datetime({epochSeconds: r[3][0], nanosecond: r[3][1]})"
    moments = value_type(built_in("_timestamptz", element=built_in("timestamptz")))
    assert moments.expression is not None
    assert moments.expression.format(v="r[3]") == "[x IN r[3] | datetime({epochSeconds: x[0], nanosecond: x[1]})]"
    for travelling in (moment, moments):
        assert travelling.component is not None
        assert "{n.`at`" not in travelling.component.format(p="n.`at`")
    assert "{p}" not in graphtypes.GUARDED_COMPONENT.format(p="n.x")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("int8", "5", 5),
        ("bytea", "\\x00", b"\x00"),
        ("date", "1970-01-03", ["date", 2]),
        ("date", "infinity", "infinity"),
        ("timestamp", "1970-01-01 00:00:01.5", ["local_datetime", 1, 500_000_000]),
        ("timestamptz", "1970-01-01 00:00:01+00", ["zoned_datetime", 1, 0, "Z"]),
        ("time", "01:02:03", ["local_time", 1, 2, 3, 0]),
        ("timetz", "01:02:03-08", ["zoned_time", 1, 2, 3, 0, "-08:00"]),
        ("interval", "1 mon -00:00:00.5", ["duration", 1, 0, -1, 500_000_000]),
        ("point", "(1,2)", ["point", 1.0, 2.0, 7203, None]),
    ],
)
def test_a_stored_value_starts_with_its_type(name: str, text: str, expected: object) -> None:
    """Except where the driver carries it as it is."""
    travelling = value_type(built_in(name))
    assert travelling.stored(travelling.decode(text)) == expected


def test_a_stored_list_is_tagged_and_so_are_its_elements() -> None:
    """Lists of plain values and JSON text are as they are."""
    dates = value_type(built_in("_date", element=built_in("date")))
    assert dates.stored(dates.decode("{1970-01-02}")) == ["list<date>", [["date", 1]]]
    assert dates.stored(dates.decode("{NULL}")) == "[null]"
    numbers = value_type(built_in("_int8", element=BIGINT))
    assert numbers.stored(numbers.decode("{1,2}")) == [1, 2]
