"""What a slot still has to deliver while nobody reads it."""

from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.messages import Commit
from gpm_cdc.pgoutput.session import plugin_options
from gpm_cdc.source.session import Connection, query
from gpm_cdc.source.slot import read_slot
from gpm_cdc.source.stream import lock_key
from gpm_cdc.source.system import try_lock

_MESSAGES_AT_MOST = 100_000
"""The server stops after the transaction that goes beyond this. Enough for a batch that was not acknowledged."""

_PEEK = """
WITH peeked AS MATERIALIZED (
    SELECT data FROM pg_logical_slot_peek_binary_changes(%s, %s::pg_lsn, %s, VARIADIC %s::text[])
)
SELECT count(*), array_agg(data) FILTER (WHERE get_byte(data, 0) = ascii('C')) FROM peeked
"""


async def is_running(connection: Connection, stream: str) -> bool:
    """Whether a process holds the lock of `stream`."""
    if not await try_lock(connection, stream):
        return True
    await _unlock(connection, stream)
    return False


async def nothing_between(
    connection: Connection, stream: str, slot: str, publication: str, *, after: Lsn, upto: Lsn
) -> bool:
    """Whether the log holds no transaction of the publication that ends after `after` and at or before `upto`.

    False also when that cannot be told: somebody runs the stream, the slot is gone, or too much waits in it. Looking
    does not move the slot, and is done under the stream's lock: who starts meanwhile waits instead of failing.
    """
    if not await try_lock(connection, stream):
        return False
    try:
        state = await read_slot(connection, slot)
        if state is None or state.active_pid is not None or state.confirmed > after:
            return False
        options = [part for pair in plugin_options([publication]).items() for part in pair]
        rows = await query(connection, _PEEK, [slot, render(upto), _MESSAGES_AT_MOST, options])
    finally:
        await _unlock(connection, stream)
    count, commits = rows[0]
    ends = [message.end_lsn for message in map(decode, commits or ()) if isinstance(message, Commit)]  # type: ignore[call-overload]
    return int(str(count)) < _MESSAGES_AT_MOST and all(end <= after for end in ends)


async def _unlock(connection: Connection, stream: str) -> None:
    await query(connection, "SELECT pg_advisory_unlock(%s)", [lock_key(stream)])
