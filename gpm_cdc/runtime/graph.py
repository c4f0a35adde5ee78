"""The graph that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import GpmCdcError
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


@asynccontextmanager
async def open_graph(settings: Settings) -> AsyncIterator[Neo4jWriter]:
    """As `open_writer`, but trouble is raised at once instead of waited out: for commands that somebody waits for."""

    def give_up(error: GpmCdcError) -> None:
        raise error

    async with open_writer(settings, give_up) as writer:
        yield writer
