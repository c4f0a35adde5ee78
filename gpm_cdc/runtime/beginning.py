"""The beginning of a stream, or of one whose copy cannot be gone on with: publication, slot, copy, in this order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.baseline import disprove
from gpm_cdc.cypher.journal import forget, note
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.sink import GraphNotEmpty
from gpm_cdc.errors.source import SlotForeign
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication import records
from gpm_cdc.replication.journal import Journal
from gpm_cdc.replication.replacement import course_of
from gpm_cdc.replication.rereading import whole
from gpm_cdc.replication.snapshot import Snapshot, everything
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.mark import marked
from gpm_cdc.sink.inventory import mapped_nodes
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.publication import create_publication, read_publication, require_fit
from gpm_cdc.source.session import Connection
from gpm_cdc.source.slot import drop_slot, released_slot, require_ours
from gpm_cdc.source.stream import NewSlot, ReplicationStream, SystemIdentity
from gpm_cdc.wording import say


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a stream begins with. `adopt` allows for a graph that holds mapped labels; without `copying` none is made.

    `owner` is who begins it.
    """

    settings: Settings
    mapping: GraphMapping
    owner: str
    adopt: bool
    copying: bool
    observer: Observer

    async def run(
        self,
        postgres: Connection,
        stream: ReplicationStream,
        writer: Neo4jWriter,
        identity: SystemIdentity,
        found: Checkpoint | None,
    ) -> Checkpoint:
        """Begin anew; the checkpoint that is returned says `streaming`. `found` is that of an interrupted copy."""
        settings = self.settings
        mapped = await bind(postgres, self.mapping)
        fresh = await self._is_fresh(postgres, writer, mapped, found)
        await writer.prepare(mapped.plan)
        await self._publish(postgres, tuple(mapped.plan.tables))
        taken = await writer.take_over(settings.stream, self.owner)
        await drop_slot(postgres, settings.slot_name)
        async with marked(settings, self.mapping, postgres, _slot(settings, stream)) as mark:
            plan = mark.mapped.plan
            checkpoint = replace(
                taken,
                position=Position(mark.position, 1 if self.copying else 0),
                phase="snapshot" if self.copying else "streaming",
                system_identifier=identity.system_identifier,
                timeline=identity.timeline,
                mapping_hash=mark.mapped.mapping_hash,
                tables=records.write(mark.records),
                rereading="",
                copied="",
                filled=mark.position,
            )
            await writer.write(partial(_unproved, settings.stream, plan, mark.position), taken, checkpoint)
            if not self.copying:
                return checkpoint
            scope = everything(plan, fresh=fresh)
            return await Snapshot(
                mark.reader,
                writer,
                plan,
                scope,
                checkpoint,
                finish=lambda last: last,
                fresh=fresh,
                batch_rows=settings.batch_rows,
                observer=self.observer,
                course=course_of(scope, mark.records),
            ).run()

    async def _is_fresh(
        self, postgres: Connection, writer: Neo4jWriter, mapped: Mapped, found: Checkpoint | None
    ) -> bool:
        """Whether the mapping owns nothing in the graph yet; SlotForeign or GraphNotEmpty if a person must decide."""
        slot = await released_slot(postgres, self.settings.slot_name, self.settings.lock_timeout)
        if slot is not None:
            require_ours(slot)
            if found is None:
                raise SlotForeign(slot=slot.name, detail=say("it exists, but the graph has no checkpoint for it"))
        if found is not None:
            return False
        fresh = True
        for node in mapped.plan.nodes:
            count = await mapped_nodes(writer, node)
            if count and not self.adopt:
                raise GraphNotEmpty(count=count, label=node.label, stream=self.settings.stream)
            fresh = fresh and count == 0
        return fresh

    async def _publish(self, postgres: Connection, tables: Sequence[TableName]) -> None:
        """Make the publication of `tables` if it is not there; PublicationUnfit if it does not fit."""
        name = self.settings.publication_name
        publication = await read_publication(postgres, name)
        if publication is None:
            await create_publication(postgres, name, tables)
        else:
            require_fit(publication, name, tables)


def _unproved(stream: str, plan: GraphPlan, position: Lsn) -> Statements:
    """Nothing is proved from now on, whatever a comparison says that began before `position`."""
    yield from disprove(stream)
    yield from forget(stream)
    yield from note(Journal(stream, plan).of_rereads(whole(tuple(plan.tables)), position))


@asynccontextmanager
async def _slot(settings: Settings, stream: ReplicationStream) -> AsyncIterator[NewSlot]:
    """The slot of the stream, which stays."""
    yield await stream.create_slot(settings.slot_name, temporary=False, lock_timeout=settings.lock_timeout)
