import pytest

from gpm_cdc.ddl import Report, Surroundings, judge
from gpm_cdc.ddl.effects import EFFECTS
from gpm_cdc.errors.ddl import StatementUnreadable
from gpm_cdc.mapping.text import parse

_MAPPED = Surroundings(
    parse(
        """
version = 1
ignore = ["public.audit"]
[[node]]
table = "public.orders"
label = "Order"
key = ["id"]
[[node]]
table = "sales.Odd Name"
label = "Odd"
key = ["id"]
""",
        where="test",
    ),
    publication="shop",
    slot="shop",
)

_EFFECTS = {
    "SELECT count(*) FROM orders": ["nothing"],
    "SELECT do_it(1)": ["code_run"],
    "SELECT pg_catalog.setval('s', 1)": ["nothing"],
    "SELECT * INTO fresh FROM orders": ["table_created"],
    "SELECT set_config('session_replication_role', 'replica', false)": ["checks_suspended"],
    "SET session_replication_role = replica": ["checks_suspended"],
    "SET session_replication_role = DEFAULT": ["nothing"],
    "ALTER ROLE app SET session_replication_role = replica": ["checks_suspended"],
    "COPY orders FROM 'x.csv'": ["rows_written"],
    "COPY orders TO 'x.csv'": ["nothing"],
    "COPY (DELETE FROM orders RETURNING *) TO stdout": ["rows_written"],
    "EXPLAIN DELETE FROM orders": ["nothing"],
    "EXPLAIN ANALYZE DELETE FROM orders": ["rows_written"],
    "ALTER TABLE ONLY orders ADD COLUMN IF NOT EXISTS a int, DROP COLUMN b": ["column_added", "column_dropped"],
    "ALTER TABLE orders ALTER a TYPE text": ["column_retyped"],
    "ALTER TABLE orders ALTER a TYPE int USING a::int": ["column_recomputed"],
    "ALTER TABLE orders ALTER a DROP EXPRESSION": ["column_ungenerated"],
    "ALTER TABLE orders ADD COLUMN a int GENERATED ALWAYS AS (b) STORED": ["table_rewritten"],
    "ALTER TABLE orders ADD COLUMN a int GENERATED ALWAYS AS (b) VIRTUAL": ["column_generated_added"],
    "ALTER TABLE orders ALTER a SET EXPRESSION AS (b), SET TABLESPACE t": ["table_rewritten"],
    "ALTER TABLE orders SET ACCESS METHOD heap2": ["table_rewritten"],
    "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b": ["tables_moved"],
    "ALTER INDEX ALL IN TABLESPACE a SET TABLESPACE b": ["nothing"],
    "CLUSTER orders": ["table_rewritten"],
    "CLUSTER": ["table_rewritten"],
    "VACUUM orders": ["nothing"],
    "VACUUM FULL": ["table_rewritten"],
    "VACUUM (FULL false, ANALYZE) orders": ["nothing"],
    "VACUUM (FULL 0) orders": ["nothing"],
    "VACUUM (FULL 1, ANALYZE) orders, lines": ["table_rewritten", "table_rewritten"],
    "ALTER TABLE orders ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES b": ["foreign_key_added"],
    "ALTER TABLE orders ALTER CONSTRAINT c NOT ENFORCED": ["foreign_key_loosened"],
    "ALTER TABLE orders ALTER CONSTRAINT c DEFERRABLE": ["nothing"],
    "ALTER TABLE orders DROP CONSTRAINT whatever": ["constraint_dropped"],
    "ALTER TABLE orders REPLICA IDENTITY USING INDEX i": ["identity_chosen"],
    "ALTER TABLE orders DETACH PARTITION p CONCURRENTLY": ["partition_detached"],
    "ALTER TABLE orders INHERIT base": ["nothing"],
    "ALTER VIEW v RENAME COLUMN a TO b": ["nothing"],
    "ALTER TYPE pair ADD ATTRIBUTE c int": ["composite_changed"],
    "ALTER TYPE mood ADD VALUE 'c'": ["enum_value_added"],
    "ALTER TYPE mood RENAME VALUE 'a' TO 'b'": ["enum_value_renamed"],
    "DROP INDEX a, b": ["index_dropped", "index_dropped"],
    "DROP VIEW v CASCADE": ["nothing"],
    "DROP TYPE mood": ["nothing"],
    "DROP TYPE mood CASCADE": ["dependents_dropped"],
    "DROP OWNED BY someone": ["dependents_dropped"],
    "CREATE SCHEMA s CREATE TABLE t (id int)": ["table_created"],
    "ALTER PUBLICATION gpm_cdc SET TABLE orders": ["publication_replaced"],
    "ALTER PUBLICATION gpm_cdc SET (publish = 'insert')": ["publication_narrowed"],
    "ALTER PUBLICATION gpm_cdc SET (publish = 'insert, update, delete, truncate')": ["publication_altered"],
    "ALTER PUBLICATION gpm_cdc SET (publish_via_partition_root)": ["publication_altered"],
    "ALTER PUBLICATION gpm_cdc SET (publish_via_partition_root = off)": ["publication_narrowed"],
    "ALTER PUBLICATION gpm_cdc SET (publish_via_partition_root = 0)": ["publication_narrowed"],
    "ALTER PUBLICATION gpm_cdc OWNER TO someone": ["publication_altered"],
    "ALTER TABLE orders OWNER TO someone": ["nothing"],
    "ALTER SYSTEM SET wal_level = minimal": ["setting_of_stream"],
    "ALTER SYSTEM SET work_mem = 1": ["nothing"],
    "ALTER ROLE gpm NOREPLICATION": ["role_altered"],
    "PREPARE TRANSACTION 'x'": ["transaction_prepared"],
    "SELECT pg_replication_slot_advance('gpm_cdc', '0/0')": ["slot_touched"],
    "SELECT pg_drop_replication_slot('other')": ["nothing"],
    "CALL p()": ["code_run"],
    "\\gexec": ["psql_runs"],
}


