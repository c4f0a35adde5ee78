"""Questions to Postgres about itself."""

import asyncio

from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.errors.source import SourceIsStandby, WalLevelTooLow
from gpm_cdc.source.session import Connection, query
from gpm_cdc.source.stream import lock_key
from gpm_cdc.wording import say

_PAGE = 8192
_LONGEST_PAGE_HEADER = 40
_FLUSH_POLL_SECONDS = 0.05


async def current_position(connection: Connection) -> Lsn:
    """A position at or after the end of every transaction that is committed now, and that the stream will get to.

    An asynchronous commit is not on disk at once, and the stream sends only what is; so this waits until it is,
    which the WAL writer sees to several times a second. At a page's end the insert position counts the next page's
    header, which nothing flushes before something is written there.
    """
    inserted, flushed = await _positions(connection)
    while flushed < inserted and not (flushed % _PAGE == 0 and inserted - flushed <= _LONGEST_PAGE_HEADER):
        await asyncio.sleep(_FLUSH_POLL_SECONDS)
        _, flushed = await _positions(connection)
    return min(inserted, flushed)


async def _positions(connection: Connection) -> tuple[Lsn, Lsn]:
    rows = await query(connection, "SELECT pg_current_wal_insert_lsn()::text, pg_current_wal_flush_lsn()::text")
    return parse(str(rows[0][0])), parse(str(rows[0][1]))


async def end_of_log(connection: Connection) -> Lsn:
    """Where the log on disk ends now."""
    return (await _positions(connection))[1]


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
