"""`run`: takes the stream's lock, copies if the stream is new, follows; begins again after passing trouble."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import stamina

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.statement import no_statements
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import GraphNotEmpty
from gpm_cdc.errors.source import PublicationMissing, SlotForeign, StreamOwned, TablesChanging
from gpm_cdc.errors.stream import StreamTakenOver
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.replication.snapshot import Snapshot
from gpm_cdc.replication.stream import Limits, Streaming
from gpm_cdc.runtime.continuity import contradictions, owner_text, publication_problem
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.reader import CopyReader
from gpm_cdc.sink.inventory import mapped_nodes
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.copy import snapshot_session
from gpm_cdc.source.publication import (
    create_publication,
    identity as publication_identity,
    read_publication,
    require_fit,
)
from gpm_cdc.source.session import Connection, connect, translated
from gpm_cdc.source.slot import drop_slot, released_slot, require_ours, require_serves
from gpm_cdc.source.stream import ReplicationStream, SystemIdentity
from gpm_cdc.source.system import current_position, lock_holder, require_logical
from gpm_cdc.wording import say

GUARD_SECONDS = 5.0
"""How often the publication is looked at while streaming."""

STANDBY_POLL_SECONDS = 0.5
"""How often a standby asks for the stream's lock: a take-over is well under the five seconds that people notice."""

RETRY_FIRST_SECONDS = 0.5
RETRY_LONGEST_SECONDS = 10.0

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class Orders:
    """What `run` was asked to do. `until` None: until stopped; `until_current`: until the log's end at the start."""

    until: Lsn | None = None
    until_current: bool = False
    snapshot: bool = True
    adopt: bool = False
    wait: bool = True


