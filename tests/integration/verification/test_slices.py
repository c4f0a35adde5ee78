"""Rows by stretches of a table's file, each with what tells whether the rows it refers to exist."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.mapping.text import parse
from gpm_cdc.projection.plan import FieldRow
from gpm_cdc.runtime import slices
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.slices import SlicedRows, Snapshot
from gpm_cdc.source import copy
from gpm_cdc.source.copy import snapshot_session
from gpm_cdc.source.session import connect
from gpm_cdc.verification.pace import Pace
from tests.servers import Database

SCHEMA = """
CREATE TABLE names (name text PRIMARY KEY, wide text);
INSERT INTO names SELECT 'n' || n, repeat('x', 500) FROM generate_series(1, 300) AS n;
CREATE TABLE parts (id int PRIMARY KEY, ref bigint, named varchar(20), padding text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (150);
CREATE TABLE parts_high PARTITION OF parts DEFAULT;
CREATE TABLE heirs (id int PRIMARY KEY, ref smallint);
CREATE TABLE heirs_more () INHERITS (heirs);
INSERT INTO heirs VALUES (1, 3), (2, NULL), (3, 5000);
INSERT INTO heirs_more VALUES (9, 9);
INSERT INTO parts SELECT n, nullif(n * 7 % 600, 0), 'n' || n * 3 % 500, repeat('y', 300)
FROM generate_series(0, 399) AS n;
"""
MAPPING = """
version = 1
[[node]]
table = "public.names"
label = "Name"
key = ["name"]
[[node]]
table = "public.parts"
label = "Part"
key = ["id"]
[[node.relationship]]
columns = ["ref"]
type = "REF"
target = "public.parts"
target_columns = ["id"]
enforced = false
[[node.relationship]]
columns = ["named"]
type = "NAMED"
target = "public.names"
target_columns = ["name"]
enforced = false
[[node]]
table = "public.heirs"
label = "Heir"
key = ["id"]
[[node.relationship]]
columns = ["ref"]
type = "HEIR"
target = "public.parts"
target_columns = ["id"]
enforced = false
"""
ORACLE = {
    "parts": """
        SELECT id::text, EXISTS (SELECT FROM parts AS p WHERE p.id = r.ref),
               EXISTS (SELECT FROM names AS n WHERE n.name = r.named)
        FROM parts AS r
        """,
    "heirs": "SELECT id::text, EXISTS (SELECT FROM parts AS p WHERE p.id = r.ref) FROM ONLY heirs AS r",
}


async def _read(
    settings: Settings, mapped: Mapped, table: str, bound: float, work: float = 0.0
) -> tuple[list[FieldRow], list[float]]:
    """Key and flags of every row, and how many seconds each snapshot was held; each block is `work` seconds of work."""

    async def take() -> Snapshot:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(snapshot_session(settings.conninfo, None))
            return Snapshot(Lsn(1), session, stack.pop_all(), time.monotonic())

    plan = next(node for node in mapped.plan.nodes if node.table.name == table)
    ends = [edge.end for edge in plan.edges]
    rows = SlicedRows(mapped.catalogue, take, bound, Pace())
    try:
        assert all(rows.joins(plan, end) for end in ends)
        found: list[FieldRow] = []
        async for block in rows.rows(plan, (0,), ends):
            found += block
            await asyncio.sleep(work)
    finally:
        await rows.close()
    return found, [held.seconds for held in rows.held]


async def test_a_snapshot_is_not_held_while_rows_are_worked_on(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slice of which the first blocks take longer than the snapshot's time: the rest is read at once."""
    monkeypatch.setattr(copy, "BLOCK_ROWS", 10)
    bound, work = 0.8, 0.1
    settings = Settings(postgres_dsn=SecretStr(postgres.dsn))
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA)
        async with connect(settings.conninfo) as session:
            mapped = await bind(session, parse(MAPPING, where="gpm-cdc.toml"))
        started = time.monotonic()
        found, snapshots = await _read(settings, mapped, "names", bound, work)
    assert time.monotonic() - started > 30 * work
    assert len(found) == len(set(found)) == 300
    assert max(snapshots) < bound


@pytest.mark.parametrize(("blocks", "bound"), [(4096, 60.0), (1, 60.0), (1, 1e-6)])
async def test_every_row_is_read_once(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, blocks: int, bound: float
) -> None:
    """Of partitions and without inheriting tables, whatever the slices, with the same flags as by a query."""
    monkeypatch.setattr(slices, "_FIRST_BLOCKS", blocks)
    settings = Settings(postgres_dsn=SecretStr(postgres.dsn))
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA)
        async with connect(settings.conninfo) as session:
            mapped = await bind(session, parse(MAPPING, where="gpm-cdc.toml"))
        for table, text in ORACLE.items():
            expected = await (await connection.execute(text.encode())).fetchall()
            found, snapshots = await _read(settings, mapped, table, bound)
            assert sorted(found) == sorted((key, *("t" if flag else "f" for flag in flags)) for key, *flags in expected)
            assert (len(snapshots) > 3) == (bound < 1 and table == "parts")
