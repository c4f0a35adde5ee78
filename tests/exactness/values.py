"""A few values of every type that a column may have, as the text that one would type in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type as SQL writes it and texts of values of it. `since`: the first major version that has all of them."""

    sql: str
    values: tuple[str, ...]
    since: int = 15


@dataclass(frozen=True, slots=True)
class KeyType:
    """A type that can be a key. `pattern` makes a value of a number below ten thousand: each number its own value.

    `others` make values that Postgres calls equal to that one, written differently. `alike` are types of foreign keys
    whose values can equal those of this one, and which read what `pattern` writes; `declared` those that need the
    foreign key to say how they are compared.
    """

    sql: str
    pattern: str
    alike: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()

    def value(self, number: int, way: int = 0) -> str:
        """The text of the value with this number, in one of the ways to write it."""
        patterns = (self.pattern, *self.others)
        return patterns[way % len(patterns)].format(
            number=number,
            day=1 + number % 28,
            month=1 + number // 28 % 12,
            year=1990 + number,
            days=30 * number,
            hours=720 * number,
        )


KEY_TYPES = (
    KeyType("int", "{number}", ("int8", "int2")),
    KeyType("int", "{number}"),
    KeyType("int8", "-{number}00000000000"),
    KeyType("text", "k{number} \\ 'ü'", ("varchar",), declared=("char(12)",)),
    KeyType("varchar(40)", "{number}", ("text",), declared=("char(5)",)),
    KeyType("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd38{number:04}"),
    KeyType("date", "{year:04}-02-03"),
    KeyType("timestamptz", "{year:04}-02-03 04:05:06.000007+05:30"),
    KeyType("timestamp", "{year:04}-02-03 04:05:06.1"),
    KeyType("numeric(9,2)", "{number}.50", ("numeric", "numeric(30,1)")),
    KeyType("numeric", "{number}", ("int", "int8", "numeric(20,3)"), ("{number}.0", "{number}.000")),
    KeyType("numeric", "-{number}.25", ("numeric(9,3)",), ("-{number}.250", "-{number}.2500")),
    KeyType("numeric(38,4)", "{number}0000000000000000000.5", ("numeric",)),
    KeyType("char(6)", "{number}", ("char(9)", "char(5)"), declared=("text", "varchar")),
    KeyType(
        "interval",
        "{number} mons",
        (),
        ("{days} days", "{hours}:00:00", "-1 days {days} days 24:00:00"),
    ),
    KeyType("citext", "Ä{number}k", (), ("ä{number}K", "ä{number}k")),
    KeyType("bytea", "\\x00ff{number:04}"),
    KeyType("inet", "10.0.{month}.{day}"),
    KeyType("positive", "{number}"),
)

