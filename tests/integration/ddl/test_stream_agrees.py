"""What gpm_cdc.ddl says of a statement is what the stream does: each is run under a daemon that follows its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from gpm_cdc.ddl import Surroundings, judge
from gpm_cdc.ddl.effects import EFFECTS
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.mapping import MappingInvalid
from gpm_cdc.errors.source import PublicationUnfit
from gpm_cdc.mapping.text import parse
from gpm_cdc.replication.rereading import Rereads
from gpm_cdc.runtime.rereading import Rereading
from tests.integration.core.pipeline import Pipeline, following
from tests.oracle import differences
from tests.servers import Database, Neo4jServer

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE parent (id int PRIMARY KEY, code text);
CREATE UNIQUE INDEX parent_other ON parent (id);
CREATE TABLE child (
    id int PRIMARY KEY, parent_id int REFERENCES parent, n int, name varchar(20), feels mood, two pair,
    twice int GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE part (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE TABLE part_3 (id int PRIMARY KEY, n int);
CREATE TABLE side (id int PRIMARY KEY);
CREATE SCHEMA elsewhere;
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO child VALUES (1, 1, 10, 'first', 'sad', '(1,2)'), (2, 2, 20, 'second', 'sad', '(1,2)');
INSERT INTO part VALUES (1, 1), (101, 1);
INSERT INTO part_3 VALUES (201, 1);
"""
MAPPING = """
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
columns = ["parent_id"]
type = "PARENT"
target = "public.parent"
target_columns = ["id"]
[[node]]
table = "public.part"
label = "Part"
key = ["id"]
"""
PROBES = (
    "UPDATE parent SET id = id WHERE id = 1",
    "UPDATE child SET id = id WHERE id = 1",
    "UPDATE part SET id = id WHERE id = 1",
    "INSERT INTO child (id) VALUES (3)",
    "DELETE FROM child WHERE id = 3",
)
"""Changes of each table, as any application makes them sooner or later, of other rows than those that are looked at."""

UNTRIED = {
    "partition_dropped",  # what unmapped_content tries, where the file itself tells that it is a partition
    "partition_truncated",
    "transaction_prepared",  # test servers do not allow prepared transactions
}

