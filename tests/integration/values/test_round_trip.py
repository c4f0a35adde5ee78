"""Every Postgres type and its odd values: through the text of a real Postgres into a real Neo4j and back."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import neo4j
import psycopg
import pytest

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.graphtypes import GUARDED_COMPONENT
from gpm_cdc.domain.types import ValueType, value_type
from gpm_cdc.domain.values import GraphValue, Wire
from tests import servers

PINNED = (
    "SET DateStyle TO 'ISO'; SET IntervalStyle TO 'postgres'; SET TimeZone TO 'UTC'; SET extra_float_digits TO 3; "
    "SET bytea_output TO 'hex'; SET client_encoding TO 'UTF8'; SET lc_monetary TO 'C'"
)


@pytest.fixture(scope="module")
def source(postgres_server: servers.PostgresServer) -> Iterator[psycopg.Connection]:
    """A connection with the pinned settings, and types that a fresh database lacks."""
    with (
        servers.database(postgres_server) as made,
        psycopg.connect(made.dsn, autocommit=True, prepare_threshold=None) as connection,
    ):
        connection.execute(PINNED)
        connection.execute(
            """
            CREATE SCHEMA odd;
            SET search_path TO odd, public;
            CREATE EXTENSION IF NOT EXISTS hstore;
            CREATE EXTENSION IF NOT EXISTS citext;
            CREATE TYPE mood AS ENUM ('sad', 'ok "so" so', 'NULL');
            CREATE TYPE pair AS (a int, b text);
            CREATE DOMAIN positive AS int CHECK (VALUE > 0);
            CREATE DOMAIN price AS numeric(12, 2);
            CREATE DOMAIN cheap AS price CHECK (VALUE < 100);
            CREATE DOMAIN days AS date[];
            CREATE DOMAIN prices AS price[];
            """
        )
        yield connection


@pytest.fixture(scope="module")
def graph(neo4j_server: servers.Neo4jServer) -> Iterator[neo4j.Session]:
    """A session on the graph."""
    with driver(neo4j_server) as connected, connected.session(database="neo4j") as session:
        yield session
        session.run("MATCH (n:Probe) DELETE n").consume()


def driver(server: servers.Neo4jServer) -> neo4j.Driver:
    """A driver for `server`."""
    return neo4j.GraphDatabase.driver(
        server.uri, auth=(server.user, server.password), notifications_min_severity="OFF", telemetry_disabled=True
    )


def postgres_type(source: psycopg.Connection, oid: int, modifier: int) -> PgType:
    """The type as the catalogue describes it."""
    row = source.execute(
        "SELECT n.nspname, t.typname, t.typtype, t.typelem, t.typbasetype, t.typtypmod "
        "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = %s",
        [oid],
    ).fetchone()
    assert row is not None
    schema, name, kind, element, base, base_modifier = row
    return PgType(
        oid,
        schema,
        name,
        kind,
        modifier,
        postgres_type(source, element, -1) if element else None,
        postgres_type(source, base, base_modifier) if base else None,
    )


def printed(source: psycopg.Connection, type_name: str, literals: Sequence[str]) -> tuple[PgType, list[str]]:
    """The type of a column of `type_name`, and the text that Postgres prints for each SQL expression of `literals`."""
    source.execute("DROP TABLE IF EXISTS odd.probe")
    source.execute(f"CREATE TABLE odd.probe (i int GENERATED ALWAYS AS IDENTITY, v {type_name})")
    for literal in literals:
        source.execute(f"INSERT INTO odd.probe (v) VALUES ({literal})")  # noqa: S608 - the statements of this file
    column = source.execute(
        "SELECT atttypid, atttypmod FROM pg_attribute WHERE attrelid = 'odd.probe'::regclass AND attname = 'v'"
    ).fetchone()
    assert column is not None
    cursor = source.execute("SELECT v FROM odd.probe ORDER BY i")
    assert cursor.pgresult is not None
    texts = [cursor.pgresult.get_value(row, 0) for row in range(len(literals))]
    return postgres_type(source, *column), [text.decode() for text in texts if text is not None]


class Back(NamedTuple):
    """What the graph says about one stored value."""

    component: GraphValue
    guarded: GraphValue
    graph_type: str


def through(graph: neo4j.Session, travelling: ValueType, wires: Sequence[Wire]) -> list[Back]:
    """Store each of `wires` as a property, and read all of them back."""
    built = "r[1]" if travelling.expression is None else travelling.expression.format(v="r[1]")
    if travelling.expression is not None and travelling.fallback:
        built = f"CASE WHEN r[1] IS :: STRING THEN r[1] ELSE {built} END"
    read = "n.v" if travelling.component is None else travelling.component.format(p="n.v")
    graph.run("MATCH (n:Probe) DELETE n").consume()
    rows = [[number, wire] for number, wire in enumerate(wires)]
    graph.run(f"UNWIND $rows AS r CREATE (n:Probe {{i: r[0]}}) SET n.v = {built}", rows=rows).consume()
    guarded = GUARDED_COMPONENT.format(p="n.v")
    statement = f"MATCH (n:Probe) RETURN {read}, {guarded}, valueType(n.v) ORDER BY n.i"
    return [Back(*record) for record in graph.run(statement)]


class Case(NamedTuple):
    """A column type, SQL expressions of values that its graph type holds, and such as fall back to text."""

    type_name: str
    graph_type: str
    values: list[str]
    as_text: tuple[str, ...] | list[str] = ()


def quoted(*literals: str) -> list[str]:
    """SQL string literals."""
    return ["'" + literal.replace("'", "''") + "'" for literal in literals]


FLOATS = quoted("0", "-0", "0.1", "1e300", "-1.5", "NaN", "Infinity", "-Infinity", "0.30000000000000004")
MOMENTS = (
    *(
        "2020-01-02 03:04:05.123456",
        "1970-01-01",
        "1969-12-31 23:59:59.999999",
        "0001-01-01",
        "9999-12-31 23:59:59.999999",
    ),
    *(
        "10000-01-01",
        "294276-12-31 23:59:59.999999",
        "4714-11-24 00:00:00 BC",
        "0001-12-31 23:59:59.5 BC",
        "1900-02-28",
    ),
    *("0044-02-29 12:00:00", "0401-02-29 00:00:01 BC", "2000-02-29 23:59:59.1"),
)
CLOCKS = ("00:00:00", "23:59:59.999999", "03:04:05.1", "12:00:00.000001")
INTERVALS = (
    *("0", "1 year 2 mons -3 days +04:05:06.789", "-1 years", "-00:00:00.000001", "-1 sec", "1 day -1 us", "-1.5 sec"),
    *("178000000 years", "-178000000 years", "2147483647 days", "2562047788:00:54.775807", "-2562047788:00:54.775807"),
    *("1 mon", "-1 mon", "11 mons", "-13 mons", "1 day", "00:00:00.1", "100 hours", "-1 mon 1 day -1 sec"),
)
TEXTS = quoted("", " ", "a", "é😀", "tab\tnewline\nback\\slash", '{"a",NULL}', "NULL", "null", "infinity", "\U0010ffff")

SCALARS = [
    Case("int2", "INTEGER", quoted("-32768", "0", "32767")),
    Case("int4", "INTEGER", quoted("-2147483648", "2147483647")),
    Case("int8", "INTEGER", quoted("-9223372036854775808", "9223372036854775807", "0")),
    Case("oid", "INTEGER", quoted("4294967295", "0")),
    Case("numeric(18)", "INTEGER", quoted("999999999999999999", "-999999999999999999", "0"), quoted("NaN")),
    Case("numeric(3,0)", "INTEGER", quoted("12.4")),
    Case(
        "float4", "FLOAT", [*quoted("0.1", "1e-45", "3.4028235e38", "16777217", "-0", "NaN", "Infinity", "-Infinity")]
    ),
    Case("float8", "FLOAT", [*FLOATS, *quoted("5e-324", "1.7976931348623157e308", "2e23", "9007199254740993")]),
    Case("numeric(15,2)", "FLOAT", quoted("0.10", "9999999999999.99", "-0.01", "NaN", "0")),
    Case("numeric(15,-290)", "FLOAT", quoted("9" * 15 + "0" * 290)),
    Case("numeric(15,290)", "FLOAT", quoted("1e-290")),
    Case("numeric(3,-2)", "FLOAT", quoted("12345")),
    Case("numeric(2,4)", "FLOAT", quoted("0.0012")),
    Case("numeric", "STRING", quoted("1.0", "1.00", "1e100", "NaN", "Infinity", "-Infinity", "-0", "1e-20")),
    Case("numeric(16,2)", "STRING", quoted("12345678901234.56")),
    Case("numeric(19)", "STRING", quoted("9999999999999999999")),
    Case("numeric(15,-291)", "STRING", quoted("1e300")),
    Case("money", "STRING", quoted("1234.5")),
    Case("bool", "BOOLEAN", quoted("t", "f")),
    Case("text", "STRING", TEXTS),
    Case("varchar(5)", "STRING", quoted("abc", "")),
    Case("char(4)", "STRING", quoted("a", "", "abcd")),
    Case('"char"', "STRING", quoted("x")),
    Case("name", "STRING", quoted("x")),
    Case("citext", "STRING", quoted("MiXed")),
    Case("uuid", "STRING", quoted("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
    Case("mood", "STRING", quoted("sad", 'ok "so" so')),
    Case("inet", "STRING", quoted("192.168.0.1/24", "::1")),
    Case("cidr", "STRING", quoted("10.0.0.0/8")),
    Case("macaddr", "STRING", quoted("08:00:2b:01:02:03")),
    Case("bit(3)", "STRING", ["B'101'"]),
    Case("varbit", "STRING", ["B''", "B'1'"]),
    Case("int4range", "STRING", quoted("[1,3]", "empty", "(,)")),
    Case("datemultirange", "STRING", quoted("{[2020-01-01,2020-02-01),[2021-01-01,)}")),
    Case("tsvector", "STRING", quoted("a fat cat")),
    Case("json", "STRING", quoted('{"b": 1,  "a": [1.0, null]}', '"\\ud83d"')),
    Case("jsonb", "STRING", quoted('{"b": 1,  "a": [1.0, null]}', "null")),
    Case("hstore", "STRING", quoted('a=>1, b=>NULL, c=>"x y"')),
    Case("pair", "STRING", ["ROW(1, 'x y')", "ROW(NULL, NULL)"]),
    Case("line", "STRING", quoted("{1,2,3}")),
    Case("box", "STRING", quoted("(1,2),(3,4)")),
    Case("circle", "STRING", quoted("<(0,0),1>")),
    Case("polygon", "STRING", quoted("((0,0),(1,1),(1,0))")),
    Case("bytea", "LIST<INTEGER NOT NULL>", quoted("", "\\x00ff10", "\\x" + "ab" * 1000)),
    Case("date", "DATE", quoted(*(text for text in MOMENTS), "5874897-12-31"), quoted("infinity", "-infinity")),
    Case("timestamp", "LOCAL DATETIME", quoted(*MOMENTS), quoted("infinity", "-infinity")),
    Case(
        "timestamptz", "ZONED DATETIME", quoted(*MOMENTS, "2020-06-01 00:00:00+05:30"), quoted("infinity", "-infinity")
    ),
    Case("timestamp(0)", "LOCAL DATETIME", quoted("2020-01-02 03:04:05.9")),
    Case("time", "LOCAL TIME", quoted(*CLOCKS), quoted("24:00:00")),
    Case(
        "timetz",
        "ZONED TIME",
        quoted("00:00:00+00", "23:59:59.999999-15:59:59", "03:04:05.1+05:53:28", "12:00:00-05:30", "00:00:00+15:59"),
        quoted("24:00:00+00", "24:00:00-08"),
    ),
    Case("interval", "DURATION", quoted(*INTERVALS), quoted("infinity", "-infinity")),
    Case(
        "point", "POINT", quoted("(1,2)", "(-0.1,1e300)", "(0,-0)"), quoted("(NaN,1)", "(1,Infinity)", "(-Infinity,0)")
    ),
    Case("positive", "INTEGER", quoted("7")),
    Case("price", "FLOAT", quoted("12.50")),
    Case("cheap", "FLOAT", quoted("12.50")),
]

ARRAYS = [
    Case("int4[]", "LIST<INTEGER NOT NULL>", quoted("{1,2,-3}", "[0:1]={5,6}"), quoted("{1,NULL}", "{{1,2},{3,4}}")),
    Case("int8[]", "LIST<INTEGER NOT NULL>", quoted("{9223372036854775807}"), quoted("[2:3][0:0]={{1},{2}}", "{NULL}")),
    Case("numeric(5,0)[]", "LIST<INTEGER NOT NULL>", quoted("{1,2}"), quoted("{NaN,1}")),
    Case("float8[]", "LIST<FLOAT NOT NULL>", quoted("{1,2.5,NaN,Infinity,-0}"), quoted("{NaN,NULL,1e300}")),
    Case("float4[]", "LIST<FLOAT NOT NULL>", quoted("{0.1}")),
    Case("numeric(10,2)[]", "LIST<FLOAT NOT NULL>", quoted("{1.50,NaN}"), quoted("{{1.50},{NaN}}")),
    Case("numeric[]", "LIST<STRING NOT NULL>", quoted("{1.50,NaN}"), quoted("{1.50,NULL}")),
    Case("bool[]", "LIST<BOOLEAN NOT NULL>", quoted("{t,f}"), quoted("{t,NULL}")),
    Case(
        "text[]",
        "LIST<STRING NOT NULL>",
        quoted(
            '{a,"",NULLABLE,"NULL","null"}', '{"a b","c\\"d","e\\\\f","{g}","h,i"}', '{"new\nline",é😀}', '{"[0:0]="}'
        ),
        quoted('{a,NULL,"NULL"}', '{{"a","b,"},{c,NULL}}'),
    ),
    Case("char(3)[]", "LIST<STRING NOT NULL>", quoted("{a,abc}")),
    Case("uuid[]", "LIST<STRING NOT NULL>", quoted("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}")),
    Case("mood[]", "LIST<STRING NOT NULL>", ["ARRAY['sad', 'NULL']::mood[]"], ["ARRAY['sad', NULL]::mood[]"]),
    Case("json[]", "LIST<STRING NOT NULL>", ["""ARRAY['{"a": 1}', 'null']::json[]"""]),
    Case("pair[]", "LIST<STRING NOT NULL>", ["ARRAY[ROW(1, 'x')]::pair[]"]),
    Case("int4range[]", "LIST<STRING NOT NULL>", ["ARRAY['[1,3)', 'empty']::int4range[]"]),
    Case("box[]", "LIST<STRING NOT NULL>", quoted("{(1,2),(0,0);(3,4),(1,1)}"), quoted("{(1,2),(0,0);NULL}")),
    Case(
        "date[]",
        "LIST<DATE NOT NULL>",
        quoted("{2020-01-01,0044-03-15 BC,10000-01-01}"),
        quoted("{2020-01-01,infinity}"),
    ),
    Case(
        "timestamp[]", "LIST<LOCAL DATETIME NOT NULL>", quoted("{2020-01-01 00:00:00.5,1969-01-01}"), quoted("{NULL}")
    ),
    Case("timestamptz[]", "LIST<ZONED DATETIME NOT NULL>", quoted("{2020-01-01 00:00:00+01}"), quoted("{-infinity}")),
    Case("time[]", "LIST<LOCAL TIME NOT NULL>", quoted("{03:04:05.1}"), quoted("{24:00:00,00:00:00}")),
    Case("timetz[]", "LIST<ZONED TIME NOT NULL>", quoted("{03:04:05.1-02:30,00:00+00}"), quoted("{24:00:00+00}")),
    Case("interval[]", "LIST<DURATION NOT NULL>", quoted("{1 day -1 us,1 mon}"), quoted("{infinity}")),
    Case("point[]", "LIST<POINT NOT NULL>", ["ARRAY['(1,2)', '(-0,4)']::point[]"], ["ARRAY['(1,NaN)']::point[]"]),
    Case("positive[]", "LIST<INTEGER NOT NULL>", quoted("{1}"), quoted("{1,NULL}")),
    Case("cheap[]", "LIST<FLOAT NOT NULL>", quoted("{1.50}")),
    Case("prices", "LIST<FLOAT NOT NULL>", quoted("{1.50}")),
    Case("days", "LIST<DATE NOT NULL>", quoted("{2020-01-01}"), quoted("{2020-01-01,infinity}")),
    Case("bytea[]", "STRING", quoted('{"\\\\x00ff"}', "{}", "{NULL}")),
    Case("oidvector", "STRING", quoted("1 2 3")),
]


def check(source: psycopg.Connection, graph: neo4j.Session, case: Case) -> None:
    """Values and texts of `case` are stored as its graph type and as text, and read back as `stored` says."""
    pg_type, texts = printed(source, case.type_name, [*case.values, *case.as_text])
    assert len(texts) == len(case.values) + len(case.as_text)
    travelling = value_type(pg_type)
    wires = [travelling.decode(text) for text in texts]
    back = through(graph, travelling, wires)
    for text, wire, got in zip(texts, wires, back, strict=True):
        assert canonical(got.component) == canonical(travelling.stored(wire)), (text, wire, got)
    for got in back[: len(case.values)]:
        assert got.graph_type == f"{case.graph_type} NOT NULL"
    for got in back[len(case.values) :]:
        assert got.graph_type == "STRING NOT NULL"
        assert got.component == got.guarded
    assert travelling.fallback or not case.as_text
    if case.graph_type != "LIST<INTEGER NOT NULL>":
        assert travelling.graph_type == case.graph_type


@pytest.mark.parametrize("case", SCALARS, ids=lambda case: case.type_name)
def test_a_scalar_is_stored_as_its_graph_type_and_read_back_equal(
    source: psycopg.Connection, graph: neo4j.Session, case: Case
) -> None:
    """Each value has the graph type of its row in the table of types; one that the type cannot hold is its text."""
    check(source, graph, case)


@pytest.mark.parametrize("case", ARRAYS, ids=lambda case: case.type_name)
def test_an_array_is_a_list_or_json_text_and_read_back_equal(
    source: psycopg.Connection, graph: neo4j.Session, case: Case
) -> None:
    """An array is a list where Neo4j can hold one, and JSON text otherwise."""
    check(source, graph, case)


@pytest.mark.parametrize("type_name", ["int4[]", "text[]", "date[]", "point[]", "interval[]"])
def test_an_empty_array_is_an_empty_list(source: psycopg.Connection, graph: neo4j.Session, type_name: str) -> None:
    """An empty list is a value, of a type that Neo4j does not tell."""
    pg_type, texts = printed(source, type_name, ["'{}'"])
    travelling = value_type(pg_type)
    (back,) = through(graph, travelling, [travelling.decode(texts[0])])
    assert back.graph_type == "LIST<NOTHING> NOT NULL"
    assert back.component == travelling.stored([])


@pytest.mark.parametrize("name", ["vector", "halfvec"])
def test_a_vector_is_a_list_of_floats(source: psycopg.Connection, graph: neo4j.Session, name: str) -> None:
    """And an array of vectors is JSON text. A server without pgvector is asked for nothing: its text is known."""
    vector = PgType(0, "public", name)
    travelling = value_type(vector)
    (back,) = through(graph, travelling, [travelling.decode("[1,2.5,-0.5]")])
    assert back.component == [1.0, 2.5, -0.5]
    assert back.graph_type == "LIST<FLOAT NOT NULL> NOT NULL"
    array = value_type(PgType(0, "public", f"_{name}", element=vector))
    assert array.decode('{"[1,2.5,-0.5]"}') == '["[1,2.5,-0.5]"]'
    if source.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone() is not None:
        source.execute("CREATE EXTENSION IF NOT EXISTS vector")
        check(source, graph, Case(f"{name}(3)", "LIST<FLOAT NOT NULL>", quoted("[1,2.5,-0.5]")))
        check(source, graph, Case(f"{name}(3)[]", "STRING", [f"ARRAY['[1,2.5,-0.5]']::{name}(3)[]"]))


class Chosen(NamedTuple):
    """A column type and a choice, SQL expressions of values that fit it, and of such as fall back to text."""

    type_name: str
    choice: str
    graph_type: str
    values: list[str]
    as_text: tuple[str, ...] | list[str] = ()


BEYOND_INTEGER = quoted("1.5", "1e19", "NaN", "1e5000")
CHOICES = [
    Chosen("numeric", "float", "FLOAT", quoted("1.5", "NaN", "Infinity", "1e-20"), quoted("1e400", "-1e400")),
    Chosen("numeric", "integer", "INTEGER", quoted("1.00", "-9223372036854775808", "0"), BEYOND_INTEGER),
    Chosen("numeric(19)", "integer", "INTEGER", quoted("9223372036854775807"), quoted("9223372036854775808")),
    Chosen("int8", "float", "FLOAT", quoted("9007199254740993")),
    Chosen("int4[]", "string", "STRING", quoted("{1,NULL}")),
    Chosen("numeric[]", "float", "LIST<FLOAT NOT NULL>", quoted("{1.5,NaN}"), quoted("{1.5,NULL}", "{1,1e400}")),
    Chosen("numeric[]", "integer", "LIST<INTEGER NOT NULL>", quoted("{1.0,2}"), quoted("{1.5,2}")),
    Chosen("timestamptz", "string", "STRING", quoted("2020-01-01")),
    Chosen("bit(1)", "boolean", "BOOLEAN", ["B'1'", "B'0'"]),
    Chosen("regclass", "string", "STRING", quoted("pg_class")),
]


@pytest.mark.parametrize("chosen", CHOICES, ids=lambda chosen: f"{chosen.type_name} as {chosen.choice}")
def test_a_chosen_type_is_stored_as_chosen(source: psycopg.Connection, graph: neo4j.Session, chosen: Chosen) -> None:
    """A choice replaces the default type; what it cannot hold is text."""
    pg_type, texts = printed(source, chosen.type_name, [*chosen.values, *chosen.as_text])
    travelling = value_type(pg_type, chosen.choice)
    wires = [travelling.decode(text) for text in texts]
    back = through(graph, travelling, wires)
    assert [canonical(got.component) for got in back] == [canonical(travelling.stored(wire)) for wire in wires]
    expected = [chosen.graph_type] * len(chosen.values) + ["STRING"] * len(chosen.as_text)
    assert [got.graph_type for got in back] == [f"{name} NOT NULL" for name in expected]


DAMAGE = {
    "date": "date('2020-01-01')",
    "date beyond the driver": "date({year: -999999999})",
    "local datetime": "localdatetime('2020-01-01T00:00:00')",
    "zoned datetime": "datetime('2020-01-01T00:00:00[Europe/Berlin]')",
    "zoned datetime beyond the driver": "datetime({year: 999999999, timezone: '-18:00'})",
    "local datetime beyond the driver": "localdatetime({year: -999999999})",
    "local time": "localtime('10:00')",
    "zoned time": "time({hour: 10, timezone: '+05:53:28'})",
    "duration": "duration({months: 1, seconds: -1, nanoseconds: 1})",
    "point": "point({x: 1, y: 2, z: 3})",
    "place": "point({longitude: 1, latitude: 2})",
    "dates": "[date('+12345-01-01')]",
    "points": "[point({x: 1, y: 2}), point({x: 1, y: 3})]",
    "durations": "[duration('P1D')]",
    "integer": "1",
    "float": "1.0",
    "not a number": "0.0 / 0.0",
    "boolean": "true",
    "string": "'2020-01-01'",
    "integers": "[1, 2]",
    "floats": "[1.0]",
    "strings": "['date', 'x']",
    "booleans": "[true]",
}
"""Properties as somebody else may have set them."""

BUILT = {
    "date": ("2020-01-02", {"date", "date beyond the driver"}),
    "timestamp": ("2020-01-02 00:00:00", {"local datetime", "local datetime beyond the driver"}),
    "timestamptz": ("2020-01-02 00:00:00+00", {"zoned datetime", "zoned datetime beyond the driver"}),
    "time": ("10:00:01", {"local time"}),
    "timetz": ("10:00:01+05:53:28", {"zoned time"}),
    "interval": ("1 mon -00:00:01", {"duration"}),
    "point": ("(1,2)", {"point", "place"}),
    "_date": ("{2020-01-02}", {"dates"}),
    "_point": ('{"(1,2)"}', {"points"}),
    "_interval": ("{}", {"durations"}),
}


@pytest.mark.parametrize("name", BUILT)
def test_whatever_is_stored_instead_of_a_value_is_read_as_something_different(graph: neo4j.Session, name: str) -> None:
    """Reading never fails, never builds a temporal object, and nothing foreign looks like the expected value."""
    element = PgType(0, "pg_catalog", name.removeprefix("_")) if name.startswith("_") else None
    travelling = value_type(PgType(0, "pg_catalog", name, element=element))
    text, of_this_type = BUILT[name]
    assert travelling.component is not None
    expected = canonical(travelling.stored(travelling.decode(text)))
    for kind, value in DAMAGE.items():
        read = travelling.component.format(p="n.v")
        statement = f"CREATE (n:Probe) SET n.v = {value} RETURN {read}"
        (got,) = graph.run(statement).single(strict=True)
        assert canonical(got) != expected, kind
        tag = got[0] if isinstance(got, list) and kind not in {"integers", "floats", "booleans", "strings"} else None
        assert tag in ({travelling.name} if kind in of_this_type else {None, "other"}), kind


def test_a_property_of_unknown_type_is_read_without_failing(graph: neo4j.Session) -> None:
    """The guarded reading carries plain values and lists of them as they are, and tags everything else."""
    read = GUARDED_COMPONENT.format(p="n.v")
    for kind, value in DAMAGE.items():
        statement = f"CREATE (n:Probe) SET n.v = {value} RETURN {read}, valueType(n.v)"
        got, stored_type = graph.run(statement).single(strict=True)
        if isinstance(got, list) and got[0] == "other":
            assert got[1:3] == [0, stored_type]
        else:
            assert type(got) in {int, float, bool, str, list}, kind
        assert canonical(got)
    (missing, raw) = graph.run(
        f"CREATE (n:Probe) SET n.b = $b RETURN {read}, {GUARDED_COMPONENT.format(p='n.b')}",
        b=b"\x00",
    ).single(strict=True)
    assert missing is None
    assert raw == b"\x00"


def test_floats_keep_their_bits(graph: neo4j.Session) -> None:
    """The sign of zero and the smallest and largest floats come back as they went."""
    travelling = value_type(PgType(701, "pg_catalog", "float8"))
    values: list[Wire] = [-0.0, 0.0, 5e-324, -1.7976931348623157e308, math.inf, 2e23]
    back = through(graph, travelling, values)
    assert [canonical(got.component) for got in back] == [canonical(cast("Any", value)) for value in values]