DATA_TYPES = (
    ColumnType("int2", ("0", "-32768", "32767")),
    ColumnType("int4", ("0", "-2147483648", "2147483647")),
    ColumnType("int8", ("0", "-9223372036854775808", "9223372036854775807")),
    ColumnType("oid", ("0", "4294967295")),
    ColumnType("numeric", ("1.0", "1.00", "-0.000", "1e30", "NaN", "-Infinity")),
    ColumnType("numeric(12,2)", ("0", "-0.01", "9999999999.99", "NaN")),
    ColumnType("numeric(18,0)", ("0", "999999999999999999", "NaN")),
    ColumnType("numeric(30,5)", ("0", "-1234567890123456789012345.00001")),
    ColumnType("numeric(3,-2)", ("0", "12300")),
    ColumnType("money", ("0", "-1234.56")),
    ColumnType("float4", ("0", "0.1", "3.4e38", "1e-45", "-Infinity", "NaN")),
    ColumnType("float8", ("0", "-0", "0.1", "2e23", "5e-324", "NaN", "Infinity", "1.7976931348623157e308")),
    ColumnType("bool", ("t", "f")),
    ColumnType("text", ("", "a", "it's", "tab\tnewline\n", "back\\slash \\N", "NULL", "ünïcödé 🜁", "x" * 300)),
    ColumnType("varchar(10)", ("", "a", "z  ")),
    ColumnType("char(4)", ("", "ab", "abcd")),
    ColumnType("name", ("", "me")),
    ColumnType('"char"', ("", "x")),
    ColumnType("uuid", ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",)),
    ColumnType("mood", ("calm", "wild", "it's")),
    ColumnType("inet", ("::1", "10.0.0.1/8")),
    ColumnType("cidr", ("10.0.0.0/8",)),
    ColumnType("macaddr", ("08:00:2b:01:02:03",)),
    ColumnType("bit(4)", ("1010", "0000")),
    ColumnType("varbit", ("", "101")),
    ColumnType("int4range", ("empty", "[1,5)", "(,)")),
    ColumnType("tstzrange", ("[2020-01-01 00:00+01,)",)),
    ColumnType("int4multirange", ("{}", "{[1,3),[5,8)}")),
    ColumnType("tsvector", ("", "a:1 fat:2,3A")),
    ColumnType("bytea", ("\\x", "\\x00ff5c27")),
    ColumnType("date", ("1970-01-01", "0044-03-15 BC", "infinity", "5874897-12-31")),
    ColumnType("timestamp", ("2020-02-29 00:00", "294276-12-31 23:59:59.999999", "-infinity", "4713-01-02 BC")),
    ColumnType("timestamptz", ("1969-12-31 23:59:59Z", "2020-02-02 03:04:05.000001+05:30", "infinity")),
    ColumnType("time", ("00:00", "23:59:59.999999", "24:00")),
    ColumnType("timetz", ("00:00+00", "01:02:03.5-07:30:15", "24:00+02")),
    ColumnType("interval", ("0", "-1 mon +2 days -03:00:00.000001", "1 year 40 days 30 hours")),
    ColumnType("interval", ("infinity", "-infinity", "178000000 years"), since=17),
    ColumnType("json", ('{"b": 1, "a": [null, "x\\ny"]}', "null", "[]")),
    ColumnType("jsonb", ('{"b": {"c": [1.50, {}]}, "a": "ü"}', "null", '"text"')),
    ColumnType("pair", ("(1,a)", '(,"x y")', "(2,)")),
    ColumnType("positive", ("1", "7")),
    ColumnType("word", ("a", "", "NULL")),
    ColumnType("point", ("(1.5,-2)", "(Infinity,0)", "(-0,0)")),
    ColumnType("box", ("(1,1),(0,0)",)),
    ColumnType("int[]", ("{}", "{1,2,3}", "{1,NULL}", "{{1,2},{3,4}}", "[0:1]={5,6}")),
    ColumnType("text[]", ("{}", '{a,"b,c","NULL","it\'s"}', "{NULL}", '{""}')),
    ColumnType("float8[]", ("{1,2.5}", "{NaN,Infinity}", "{0,-0}", "{{NaN,1}}")),
    ColumnType("bool[]", ("{t,f}", "{t,NULL}")),
    ColumnType("bytea[]", ('{"\\\\x00ff"}', "{}")),
    ColumnType("date[]", ("{2020-01-01,0044-03-15 BC}", "{infinity,2020-01-01}")),
    ColumnType("timestamptz[]", ('{"2020-01-01 00:00+02"}',)),
    ColumnType("interval[]", ('{"1 mon","-2 days"}',)),
    ColumnType("numeric(5,2)[]", ("{1.5,2.25}", "{1.5,NaN}")),
    ColumnType("mood[]", ("{calm,wild}", "{}")),
    ColumnType("jsonb[]", ('{"{\\"a\\": 1}"}',)),
)

TYPES_SQL = (
    "CREATE EXTENSION citext",
    "CREATE TYPE mood AS ENUM ('calm', 'wild', 'it''s')",
    "CREATE TYPE pair AS (one int, other text)",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE DOMAIN word AS varchar(20)",
    """CREATE FUNCTION noise(seed int, size int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(string_agg(md5(seed || '.' || n), ''), size) FROM generate_series(1, size / 32 + 1) AS n $$""",
)
"""What the types above and the large values need."""
