"""Reading tables again beside a stream: whatever cuts it off, and instead of transactions that are too large."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn, parse as parse_lsn
from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime import watching
from gpm_cdc.source.session import Connection, connect, query
from gpm_cdc.source.tables import Glance, Watched, glance
from tests.integration.core.conftest import Counted
from tests.integration.core.pipeline import Moment, Pipeline, following
from tests.integration.core.test_schema_changes import MAPPING, SCHEMA
from tests.servers import Database, Neo4jServer, database, start_postgres

KNOWS = TableName("public", "knows")

SMALL = 20_000
"""Bytes of one transaction: fifty rows or so."""


CHANGES = (
    "ALTER TABLE person ADD COLUMN c{number} int DEFAULT {number}",
    "UPDATE person SET boss = 1 + ({number} % 3), c{number} = NULL WHERE id = 2",
    "INSERT INTO team VALUES (100 + {number}, 'later')",
)


@pytest_asyncio.fixture
async def stream(postgres: Database, neo4j: Neo4jServer) -> AsyncIterator[Pipeline]:
    """A stream of the tables of the schema changes, with small transactions and small batches."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, MAPPING, transaction_bytes=SMALL, batch_rows=40) as running:
        yield running


@pytest.mark.timeout(300)
async def test_it_survives_every_cut(stream: Pipeline) -> None:
    """Cut off before, inside or after each of its writes it begins again, and ends equal to the tables."""
    moments: tuple[Moment, ...] = ("before", "inside", "after")
    cuts = itertools.product(range(1, 8), moments)
    for number, (writes, moment) in enumerate(cuts):
        crashes = stream.crashes
        stream.crash_at(writes, moment)
        await stream.execute(*(text.format(number=number) for text in CHANGES))
        await stream.check()
        assert stream.crashes == crashes + 1, (writes, moment)


LARGE = {
    "rows of one table": "INSERT INTO team SELECT i, 't' || i FROM generate_series(1000, 3000) i",
    "rows and their parents": (
        "INSERT INTO team SELECT i, 't' || i FROM generate_series(1000, 2000) i;"
        "INSERT INTO person (id, name, team, boss)"
        " SELECT i, 'p', i, nullif(i - 1, 1000) FROM generate_series(1001, 2000) i"
    ),
    "a tree, children first": (
        "SET session_replication_role = replica;"
        "INSERT INTO person (id, boss) SELECT i, i - 1 FROM generate_series(2000, 1000, -1) i;"
        "INSERT INTO person (id) VALUES (999)"
    ),
    "keys moved along, again and again": (
        "INSERT INTO team SELECT i, 't' || i FROM generate_series(1000, 1300) i;"
        "UPDATE team SET id = id + 10000 WHERE id >= 1000; UPDATE team SET id = id - 9999 WHERE id >= 10000"
    ),
    "a savepoint that was rolled back": (
        "INSERT INTO team SELECT i, 'kept' FROM generate_series(1000, 3000) i; SAVEPOINT s;"
        "DELETE FROM team WHERE id > 999; INSERT INTO team SELECT i, 'lost' FROM generate_series(5000, 5300) i;"
        "ROLLBACK TO s; UPDATE team SET name = 'after' WHERE id = 1000"
    ),
    "partitions": "INSERT INTO event SELECT i, date '2019-01-01' + i, 'x', 1 FROM generate_series(100, 2000) i",
    "a truncated table filled again": (
        "TRUNCATE knows, event;INSERT INTO event SELECT i, date '2019-01-01' + i, 'y', 2 FROM generate_series(1, 900) i"
    ),
}


@pytest.mark.parametrize("script", LARGE.values(), ids=LARGE.keys())
async def test_a_transaction_larger_than_what_is_kept_of_one(
    stream: Pipeline, rereadings: Counted, script: str
) -> None:
    """Its tables are read again, with what comes before and after it, and a cut in the middle goes on in the middle."""
    stream.gate.clear()
    await stream.execute(
        "UPDATE team SET name = 'before'", script, "UPDATE person SET size = 5", "DELETE FROM knows WHERE a = 1"
    )
    stream.crash_at(4, "inside")
    stream.gate.set()
    await stream.check()
    assert rereadings.count >= 1
    assert stream.crashes == 1


