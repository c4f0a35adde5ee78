from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gpm_cdc.replication.rereading import Rereads
from gpm_cdc.runtime.rereading import Rereading
from tests import servers
from tests.integration.core.pipeline import Pipeline, following
from tests.integration.core.world import MAPPING, SCHEMA, TABLES
from tests.servers import Database, Neo4jServer, PostgresServer


class World:
    """The tables of all kinds, and a stream of them that is begun anew when a test has ended it."""

    def __init__(self, database: Database, graph: Neo4jServer, stack: AsyncExitStack) -> None:
        self.database = database
        self.graph = graph
        self._stack = stack
        self._stream: Pipeline | None = None

    async def emptied(self) -> Pipeline:
        """A running stream whose tables and graph are empty."""
        stream = self._stream
        if stream is None or stream.task is None or stream.task.done():
            await self._stack.aclose()
            self.graph.wipe()
            stream = self._stream = await self._stack.enter_async_context(following(self.database, self.graph, MAPPING))
        await stream.execute(f"TRUNCATE {', '.join(TABLES)}")
        await stream.caught_up()
        return stream


class Counted:
    """How often something happened."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def rereadings(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """How often a stream has begun to read tables again."""
    counted, run = Counted(), Rereading.run

    async def counting(*arguments: object, **named: object) -> Rereads:
        counted.count += 1
        return await run(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Rereading, "run", counting)
    return counted


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres_server: PostgresServer, neo4j_server: Neo4jServer) -> AsyncIterator[World]:
    """The world of a module."""
    with servers.database(postgres_server) as database:
        async with await database.connect() as connection:
            await connection.execute(SCHEMA.encode())
        async with AsyncExitStack() as stack:
            yield World(database, neo4j_server, stack)


@pytest_asyncio.fixture(loop_scope="module")
async def stream(world: World) -> Pipeline:
    """A running stream of the whole world's tables, empty."""
    return await world.emptied()
