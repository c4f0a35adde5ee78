"""Every type of the table of types, with its limits and its odd values, as SQL.

One list for all tests: a column of each type, a domain over each, and rows in which every value follows every other.
"""

from collections.abc import Sequence
from typing import NamedTuple

TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'ok "so" so', 'NULL', '{}', 'ein Wort, zwei');
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE entry AS (at timestamptz, span interval, number float8, raw bytea, "Inner pair" pair, days date[]);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN price AS numeric(12, 2);
    CREATE DOMAIN cheap AS price CHECK (VALUE < 100);
    CREATE DOMAIN days AS date[];
    CREATE TYPE realrange AS RANGE (subtype = float8);
"""
"""The types that a fresh database lacks."""


class Kind(NamedTuple):
    """A type with SQL expressions of its values; NULL is a value of each.

    `choice` is what the mapping says about the column. `needs` names what not every server has: an extension, or `xml`.
    """

    type: str
    values: Sequence[str]
    choice: str = ""
    needs: str = ""

    @property
    def column(self) -> str:
        """The name of a column of this kind."""
        return f"{self.type} as {self.choice}" if self.choice else self.type

    @property
    def every_value(self) -> list[str]:
        """The values and NULL."""
        return [*self.values, "NULL"]

    def known_to(self, version: int, codec: str) -> "Kind":
        """Without what the server's major version, or an encoding given as a Python codec, does not have."""
        finite = self.type.startswith("interval") and version < _INFINITE_INTERVALS_SINCE
        values = [value for value in self.values if _holds(codec, value) and not (finite and "infinity" in value)]
        return self._replace(values=values)


_INFINITE_INTERVALS_SINCE = 17


def _holds(codec: str, text: str) -> bool:
    return text.encode(codec, "ignore") == text.encode(codec, "replace")


def quoted(*literals: str) -> list[str]:
    """SQL string literals."""
    return ["'" + literal.replace("'", "''") + "'" for literal in literals]


EVERY_BYTE = "\\x" + bytes(range(256)).hex()
FLOATS = (
    *("0", "-0", "0.1", "-1.5", "1", "5e-324", "-5e-324", "2.2250738585072011e-308", "1.7976931348623157e308"),
    *("2e23", "1e21", "1e22", "123456789012345678", "9007199254740993", "0.30000000000000004"),
    *("NaN", "Infinity", "-Infinity"),
)
SINGLES = ("0", "-0", "0.1", "1e-45", "-1e-45", "3.4028235e38", "16777217", "NaN", "Infinity", "-Infinity")
MOMENTS = (
    *("2020-01-02 03:04:05.123456", "1970-01-01", "1969-12-31 23:59:59.999999", "0001-01-01"),
    *("9999-12-31 23:59:59.999999", "10000-01-01", "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC"),
    *("0001-12-31 23:59:59.5 BC", "0401-02-29 00:00:01 BC", "2000-02-29 23:59:59.1", "1883-11-18 12:03:57"),
    *("infinity", "-infinity"),
)
CLOCKS = ("00:00:00", "23:59:59.999999", "03:04:05.1", "12:00:00.000001", "24:00:00")
ZONED_CLOCKS = (
    *("00:00:00+00", "23:59:59.999999-15:59:59", "03:04:05.1+05:53:28", "12:00:00-05:30", "10:00:00+01"),
    *("09:00:00+00", "09:00:00-00:00:01", "24:00:00+00", "24:00:00-08", "00:00:00+15:59:59"),
)
INTERVALS = (
    *("0", "1 year 2 mons -3 days +04:05:06.789", "-1 years", "-00:00:00.000001", "-1 sec", "1 day -1 us", "-1.5 sec"),
    *("178956970 years 7 mons", "-178956970 years -8 mons", "2147483647 days", "-2147483648 days"),
    *("2562047788:00:54.775807", "-2562047788:00:54.775807", "1 mon", "30 days", "720 hours", "-1 mon 1 day -1 sec"),
    *("-13 mons", "11 mons 27 days 00:00:00.1"),
)
TEXTS = (
    *("", " ", "a", "a ", "é", "tab\ttab", "new\nline", "re\r\nturn", "back\\slash\\", "\\N", "\\.", "\\x00", "'\"`$1"),
    *("é😀", "\U0010ffff", "\ufeff\ufffe\uffff", "e\u0301", "\u202eabc", "\x01\x1f\x7f", '{"a",NULL}', "NULL", "null"),
    *("infinity", "-0", "0", "$1", "{v}", "{{p}}", "ß" * 3000),
)

