"""`run`: takes the stream's lock, copies if the stream is new, follows; begins again after passing trouble."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import stamina

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.statement import no_statements
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.errors.source import MappingChanged, PublicationMissing, SourceError, StreamOwned
from gpm_cdc.errors.stream import (
    EndpointTakenOver,
    RelationChanged,
    RepairAsked,
    StreamTakenOver,
    TablesMoved,
    ValueLeftOut,
)
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.observer import NoRunObserver, Observer, RunObserver
from gpm_cdc.replication import records
from gpm_cdc.replication.rereading import (
    Requests,
    Rereads,
    beyond,
    read as read_rereads,
    together,
    whole,
    write as write_rereads,
)
from gpm_cdc.replication.stream import Limits, Streaming, Terms
from gpm_cdc.replication.vigil import Brought, Vigil
from gpm_cdc.runtime.beginning import Beginning
from gpm_cdc.runtime.continuity import contradictions, owner_text, publication_problem
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.rereading import Rereading
from gpm_cdc.runtime.watching import CatalogueWatch
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.publication import publish_further, read_publication
from gpm_cdc.source.session import Connection, connect, translated
from gpm_cdc.source.slot import released_slot, require_serves
from gpm_cdc.source.stream import ReplicationStream, SystemIdentity
from gpm_cdc.source.system import current_position, lock_holder, require_logical

STANDBY_POLL_SECONDS = 0.5
"""How often a standby asks for the stream's lock: a take-over is well under the five seconds that people notice."""

_DESCRIBED_AT_MOST = 5
_DESCRIBED_SECONDS = 60.0
"""How often the stream may describe a table otherwise than it was just read, before that is taken for a fault."""

RETRY_FIRST_SECONDS = 0.5
RETRY_LONGEST_SECONDS = 10.0

_MENDED_BY_READING = (TablesMoved, RepairAsked, RelationChanged, ValueLeftOut, EndpointTakenOver)
"""What ends a stretch because the stream alone does not tell what the graph must be."""

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class Orders:
    """What `run` was asked to do. `until` None: until stopped; `until_current`: until the log's end at the start.

    `remap` accepts a mapping that is not the one of before, and reads again what it makes of tables otherwise.
    """

    until: Lsn | None = None
    until_current: bool = False
    snapshot: bool = True
    adopt: bool = False
    remap: bool = False
    wait: bool = True