class Daemon:
    """One `gpm-cdc run`."""

    def __init__(self, settings: Settings, mapping: GraphMapping, orders: Orders, observer: Observer) -> None:
        self._settings = settings
        self._mapping = mapping
        self._orders = orders
        self._observer = observer
        self._until = orders.until
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or the ordered position is reached. Passing trouble is logged and begun again.

        Raises whatever needs a person: the errors whose exit code says so.
        """
        stopped = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._persist(stop))
        try:
            await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                # Streaming ends by itself after the batch in hand; everything before it can be cut short.
                await asyncio.wait({working}, timeout=self._settings.transaction_timeout if self._streaming else 0)
                working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            if not working.cancelled():
                working.result()
        finally:
            stopped.cancel()
            working.cancel()
            await asyncio.gather(stopped, working, return_exceptions=True)

    _streaming = False

    async def _persist(self, stop: asyncio.Event) -> None:
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                await self._stretch(stop)
            except StreamTakenOver as error:
                if not self._orders.wait:
                    raise
                _log.warning("taken over", **{keys.STREAM: self._settings.stream, keys.ERROR: error.code})
            except GpmCdcError as error:
                if not error.retryable:
                    raise
                _log.warning(
                    "waiting for a server", **{keys.ERROR: error.code, keys.RETRY_SECONDS: pause, "reason": str(error)}
                )
            else:
                return
            if self._streaming:
                pause = RETRY_FIRST_SECONDS
            self._streaming = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_LONGEST_SECONDS)

    async def _stretch(self, stop: asyncio.Event) -> None:
        """From connecting to whatever ends it."""
        settings = self._settings
        async with connect(settings.conninfo, lock_timeout=f"{int(settings.lock_timeout * 1000)}") as postgres:
            await require_logical(postgres)
            mapped = await bind(postgres, self._mapping)
            async with open_writer(settings, _trouble) as writer, self._walsender() as stream:
                if await self._stood_by(postgres, stream, writer):
                    mapped = await bind(postgres, self._mapping)
                identity = await stream.identify()
                if self._orders.until_current and self._until is None:
                    self._until = await current_position(postgres)
                await self._work(postgres, stream, writer, mapped, identity, stop)

    @asynccontextmanager
    async def _walsender(self) -> AsyncIterator[ReplicationStream]:
        stream = await ReplicationStream.open(
            self._settings.conninfo,
            wal_sender_timeout=self._settings.wal_sender_timeout,
            lock_timeout=self._settings.lock_timeout,
        )
        try:
            yield stream
        finally:
            await stream.close()

    async def _stood_by(self, postgres: Connection, stream: ReplicationStream, writer: Neo4jWriter) -> bool:
        """Get the stream's lock; whether that took standing by, during which tables may have changed."""
        name = self._settings.stream
        if await stream.try_lock(name):
            return False
        found = await writer.checkpoint(name)
        holder = await lock_holder(postgres, name)
        owner = owner_text(found, holder)
        if not self._orders.wait:
            raise StreamOwned(stream=name, owner=owner)
        _log.info("standby", **{keys.STREAM: name, "owner": owner})
        while not await stream.try_lock(name):  # noqa: ASYNC110 - its holder is another process, which cannot wake us
            await asyncio.sleep(STANDBY_POLL_SECONDS)
        return True

    async def _work(
        self,
        postgres: Connection,
        stream: ReplicationStream,
        writer: Neo4jWriter,
        mapped: Mapped,
        identity: SystemIdentity,
        stop: asyncio.Event,
    ) -> None:
        settings = self._settings
        found = await writer.checkpoint(settings.stream)
        if found is None or found.phase == "snapshot":
            checkpoint = await self._begin(postgres, stream, writer, mapped, identity, found)
        else:
            for contradiction in contradictions(found, mapped, identity):
                raise contradiction
            await self._require_publication(postgres, mapped, found)
            slot = await released_slot(postgres, settings.slot_name, settings.lock_timeout)
            require_serves(slot, settings.slot_name, found.position.lsn)
            await writer.prepare(mapped.plan)
            checkpoint = await writer.take_over(settings.stream, self._owner)
        await stream.start(settings.slot_name, settings.publication_name, checkpoint.position.lsn)
        _log.info("owner", **{keys.STREAM: settings.stream, keys.EPOCH: checkpoint.epoch})
        self._streaming = True
        limits = Limits(
            batch_rows=settings.batch_rows,
            batch_bytes=settings.batch_bytes,
            batch_elements=settings.batch_elements,
            queue_bytes=settings.queue_bytes,
            keepalive_interval=settings.keepalive_interval,
        )
        streaming = Streaming(stream, writer, mapped.plan, checkpoint, limits=limits, observer=self._observer)
        guard = asyncio.create_task(self._guard(postgres, mapped, checkpoint))
        following = asyncio.create_task(streaming.run(stop, self._until))
        try:
            await asyncio.wait({guard, following}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (guard, following):
                task.cancel()
            outcomes = await asyncio.gather(guard, following, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _guard(self, postgres: Connection, mapped: Mapped, checkpoint: Checkpoint) -> None:
        """Watch the publication: from Postgres 18 on, changes that it does not publish are left out without a word."""
        while True:
            await self._require_publication(postgres, mapped, checkpoint)
            await asyncio.sleep(GUARD_SECONDS)

    async def _require_publication(self, postgres: Connection, mapped: Mapped, checkpoint: Checkpoint) -> None:
        name = self._settings.publication_name
        with translated():
            state = await read_publication(postgres, name)
        problem = publication_problem(state, name, checkpoint, tuple(mapped.plan.tables))
        if problem is not None:
            raise problem

    async def _begin(
        self,
        postgres: Connection,
        stream: ReplicationStream,
        writer: Neo4jWriter,
        mapped: Mapped,
        identity: SystemIdentity,
        found: Checkpoint | None,
    ) -> Checkpoint:
        """A new stream, or one whose copy was interrupted: publication, slot, copy, in this order."""
        settings, plan = self._settings, mapped.plan
        fresh = await self._is_fresh(postgres, writer, mapped, found)
        await writer.prepare(plan)
        publication = await self._published(postgres, tuple(plan.tables))
        taken = await writer.take_over(settings.stream, self._owner)
        await drop_slot(postgres, settings.slot_name)
        made = await stream.create_slot(settings.slot_name, temporary=False, lock_timeout=settings.lock_timeout)
        if (await bind(postgres, self._mapping)).plan.schema_hash != plan.schema_hash:
            raise TablesChanging(stream=settings.stream)
        copying = self._orders.snapshot
        checkpoint = replace(
            taken,
            position=Position(made.consistent_point, 1 if copying else 0),
            phase="snapshot" if copying else "streaming",
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            mapping_hash=mapped.mapping_hash,
            schema_hash=plan.schema_hash,
            publication=publication,
        )
        await writer.write(no_statements, taken, checkpoint)
        if not copying:
            return checkpoint
        async with snapshot_session(settings.conninfo, made.snapshot) as session:
            reader = CopyReader(session, mapped.catalogue)
            return await Snapshot(
                reader, writer, plan, checkpoint, fresh=fresh, batch_rows=settings.batch_rows, observer=self._observer
            ).run()

    async def _is_fresh(
        self, postgres: Connection, writer: Neo4jWriter, mapped: Mapped, found: Checkpoint | None
    ) -> bool:
        """Whether the mapping owns nothing in the graph yet; SlotForeign or GraphNotEmpty if a person must decide."""
        slot = await released_slot(postgres, self._settings.slot_name, self._settings.lock_timeout)
        if slot is not None:
            require_ours(slot)
            if found is None:
                raise SlotForeign(slot=slot.name, detail=say("it exists, but the graph has no checkpoint for it"))
        if found is not None:
            return False
        fresh = True
        for node in mapped.plan.nodes:
            count = await mapped_nodes(writer, node)
            if count and not self._orders.adopt:
                raise GraphNotEmpty(count=count, label=node.label, stream=self._settings.stream)
            fresh = fresh and count == 0
        return fresh

    async def _published(self, postgres: Connection, tables: Sequence[TableName]) -> str:
        """The identity of the publication of `tables`, made if it is not there."""
        name = self._settings.publication_name
        publication = await read_publication(postgres, name)
        if publication is None:
            await create_publication(postgres, name, tables)
            publication = await read_publication(postgres, name)
        if publication is None:
            raise PublicationMissing(publication=name, stream=self._settings.stream)
        require_fit(publication, name, tables)
        return publication_identity(publication, tables)


def _trouble(error: GpmCdcError) -> None:
    _log.warning("neo4j trouble, trying again", **{keys.SERVER: "neo4j", keys.ERROR: error.code, "reason": str(error)})


def quiet_retries() -> None:
    """Leave it to our own log lines to say that something is retried."""
    stamina.instrumentation.set_on_retry_hooks([])
