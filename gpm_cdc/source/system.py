"""Questions to Postgres about itself."""

import asyncio

from gpm_cdc.domain.lsn import Lsn, end_of_written, parse
from gpm_cdc.errors.source import SourceIsStandby, WalLevelTooLow
from gpm_cdc.source.session import Connection, query
from gpm_cdc.source.stream import lock_key
from gpm_cdc.wording import say

_FLUSH_POLL_SECONDS = 0.05


async def current_position(connection: Connection) -> Lsn:
    """A position at or after the end of every transaction that is committed now, and that the stream will get to.

    An asynchronous commit is not on disk at once, and the stream sends only what is; so this waits until it is,
    which the WAL writer sees to several times a second.
    """
    rows = await query(
        connection,
        "SELECT pg_current_wal_insert_lsn()::text, current_setting('wal_block_size')::bigint,"
        " pg_size_bytes(current_setting('wal_segment_size'))",
    )
    inserted, page, segment = rows[0]
    target = end_of_written(parse(str(inserted)), int(str(page)), int(str(segment)))
    flushed = await end_of_log(connection)
    while flushed < target:
        await asyncio.sleep(_FLUSH_POLL_SECONDS)
        flushed = await end_of_log(connection)
    return target


async def end_of_log(connection: Connection) -> Lsn:
    """Where the log on disk ends now."""
    rows = await query(connection, "SELECT pg_current_wal_flush_lsn()::text")
    return parse(str(rows[0][0]))


async def require_logical(connection: Connection) -> None:
    """SourceIsStandby or WalLevelTooLow where no stream can begin, however it is set up."""
    if (await query(connection, "SELECT pg_is_in_recovery()"))[0][0]:
        raise SourceIsStandby
    level = str((await query(connection, "SHOW wal_level"))[0][0])
    if level != "logical":
        raise WalLevelTooLow(level=level)


async def try_lock(connection: Connection, stream: str) -> bool:
    """Become the one process that runs `stream`, on an ordinary connection: for as long as that is open."""
    rows = await query(connection, "SELECT pg_try_advisory_lock(%s)", [lock_key(stream)])
    return bool(rows[0][0])


async def lock_holder(connection: Connection, stream: str) -> str | None:
    """Who holds the lock of `stream`: process id and address, as Postgres shows them; None when nobody does."""
    key = lock_key(stream)
    rows = await query(
        connection,
        "SELECT l.pid, host(a.client_addr) FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = %s AND l.objid = %s"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [key >> 32, key & 0xFFFF_FFFF],
    )
    if not rows:
        return None
    pid, address = rows[0]
    return f"{pid}" if address is None else say("{pid} from {address}", pid=pid, address=address)