async def test_a_truncate_is_not_read_again(stream: Pipeline, rereadings: Counted) -> None:
    """Its files are other ones, but the stream tells why: of a table alone, of several, and of all partitions."""
    await stream.execute(
        "TRUNCATE knows", "TRUNCATE event, knows", "INSERT INTO event VALUES (5, '2019-01-01', 'n', 1)"
    )
    await stream.check()
    await stream.execute(
        "TRUNCATE event; INSERT INTO event VALUES (5, '2019-01-01', 'again', 2)", "TRUNCATE team CASCADE"
    )
    await stream.check()
    await stream.together("UPDATE team SET name = 'x'", "TRUNCATE event", "TRUNCATE event")
    await stream.check()
    assert rereadings.count == 0


@pytest.mark.parametrize("glances", [1, 2])
async def test_a_truncate_is_before_its_end_whenever_it_is_seen(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, glances: int
) -> None:
    """A batch that reaches the end of a change without bringing it is read again: the end must not be too early."""
    emptied: list[Lsn] = []
    seen = 0
    async with connect(postgres.dsn) as connection, connect(postgres.dsn) as other:
        await connection.execute(SCHEMA.encode())
        await connection.execute(
            f"CREATE PUBLICATION {postgres.name} FOR TABLE team, person, knows, event"
            " WITH (publish_via_partition_root = true)".encode()
        )
        mapping = parse(MAPPING, where="test")
        kept = (await watching.present(connection, mapping, postgres.name)).records

        async def disturbed(connection: Connection, watched: Watched) -> Glance:
            nonlocal seen
            glanced = await glance(connection, watched)
            seen += 1
            if seen == glances:
                await other.execute("TRUNCATE knows")
                emptied.append(parse_lsn(str((await query(other, "SELECT pg_current_wal_insert_lsn()::text"))[0][0])))
            return glanced

        monkeypatch.setattr(watching, "glance", disturbed)
        watch = watching.CatalogueWatch(connection, mapping, postgres.name, kept)
        moves = [await watch.look(), await watch.look()]
    ends = [move.refiled[KNOWS].end for move in moves if move.refiled]
    assert ends
    assert min(ends) >= emptied[0]


async def test_a_truncate_that_comes_before_it_is_visible(neo4j: Neo4jServer, rereadings: Counted) -> None:
    """A commit is in the log before anybody sees it, here for as long as a standby that is not there does not answer.

    The stream may bring a TRUNCATE in a batch before the one at which the catalogue shows it.
    """
    settings = {"synchronous_standby_names": "nobody", "synchronous_commit": "local"}
    async with start_postgres(None, **settings) as server:
        with database(server) as private:
            async with await private.connect() as connection:
                await connection.execute(SCHEMA.encode())
            async with following(private, neo4j, MAPPING) as stream, await private.connect() as other:
                await stream.check()
                truncate = await unanswered(stream.connection, other, "TRUNCATE knows")
                await stream.caught_up()
                batches = len(stream.progress.batches)
                await stream.execute("UPDATE team SET name = 'later'")
                await stream.caught_up()
                assert len(stream.progress.batches) > batches
                assert not truncate.done()
                await stream.connection.execute(f"SELECT pg_cancel_backend({other.info.backend_pid})".encode())
                await truncate
                await stream.execute("INSERT INTO knows SELECT a.id, b.id, 7 FROM person a, person b WHERE a.id < b.id")
                await stream.check()
    assert rereadings.count == 0


async def unanswered(witness: Connection, connection: Connection, statement: str) -> "asyncio.Task[object]":
    """`statement` on `connection`, waiting for a standby: run again where the server does not know yet that it must."""
    await connection.execute("SET synchronous_commit = on")
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = %s"
    pid = connection.info.backend_pid
    running: asyncio.Task[object] = asyncio.create_task(connection.execute(statement.encode()))
    while not await query(witness, waiting, [pid]):
        if running.done():
            running = asyncio.create_task(connection.execute(statement.encode()))
    return running


async def test_what_only_the_catalogue_knows_is_noticed_after_a_rest(
    postgres: Database, neo4j: Neo4jServer, rereadings: Counted
) -> None:
    """What happened to the tables while nobody ran the stream is noticed at its next start."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.check()
    async with await postgres.connect() as connection:
        await connection.execute("TRUNCATE event_late")
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.check()
    async with await postgres.connect() as connection:
        await connection.execute("TRUNCATE event")
        await connection.execute("INSERT INTO event VALUES (5, '2019-01-01', 'n', 1)")
    again = rereadings.count
    assert again == 1
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.check()
    assert rereadings.count == again
