"""What gpm_cdc.ddl says of a statement is what the stream does: each is run under a daemon that follows its tables."""

import asyncio
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from gpm_cdc.ddl import Surroundings, judge
from gpm_cdc.ddl.effects import EFFECTS
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.source import PublicationChanged
from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime import daemon as daemon_module
from gpm_cdc.source.publication import read_publication
from tests.integration.core.pipeline import SECONDS, Pipeline, following
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
    "foreign_key_loosened",  # Postgres 18 alone; the same as foreign_key_dropped
    "transaction_prepared",  # test servers do not allow prepared transactions
}

HARMLESS = {
    "ALTER TABLE child ALTER COLUMN n SET DEFAULT 5": "nothing",
    "ALTER TABLE child ALTER COLUMN n SET NOT NULL": "nothing",
    "ALTER TABLE child ADD CONSTRAINT positive CHECK (n > 0) NOT VALID": "nothing",
    "ALTER TABLE child ADD COLUMN thrice int GENERATED ALWAYS AS (n * 3) STORED": "column_generated_added",
    "ALTER TABLE child ADD CONSTRAINT to_side FOREIGN KEY (n) REFERENCES side NOT VALID": "foreign_key_added",
    "ALTER TABLE child ALTER COLUMN name SET STORAGE EXTERNAL": "nothing",
    "ALTER TABLE child REPLICA IDENTITY FULL": "identity_full",
    "ALTER TABLE child REPLICA IDENTITY DEFAULT": "identity_chosen",
    "ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_other": "identity_chosen",
    "ALTER TABLE child DISABLE TRIGGER ALL": "checks_suspended",
    "ALTER TABLE child ENABLE TRIGGER ALL": "nothing",
    "ALTER TABLE child ENABLE ROW LEVEL SECURITY": "row_security",
    "ALTER TABLE child DISABLE ROW LEVEL SECURITY": "nothing",
    "ALTER TABLE child RENAME CONSTRAINT child_pkey TO pk_child": "nothing",
    "ALTER TABLE side ADD COLUMN more int": "table_unmapped",
    "ALTER TYPE mood ADD VALUE 'angry'": "nothing",
    "ALTER TYPE mood RENAME TO temper": "nothing",
    "ALTER TYPE pair RENAME ATTRIBUTE a TO x": "nothing",
    "CREATE INDEX by_n ON child (n)": "nothing",
    "DROP INDEX by_n": "index_dropped",
    "CREATE VIEW seen AS SELECT id FROM child": "nothing",
    "CREATE TABLE fresh (id int PRIMARY KEY)": "table_created",
    "CREATE TABLE copied AS SELECT * FROM child": "table_created",
    "ALTER PUBLICATION {stream} ADD TABLE side": "publication_table_added",
    "CREATE PUBLICATION another FOR TABLE child": "nothing",
    "DROP PUBLICATION another": "publication_other",
    "COMMENT ON TABLE child IS 'children'": "nothing",
    "GRANT SELECT ON child TO public": "nothing",
    "REVOKE SELECT ON child FROM public": "rights_revoked",
    "ALTER SCHEMA elsewhere RENAME TO nowhere": "schema_touched",
    "DROP SCHEMA nowhere": "nothing",
    "LOCK TABLE child": "nothing",
    "DO 'BEGIN END'": "code_run",
    "CLUSTER child USING pk_child": "nothing",
    "CREATE TABLE heir (own int) INHERITS (parent)": "table_created",
}
FOLLOWED = {
    "INSERT INTO parent VALUES (3, 'three')": "rows_written",
    "UPDATE child SET name = 'other', parent_id = 3": "rows_written",
    "WITH gone AS (DELETE FROM child RETURNING id) INSERT INTO parent SELECT id + 10 FROM gone": "rows_written",
    "CREATE TABLE part_4 PARTITION OF part FOR VALUES FROM (300) TO (400); INSERT INTO part VALUES (301, 1)":
        "partition_created",
    "MERGE INTO parent p USING (VALUES (2)) v (id) ON p.id = v.id WHEN MATCHED THEN UPDATE SET code = 'x'":
        "rows_written",
    "TRUNCATE parent CASCADE": "table_truncated",
    "TRUNCATE part": "table_truncated",
}  # fmt: skip
REFUSED = {
    "ALTER TABLE parent SET UNLOGGED": "table_unlogged",
    "SELECT pg_drop_replication_slot('{stream}')": "slot_touched",
}
STOPPING = {
    "ALTER TABLE child ADD COLUMN more int": "column_added",
    "ALTER TABLE child DROP COLUMN name": "column_dropped",
    "ALTER TABLE child RENAME COLUMN name TO called": "column_renamed",
    "ALTER TABLE child ALTER COLUMN name TYPE varchar(30)": "column_retyped",
    "ALTER TABLE child ALTER COLUMN twice DROP EXPRESSION": "column_ungenerated",
    "DROP TABLE child": "table_dropped",
    "ALTER TABLE child RENAME TO kid": "table_renamed",
    "ALTER TABLE child SET SCHEMA elsewhere": "table_renamed",
    "ALTER PUBLICATION {stream} DROP TABLE child": "publication_table_dropped",
    "ALTER PUBLICATION {stream} SET (publish = 'insert, update, delete')": "publication_narrowed",
    "DROP PUBLICATION {stream}": "publication_gone",
    "ALTER PUBLICATION {stream} RENAME TO another": "publication_gone",
    "ALTER TABLE child REPLICA IDENTITY NOTHING": "identity_removed",
    "ALTER TABLE child DROP CONSTRAINT child_pkey": "primary_key_dropped",
    "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey": "foreign_key_dropped",
}
MISSED = {
    "ALTER TABLE child ALTER COLUMN name TYPE varchar(20) USING upper(name)": "column_recomputed",
    "ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (200) TO (300)": "partition_attached",
    "ALTER TABLE part DETACH PARTITION part_2": "partition_detached",
    "TRUNCATE part_2": "unmapped_content",
    "DROP TABLE part_2": "unmapped_content",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'": "enum_value_renamed",
    "ALTER TYPE pair ADD ATTRIBUTE c int": "composite_changed",
}