def _codes(report: Report) -> list[list[str]]:
    return [[judgement.code for judgement in verdict.judgements] for verdict in report.verdicts]


def _judged(text: str) -> list[list[str]]:
    return _codes(judge(text, _MAPPED, where="test"))


@pytest.mark.parametrize("statement", _EFFECTS)
def test_effects_of_a_statement(statement: str) -> None:
    """Without a mapping a statement means what it means for any mapped table."""
    [found] = _codes(judge(statement, Surroundings(), where="test"))
    assert found == _EFFECTS[statement]


def test_texts_fill_their_placeholders() -> None:
    """Every row of the table speaks in sentences about its subject."""
    for effect in EFFECTS.values():
        assert effect.message.format_map({"subject": "x"}).endswith(".")
        assert not effect.remedy or effect.remedy.format_map({"subject": "x"}).endswith(".")
        assert bool(effect.error) == (effect.outcome == "stops")


def test_statements_stand_where_they_begin() -> None:
    """Line and column are those of the first word, behind comments, in characters."""
    text = "-- é\n/* x */ ALTER TABLE orders DROP a; SELECT 'é'; DROP TABLE orders\n;"
    report = judge(text, _MAPPED, where="test")
    places = [(verdict.line, verdict.column, verdict.outcome) for verdict in report.verdicts]
    assert places == [(2, 9, "rereads"), (2, 36, "unaffected"), (2, 48, "stops")]
    assert report.blocked


def test_names_are_those_of_the_catalogue() -> None:
    """Quotes and letter case count as in Postgres, and unqualified names follow the search path of the file."""
    assert _judged('ALTER TABLE Orders DROP a; ALTER TABLE "Orders" DROP a') == [["column_dropped"], ["table_unmapped"]]
    text = 'SET search_path = "$user", sales, public; TRUNCATE "Odd Name"; RESET search_path; TRUNCATE orders'
    assert _judged(text) == [
        ["nothing"], ["table_truncated"], ["nothing"], ["table_truncated"],
    ]  # fmt: skip
    dump = "SELECT pg_catalog.set_config('search_path', 'sales', false); UPDATE \"Odd Name\" SET a = 1"
    assert _judged(dump)[1] == ["rows_written"]


def test_only_mapped_tables_count() -> None:
    """A table that is neither mapped nor ignored may be a partition of one that is, which its name does not tell."""
    assert _judged("UPDATE other SET a = 1; DROP TABLE other; DROP TABLE audit") == [
        ["table_unmapped"], ["unmapped_content"], ["table_unmapped"],
    ]  # fmt: skip
    # A table of the file can be a partition too, of a table that may itself belong to a mapped one.
    assert _judged("CREATE TABLE p PARTITION OF other DEFAULT; DROP TABLE p")[1] == ["unmapped_content"]
    assert _judged("ALTER TABLE gpm_cdc.run ADD a int") == [["table_unmapped"]]
    assert _judged("CLUSTER other; ALTER TABLE other REPLICA IDENTITY NOTHING; VACUUM FULL audit") == [
        ["unmapped_content"], ["unmapped_identity"], ["table_unmapped"],
    ]  # fmt: skip


