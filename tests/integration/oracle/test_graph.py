"""Tables, keys and references of every kind, against a graph that is written by hand."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from neo4j import Driver

from tests.oracle import MappingFileError, actual_graph, assert_equal, differences, expected_graph

SCHEMA = """
CREATE TABLE city (code char(4) PRIMARY KEY, name text);
CREATE TABLE person (
    id int PRIMARY KEY, name text, kind text, city text REFERENCES city, boss int REFERENCES person,
    nick text UNIQUE, secret text, loud text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE account (bank int, number int, owner int NOT NULL REFERENCES person, PRIMARY KEY (bank, number));
CREATE TABLE transfer (
    id bigint, at date, bank int, number int, nick text REFERENCES person (nick), note text, PRIMARY KEY (id, at),
    FOREIGN KEY (bank, number) REFERENCES account
) PARTITION BY RANGE (at);
CREATE TABLE transfer_old PARTITION OF transfer FOR VALUES FROM ('2019-01-01') TO ('2020-01-01');
CREATE TABLE transfer_new PARTITION OF transfer FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE likes (person int REFERENCES person, city char(4) REFERENCES city, since date, PRIMARY KEY (person, city));
CREATE TABLE calls (id int PRIMARY KEY, a int REFERENCES person, b int REFERENCES person, kind text, secret text);
CREATE TABLE rate (amount numeric PRIMARY KEY);
CREATE TABLE price (id int PRIMARY KEY, amount numeric(10,3));
CREATE TABLE price_more () INHERITS (price);

INSERT INTO city VALUES ('ber', 'Berlin'), ('ny', 'New York'), ('', NULL);
INSERT INTO person VALUES
    (1, 'Ada', 'boss', 'ber', NULL, 'a', 'x'), (2, 'Bob', 'clerk', 'ny', 1, NULL, 'x'),
    (3, NULL, NULL, '  ', 3, 'c', 'x');
INSERT INTO account VALUES (1, 1, 1), (1, 2, 1);
INSERT INTO transfer VALUES
    (1, '2019-05-05', 1, 1, 'a', 'old'), (1, '2020-05-05', 1, NULL, 'c', NULL), (2, '2020-06-06', 1, 2, NULL, 'new');
INSERT INTO likes VALUES (1, 'ber', '2020-01-01'), (1, 'ny', NULL);
INSERT INTO calls VALUES
    (1, 1, 2, 'phone', 's'), (2, 1, 2, 'phone', 's'), (3, 2, 2, 'video', 's'), (4, NULL, 2, 'phone', 's');
INSERT INTO rate VALUES (1.0), (2);
INSERT INTO price VALUES (1, 1), (2, 2.000), (3, 3);
INSERT INTO price_more VALUES (4, 1);
SET session_replication_role = replica;
INSERT INTO account VALUES (2, 1, 99);
"""

MAPPING = """
version = 1
ignore = ["public.secrets"]

[[node]]
table = "public.city"
label = "City"
key = ["code"]

[[node]]
table = "public.person"
label = "Person"
extra_labels = ["Human"]
labels_from = { column = "kind", values = { boss = "Boss" } }
key = ["id"]
exclude = ["secret"]
rename = { name = "called" }
[[node.relationship]]
columns = ["city"]
type = "LIVES_IN"
target = "public.city"
target_columns = ["code"]
[[node.relationship]]
columns = ["boss"]
type = "MANAGES"
target = "public.person"
target_columns = ["id"]
direction = "in"

[[node]]
table = "public.account"
label = "Account"
key = ["bank", "number"]
keep_foreign_keys = false
[[node.relationship]]
columns = ["owner"]
type = "OWNER"
target = "public.person"
target_columns = ["id"]

[[node]]
table = "public.transfer"
label = "Transfer"
key = ["id", "at"]
include = ["note", "bank"]
types = { id = "string" }
[[node.relationship]]
columns = ["bank", "number"]
type = "FROM"
target = "public.account"
target_columns = ["bank", "number"]
[[node.relationship]]
columns = ["nick"]
type = "TO"
target = "public.person"
target_columns = ["nick"]

[[node]]
table = "public.rate"
label = "Rate"
key = ["amount"]

[[node]]
table = "public.price"
label = "Price"
key = ["id"]
[[node.relationship]]
columns = ["amount"]
type = "RATE"
target = "public.rate"
target_columns = ["amount"]
enforced = false

[[relationship]]
table = "public.likes"
type = "LIKES"
key = ["person", "city"]
start = { columns = ["person"], target = "public.person", target_columns = ["id"] }
end = { columns = ["city"], target = "public.city", target_columns = ["code"] }

[[relationship]]
table = "public.calls"
type_from = { column = "kind", values = { phone = "PHONED", video = "FILMED" } }
key = ["id"]
start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
exclude = ["secret", "kind", "id"]
rename = { id = "number" }
"""

GRAPH = """
CREATE (:GpmCdcCheckpoint {stream: 'main'})
CREATE (ber:City {code: 'ber ', _unpadded_code: 'ber', name: 'Berlin'})
CREATE (ny:City {code: 'ny  ', _unpadded_code: 'ny', name: 'New York'})
CREATE (none:City {code: '    ', _unpadded_code: ''})
CREATE (ada:Person:Human:Boss {id: 1, called: 'Ada', kind: 'boss', city: 'ber', _unpadded_city: 'ber', nick: 'a'})
CREATE (bob:Person:Human {id: 2, called: 'Bob', kind: 'clerk', city: 'ny', _unpadded_city: 'ny', boss: 1})
CREATE (cyd:Person:Human {id: 3, city: '  ', _unpadded_city: '', boss: 3, nick: 'c'})
CREATE (ada)-[:LIVES_IN]->(ber), (bob)-[:LIVES_IN]->(ny), (cyd)-[:LIVES_IN]->(none)
CREATE (ada)-[:MANAGES]->(bob), (cyd)-[:MANAGES]->(cyd)
CREATE (one:Account {bank: 1, number: 1})-[:OWNER]->(ada), (two:Account {bank: 1, number: 2})-[:OWNER]->(ada)
CREATE (:Account {bank: 2, number: 1})
CREATE (t1:Transfer {id: '1', at: date('2019-05-05'), bank: 1, note: 'old'})
CREATE (t2:Transfer {id: '1', at: date('2020-05-05'), bank: 1})
CREATE (t3:Transfer {id: '2', at: date('2020-06-06'), bank: 1, note: 'new'})
CREATE (t1)-[:FROM]->(one), (t3)-[:FROM]->(two), (t1)-[:TO]->(ada), (t2)-[:TO]->(cyd)
CREATE (r1:Rate {amount: '1.0', _number_amount: 1})
CREATE (r2:Rate {amount: '2', _number_amount: 2})
CREATE (:Price {id: 1, amount: 1.0, _number_amount: 1})-[:RATE]->(r1)
CREATE (:Price {id: 2, amount: 2.0, _number_amount: 2})-[:RATE]->(r2)
CREATE (:Price {id: 3, amount: 3.0, _number_amount: 3})
CREATE (ada)-[:LIKES {since: date('2020-01-01')}]->(ber), (ada)-[:LIKES]->(ny)
CREATE (ada)-[:PHONED {number: 1}]->(bob), (ada)-[:PHONED {number: 2}]->(bob), (bob)-[:FILMED {number: 3}]->(bob)
"""


@pytest.fixture
def tables(execute_sql: Callable[[str], None]) -> None:
    """The tables with their rows."""
    execute_sql(SCHEMA)


@pytest.fixture
def graph(driver: Driver) -> None:
    """The graph that the tables should give."""
    driver.execute_query(GRAPH)


@pytest.mark.usefixtures("tables", "graph")
def test_the_graph_written_by_hand_is_the_expected_one(dsn: str, driver: Driver) -> None:
    """Every rule of the projection at once: labels, keys, renames, foreign keys, relationship tables, orphans."""
    assert_equal(dsn, MAPPING, driver)
    assert_equal(dsn, MAPPING, driver, ignore_foreign=True)


@pytest.mark.usefixtures("tables", "graph")
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("MATCH (n:City {code: 'ny  '}) SET n.code = 'ny'", r"node \(:City \{code: STRING 'ny  '\}\) is missing"),
        ("MATCH (n:Person {id: 2}) SET n.boss = '1'", r"property boss: expected INTEGER 1, actual STRING '1'"),
        ("MATCH (n:Person {id: 2}) SET n.secret = 'x'", r"property secret: expected absent, actual STRING 'x'"),
        ("MATCH (n:Person {id: 1}) REMOVE n:Boss", r"label Boss is missing"),
        ("MATCH (n:Person {id: 2}) SET n:Boss", r"label Boss is extra"),
        ("MATCH (n:Transfer {note: 'new'}) DETACH DELETE n", r"node \(:Transfer .*DATE 18419\}\) is missing"),
        ("CREATE (:Rate {amount: '3'})", r"node \(:Rate \{amount: STRING '3'\}\) is extra"),
        ("CREATE (:Rate {amount: '2'})", r"node \(:Rate \{amount: STRING '2'\}\) is there 2 times"),
        (
            "MATCH ()-[r:MANAGES]->(:Person {id: 2}) DELETE r",
            r"-\[:MANAGES\]->\(:Person \{id: INTEGER 2\}\) is missing",
        ),
        ("MATCH (a:Person {id: 1}), (b:City {code: 'ny  '}) CREATE (a)-[:LIVES_IN]->(b)", r"ny  '\}\) is extra"),
        ("MATCH (a)-[:LIVES_IN]->(b) WITH a, b LIMIT 1 CREATE (a)-[:LIVES_IN]->(b)", r"LIVES_IN.* is extra"),
        ("MATCH ()-[r:PHONED {number: 2}]->() SET r.number = 2.0", r"number: expected INTEGER 2, actual FLOAT 2.0"),
        ("MATCH ()-[r:FILMED]->() SET r.kind = 'video'", r"property kind: expected absent, actual STRING 'video'"),
        ("CREATE (:Stranger)", r"is extra; its labels: Stranger"),
    ],
)
def test_damage_is_seen(dsn: str, driver: Driver, damage: str, sentence: str) -> None:
    """Whatever is changed in the graph, the report says what and where."""
    driver.execute_query(damage)
    with pytest.raises(AssertionError, match=sentence):
        assert_equal(dsn, MAPPING, driver)


@pytest.mark.usefixtures("tables", "graph")
def test_what_users_add_is_left_alone_on_request(dsn: str, driver: Driver) -> None:
    """Their labels, properties, nodes and relationships are differences only when everything counts."""
    driver.execute_query(
        "MATCH (n:Person {id: 1}) SET n:Vip, n.score = 1 CREATE (n)-[:WROTE]->(:Note {text: 'hello'})"
        " CREATE (n)-[:LIKES]->(n)"
    )
    expected, actual = expected_graph(dsn, MAPPING), actual_graph(driver)
    assert differences(expected, actual, ignore_foreign=True) == []
    assert len(differences(expected, actual)) == 5


@pytest.mark.parametrize("constraint", ["REFERENCES parent (k)", ""])
@pytest.mark.parametrize(
    ("parent_type", "child_type", "parent_key", "child_key"),
    [
        ("numeric", "numeric(6,2)", "1.0", "1.00"),
        ("numeric", "int", "1.0", "1"),
        ("int8", "int2", "1", "1"),
        ("char(6)", "char(4)", "a", "a"),
        ("extra.citext", "extra.citext", "Straw", "sTRAW"),
        ("interval", "interval", "1 mon", "30 days"),
        ("mood", "mood", "sad", "sad"),
        ("numeric[]", "numeric[]", "{1.0,2}", "{1.00,2}"),
        ("int4range", "int4range", "[1,3]", "[1,4)"),
        ('text COLLATE "C"', 'text COLLATE "POSIX"', "a", "a"),
    ],
)
def test_a_reference_is_matched_as_postgres_matches_it(  # noqa: PLR0913, PLR0917 - a row of each table
    dsn: str,
    execute_sql: Callable[[str], None],
    constraint: str,
    parent_type: str,
    child_type: str,
    parent_key: str,
    child_key: str,
) -> None:
    """Equality is the database's own, not that of the texts, with a foreign key or without one."""
    schema = (
        "CREATE SCHEMA extra; CREATE EXTENSION citext SCHEMA extra; CREATE TYPE mood AS ENUM ('happy', 'sad');"
        f"CREATE TABLE parent (id int PRIMARY KEY, k {parent_type} UNIQUE);"
        f"CREATE TABLE child (id int PRIMARY KEY, k {child_type} {constraint});"
    )
    rows = f"INSERT INTO child VALUES (7, '{child_key}'), (8, NULL)"  # noqa: S608
    execute_sql(f"{schema} INSERT INTO parent VALUES (1, '{parent_key}'), (2, NULL); {rows}")  # noqa: S608
    graph = expected_graph(
        dsn,
        """
        version = 1
        [[node]]
        table = "public.parent"
        label = "Parent"
        key = ["id"]
        [[node]]
        table = "public.child"
        label = "Child"
        key = ["id"]
        [[node.relationship]]
        columns = ["k"]
        type = "OF"
        target = "public.parent"
        target_columns = ["k"]
        """,
    )
    key_of = {node.handle: (node.key_label, str(node.properties["id"])) for node in graph.nodes}
    ends = [(key_of[part.start], part.type, key_of[part.end]) for part in graph.relationships]
    assert ends == [(("Child", "INTEGER 7"), "OF", ("Parent", "INTEGER 1"))]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('exclude = ["secret"]', 'exclude = ["secrets"]', "public.person has no column secrets"),
        ('"public.rate"', '"public.rates"', "public.rates is no table"),
        ('label = "Rate"', 'label = "Price"', "the label Price belongs to two tables"),
        ('video = "FILMED"', 'film = "FILMED"', "kind of public.calls holds a value without a type: video"),
    ],
)
def test_a_mapping_that_does_not_fit_the_tables_is_refused(dsn: str, old: str, new: str, message: str) -> None:
    """The oracle does not guess."""
    assert old in MAPPING
    with pytest.raises(MappingFileError, match=re.escape(message)):
        expected_graph(dsn, MAPPING.replace(old, new))


