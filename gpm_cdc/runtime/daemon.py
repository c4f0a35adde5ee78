"""`run`: takes the stream's lock, copies if the stream is new, follows; begins again after passing trouble."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import stamina

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.statement import no_statements
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import GraphNotEmpty
from gpm_cdc.errors.source import MappingChanged, PublicationMissing, SlotForeign, StreamOwned, SystemChanged
from gpm_cdc.errors.stream import RelationChanged, StreamTakenOver
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.replication.snapshot import Snapshot
from gpm_cdc.replication.stream import Limits, Streaming
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.reader import CopyReader
from gpm_cdc.sink.inventory import mapped_nodes
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.copy import snapshot_session
from gpm_cdc.source.publication import create_publication, read_publication, require_fit
from gpm_cdc.source.session import Connection, connect
from gpm_cdc.source.slot import drop_slot, read_slot, require_ours, require_serves
from gpm_cdc.source.stream import ReplicationStream, SystemIdentity
from gpm_cdc.source.system import current_position, lock_holder
from gpm_cdc.wording import say

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
            mapped = await bind(postgres, self._mapping)
            async with open_writer(settings, _trouble) as writer, self._walsender() as stream:
                await self._own(postgres, stream, writer)
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

    async def _own(self, postgres: Connection, stream: ReplicationStream, writer: Neo4jWriter) -> None:
        """Get the stream's lock, as a standby if need be."""
        name = self._settings.stream
        if await stream.try_lock(name):
            return
        found = await writer.checkpoint(name)
        holder = await lock_holder(postgres, name)
        owner = say("{owner} (Postgres process {holder})", owner="?" if found is None else found.owner, holder=holder)
        if not self._orders.wait:
            raise StreamOwned(stream=name, owner=owner)
        _log.info("standby", **{keys.STREAM: name, "owner": owner})
        while not await stream.try_lock(name):  # noqa: ASYNC110 - its holder is another process, which cannot wake us
            await asyncio.sleep(STANDBY_POLL_SECONDS)

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
        await writer.prepare(mapped.plan)
        found = await writer.checkpoint(settings.stream)
        if found is None or found.phase == "snapshot":
            checkpoint = await self._begin(postgres, stream, writer, mapped, identity, found)
        else:
            self._require_same(found, mapped, identity)
            await self._require_publication(postgres, mapped)
            require_serves(await read_slot(postgres, settings.slot_name), settings.slot_name, found.position.lsn)
            checkpoint = await writer.take_over(settings.stream, self._owner)
        await stream.start(settings.slot_name, settings.publication_name, checkpoint.position.lsn)
        _log.info("owner", **{keys.STREAM: settings.stream, keys.EPOCH: checkpoint.epoch})
        self._streaming = True
        limits = Limits(settings.batch_rows, settings.batch_bytes, settings.queue_bytes, settings.keepalive_interval)
        streaming = Streaming(stream, writer, mapped.plan, checkpoint, limits=limits, observer=self._observer)
        await streaming.run(stop, self._until)

    def _require_same(self, found: Checkpoint, mapped: Mapped, identity: SystemIdentity) -> None:
        if found.system_identifier != identity.system_identifier:
            raise SystemChanged(recorded=found.system_identifier, found=identity.system_identifier)
        if found.mapping_hash != mapped.mapping_hash:
            raise MappingChanged(stream=found.stream)
        if found.schema_hash != mapped.plan.schema_hash:
            raise RelationChanged(table=say("of the mapping"), details=say("its columns, types or identity"))

    async def _require_publication(self, postgres: Connection, mapped: Mapped) -> None:
        name = self._settings.publication_name
        state = await read_publication(postgres, name)
        if state is None:
            raise PublicationMissing(publication=name, stream=self._settings.stream)
        require_fit(state, name, tuple(mapped.plan.tables))

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
        slot = await read_slot(postgres, settings.slot_name)
        if slot is not None:
            require_ours(slot)
            if found is None:
                raise SlotForeign(slot=slot.name, detail=say("it exists, but the graph has no checkpoint for it"))
        fresh = found is None
        for node in plan.nodes if fresh else ():
            count = await mapped_nodes(writer, node)
            if count and not self._orders.adopt:
                raise GraphNotEmpty(count=count, label=node.label, stream=settings.stream)
            fresh = fresh and count == 0
        tables = tuple(plan.tables)
        publication = await read_publication(postgres, settings.publication_name)
        if publication is None:
            await create_publication(postgres, settings.publication_name, tables)
        else:
            require_fit(publication, settings.publication_name, tables)
        taken = await writer.take_over(settings.stream, self._owner)
        await drop_slot(postgres, settings.slot_name)
        made = await stream.create_slot(settings.slot_name, temporary=False, lock_timeout=settings.lock_timeout)
        checkpoint = replace(
            taken,
            position=Position(made.consistent_point, 1),
            phase="snapshot" if self._orders.snapshot else "streaming",
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            mapping_hash=mapped.mapping_hash,
            schema_hash=plan.schema_hash,
        )
        if not self._orders.snapshot:
            checkpoint = replace(checkpoint, position=Position(made.consistent_point))
        await writer.write(no_statements, taken, checkpoint)
        if not self._orders.snapshot:
            return checkpoint
        async with snapshot_session(settings.conninfo, made.snapshot) as session:
            reader = CopyReader(session, mapped.catalogue)
            return await Snapshot(
                reader,
                writer,
                plan,
                checkpoint,
                fresh=fresh,
                batch_rows=settings.batch_rows,
                observer=self._observer,
            ).run()


def _trouble(error: Exception) -> None:
    _log.warning("neo4j trouble, trying again", **{keys.SERVER: "neo4j", keys.ERROR: type(error).__name__})


def quiet_retries() -> None:
    """Leave it to our own log lines to say that something is retried."""
    stamina.instrumentation.set_on_retry_hooks([])
