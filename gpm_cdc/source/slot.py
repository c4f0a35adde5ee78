"""The replication slot of a stream: its state, and whether the stream may go on from it."""

import asyncio
import time
from dataclasses import dataclass

from gpm_cdc.domain.lsn import Lsn, parse, render
from gpm_cdc.errors.source import SlotAhead, SlotForeign, SlotInUse, SlotLost, SlotMissing
from gpm_cdc.source.session import Connection, query
from gpm_cdc.wording import say

_RELEASE_POLL_SECONDS = 0.1
_READ = """
SELECT s.slot_type, s.plugin, s.database, s.database = current_database(), s.active_pid, s.confirmed_flush_lsn::text,
       coalesce(s.restart_lsn::text, '0/0'), s.wal_status, s.two_phase, s.temporary,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint,
       to_jsonb(s) ->> 'invalidation_reason'
FROM pg_replication_slots AS s WHERE s.slot_name = %s
"""


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as Postgres shows it. `retained` are bytes of log that Postgres keeps for it, None if it has lost them."""

    name: str
    slot_type: str
    plugin: str | None
    database: str | None
    here: bool
    active_pid: int | None
    confirmed: Lsn
    restart: Lsn
    wal_status: str | None
    two_phase: bool
    temporary: bool
    retained: int | None
    invalidation: str | None


async def read_slot(connection: Connection, name: str) -> SlotState | None:
    """The slot called `name`, None if there is none. On a primary: a standby cannot say how much log is retained."""
    rows = await query(connection, _READ, [name])
    if not rows:
        return None
    kind, plugin, database, here, pid, confirmed, restart, wal_status, two_phase, temporary, retained, reason = rows[0]
    return SlotState(
        name=name,
        slot_type=str(kind),
        plugin=None if plugin is None else str(plugin),
        database=None if database is None else str(database),
        here=bool(here),
        active_pid=None if pid is None else int(str(pid)),
        confirmed=Lsn(0) if confirmed is None else parse(str(confirmed)),
        restart=parse(str(restart)),
        wal_status=None if wal_status is None else str(wal_status),
        two_phase=bool(two_phase),
        temporary=bool(temporary),
        retained=None if retained is None else int(str(retained)),
        invalidation=None if reason is None else str(reason),
    )


async def released_slot(connection: Connection, name: str, seconds: float) -> SlotState | None:
    """As `read_slot`, once nobody reads the slot, or after `seconds`.

    A walsender that ends gives back the stream's lock before the slot: who gets the lock may be too early for the slot.
    """
    deadline = time.monotonic() + seconds
    while (state := await read_slot(connection, name)) is not None and state.active_pid is not None:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(_RELEASE_POLL_SECONDS)
    return state


async def drop_slot(connection: Connection, name: str) -> None:
    """Remove the slot if it exists; a slot in use cannot be removed and raises SlotInUse."""
    state = await read_slot(connection, name)
    if state is None:
        return
    if state.active_pid is not None:
        raise SlotInUse(slot=name, pid=state.active_pid)
    await query(connection, "SELECT pg_drop_replication_slot(%s)", [name])


def require_ours(state: SlotState) -> None:
    """SlotForeign for a slot that cannot be one of this program, whatever it is called."""
    if state.slot_type != "logical":
        raise SlotForeign(slot=state.name, detail=say("it is a physical slot"))
    if state.plugin != "pgoutput":
        raise SlotForeign(
            slot=state.name, detail=say("its output plugin is {plugin}, not pgoutput", plugin=state.plugin)
        )
    if not state.here:
        raise SlotForeign(slot=state.name, detail=say("it belongs to database {database}", database=state.database))
    if state.two_phase:
        raise SlotForeign(slot=state.name, detail=say("it was made with two_phase, which sends transactions too early"))


def require_serves(state: SlotState | None, name: str, position: Lsn) -> None:
    """Raise what keeps a stream from going on from `position`: the slot is missing, foreign, lost, in use or ahead."""
    if state is None:
        raise SlotMissing(slot=name, position=render(position))
    require_ours(state)
    if state.wal_status == "lost" or state.invalidation is not None:
        reason = state.invalidation or say("its log was removed")
        raise SlotLost(slot=name, reason=reason, position=render(state.confirmed))
    if state.active_pid is not None:
        raise SlotInUse(slot=name, pid=state.active_pid)
    if state.confirmed > position:
        raise SlotAhead(slot=name, slot_position=render(state.confirmed), position=render(position))