class Daemon:
    """One `gpm-cdc run`."""

    def __init__(
        self,
        settings: Settings,
        mapping: GraphMapping,
        orders: Orders,
        observer: Observer,
        run_observer: RunObserver | None = None,
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._orders = orders
        self._observer = observer
        self._run_observer = run_observer or NoRunObserver()
        self._until = orders.until
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._described: dict[str, list[float]] = {}
        self._beginning = Beginning(
            settings, mapping, self._owner, adopt=orders.adopt, copying=orders.snapshot, observer=observer
        )
        self._limits = Limits(
            batch_rows=settings.batch_rows,
            batch_bytes=settings.batch_bytes,
            batch_elements=settings.batch_elements,
            transaction_bytes=settings.transaction_bytes,
            queue_bytes=settings.queue_bytes,
            keepalive_interval=settings.keepalive_interval,
        )

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
    _epoch = 0

    async def _persist(self, stop: asyncio.Event) -> None:
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                if await self._stretch(stop) or stop.is_set():
                    return
            except StreamTakenOver as error:
                if not self._orders.wait:
                    raise
                _log.warning("taken over", **{keys.STREAM: self._settings.stream, keys.ERROR: error.code})
                self._run_observer.standing_by()
            except GpmCdcError as error:
                if not error.retryable:
                    raise
                _log.warning(
                    "waiting for a server", **{keys.ERROR: error.code, keys.RETRY_SECONDS: pause, "reason": str(error)}
                )
                self._run_observer.waiting(error)
            else:
                self._streaming = False
                continue
            if self._streaming:
                pause = RETRY_FIRST_SECONDS
            self._streaming = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_LONGEST_SECONDS)

    async def _stretch(self, stop: asyncio.Event) -> bool:
        """From connecting to whatever ends it; whether there is nothing left to do."""
        settings = self._settings
        async with connect(settings.conninfo, lock_timeout=f"{int(settings.lock_timeout * 1000)}") as postgres:
            await require_logical(postgres)
            mapped = await bind(postgres, self._mapping)
            async with open_writer(settings, self._trouble) as writer, self._walsender() as stream:
                writer.moved = self._run_observer.moved
                if await self._stood_by(postgres, stream, writer):
                    mapped = await bind(postgres, self._mapping)
                self._run_observer.owning()
                identity = await stream.identify()
                if self._orders.until_current and self._until is None:
                    self._until = await current_position(postgres)
                try:
                    return await self._work(postgres, stream, writer, mapped, identity, stop)
                except _MENDED_BY_READING as reason:
                    await self._set_aside(writer, reason, _rereads(reason))
                    return False

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
        self._run_observer.standing_by()
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
    ) -> bool:
        """Bring the stream a step further; whether that was the last one."""
        settings = self._settings
        found = await writer.checkpoint(settings.stream)
        checkpoint = None if found is None else await self._goes_on(postgres, writer, mapped, identity, found)
        if checkpoint is None:
            checkpoint = await self._beginning.run(postgres, stream, writer, identity, found)
        else:
            self._epoch = checkpoint.epoch
            if checkpoint.rereading or checkpoint.phase == "snapshot":
                rereading = Rereading(settings, self._mapping, self._limits, self._observer)
                rereads = await rereading.run(postgres, stream, writer, checkpoint, stop)
                if checkpoint.phase != "snapshot":
                    for table, wanted in rereads.items():
                        self._run_observer.read_again(table, whole=wanted is None)
                return stop.is_set()
        self._epoch = checkpoint.epoch
        kept = records.read(checkpoint.tables)
        watch = CatalogueWatch(postgres, self._mapping, settings.publication_name, kept)
        vigil = Vigil(watch, Requests(settings.stream, {}))
        if not checkpoint.position.ordinal:
            # A publication that was made again keeps some versions of Postgres from sending anything.
            await vigil.judge(Brought((), {}, checkpoint.position.lsn))
        await stream.start(settings.slot_name, settings.publication_name, checkpoint.position.lsn)
        _log.info("owner", **{keys.STREAM: settings.stream, keys.EPOCH: checkpoint.epoch})
        self._streaming = True
        terms = Terms(self._limits, self._observer, vigil)
        await Streaming(stream, writer, mapped.plan, checkpoint, terms).run(stop, self._until)
        return True

    async def _goes_on(
        self,
        postgres: Connection,
        writer: Neo4jWriter,
        mapped: Mapped,
        identity: SystemIdentity,
        found: Checkpoint,
    ) -> Checkpoint | None:
        """Take a stream over that can go on; None for one whose copy has to begin anew."""
        copying = found.phase == "snapshot"
        same = found.copied and found.mapping_hash == mapped.mapping_hash
        if copying and not (same and self._orders.snapshot):
            return None
        try:
            return await self._continued(postgres, writer, mapped, identity, found)
        except SourceError as error:
            if not copying or error.retryable:
                raise
            return None

    async def _continued(
        self,
        postgres: Connection,
        writer: Neo4jWriter,
        mapped: Mapped,
        identity: SystemIdentity,
        found: Checkpoint,
    ) -> Checkpoint:
        """Take a stream over that has begun, if it can go on."""
        settings, tables = self._settings, tuple(mapped.plan.tables)
        remapped = self._orders.remap and found.mapping_hash != mapped.mapping_hash
        for contradiction in contradictions(found, mapped, identity):
            if not (remapped and isinstance(contradiction, MappingChanged)):
                raise contradiction
        if remapped:
            await publish_further(postgres, settings.publication_name, tables)
        with translated():
            state = await read_publication(postgres, settings.publication_name)
        problem = publication_problem(state, settings.publication_name, found, tables)
        if problem is not None:
            raise problem
        if state is None:
            raise PublicationMissing(publication=settings.publication_name, stream=settings.stream)
        slot = await released_slot(postgres, settings.slot_name, settings.lock_timeout)
        require_serves(slot, settings.slot_name, found.position.lsn)
        if not found.rereading:
            await writer.prepare(mapped.plan)
        taken = await writer.take_over(settings.stream, self._owner)
        if not remapped:
            return taken
        # Which tables that concerns shows when they are held against what the graph was made of.
        accepted = replace(taken, mapping_hash=mapped.mapping_hash, phase="rereading")
        await writer.write(no_statements, taken, accepted)
        return accepted

    async def _set_aside(self, writer: Neo4jWriter, reason: GpmCdcError, rereads: Rereads) -> None:
        """Note in the checkpoint what has to be read again, from where the graph is on."""
        found = await writer.checkpoint(self._settings.stream, locked=True)
        if found is None:
            raise StreamUnknown(stream=self._settings.stream)
        if found.epoch != self._epoch:
            raise StreamTakenOver(stream=found.stream, owner=found.owner)
        if isinstance(reason, RelationChanged):
            self._require_end(reason)
        known = read_rereads(found.rereading)
        if not beyond(rereads, known):
            raise reason
        _log.warning("set aside", **{keys.STREAM: found.stream, keys.ERROR: reason.code, "reason": str(reason)})
        after = replace(found, phase="rereading", rereading=write_rereads(together(known, rereads)))
        await writer.write(no_statements, found, after)

    def _trouble(self, error: GpmCdcError) -> None:
        _log.warning(
            "neo4j trouble, trying again", **{keys.SERVER: "neo4j", keys.ERROR: error.code, "reason": str(error)}
        )
        self._run_observer.retrying(error)

    def _require_end(self, reason: RelationChanged) -> None:
        """Raise `reason` if reading a table again does not help: the stream describes it unlike the catalogue."""
        now = time.monotonic()
        table = str(reason.facts["table"])
        times = [*(at for at in self._described.get(table, ()) if now - at < _DESCRIBED_SECONDS), now]
        self._described[table] = times
        if len(times) > _DESCRIBED_AT_MOST:
            raise reason


def _rereads(reason: GpmCdcError) -> Rereads:
    """What has to be read again for this reason."""
    if isinstance(reason, RepairAsked):
        return {TableName(*table): wanted for table, wanted in reason.rereads.items()}
    if isinstance(reason, TablesMoved):
        return whole([TableName(*table) for table in reason.tables])
    return whole([TableName.parse(str(reason.facts["table"]))])


def quiet_retries() -> None:
    """Leave it to our own log lines to say that something is retried."""
    stamina.instrumentation.set_on_retry_hooks([])