def test_a_generated_column_is_a_property_only_when_it_is_named(dsn: str, execute_sql: Callable[[str], None]) -> None:
    """The stream does not carry it unless somebody asks for it."""
    execute_sql(SCHEMA)
    mapping = 'version = 1\n[[node]]\ntable = "public.person"\nlabel = "Person"\nkey = ["id"]\n'
    plain = expected_graph(dsn, mapping)
    named = expected_graph(dsn, mapping + 'include = ["loud"]\n')
    assert not any("loud" in node.properties for node in plain.nodes)
    assert sorted(str(node.properties.get("loud")) for node in named.nodes) == ["None", "STRING 'ADA'", "STRING 'BOB'"]


def test_settings_of_the_database_do_not_change_a_value(dsn: str, execute_sql: Callable[[str], None]) -> None:
    """Texts are read under settings of the oracle's own."""
    execute_sql(
        "CREATE TABLE t (id int PRIMARY KEY, d date, z timestamptz, i interval, f float8, b bytea);"
        r"INSERT INTO t VALUES (1, '2020-03-02', '2020-03-02 12:00+00', '1 day', 0.1::float8 + 0.2, '\x00')"
    )
    mapping = 'version = 1\n[[node]]\ntable = "public.t"\nlabel = "T"\nkey = ["id"]\n'
    before = expected_graph(dsn, mapping)
    execute_sql(
        "DO $$ DECLARE setting text; BEGIN FOREACH setting IN ARRAY ARRAY['datestyle = german',"
        " 'intervalstyle = iso_8601', 'timezone = ''Asia/Tokyo''', 'extra_float_digits = 0', 'bytea_output = escape']"
        " LOOP EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting); END LOOP; END $$"
    )
    assert expected_graph(dsn, mapping) == before


@pytest.mark.usefixtures("tables", "graph")
def test_the_command_prints_the_differences(dsn: str, driver: Driver, neo4j: object, tmp_path: Path) -> None:
    """A person can ask as well; the exit code says whether there is a difference."""
    mapping = tmp_path / "gpm-cdc.toml"
    mapping.write_text(MAPPING, encoding="utf-8")
    server = [str(getattr(neo4j, name)) for name in ("uri", "user", "password")]
    command = [sys.executable, "-m", "tests.oracle", dsn, str(mapping), *server]
    directory = Path(__file__).parents[3]
    clean = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert (clean.returncode, clean.stdout.split(" (")[0]) == (0, "0 differences")
    driver.execute_query("MATCH (n:Person {id: 2}) SET n.boss = 7")
    damaged = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert damaged.returncode == 1
    assert "property boss: expected INTEGER 1, actual INTEGER 7" in damaged.stdout