UNAFFECTED = {
    "ALTER TABLE child ALTER COLUMN n SET DEFAULT 5": "nothing",
    "ALTER TABLE child ALTER COLUMN n SET NOT NULL": "nothing",
    "ALTER TABLE child ADD CONSTRAINT positive CHECK (n > 0) NOT VALID": "nothing",
    "ALTER TABLE child ADD CONSTRAINT to_side FOREIGN KEY (n) REFERENCES side NOT VALID": "foreign_key_added",
    "ALTER TABLE child DROP CONSTRAINT to_side": "constraint_dropped",
    "ALTER TABLE child ALTER COLUMN name SET STORAGE EXTERNAL": "nothing",
    "ALTER TABLE child SET (fillfactor = 70)": "nothing",
    "ALTER TABLE parent REPLICA IDENTITY FULL": "identity_full",
    "ALTER TABLE parent REPLICA IDENTITY DEFAULT": "identity_chosen",
    "ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_other": "identity_chosen",
    "ALTER TABLE child DISABLE TRIGGER ALL": "checks_suspended",
    "ALTER TABLE child ENABLE TRIGGER ALL": "nothing",
    "ALTER TABLE child ENABLE ROW LEVEL SECURITY": "row_security",
    "ALTER TABLE child DISABLE ROW LEVEL SECURITY": "nothing",
    "ALTER TABLE child RENAME CONSTRAINT child_pkey TO pk_child": "nothing",
    "ALTER TABLE side ADD COLUMN more int": "table_unmapped",
    "ALTER TABLE child ADD COLUMN half int GENERATED ALWAYS AS (n / 2) VIRTUAL": "column_generated_added",
    "ALTER TYPE mood ADD VALUE 'angry'": "enum_value_added",
    "ALTER TYPE mood RENAME TO temper": "nothing",
    "ALTER TYPE pair RENAME ATTRIBUTE a TO x": "nothing",
    "CREATE INDEX by_n ON child (n)": "nothing",
    "DROP INDEX by_n": "index_dropped",
    "REINDEX TABLE child": "nothing",
    "ANALYZE child": "nothing",
    "CREATE VIEW seen AS SELECT id FROM child": "nothing",
    "CREATE TABLE fresh (id int PRIMARY KEY)": "table_created",
    "CREATE TABLE copied AS SELECT * FROM child": "table_created",
    "ALTER PUBLICATION {stream} ADD TABLE side": "publication_table_added",
    "ALTER PUBLICATION {stream} SET TABLE parent, child, part": "publication_replaced",
    "CREATE PUBLICATION another FOR TABLE child": "nothing",
    "DROP PUBLICATION another": "publication_other",
    "COMMENT ON TABLE child IS 'children'": "nothing",
    "GRANT SELECT ON child TO public": "nothing",
    "REVOKE SELECT ON child FROM public": "rights_revoked",
    "ALTER SCHEMA elsewhere RENAME TO nowhere": "schema_touched",
    "DROP SCHEMA nowhere": "nothing",
    "LOCK TABLE child": "nothing",
    "DO 'BEGIN END'": "code_run",
    "CREATE TABLE heir (own int) INHERITS (parent)": "table_created",
}
FOLLOWED = {
    "INSERT INTO parent VALUES (3, 'three')": "rows_written",
    "UPDATE child SET name = 'other', parent_id = 3": "rows_written",
    "WITH gone AS (DELETE FROM child RETURNING id) INSERT INTO parent SELECT id + 10 FROM gone": "rows_written",
    "MERGE INTO parent p USING (VALUES (2)) v (id) ON p.id = v.id WHEN MATCHED THEN UPDATE SET code = 'x'":
        "rows_written",
    "INSERT INTO child VALUES (7, 1, 70, 'x', 'happy', '(1,2)')": "rows_written",
    "TRUNCATE child": "table_truncated",
    "TRUNCATE parent CASCADE": "table_truncated",
    "TRUNCATE part": "table_truncated",
}  # fmt: skip
REFUSED = {
    "ALTER TABLE parent SET UNLOGGED": "table_unlogged",
    "SELECT pg_drop_replication_slot('{stream}')": "slot_touched",
}
REREAD = {
    "ALTER TABLE child ADD COLUMN more int": "column_added",
    "ALTER TABLE child ADD COLUMN dear int DEFAULT 5": "column_added",
    "ALTER TABLE child DROP COLUMN more": "column_dropped",
    "ALTER TABLE child RENAME COLUMN dear TO cheap": "column_renamed",
    "ALTER TABLE child ALTER COLUMN name TYPE varchar(30)": "column_retyped",
    "ALTER TABLE child ALTER COLUMN name TYPE varchar(30) USING upper(name)": "column_recomputed",
    "ALTER TABLE child ADD COLUMN thrice int GENERATED ALWAYS AS (n * 3) STORED": "table_rewritten",
    "ALTER TABLE child ALTER COLUMN twice SET EXPRESSION AS (n * 3)": "table_rewritten",
    "ALTER TABLE child ALTER COLUMN twice DROP EXPRESSION": "column_ungenerated",
    "CLUSTER child USING child_pkey": "table_rewritten",
    "VACUUM FULL child": "table_rewritten",
    "VACUUM (FULL)": "table_rewritten",
    "CREATE TABLE part_4 PARTITION OF part FOR VALUES FROM (300) TO (400); INSERT INTO part VALUES (301, 1)":
        "partition_created",
    "ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (200) TO (300)": "partition_attached",
    "ALTER TABLE part DETACH PARTITION part_3": "partition_detached",
    "TRUNCATE part_4": "unmapped_content",
    "CLUSTER part_2 USING part_2_pkey": "unmapped_content",
    "DROP TABLE part_2": "unmapped_content",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'": "enum_value_renamed",
    "ALTER TYPE pair ADD ATTRIBUTE c int": "composite_changed",
    "ALTER PUBLICATION {stream} OWNER TO pg_monitor": "publication_altered",
    "ALTER PUBLICATION {stream} SET (publish = 'insert, update, delete, truncate')": "publication_altered",
}  # fmt: skip
STOPPING = {
    "ALTER TABLE child DROP COLUMN parent_id": "mapped_column_gone",
    "ALTER TABLE parent RENAME COLUMN id TO number": "mapped_column_gone",
    "DROP TABLE child": "table_dropped",
    "ALTER TABLE child RENAME TO kid": "table_renamed",
    "ALTER TABLE child SET SCHEMA elsewhere": "table_renamed",
    "ALTER PUBLICATION {stream} DROP TABLE child": "publication_table_dropped",
    "ALTER PUBLICATION {stream} SET TABLE child, parent": "publication_replaced",
    "ALTER PUBLICATION {stream} SET (publish = 'insert, update, delete')": "publication_narrowed",
    "DROP PUBLICATION {stream}": "publication_gone",
    "ALTER PUBLICATION {stream} RENAME TO another": "publication_gone",
    "ALTER TABLE child REPLICA IDENTITY NOTHING": "identity_removed",
    "ALTER TABLE part_1 REPLICA IDENTITY NOTHING": "unmapped_identity",
    "ALTER TABLE child DROP CONSTRAINT child_pkey": "primary_key_dropped",
    "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey": "foreign_key_dropped",
    "ALTER TABLE child ALTER CONSTRAINT child_parent_id_fkey NOT ENFORCED": "foreign_key_loosened",
    "ALTER TABLE child REPLICA IDENTITY FULL": "identity_full",
}
MENDING = {
    "ALTER TABLE parent RENAME COLUMN id TO number": "ALTER TABLE parent RENAME COLUMN number TO id",
    "ALTER TABLE child RENAME TO kid": "ALTER TABLE kid RENAME TO child",
    "ALTER TABLE child SET SCHEMA elsewhere": "ALTER TABLE elsewhere.child SET SCHEMA public",
    "ALTER PUBLICATION {stream} DROP TABLE child": "ALTER PUBLICATION {stream} ADD TABLE child",
    "ALTER PUBLICATION {stream} SET TABLE child, parent": "ALTER PUBLICATION {stream} ADD TABLE part",
    "ALTER PUBLICATION {stream} SET (publish = 'insert, update, delete')":
        "ALTER PUBLICATION {stream} SET (publish = 'insert, update, delete, truncate')",
    "DROP PUBLICATION {stream}":
        "CREATE PUBLICATION {stream} FOR TABLE parent, child, part WITH (publish_via_partition_root = true)",
    "ALTER PUBLICATION {stream} RENAME TO another": "ALTER PUBLICATION another RENAME TO {stream}",
    "ALTER TABLE child REPLICA IDENTITY NOTHING": "ALTER TABLE child REPLICA IDENTITY DEFAULT",
    "ALTER TABLE part_1 REPLICA IDENTITY NOTHING": "ALTER TABLE part_1 REPLICA IDENTITY DEFAULT",
    "ALTER TABLE child DROP CONSTRAINT child_pkey": "ALTER TABLE child ADD PRIMARY KEY (id)",
    "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey":
        "ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent",
    "ALTER TABLE child ALTER CONSTRAINT child_parent_id_fkey NOT ENFORCED":
        "ALTER TABLE child ALTER CONSTRAINT child_parent_id_fkey ENFORCED",
    "ALTER TABLE child REPLICA IDENTITY FULL": "ALTER TABLE child REPLICA IDENTITY DEFAULT",
}  # fmt: skip
"""What takes such a statement back, where that can be."""

