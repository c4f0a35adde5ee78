import asyncio
import threading
from pathlib import Path

import psycopg
import pytest
from neo4j.exceptions import ServiceUnavailable, SessionExpired

from tests import servers
from tests.proxy import Direction, Proxy


async def test_a_test_gets_a_database_of_its_own_that_is_dropped_with_its_slots(
    postgres_server: servers.PostgresServer,
) -> None:
    """A database goes away although a slot in it is being read and a session is in the middle of a transaction."""
    with servers.database(postgres_server) as made:
        slot = f"slot_of_{made.name}"
        session = await made.connect(autocommit=False)
        await session.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        await session.commit()
        reader = psycopg.connect(made.dsn, replication="database", autocommit=True)
        reading = f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names 'none')"
        assert reader.pgconn.exec_(reading.encode()).status == psycopg.pq.ExecStatus.COPY_BOTH
        await session.execute("CREATE TABLE t (id int)")
    await session.close()
    reader.close()
    with psycopg.connect(postgres_server.dsn) as connection:
        left = connection.execute(
            "SELECT datname::text FROM pg_database WHERE datname = %s UNION ALL "
            "SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = %s",
            [made.name, slot],
        ).fetchall()
    assert left == []


async def test_the_server_can_decode_its_log(postgres: servers.Database) -> None:
    """The fixture's Postgres has wal_level=logical."""
    async with await postgres.connect() as connection:
        shown = await (await connection.execute("SHOW wal_level")).fetchone()
    assert shown == ("logical",)


async def test_wiping_leaves_an_empty_graph(neo4j: servers.Neo4jServer) -> None:
    """Nodes, relationships, constraints and indexes go; an open transaction does not stand in the way."""
    await neo4j.query("CREATE CONSTRAINT `odd ``name` FOR (n:Thing) REQUIRE n.id IS UNIQUE")
    await neo4j.query("CREATE INDEX FOR (n:Thing) ON (n.name)")
    await neo4j.query("UNWIND range(1, 12000) AS i CREATE (:Thing {id: i})-[:NEXT]->(:Other)")
    async with neo4j.driver() as driver, driver.session() as session:
        transaction = await session.begin_transaction()
        await (await transaction.run("MATCH (n:Thing {id: 1}) SET n.name = 'locked'")).consume()
        neo4j.wipe()
        await transaction.close()
    assert await neo4j.query("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    assert await neo4j.query("SHOW CONSTRAINTS YIELD name RETURN name") == []
    assert await neo4j.query("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name") == []


async def test_the_answer_to_a_commit_can_be_lost(neo4j: servers.Neo4jServer, proxy: Proxy) -> None:
    """A COMMIT is delivered and its answer is not: the client sees a failure, the graph has the node."""

    def hold_from_commit_on(direction: Direction, data: bytes) -> None:
        if direction is Direction.REQUEST and b"\xb0\x12" in data:  # Bolt's COMMIT: a structure without fields
            proxy.hold_responses()

    def cut_when_held() -> None:
        proxy.wait_withheld()
        proxy.cut()

    through = servers.Neo4jServer(proxy.uri(), neo4j.user, neo4j.password)
    async with through.driver() as driver, driver.session() as session:
        transaction = await session.begin_transaction()
        await (await transaction.run("CREATE (:Once)")).consume()
        proxy.hook = hold_from_commit_on
        cutter = threading.Thread(target=cut_when_held)
        cutter.start()
        with pytest.raises((ServiceUnavailable, SessionExpired)):
            await transaction.commit()
        cutter.join()
        proxy.release()
    assert await neo4j.query("MATCH (n:Once) RETURN count(n) AS n") == [{"n": 1}]


async def test_a_private_postgres_has_its_own_settings() -> None:
    """A test can have a Postgres that is configured differently, which ends with its block."""
    async with servers.start_postgres(wal_level="replica") as private:
        async with await psycopg.AsyncConnection.connect(private.dsn) as connection:
            shown = await (await connection.execute("SHOW wal_level")).fetchone()
            directory = await (await connection.execute("SHOW data_directory")).fetchone()
        assert shown == ("replica",)
    assert directory is not None
    assert not await asyncio.to_thread(Path(directory[0]).exists)
