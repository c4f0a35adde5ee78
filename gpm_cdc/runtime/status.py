"""`status`: where a stream stands, seen from both servers. Changes nothing, needs no mapping."""

import asyncio
from dataclasses import dataclass

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.errors.source import LogBehind, PublicationMissing, SourceError
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.runtime.continuity import begun, slot_problem
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.runtime.history import last_pass
from gpm_cdc.source.publication import read_publication
from gpm_cdc.source.session import Connection, connect, query
from gpm_cdc.source.slot import SlotState, read_slot
from gpm_cdc.source.system import end_of_log, lock_holder
from gpm_cdc.state.passes import PassSummary


@dataclass(frozen=True, slots=True)
class Status:
    """A stream as both servers show it; None for what is not there.

    `end` is where Postgres's log ends. `runner` holds the stream's lock: a Postgres process, with its address if it has
    one. `lag_bytes` is the log between the checkpoint and `end`, whoever wrote it. `lag_seconds` is 0 when that is
    nothing; else what Postgres measures as the replay lag of a stream that runs, the time between sending a commit and
    hearing that it is in the graph; None where that is unknown, as it is while nobody runs the stream. `verified` is
    the last pass of verify that schema gpm_cdc knows of.
    """

    stream: str
    checkpoint: Checkpoint | None
    slot: SlotState | None
    publication: bool
    runner: str | None
    end: Lsn
    lag_bytes: int | None
    lag_seconds: float | None
    problem: SourceError | None
    verified: PassSummary | None = None

    @property
    def known(self) -> bool:
        """Whether either server knows the stream."""
        return self.checkpoint is not None or self.slot is not None


async def read_status(settings: Settings) -> Status:
    """Ask both servers. Raises the errors of a server that cannot be reached."""
    async with connect(settings.conninfo) as postgres, open_graph(settings) as writer:
        runner = await lock_holder(postgres, settings.stream)
        slot = await read_slot(postgres, settings.slot_name)
        published = await read_publication(postgres, settings.publication_name) is not None
        end = await end_of_log(postgres)
        replay_lag = None if slot is None else await _replay_lag(postgres, slot)
        # Last, so that a stream that moves meanwhile seems neither behind its slot nor late.
        found = await writer.checkpoint(settings.stream)
    behind = None if found is None or not begun(found) else max(0, end - found.position.lsn)
    return Status(
        stream=settings.stream,
        checkpoint=found,
        slot=slot,
        publication=published,
        runner=runner,
        end=end,
        lag_bytes=behind,
        lag_seconds=0.0 if behind == 0 else replay_lag,
        problem=_problem(settings, slot, found, runner, end, published=published),
        verified=await asyncio.to_thread(last_pass, settings),
    )


def _problem(
    settings: Settings,
    slot: SlotState | None,
    found: Checkpoint | None,
    runner: str | None,
    end: Lsn,
    *,
    published: bool,
) -> SourceError | None:
    problem = slot_problem(slot, settings.slot_name, found, runner)
    if problem is not None or found is None or not begun(found):
        return problem
    if not published:
        return PublicationMissing(publication=settings.publication_name, stream=settings.stream)
    # While somebody runs the stream, the checkpoint may have passed the end that was read before it.
    if runner is None and found.position.lsn > end:
        return LogBehind(position=render(found.position.lsn), end=render(end))
    return None


async def _replay_lag(connection: Connection, slot: SlotState) -> float | None:
    rows = await query(
        connection,
        "SELECT extract(epoch FROM replay_lag)::float8 FROM pg_stat_replication WHERE pid = %s",
        [slot.active_pid],
    )
    return None if not rows or rows[0][0] is None else float(str(rows[0][0]))
