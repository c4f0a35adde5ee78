"""The graph that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gpm_cdc.config.settings import Settings
from gpm_cdc.sink.writer import Neo4jWriter, Notice, open_neo4j


@asynccontextmanager
async def open_writer(settings: Settings, notice: Notice) -> AsyncIterator[Neo4jWriter]:
    """A writer on the graph of `settings`; `notice` hears of trouble that is being retried."""
    password = settings.neo4j_password
    async with open_neo4j(
        settings.neo4j_uri,
        settings.neo4j_user,
        None if password is None else password.get_secret_value(),
        settings.neo4j_database,
        transaction_timeout=settings.transaction_timeout,
        notice=notice,
    ) as writer:
        yield writer