_NUMBERS = (
    Kind("int2", quoted("-32768", "0", "32767")),
    Kind("int4", quoted("-2147483648", "0", "2147483647")),
    Kind("int8", quoted("-9223372036854775808", "9223372036854775807", "0", "9007199254740993", "-1")),
    Kind("int8", quoted("9007199254740993", "0", "-1", "9223372036854775807"), "float"),
    Kind("oid", quoted("4294967295", "0")),
    Kind("numeric(18)", quoted("999999999999999999", "-999999999999999999", "0", "NaN")),
    Kind("numeric(3,0)", quoted("12.4", "-999", "0")),
    Kind("numeric(15,2)", quoted("0.10", "9999999999999.99", "-0.01", "NaN", "0")),
    Kind("numeric(15,-290)", quoted("9" * 15 + "0" * 290, "-1" + "0" * 304, "0")),
    Kind("numeric(15,290)", quoted("1e-290", "-1e-276", "0")),
    Kind("numeric(3,-2)", quoted("12345", "-99900")),
    Kind("numeric(2,4)", quoted("0.0012", "0.0099")),
    Kind(
        "numeric", quoted("1.0", "1.00", "1e100", "NaN", "Infinity", "-Infinity", "-0", "1e-20", "1e131071", "1e-16383")
    ),
    Kind("numeric(16,2)", quoted("12345678901234.56", "NaN")),
    Kind("numeric(19)", quoted("9999999999999999999", "0")),
    Kind("numeric(15,-291)", quoted("1e300", "0")),
    Kind("numeric(1000,-1000)", quoted("9e1999", "0")),
    Kind("numeric", quoted("1.5", "NaN", "Infinity", "-Infinity", "1e-20", "1e400", "-1e400", "0", "-1e-400"), "float"),
    Kind(
        "numeric", quoted("1.00", "9223372036854775807", "-9223372036854775808", "1.5", "1e19", "NaN", "0"), "integer"
    ),
    Kind("numeric(19)", quoted("9223372036854775807", "9223372036854775808", "NaN"), "integer"),
    Kind("float4", quoted(*SINGLES)),
    Kind("float8", quoted(*FLOATS)),
    Kind("float8", quoted("0", "-0", "NaN", "1e22", "5e-324"), "string"),
    Kind("money", quoted("1234.5", "0", "-0.01", "-92233720368547758.08", "92233720368547758.07")),
    Kind("bool", quoted("t", "f")),
    Kind("bool", quoted("t", "f"), "string"),
)