SINCE = {
    "ALTER TABLE child ALTER COLUMN twice SET EXPRESSION AS (n * 3)": 170_000,
    "ALTER TABLE child ADD COLUMN half int GENERATED ALWAYS AS (n / 2) VIRTUAL": 180_000,
    "ALTER TABLE child ALTER CONSTRAINT child_parent_id_fkey NOT ENFORCED": 180_000,
    "ALTER TABLE child REPLICA IDENTITY FULL": 180_000,
}
"""From which version of Postgres on a statement is understood, or does what is said here."""


@dataclass(slots=True)
class Tally:
    """Counts the re-readings that were begun."""

    begun: int = 0


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    """The re-readings of this test's streams."""
    made, run = Tally(), Rereading.run

    async def counted(self: Rereading, *arguments: Any) -> Rereads:  # noqa: ANN401 - those of Rereading.run
        made.begun += 1
        return await run(self, *arguments)

    monkeypatch.setattr(Rereading, "run", counted)
    return made


@pytest.fixture
async def tables(postgres: Database) -> Database:
    """The tables of this module."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    return postgres


def said(statement: str, code: str, database: Database) -> str:
    """The outcome that is said of `statement`, which must be so for the reason `code`."""
    surroundings = Surroundings(parse(MAPPING, where="test"), publication=database.name, slot=database.name)
    report = judge(statement, surroundings, where="test")
    verdict = max(report.verdicts, key=lambda each: each.judgements[0].code == code)
    assert verdict.judgements[0].code == code
    return verdict.outcome


async def done(stream: Pipeline, statement: str) -> None:
    """Run `statement`, and afterwards what any application does."""
    if statement.startswith("VACUUM"):
        await stream.connection.execute(statement.encode())
    else:
        await stream.execute(statement)
    for probe in PROBES:
        # Postgres may refuse it by now, or the table may be gone; what the stream does is looked at by the caller.
        await stream.connection.execute(f"DO $$ BEGIN {probe}; EXCEPTION WHEN OTHERS THEN END $$".encode())


async def observed(stream: Pipeline, tally: Tally, statement: str) -> str:
    """What the running stream did: `ended` with an error's code, or an outcome."""
    before, begun = stream.expected(), tally.begun
    try:
        await done(stream, statement)
    except psycopg.Error:
        return "refused"
    try:
        # A batch that ends after the statement was looked at after it.
        await stream.caught_up()
    except GpmCdcError as error:
        return f"ended {error.code}"
    after = stream.expected()
    if differences(after, stream.actual()):
        return "wrong"
    if tally.begun > begun:
        return "rereads"
    return "follows" if differences(before, after) else "unaffected"


