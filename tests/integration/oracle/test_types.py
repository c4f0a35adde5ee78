"""Every type in a real table, against a node that is written by hand."""

from collections.abc import Callable

import pytest
from neo4j import Driver

from tests.oracle import actual_graph, assert_equal, differences, expected_graph

TYPES = [
    ("int2", "'-32768'", "-32768"),
    ("int8", "'9223372036854775807'", "9223372036854775807"),
    ("oid", "4294967295", "4294967295"),
    ("numeric(18,0)", "999999999999999999", "999999999999999999"),
    ("numeric(18,0)", "'NaN'", "'NaN'"),
    ("numeric(18)", "-1", "-1"),
    ("numeric(10,2)", "12.5", "12.5"),
    ("numeric(10,2)", "'NaN'", "0.0 / 0.0"),
    ("numeric(5,-2)", "1234", "1200.0"),
    ("numeric(16,2)", "12.5", "'12.50'"),
    ("numeric", "1.00", "'1.00'"),
    ("small", "7", "7"),
    ("smaller", "7", "7"),
    ("money", "1234.5", "'$1,234.50'"),
    ("float4", "0.1", "0.1"),
    ("float8", "'-0'", "-0.0"),
    ("float8", "'NaN'", "0.0 / 0.0"),
    ("float8", "'-Infinity'", "-1.0 / 0.0"),
    ("float8", "0.30000000000000004", "0.30000000000000004"),
    ("bool", "false", "false"),
    ("text", "''", "''"),
    ("char(4)", "'a'", "'a   '"),
    ("varchar(4)", "'a'", "'a'"),
    ("name", "'n'", "'n'"),
    ("citext", "'MiXed'", "'MiXed'"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ("mood", "'sad'", "'sad'"),
    ("inet", "'10.0.0.1/8'", "'10.0.0.1/8'"),
    ("cidr", "'10.0.0.0/8'", "'10.0.0.0/8'"),
    ("macaddr", "'08-00-2b-01-02-03'", "'08:00:2b:01:02:03'"),
    ("bit(3)", "B'101'", "'101'"),
    ("int4range", "'[1,3]'", "'[1,4)'"),
    ("int4multirange", "'{[1,3]}'", "'{[1,4)}'"),
    ("tsvector", "'b a'", "\"'a' 'b'\""),
    ("int2vector", "'1 2'", "'1 2'"),
    ("date", "'2020-02-29'", "date('2020-02-29')"),
    ("date", "'4714-11-24 BC'", "date('-4713-11-24')"),
    ("date", "'5874897-12-31'", "date('+5874897-12-31')"),
    ("date", "'infinity'", "'infinity'"),
    ("timestamp", "'2020-01-01 00:00:00.000001'", "localdatetime('2020-01-01T00:00:00.000001')"),
    ("timestamp", "'0044-03-15 12:00:00 BC'", "localdatetime('-0043-03-15T12:00:00')"),
    ("timestamp", "'294276-12-31 23:59:59.999999'", "localdatetime('+294276-12-31T23:59:59.999999')"),
    ("timestamp", "'-infinity'", "'-infinity'"),
    ("timestamptz", "'2020-01-01 02:00:00+02'", "datetime('2020-01-01T00:00:00Z')"),
    ("timestamptz", "'0001-01-01 00:00:00+00 BC'", "datetime('0000-01-01T00:00:00Z')"),
    ("time", "'23:59:59.999999'", "localtime('23:59:59.999999')"),
    ("time", "'24:00'", "'24:00:00'"),
    ("timetz", "'12:00+05:53:28'", "time({hour: 12, minute: 0, second: 0, timezone: '+05:53:28'})"),
    ("timetz", "'24:00-03'", "'24:00:00-03'"),
    ("interval", "'1 year 2 mons -3 days'", "duration({months: 14, days: -3})"),
    ("interval", "'-1 mon 1 day -00:00:00.5'", "duration({months: -1, days: 1, nanoseconds: -500000000})"),
    ("interval", "'infinity'", "'infinity'"),
    ("json", """'{"b":  1.0, "a": 2}'""", """'{"b":  1.0, "a": 2}'"""),
    ("jsonb", """'{"b":  1.0, "a": 2}'""", """'{"a": 2, "b": 1.0}'"""),
    ("hstore", "'a=>1,b=>NULL'", """'"a"=>"1", "b"=>NULL'"""),
    ("pair", "ROW(1, 'x y')", """'(1,"x y")'"""),
    ("point", "'(1,2)'", "point({x: 1.0, y: 2.0})"),
    ("point", "'(1,Infinity)'", "'(1,Infinity)'"),
    ("box", "'(1,1),(0,0)'", "'(1,1),(0,0)'"),
    ("vector(2)", "'[0.1,2]'", "[0.1, 2.0]"),
    ("halfvec(2)", "'[0.5,2]'", "[0.5, 2.0]"),
    ("int4[]", "'{}'", "[]"),
    ("int4[]", "'{3,1}'", "[3, 1]"),
    ("int4[]", "'[0:1]={3,1}'", "[3, 1]"),
    ("int4[]", "'{3,NULL}'", "'[3, null]'"),
    ("int4[]", "'{{1,2},{3,4}}'", "'[[1,2],[3,4]]'"),
    ("small[]", "'{1,2}'", "[1, 2]"),
    ("smalls", "'{1,2}'", "[1, 2]"),
    ("numeric(4,0)[]", "'{1,2}'", "[1, 2]"),
    ("numeric(4,0)[]", "'{1,NaN}'", """'[1,"NaN"]'"""),
    ("numeric(4,1)[]", "'{1,2}'", "[1.0, 2.0]"),
    ("numeric[]", "'{1.0}'", "['1.0']"),
    ("float8[]", "'{1,NaN}'", "[1.0, 0.0 / 0.0]"),
    ("float8[]", "'{1.5,NaN,NULL}'", """'[1.5,"NaN",null]'"""),
    ("bool[]", "'{t,f}'", "[true, false]"),
    ("text[]", """ARRAY['a "q" \\ ,', 'NULL', '', '{}']""", """['a "q" \\\\ ,', 'NULL', '', '{}']"""),
    ("char(2)[]", "ARRAY['a']", "['a ']"),
    ("mood[]", "'{sad,happy}'", "['sad', 'happy']"),
    ("date[]", "'{2020-01-01,1969-12-31}'", "[date('2020-01-01'), date('1969-12-31')]"),
    ("date[]", "'{2020-01-01,infinity}'", """'["2020-01-01","infinity"]'"""),
    ("timestamptz[]", "'{2020-01-01 00:00+00}'", "[datetime('2020-01-01T00:00:00Z')]"),
    ("timestamp[]", "'{2020-01-01 00:00}'", "[localdatetime('2020-01-01T00:00:00')]"),
    ("time[]", "'{10:00}'", "[localtime('10:00:00')]"),
    ("timetz[]", "'{10:00+01}'", "[time('10:00:00+01:00')]"),
    ("interval[]", "'{1 mon}'", "[duration({months: 1})]"),
    ("point[]", "ARRAY['(1,2)'::point]", "[point({x: 1.0, y: 2.0})]"),
    ("box[]", "ARRAY['(1,1),(0,0)'::box, '(2,2),(0,0)']", "['(1,1),(0,0)', '(2,2),(0,0)']"),
    ("pair[]", "ARRAY[ROW(1, 'x')::pair]", "['(1,x)']"),
]

SCHEMA = """
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION vector;
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS numeric(4,0);
CREATE DOMAIN smaller AS small CHECK (value < 10);
CREATE DOMAIN smalls AS small[];
"""

MAPPING = """
version = 1
[[node]]
table = "public.thing"
label = "Thing"
key = ["id"]
"""


@pytest.fixture
def every_type(execute_sql: Callable[[str], None], driver: Driver) -> None:
    """One row with a column for each line of TYPES and a column that is NULL, and the node that it should be."""
    columns = ", ".join(f"c{number} {name}" for number, (name, _, _) in enumerate(TYPES))
    values = ", ".join(value for _, value, _ in TYPES)
    execute_sql(
        f"{SCHEMA} CREATE TABLE thing (id int PRIMARY KEY, {columns}, nothing text, b bytea, b2 bytea[]);"  # noqa: S608
        rf" INSERT INTO thing VALUES (1, {values}, NULL, '\x00ff', ARRAY['\x01'::bytea]);"
    )
    properties = ", ".join(f"c{number}: {literal}" for number, (_, _, literal) in enumerate(TYPES))
    driver.execute_query(f"CREATE (:Thing {{id: 1, {properties}, b: $b, b2: $b2}})", b=b"\x00\xff", b2='["\\\\x01"]')


@pytest.mark.usefixtures("every_type")
def test_every_type_is_equal_to_the_value_written_by_hand(dsn: str, driver: Driver) -> None:
    """What the table holds and what Cypher's own literals make are the same values."""
    assert_equal(dsn, MAPPING, driver)


@pytest.mark.usefixtures("every_type")
def test_a_value_of_another_type_is_seen_in_every_column(dsn: str, driver: Driver) -> None:
    """Each property replaced by one that holds another value, or by its own text, is one difference."""
    expected = expected_graph(dsn, MAPPING)
    driver.execute_query(
        "MATCH (n:Thing) UNWIND [k IN keys(n) WHERE k <> 'id'] AS k"
        " WITH n, k, n[k] AS v SET n[k] = CASE WHEN v IS :: STRING THEN v + '!' WHEN v IS :: INTEGER THEN toFloat(v)"
        " ELSE 'changed' END"
    )
    found = differences(expected, actual_graph(driver))
    changed = {line.split("property ")[1].split(":")[0] for line in found}
    assert changed == {"b", "b2", *(f"c{number}" for number in range(len(TYPES)))}


@pytest.mark.parametrize(
    ("value", "good", "bad"),
    [
        ("timestamptz '2020-01-01Z'", "datetime('2020-01-01T00:00Z')", "localdatetime('2020-01-01T00:00')"),
        ("timestamptz '2020-01-01Z'", "datetime('2020-01-01T00:00[UTC]')", "datetime('2020-01-01T01:00+01:00')"),
        ("timestamptz '2020-01-01Z'", "datetime('2020-01-01T00:00Z')", "datetime('2020-01-01T00:00[Europe/London]')"),
        ("timetz '10:00Z'", "time('10:00Z')", "time('11:00+01:00')"),
        ("time '10:00'", "localtime('10:00')", "time('10:00Z')"),
        ("date '2020-01-01'", "date('2020-01-01')", "localdatetime('2020-01-01T00:00')"),
        ("interval '1 day'", "duration('P1D')", "duration('PT24H')"),
        ("float8 '0'", "0.0", "-0.0"),
        ("float8 '1'", "1.0", "1"),
        ("text '1'", "'1'", "1"),
        ("point '(1,2)'", "point({x: 1, y: 2})", "point({longitude: 1, latitude: 2})"),
        ("'{1}'::int4[]", "[1]", "[1.0]"),
        ("'{1,NULL}'::int4[]", "' [ 1 , null ] '", "'[1,0]'"),
        ("NULL::text", "null", "''"),
    ],
)
def test_a_lookalike_is_a_difference(
    execute_sql: Callable[[str], None], dsn: str, driver: Driver, value: str, good: str, bad: str
) -> None:
    """Values that Cypher or a careless reader would take for equal are not."""
    execute_sql(f"CREATE TABLE thing AS SELECT 1 AS id, {value} AS v")
    driver.execute_query(f"CREATE (:Thing {{id: 1, v: {good}}})")
    assert_equal(dsn, MAPPING, driver)
    driver.execute_query("MATCH (n:Thing) REMOVE n.v")  # setting -0.0 over 0.0 would change nothing
    driver.execute_query(f"MATCH (n:Thing) SET n.v = {bad}")
    (difference,) = differences(expected_graph(dsn, MAPPING), actual_graph(driver))
    assert difference.startswith("node (:Thing {id: INTEGER 1}): property v: expected ")
