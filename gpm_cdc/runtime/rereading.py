"""Reading tables or rows again beside a stream: at one position of the log, which the stream is brought to exactly.

Up to that position the changes of the tables are passed over, those of all others are applied. There the tables' part
of the graph is made anew from a snapshot of that very position, and the stream goes on.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.statement import no_statements
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.source import SourceRefused
from gpm_cdc.errors.stream import RepairAsked
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.observer import Observer
from gpm_cdc.projection.plan import RowKey
from gpm_cdc.replication import progress, records, rereading
from gpm_cdc.replication.journal import Journal
from gpm_cdc.replication.progress import Changes, Progress
from gpm_cdc.replication.repair import Repair, pieces
from gpm_cdc.replication.replacement import course_of, remainder, replacement
from gpm_cdc.replication.rereading import Requests, Rereads, beyond, together, whole
from gpm_cdc.replication.snapshot import CopyScope, Snapshot
from gpm_cdc.replication.stream import Limits, Streaming, Terms
from gpm_cdc.replication.vigil import Gathering
from gpm_cdc.runtime.mark import Mark, marked
from gpm_cdc.runtime.reference import open_walsender
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.session import Connection
from gpm_cdc.source.stream import NewSlot, ReplicationStream

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class Rereading:
    """One re-reading of what a checkpoint names."""

    settings: Settings
    mapping: GraphMapping
    limits: Limits
    observer: Observer

    async def run(
        self,
        postgres: Connection,
        stream: ReplicationStream,
        writer: Neo4jWriter,
        checkpoint: Checkpoint,
        stop: asyncio.Event,
    ) -> Rereads:
        """Bring the graph to a position where it equals the tables again, unless `stop` is set before.

        What was read again is returned: nothing if it did not come to that.

        `checkpoint` must be ours, in phase `rereading`, or `snapshot` for a first copy that goes on; `stream` must not
        be started yet. Raises what makes more tables be read again, as `Streaming.run` does.
        """
        async with marked(self.settings, self.mapping, postgres, _spare_slot(self.settings)) as mark:
            covered = await self._covered(mark, checkpoint)
            begun = self._begun(mark, checkpoint, covered)
            _log.info(
                "reading again" if begun is None else "going on reading",
                **{keys.STREAM: self.settings.stream, keys.TABLE: ", ".join(map(str, sorted(covered)))},
            )
            detached = replace(checkpoint, rereading=rereading.write(covered), copied=progress.write(begun))
            journal = Journal(checkpoint.stream, mark.mapped.plan)
            await writer.write(no_statements, checkpoint, detached, journal.of_rereads(covered, mark.position))
            if begun is None and set(mark.mapped.plan.tables) <= _whole(covered):
                # Nothing of what was committed before the mark is left to apply.
                reached = replace(detached, position=Position(mark.position, detached.position.ordinal + 1))
                await writer.write(no_statements, detached, reached)
            else:
                following = self._catching_up(stream, writer, mark, detached, covered, begun)
                await stream.start(self.settings.slot_name, self.settings.publication_name, detached.position.lsn)
                await following.run(stop, mark.position, exactly=True)
                reached = following.checkpoint
            if reached.position.lsn < mark.position:
                return {}
            gathered = rereading.read(reached.rereading)
            further = beyond(gathered, covered)
            for table, wanted in further.items():
                if wanted is None or not await _found(mark, table, wanted):
                    raise RepairAsked(whole([table]))
            if further:
                await writer.write(no_statements, reached, reached, journal.of_rereads(further, mark.position))
            await self._replace(writer, mark, reached, gathered)
            return {table: wanted for table, wanted in gathered.items() if table in mark.mapped.plan.tables}

    async def _covered(self, mark: Mark, checkpoint: Checkpoint) -> Rereads:
        """What has to be read again at the mark: what the checkpoint names, and what changed since."""
        plan = mark.mapped.plan
        if checkpoint.phase == "snapshot":
            return whole(sorted(plan.tables))
        asked = rereading.read(checkpoint.rereading)
        moved = set(records.moved(records.read(checkpoint.tables), mark.records))
        named = {table for table, wanted in asked.items() if wanted is None or not await _found(mark, table, wanted)}
        return together(asked, whole(sorted(records.spread(plan, moved | named))))

    def _begun(self, mark: Mark, checkpoint: Checkpoint, covered: Rereads) -> Progress | None:
        """How far a copy of the same is that was cut off, if it can be gone on with."""
        begun = progress.read(checkpoint.copied)
        if begun is None or begun.course != course_of(_scope(mark, checkpoint, covered), mark.records):
            return None
        return begun

    def _catching_up(
        self,
        stream: ReplicationStream,
        writer: Neo4jWriter,
        mark: Mark,
        checkpoint: Checkpoint,
        covered: Rereads,
        begun: Progress | None,
    ) -> Streaming:
        """What applies everything that was committed before the mark, but for the changes of the tables `covered`."""
        plan = mark.mapped.plan
        changes = None if begun is None else Changes(progress.around(plan, _whole(covered)), begun)
        judge = Gathering(checkpoint.phase, Requests(self.settings.stream, covered, joining=True), changes)
        terms = Terms(self.limits, self.observer, judge)
        return Streaming(stream, writer, plan.without(_whole(covered)), checkpoint, terms)

    async def _replace(self, writer: Neo4jWriter, mark: Mark, checkpoint: Checkpoint, covered: Rereads) -> None:
        def finish(last: Checkpoint) -> Checkpoint:
            return replace(last, tables=records.write(mark.records), rereading="")

        plan, scope = mark.mapped.plan, _scope(mark, checkpoint, covered)
        begun = progress.read(checkpoint.copied)
        if begun is not None and not await _all_found(mark, begun.changed):
            begun = None
        repair = Repair(mark.reader, writer, plan, checkpoint)
        repaired = await repair.run(covered if begun is None else {**covered, **begun.changed})
        if begun is not None:
            scope, begun = remainder(scope, begun)
        await Snapshot(
            mark.reader,
            writer,
            plan,
            scope,
            repaired,
            finish=finish,
            fresh=False,
            batch_rows=self.settings.batch_rows,
            observer=self.observer,
            course=course_of(scope, mark.records),
            begun=begun,
        ).run()


def _whole(rereads: Rereads) -> set[TableName]:
    """The tables of which every row is read again."""
    return {table for table, wanted in rereads.items() if wanted is None}


def _scope(mark: Mark, checkpoint: Checkpoint, covered: Rereads) -> CopyScope:
    return replacement(mark.mapped.plan, _whole(covered), records.read(checkpoint.tables))


async def _all_found(mark: Mark, rereads: Mapping[TableName, frozenset[RowKey]]) -> bool:
    for table, wanted in rereads.items():
        if not await _found(mark, table, wanted):
            return False
    return True


async def _found(mark: Mark, table: TableName, keys: frozenset[RowKey]) -> bool:
    """Whether rows can be looked for by `keys`: anybody may ask for anything, and what is no key must not stop us."""
    planned = mark.mapped.plan.tables.get(table)
    if planned is None or any(len(key) != planned.key_size for key in keys):
        return False
    try:
        for some in pieces(keys):
            await mark.reader.keyed(planned, range(planned.key_size), some)
            for key in some:
                planned.project_key(key)
    except (SourceRefused, ValueError):
        return False
    return True


@asynccontextmanager
async def _spare_slot(settings: Settings) -> AsyncIterator[NewSlot]:
    """A temporary slot for its snapshot alone; the stream's own slot has the changes."""
    async with open_walsender(settings) as spare:
        name = f"{settings.stream}_r{secrets.token_hex(4)}"
        yield await spare.create_slot(name, temporary=True, lock_timeout=settings.lock_timeout)
