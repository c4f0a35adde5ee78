"""A mark in the log: a position, and a session that sees exactly what was committed before it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.source import SourceRefused, TablesChanging
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.replication.records import Records, moved
from gpm_cdc.runtime.mapped import Mapped
from gpm_cdc.runtime.reader import CopyReader
from gpm_cdc.runtime.watching import present
from gpm_cdc.source.copy import snapshot_session
from gpm_cdc.source.fingerprint import lock_tables
from gpm_cdc.source.session import Connection
from gpm_cdc.source.stream import NewSlot

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Mark:
    """Rows as they were at `position`, read by `reader`; what the tables were then. Valid until it is left."""

    position: Lsn
    mapped: Mapped
    records: Records
    reader: CopyReader


@asynccontextmanager
async def marked(
    settings: Settings,
    mapping: GraphMapping,
    postgres: Connection,
    slot: AbstractAsyncContextManager[NewSlot],
) -> AsyncIterator[Mark]:
    """A mark at the position of `slot`, which is entered for as long as its snapshot is needed.

    A snapshot does not cover what happens to a table between its making and the table's lock; TablesChanging if
    something did, or if the locks, which keep the tables from being altered or truncated meanwhile, cannot be had.
    """
    before = (await present(postgres, mapping, settings.publication_name)).records
    async with AsyncExitStack() as holding:
        async with slot as made:
            session = await holding.enter_async_context(snapshot_session(settings.conninfo, made.snapshot))
            try:
                await lock_tables(session, tuple(before), seconds=settings.lock_timeout)
            except SourceRefused as error:
                if error.facts["sqlstate"] != _LOCK_NOT_AVAILABLE:
                    raise
                raise TablesChanging(stream=settings.stream) from error
        now = await present(postgres, mapping, settings.publication_name)
        if any(moved(before, now.records)):
            raise TablesChanging(stream=settings.stream)
        yield Mark(made.consistent_point, now.mapped, now.records, CopyReader(session, now.mapped.catalogue))