@dataclass(slots=True)
class Guard:
    """Counts how often the daemon has looked at its publication."""

    rounds: int = 0
    passed: asyncio.Event | None = None

    async def look(self, *arguments: Any) -> object:  # noqa: ANN401 - those of read_publication
        """As read_publication."""
        found = await read_publication(*arguments)
        self.rounds += 1
        if self.passed is not None:
            self.passed.set()
        return found

    async def twice(self, daemon: asyncio.Task[None]) -> None:
        """Wait until it has looked and judged what is there now, or has ended."""
        target = self.rounds + 2
        async with asyncio.timeout(SECONDS):
            while self.rounds < target and not daemon.done():
                self.passed = asyncio.Event()
                looked = asyncio.create_task(self.passed.wait())
                await asyncio.wait({looked, daemon}, return_when=asyncio.FIRST_COMPLETED)
                looked.cancel()


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """A daemon that looks after its publication all the time, which saves the tests five seconds each."""
    made = Guard()
    monkeypatch.setattr(daemon_module, "GUARD_SECONDS", 0.02)
    monkeypatch.setattr(daemon_module, "read_publication", made.look)
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


async def observed(stream: Pipeline, guard: Guard, statement: str) -> str:
    """What the running stream did: `ended` with an error's code, or an outcome."""
    before = stream.expected()
    try:
        await stream.execute(statement)
    except psycopg.Error:
        return "refused"
    for probe in PROBES:
        # Postgres may refuse it by now, or the table may be gone; what the stream does is looked at below.
        await stream.connection.execute(f"DO $$ BEGIN {probe}; EXCEPTION WHEN OTHERS THEN END $$".encode())
    assert stream.task is not None
    try:
        await stream.caught_up()
        await guard.twice(stream.task)
        if stream.task.done():
            stream.task.result()
    except GpmCdcError as error:
        return f"ended {error.code}"
    after = stream.expected()
    if differences(after, stream.actual()):
        return "misses"
    return "follows" if differences(before, after) else "unaffected"


async def begun_again(database: Database, graph: Neo4jServer) -> str:
    """What a further start of the stream says: `unaffected`, or `ended` with an error's code."""
    try:
        async with following(database, graph, MAPPING):
            return "unaffected"
    except GpmCdcError as error:
        return f"ended {error.code}"


@pytest.mark.parametrize("statement", [*STOPPING, *MISSED])
async def test_harmful_statements(tables: Database, neo4j: Neo4jServer, guard: Guard, statement: str) -> None:
    """The stream stops with the error that the table of effects names, or goes on with a graph that is wrong."""
    code = (STOPPING | MISSED)[statement]
    text = statement.format(stream=tables.name)
    async with following(tables, neo4j, MAPPING) as stream:
        found = await observed(stream, guard, text)
    if code == "foreign_key_dropped":
        assert found == "unaffected"
        found = await begun_again(tables, neo4j)
    if statement in MISSED:
        assert found == "misses"
        assert said(text, code, tables) in {"misses", "depends"}
        return
    assert said(text, code, tables) == "stops"
    # The daemon reads a publication with three queries: one that goes in between looks like one that lost its tables.
    between = {f"ended {PublicationChanged.code}"} if code == "publication_gone" else set()
    assert found in {f"ended {EFFECTS[code].error}", *between}


async def test_harmless_statements(tables: Database, neo4j: Neo4jServer, guard: Guard) -> None:
    """One after the other under one stream, each does what is said, and the stream can be started again afterwards."""
    expected = {statement: {"unaffected"} for statement in HARMLESS}
    expected |= {statement: {"follows"} for statement in FOLLOWED} | {statement: {"refused"} for statement in REFUSED}
    wrong = []
    async with following(tables, neo4j, MAPPING) as stream:
        for statement, code in (REFUSED | HARMLESS | FOLLOWED).items():
            text = statement.format(stream=tables.name)
            found = await observed(stream, guard, text)
            if found not in expected[statement] or said(text, code, tables) not in {found, "depends"}:
                wrong.append(f"{statement}: said {said(text, code, tables)}, did {found}")
    assert not wrong
    assert await begun_again(tables, neo4j) == "unaffected"


def test_every_definite_effect_is_tried() -> None:
    """A new row of the table of effects that promises something needs its statement here."""
    tried = {*(HARMLESS | FOLLOWED | REFUSED | STOPPING | MISSED).values()}
    definite = {code for code, effect in EFFECTS.items() if effect.outcome in {"follows", "refused", "stops", "misses"}}
    assert definite - tried == UNTRIED
