"""Reading tables or rows again beside a stream: at one position of the log, which the stream is brought to exactly.

Up to that position the changes of the tables are passed over, those of all others are applied. There the tables' part
of the graph is made anew from a snapshot of that very position, and the stream goes on.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
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
from gpm_cdc.replication import records, rereading
from gpm_cdc.replication.journal import Journal
from gpm_cdc.replication.repair import Repair, pieces
from gpm_cdc.replication.replacement import replacement
from gpm_cdc.replication.rereading import Requests, Rereads, beyond, together, whole
from gpm_cdc.replication.snapshot import Snapshot
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

        `checkpoint` must be ours, in phase `rereading`; `stream` must not be started yet. Raises what makes more tables
        be read again, as `Streaming.run` does.
        """
        asked = rereading.read(checkpoint.rereading)
        async with marked(self.settings, self.mapping, postgres, _spare_slot(self.settings)) as mark:
            kept = records.read(checkpoint.tables)
            moved = set(records.moved(kept, mark.records))
            named = {
                table for table, wanted in asked.items() if wanted is None or not await _found(mark, table, wanted)
            }
            tables = records.spread(mark.mapped.plan, moved | named)
            covered = together(asked, whole(sorted(tables)))
            _log.info(
                "reading again",
                **{keys.STREAM: self.settings.stream, keys.TABLE: ", ".join(map(str, sorted(covered)))},
            )
            detached = replace(checkpoint, rereading=rereading.write(covered))
            journal = Journal(checkpoint.stream, mark.mapped.plan)
            await writer.write(no_statements, checkpoint, detached, journal.of_rereads(covered, mark.position))
            if set(mark.mapped.plan.tables) <= tables:
                # Nothing of what was committed before the mark is left to apply.
                reached = replace(detached, position=Position(mark.position, detached.position.ordinal + 1))
                await writer.write(no_statements, detached, reached)
            else:
                following = self._catching_up(stream, writer, mark, detached, covered)
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

    def _catching_up(
        self, stream: ReplicationStream, writer: Neo4jWriter, mark: Mark, checkpoint: Checkpoint, covered: Rereads
    ) -> Streaming:
        """What applies everything that was committed before the mark, but for the changes of the tables `covered`."""
        plan = mark.mapped.plan.without(_whole(covered))
        judge = Gathering(Requests(self.settings.stream, covered, joining=True))
        return Streaming(stream, writer, plan, checkpoint, Terms(self.limits, self.observer, judge))

    async def _replace(self, writer: Neo4jWriter, mark: Mark, checkpoint: Checkpoint, covered: Rereads) -> None:
        def finish(last: Checkpoint) -> Checkpoint:
            return replace(last, tables=records.write(mark.records), rereading="")

        plan = mark.mapped.plan
        repaired = await Repair(mark.reader, writer, plan, checkpoint).run(covered)
        await Snapshot(
            mark.reader,
            writer,
            plan,
            replacement(plan, _whole(covered), records.read(checkpoint.tables)),
            repaired,
            finish=finish,
            fresh=False,
            batch_rows=self.settings.batch_rows,
            observer=self.observer,
        ).run()


def _whole(rereads: Rereads) -> set[TableName]:
    """The tables of which every row is read again."""
    return {table for table, wanted in rereads.items() if wanted is None}


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