def test_partitions_of_the_file_are_known() -> None:
    """A partition that the file made or attached is one of its table's, also below a partition."""
    text = (
        "CREATE TABLE p PARTITION OF orders FOR VALUES IN (1) PARTITION BY LIST (b);"
        "CREATE TABLE q PARTITION OF p FOR VALUES IN (1); INSERT INTO q VALUES (1);"
        "TRUNCATE q; DROP TABLE q; DROP TABLE q"
    )
    assert _judged(text) == [
        ["partition_created"], ["partition_created"], ["rows_written"], ["partition_truncated"], ["partition_dropped"],
        ["unmapped_content"],
    ]  # fmt: skip


def test_tables_of_the_file_are_nobodys_yet() -> None:
    """What happens to a table before any stream can know it does not matter; IF NOT EXISTS may mean an old one."""
    text = (
        "CREATE TABLE n (a int); ALTER TABLE n ADD b int;"
        "DROP TABLE orders; ALTER TABLE n RENAME TO orders; TRUNCATE orders"
    )
    assert _judged(text) == [
        ["table_created"], ["table_of_file"], ["table_dropped"], ["table_of_file"], ["table_of_file"],
    ]  # fmt: skip
    assert _judged("CREATE TABLE IF NOT EXISTS orders (a int); ALTER TABLE orders ADD b int")[1] == ["column_added"]


def test_columns_that_the_mapping_names_stop_the_stream() -> None:
    """Which columns those are, the mapping tells: keys, properties by name, both sides of a reference."""
    mapping = parse(
        """
version = 1
[[node]]
table = "public.person"
label = "Person"
key = ["id"]
labels_from = { column = "kind", values = { a = "A" } }
exclude = ["secret"]
rename = { n = "name" }
types = { born = "string" }
[[node.relationship]]
columns = ["town"]
type = "TOWN"
target = "public.place"
target_columns = ["code"]
[[node]]
table = "public.place"
label = "Place"
key = ["id"]
include = ["code", "height"]
[[relationship]]
table = "public.visit"
type_from = { column = "how", values = { x = "X" } }
key = ["number"]
start = { columns = ["who"], target = "public.person", target_columns = ["id"] }
end = { columns = ["place"], target = "public.place", target_columns = ["post"] }
""",
        where="test",
    )
    named = {
        "person": {"id", "kind", "secret", "n", "born", "town"},
        "place": {"id", "code", "height", "post"},
        "visit": {"how", "number", "who", "place"},
    }
    for table, columns in named.items():
        for column in {*columns, "other", *named["person"], *named["visit"]}:
            text = f"ALTER TABLE {table} DROP {column}; ALTER TABLE {table} RENAME {column} TO x"
            report = judge(text, Surroundings(mapping), where="test")
            outcome = "stops" if column in columns else "rereads"
            assert [verdict.outcome for verdict in report.verdicts] == [outcome, outcome], f"{table}.{column}"


def test_schemas_stand_for_their_mapped_tables() -> None:
    """A schema that goes or is renamed takes its tables along."""
    assert _judged("DROP SCHEMA sales CASCADE; ALTER SCHEMA other RENAME TO another; DROP SCHEMA other CASCADE") == [
        ["table_dropped"], ["schema_touched"], ["dependents_dropped"],
    ]  # fmt: skip


def test_only_the_streams_own_publication_counts() -> None:
    """Other publications and tables that are not mapped are no concern of the stream."""
    text = (
        "DROP PUBLICATION gpm_cdc, shop;"
        "ALTER PUBLICATION shop DROP TABLE orders; ALTER PUBLICATION shop DROP TABLE other"
    )
    assert _judged(text) == [
        ["publication_gone", "publication_other"], ["publication_table_dropped"], ["table_unmapped"],
    ]  # fmt: skip


def test_a_loose_mapping_does_not_need_foreign_keys() -> None:
    """Dropping a foreign key matters only to a table whose mapping relies on one."""
    assert _judged("ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey") == [["nothing"]]


def test_what_postgres_does_not_understand_is_located() -> None:
    """The error names the place and quotes nothing of the file."""
    with pytest.raises(StatementUnreadable) as refused:
        judge("SELECT 1;\n  SELECT 'é' secret word;", Surroundings(), where="m.sql")
    assert str(refused.value).startswith("m.sql:2:21: ")
    assert "word" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_depth_does_not_matter() -> None:
    """A statement that is nested deeply is walked all the same."""
    chain = " || ".join(["f('x')"] * 800)
    assert _judged(f"SELECT {chain}; SELECT 1") == [["code_run"], ["nothing"]]