_STRINGS = (
    Kind("text", [*quoted(*TEXTS), "repeat('long 😀 ', 20000)"]),
    Kind("varchar(5)", quoted("abc", "", "abcde", "é€")),
    Kind("char(4)", quoted("a", "", "abcd", " é")),
    Kind("bpchar", quoted("a ", "", " ")),
    Kind('"char"', quoted("x", "", "\\")),
    Kind("name", quoted("x", "", "é" * 31)),
    Kind("citext", quoted("MiXed", "mixed"), needs="citext"),
    Kind("uuid", quoted("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "00000000-0000-0000-0000-000000000000")),
    Kind("mood", quoted("sad", 'ok "so" so', "NULL", "{}", "ein Wort, zwei")),
    Kind("inet", quoted("192.168.0.1/24", "192.168.0.1", "::1", "::ffff:1.2.3.4/96", "0.0.0.0/0")),
    Kind("cidr", quoted("10.0.0.0/8", "::/0", "255.255.255.255/32")),
    Kind("macaddr", quoted("08:00:2b:01:02:03", "ffffffffffff")),
    Kind("macaddr8", quoted("08:00:2b:01:02:03:04:05")),
    Kind("bit(1)", ["B'0'", "B'1'"], "boolean"),
    Kind("bit(3)", ["B'101'", "B'000'"]),
    Kind("varbit", ["B''", "B'1'", f"B'{'10' * 500}'"]),
    Kind("tsvector", quoted("a fat cat", "", "'fat ''cat':1A,2", "é:3")),
    Kind("tsquery", quoted("a & !b", "'x y':*")),
    Kind(
        "json",
        quoted('{"b": 1,  "a": [1.0, null], "b": 2}', '"\\ud83d"', "null", "-0", '{"é": {"x": [[[]]]}}', "1e999"),
    ),
    Kind(
        "jsonb",
        quoted('{"b": 1,  "a": [1.0, null]}', "null", "1.00", "-0.0", '{"é😀": {"x": [[[{}]]]}}', "1e999", '""'),
    ),
    Kind("jsonpath", quoted('$."é"[*] ? (@ > 1.0)')),
    Kind("xml", ["XMLPARSE(CONTENT 'x<a b=\"1\">&amp;é</a>')", "XMLPARSE(DOCUMENT '<a/>')"], needs="xml"),
    Kind("hstore", quoted('a=>1, b=>NULL, c=>"x y"', "", '"é"=>"\\"\\\\"'), needs="hstore"),
    Kind("ltree", quoted("a.b.c", ""), "string", needs="ltree"),
    Kind("pg_lsn", quoted("FFFFFFFF/FFFFFFFF", "0/0")),
    Kind("xid8", quoted("18446744073709551615", "0")),
    Kind("xid", quoted("4294967295", "0")),
    Kind("tid", quoted("(4294967295,65535)", "(0,0)")),
    Kind("pg_snapshot", quoted("10:20:10,14")),
    Kind("int2vector", quoted("1 2 -3", "")),
    Kind("oidvector", quoted("1 2 3", "")),
    Kind("timestamptz", quoted("2020-01-01 00:00:00+09", "infinity", "4714-11-24 00:00:00+00 BC"), "string"),
    Kind("interval", quoted(*INTERVALS[:5]), "string"),
    Kind("bytea", quoted("\\x", EVERY_BYTE), "string"),
)

_COMPOSED = (
    Kind("pair", ["ROW(1, 'x y')", "ROW(NULL, NULL)", "ROW(NULL, '')", "ROW(-1, '(\",\\')"]),
    Kind(
        "entry",
        [
            "ROW('2020-01-01 00:00:00+09', '-1 mon 1 day', '-0', '\\x00ff', ROW(1, 'é'), '{2020-01-01}')::entry",
            "ROW('infinity', '1 year', 'NaN', '', NULL, '{NULL}')::entry",
        ],
    ),
    Kind("int4range", quoted("[1,3]", "empty", "(,)", "[1,)")),
    Kind("int8range", quoted("[1,3]", "(,9223372036854775807)")),
    Kind("numrange", quoted("[1.0,1.00]", "(1,2)", "[NaN,NaN]")),
    Kind("daterange", quoted("[2020-01-01,infinity]", "(,)", "[4714-11-24 BC,2020-01-02]")),
    Kind("tsrange", quoted('["2020-01-01 00:00:00.5",infinity)', "(,294276-12-31 23:59:59.999999]")),
    Kind("tstzrange", quoted('["2020-01-01 00:00:00+09","2020-06-01 00:00:00+00")', "[-infinity,)")),
    Kind("realrange", quoted("[-0,0]", "[5e-324,2e23)", "(-Infinity,NaN]")),
    Kind("int4multirange", quoted("{}", "{[1,3),[5,7)}")),
    Kind("tstzmultirange", quoted("{[2020-01-01 00:00:00+09,2021-01-01 00:00:00+00),[2022-01-01 00:00:00+00,)}")),
    Kind("line", quoted("{1,2,3}", "{-0.5,1e300,-0}")),
    Kind("lseg", quoted("((1,2),(-0,1e-300))")),
    Kind("box", quoted("(1,2),(3,4)", "(NaN,2),(Infinity,4)")),
    Kind("path", quoted("((1,2),(3,4))", "[(1,2),(3,4)]")),
    Kind("polygon", quoted("((0,0),(1,1),(1,-0))")),
    Kind("circle", quoted("<(0,0),1>", "<(0.1,-0),Infinity>")),
    Kind(
        "vector(3)", quoted("[1,-0,0]", "[0,0,0]", "[1e-45,-1e-45,3.4028235e38]", "[0.1,-0.5,16777217]"), needs="vector"
    ),
    Kind("halfvec(2)", quoted("[65504,-0]", "[6e-08,0.1]", "[0,0]"), needs="vector"),
    Kind("sparsevec(5)", quoted("{1:1,3:-2.5}/5", "{}/5"), needs="vector"),
)

_BUILT = (
    Kind("bytea", quoted("", "\\x00", EVERY_BYTE, "\\x" + "ab" * 3000, "text")),
    Kind("date", quoted(*MOMENTS, "5874897-12-31", "4714-11-24 BC", "1900-02-28")),
    Kind("date", quoted("2020-01-01", "infinity", "0044-03-15 BC"), "string"),
    Kind("timestamp", quoted(*MOMENTS)),
    Kind("timestamp(0)", quoted("2020-01-02 03:04:05.9", "1969-12-31 23:59:59.6", "infinity")),
    Kind(
        "timestamptz",
        quoted(
            *(
                f"{moment.removesuffix(' BC')}+00{moment[-3:] if moment.endswith('BC') else ''}"
                if ":" in moment
                else moment
                for moment in MOMENTS
            ),
            "2020-06-01 00:00:00+05:30",
        ),
    ),
    Kind("timestamptz(3)", quoted("2020-01-02 03:04:05.9999+00", "0099-12-31 00:00:00.0005+00 BC")),
    Kind("time", quoted(*CLOCKS)),
    Kind("time(2)", quoted("23:59:59.999", "00:00:00.001")),
    Kind("timetz", quoted(*ZONED_CLOCKS)),
    Kind("interval", quoted(*INTERVALS, *("infinity", "-infinity"))),
    Kind("interval(2)", quoted("-0.005 sec", "1.999 sec")),
    Kind("interval year to month", quoted("1 year 5 mons", "-1 mon")),
    Kind("interval day", quoted("-3 days", "40 days")),
    Kind(
        "point",
        quoted("(1,2)", "(0,0)", "(-0,0)", "(0,-0)", "(-0.1,1e300)", "(5e-324,2e23)", "(NaN,1)", "(-Infinity,0)"),
    ),
)

_ARRAYS = (
    Kind(
        "int4[]",
        quoted("{}", "{1,2,-3}", "[0:1]={5,6}", "{1,NULL}", "{{1,2},{3,4}}", "{NULL}", "[-1:0][3:3]={{1},{2}}"),
    ),
    Kind("int4[]", quoted("{1,NULL}", "{}", "[0:1]={5,6}"), "string"),
    Kind("int8[]", quoted("{9223372036854775807,-9223372036854775808}", "{{1},{NULL}}")),
    Kind("int8[]", quoted("{9007199254740993,0}", "{NULL}"), "float"),
    Kind("numeric(5,0)[]", quoted("{1,2}", "{NaN,1}", "{}")),
    Kind("numeric(10,2)[]", quoted("{1.50,NaN}", "{{1.50},{NaN}}", "{0,-0.01}")),
    Kind("numeric[]", quoted("{1.50,NaN}", "{1.50,NULL}", "{1e40,1e-40}")),
    Kind("numeric[]", quoted("{1.5,NaN}", "{1.5,NULL}", "{1,1e400}", "{0,-Infinity}"), "float"),
    Kind("numeric[]", quoted("{1.0,2}", "{1.5,2}", "{1,NaN}", "{NULL}"), "integer"),
    Kind(
        "float8[]",
        quoted("{1,2.5,NaN,Infinity,-0}", "{0}", "{-0}", "{NaN,NULL,1e300}", "{0,NULL}", "{-0,NULL}", "{{-0},{2e23}}"),
    ),
    Kind("float4[]", quoted("{0.1,-0,1e-45}", "{0.1,NULL,-0,3.4028235e38,NaN}")),
    Kind("bool[]", quoted("{t,f}", "{t,NULL}")),
    Kind(
        "text[]",
        quoted(
            *(
                "{}",
                '{""}',
                '{a,"",NULLABLE,"NULL","null"}',
                '{"a b","c\\"d","e\\\\f","{g}","h,i"}',
                '{"new\nline",é😀}',
            ),
            *(
                '{"[0:0]="}',
                '{a,NULL,"NULL"}',
                '{{"a","b,"},{c,NULL}}',
                '[0:1]={"\\\\","\\""}',
                '{" ","\t"}',
                "{é,NULL}",
            ),
        ),
    ),
    Kind("varchar(3)[]", quoted('{a,""}', "{NULL}")),
    Kind("char(3)[]", quoted("{a,abc}", "{a,NULL}")),
    Kind('"char"[]', quoted('{a,",",\\\\}', "{NULL}")),
    Kind("name[]", quoted("{a,b}", "{a,NULL}")),
    Kind("citext[]", quoted("{A,a}", "{A,NULL}"), needs="citext"),
    Kind("uuid[]", quoted("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "{NULL}")),
    Kind("mood[]", ["ARRAY['sad', 'NULL', '{}']::mood[]", "ARRAY['sad', NULL]::mood[]"]),
    Kind("inet[]", quoted("{::1,10.0.0.1/8}", "{::1,NULL}")),
    Kind("bit(3)[]", quoted("{101,000}", "{101,NULL}")),
    Kind("money[]", quoted('{"$1,234.50",-1}', "{NULL}")),
    Kind("json[]", ["""ARRAY['{"a":  1}', 'null']::json[]""", "ARRAY[NULL, '1']::json[]"]),
    Kind("jsonb[]", ["""ARRAY['{"a": 1}', 'null', '"é"']::jsonb[]""", "ARRAY[NULL, '1.00']::jsonb[]"]),
    Kind("hstore[]", ["ARRAY['a=>1', '']::hstore[]", "ARRAY[NULL]::hstore[]"], needs="hstore"),
    Kind("pair[]", ["ARRAY[ROW(1, 'x')]::pair[]", "ARRAY[ROW(1, 'a\"b,c'), NULL]::pair[]"]),
    Kind("int4range[]", ["ARRAY['[1,3)', 'empty']::int4range[]", "ARRAY[NULL, '[1,3)']::int4range[]"]),
    Kind("tstzrange[]", ["ARRAY['[2020-01-01 00:00:00+09,)']::tstzrange[]"]),
    Kind("box[]", quoted("{(1,2),(0,0);(3,4),(1,1)}", "{(1,2),(0,0);NULL}", "{{(1,2),(0,0)};{(3,4),(1,1)}}")),
    Kind("bytea[]", quoted('{"\\\\x00ff"}', "{}", "{NULL}", '{{"\\\\x"},{a}}')),
    Kind("date[]", quoted("{2020-01-01,0044-03-15 BC,10000-01-01}", "{2020-01-01,infinity}", "{{2020-01-01},{NULL}}")),
    Kind("timestamp[]", quoted("{2020-01-01 00:00:00.5,1969-01-01}", "{NULL,2020-01-01 00:00:00.5}", "{infinity}")),
    Kind("timestamptz[]", quoted("{2020-01-01 00:00:00+01}", "{-infinity}", "{2020-01-01 00:00:00+09,NULL}")),
    Kind("time[]", quoted("{03:04:05.1}", "{24:00:00,00:00:00}")),
    Kind("timetz[]", quoted("{03:04:05.1-02:30,00:00+00}", "{10:00+01}", "{09:00+00}", "{24:00:00+00}")),
    Kind("interval[]", quoted("{1 day -1 us,1 mon}", "{infinity}", "{-1 mon,NULL}", "{}")),
    Kind(
        "point[]",
        ["ARRAY['(1,2)', '(-0,4)']::point[]", "ARRAY['(1,2)', '(0,4)']::point[]", "ARRAY['(1,NaN)']::point[]"],
    ),
    Kind("vector(2)[]", ["ARRAY['[1,-0]']::vector(2)[]", "ARRAY['[1,0]', NULL]::vector(2)[]"], needs="vector"),
    Kind("positive[]", quoted("{1}", "{1,NULL}")),
    Kind("cheap[]", quoted("{1.50}", "{-1.50,NULL}")),
    Kind("days", quoted("{2020-01-01}", "{2020-01-01,infinity}", "{}")),
    Kind("days[]", ["ARRAY['{2020-01-01}', NULL]::days[]", "ARRAY['{}']::days[]"]),
)

KINDS = (*_NUMBERS, *_STRINGS, *_COMPOSED, *_BUILT, *_ARRAYS)
"""Every type, with a choice or without; each column name once."""


def with_domains(kinds: Sequence[Kind]) -> tuple[list[Kind], str]:
    """`kinds` and a domain over each that has no choice, and the statements that make the domains."""
    over = {f"domain {number}": kind for number, kind in enumerate(kinds) if not kind.choice}
    made = [f'CREATE DOMAIN "{name}" AS {kind.type}' for name, kind in over.items()]
    return [*kinds, *(kind._replace(type=f'"{name}"', needs="") for name, kind in over.items())], "; ".join(made)