def understood(stream: Pipeline, statement: str) -> bool:
    """Whether this server's version is one for `statement`."""
    return stream.connection.info.server_version >= SINCE.get(statement, 0)


@pytest.mark.parametrize("statement", STOPPING)
async def test_statements_that_stop_the_stream(
    tables: Database, neo4j: Neo4jServer, tally: Tally, statement: str
) -> None:
    """It stops with the error that the table of effects names; where the statement can be taken back, it goes on."""
    code = STOPPING[statement]
    text = statement.format(stream=tables.name)
    async with following(tables, neo4j, MAPPING) as stream:
        if not understood(stream, statement):
            pytest.skip("this version of Postgres does not know the statement")
        found = await observed(stream, tally, text)
    outcome = said(text, code, tables)
    assert outcome in {"stops", "depends"}
    expected = {EFFECTS[code].error} if outcome == "stops" else {MappingInvalid.code, PublicationUnfit.code}
    # The catalogue is read with several queries: a table that goes in between is missing in the publication.
    assert found in {f"ended {error}" for error in expected | {PublicationUnfit.code}}
    if statement in MENDING:
        async with await tables.connect() as connection:
            await connection.execute(MENDING[statement].format(stream=tables.name).encode())
        async with following(tables, neo4j, MAPPING) as again:
            await done(again, "UPDATE child SET n = n + 1")
            await again.check()


@pytest.mark.timeout(360)
@pytest.mark.parametrize(
    ("outcome", "statements"),
    [("unaffected", UNAFFECTED), ("follows", FOLLOWED), ("rereads", REREAD), ("refused", REFUSED)],
)
async def test_statements_that_do_not_stop_it(
    tables: Database, neo4j: Neo4jServer, tally: Tally, outcome: str, statements: Mapping[str, str]
) -> None:
    """One after the other under one stream, each does what is said."""
    wrong = []
    async with following(tables, neo4j, MAPPING) as stream:
        for statement, code in statements.items():
            if not understood(stream, statement):
                continue
            text = statement.format(stream=tables.name)
            found, promised = await observed(stream, tally, text), said(text, code, tables)
            if found != outcome or promised not in {outcome, "depends"}:
                wrong.append(f"{statement}: said {promised}, did {found}")
    assert not wrong, "\n".join(wrong)


def test_every_definite_effect_is_tried() -> None:
    """A new row of the table of effects that promises something needs its statement here."""
    tried = {*(UNAFFECTED | FOLLOWED | REFUSED | REREAD | STOPPING).values()}
    definite = {code for code, effect in EFFECTS.items() if effect.outcome not in {"unaffected", "depends"}}
    assert definite - tried == UNTRIED
