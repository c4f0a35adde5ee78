"""The value matrix: every value of every type through the whole pipeline, whatever the server is set to."""

import pytest

from gpm_cdc.runtime.daemon import Orders
from tests.integration.core.pipeline import Pipeline, following
from tests.integration.values.matrix import PINNED, hostile_database, prepared, verified
from tests.servers import Database, Neo4jServer, PostgresServer


async def pinned(stream: Pipeline) -> Pipeline:
    """The stream, with a connection on which the literals mean what they say."""
    await stream.connection.execute(PINNED.encode())
    return stream


@pytest.mark.long
async def test_every_value_follows_every_other(postgres_server: PostgresServer, neo4j: Neo4jServer) -> None:
    """Copied, inserted and updated, on nodes and relationships, on a database whose settings change every text."""
    with hostile_database(postgres_server, "UTF8") as database:
        matrix = await prepared(database, "UTF8")
        async with following(database, neo4j, matrix.mapping) as stream:
            await pinned(stream)
            await stream.check()
            await stream.execute(matrix.insert(matrix.size))
            await stream.check()
            await stream.execute(*matrix.delete(matrix.size))
            for distance in range(1, matrix.size):
                await stream.execute(matrix.update(distance))
                await stream.check()
            assert await verified(database, neo4j, matrix.mapping) == "clean"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_every_value_of_another_encoding(
    postgres_server: PostgresServer, neo4j: Neo4jServer, encoding: str
) -> None:
    """What such a server can hold arrives as it is."""
    with hostile_database(postgres_server, encoding) as database:
        matrix = await prepared(database, encoding)
        async with following(database, neo4j, matrix.mapping) as stream:
            await pinned(stream)
            await stream.check()
            for distance in (1, -1):
                await stream.execute(matrix.update(distance))
                await stream.check()
            assert await verified(database, neo4j, matrix.mapping) == "clean"


@pytest.mark.long
async def test_every_value_where_an_element_is_written_in_another_way(
    postgres_server: PostgresServer, neo4j: Neo4jServer
) -> None:
    """Relationships that move, rows that are replaced within a transaction, a graph that is adopted."""
    with hostile_database(postgres_server, "UTF8") as database:
        matrix = await prepared(database, "UTF8")
        async with following(database, neo4j, matrix.mapping) as stream:
            await pinned(stream)
            for by, ends in ((1, 2), (-1, 1)):
                await stream.execute(matrix.update(by, ends=ends))
                await stream.check()
            for how in ("DELETE FROM {table}", "TRUNCATE {table}"):
                for by in (1, -1):
                    await stream.execute(matrix.replace(by, how))
                    await stream.check()
            assert await verified(database, neo4j, matrix.mapping) == "clean"
        for by in (1, -1):
            await forget(database, neo4j)
            async with await database.connect(client_encoding="UTF8") as connection:
                await connection.execute(PINNED.encode())
                await connection.execute(matrix.update(by).encode())
            async with following(database, neo4j, matrix.mapping, Orders(adopt=True)) as stream:
                await stream.check()


async def forget(database: Database, graph: Neo4jServer) -> None:
    """Take everything of the stream away but what it wrote."""
    await graph.query("MATCH (s:GpmCdcCheckpoint) DELETE s")
    async with await database.connect() as connection:
        await connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )
