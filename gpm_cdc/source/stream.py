"""The replication connection: one walsender that holds the stream's lock, makes the slot and sends the changes.

psycopg has no replication interface of its own; since 3.3 it lets START_REPLICATION through and leaves the connection
in COPY BOTH mode, where libpq's own calls read and write frames without blocking. All of that is in this module.
"""

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg import pq

from gpm_cdc.domain.lsn import Lsn, parse, render
from gpm_cdc.errors.source import ConnectionLost, SlotBlocked, SlotInUse, SlotLost, SlotMissing
from gpm_cdc.pgoutput.framing import standby_status
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US
from gpm_cdc.pgoutput.session import start_replication
from gpm_cdc.source.session import Connection, command, first_line, open_connection, translate, translated
from gpm_cdc.wording import say

FRAMES_PER_DRAIN = 400
"""Frames handed over at once: about two milliseconds of decoding, so that nobody waits long for the event loop."""

_OBJECT_IN_USE = "55006"
_UNDEFINED_OBJECT = "42704"
_NOT_IN_PREREQUISITE_STATE = "55000"
_ACTIVE_FOR = re.compile(r"(\d+)$")
"""The message's words are in the server's language; the process id is the last of them."""

_WRITERS = """
SELECT coalesce(l.pid::text, p.gid)
FROM pg_locks AS l LEFT JOIN pg_prepared_xacts AS p ON p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
  AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY l.pid
"""
"""Whoever has written holds the lock on its own transaction number. Visible to every role, unlike pg_stat_activity."""


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """Which cluster this is. A timeline goes up when a standby is promoted. `flushed` is the log's end on disk."""

    system_identifier: str
    timeline: int
    flushed: Lsn


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that was just made: the stream from `consistent_point` on continues exactly what `snapshot` shows.

    The snapshot lives until the next command on the connection that made it.
    """

    consistent_point: Lsn
    snapshot: str


class ReplicationStream:
    """One replication connection. Not safe for concurrent use, except `acknowledge` beside `frames`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._acknowledged = Lsn(0)
        self._received = Lsn(0)

    @classmethod
    async def open(cls, conninfo: str, *, wal_sender_timeout: float, lock_timeout: float) -> Self:
        """Connect as a walsender. Both timeouts in seconds; raises what `open_connection` raises."""
        connection = await open_connection(
            conninfo,
            replication=True,
            wal_sender_timeout=f"{int(wal_sender_timeout * 1000)}",
            lock_timeout=f"{int(lock_timeout * 1000)}",
            statement_timeout="0",
            idle_in_transaction_session_timeout="0",
            idle_session_timeout="0",
        )
        return cls(connection)

    async def close(self) -> None:
        """End the connection at once; the slot and the stream's lock are free as soon as the server notices."""
        await self._connection.close()

    async def identify(self) -> SystemIdentity:
        """Which cluster is at the other end."""
        with translated():
            row = (await command(self._connection, "IDENTIFY_SYSTEM"))[0]
        return SystemIdentity(str(row[0]), int(str(row[1])), parse(str(row[2])))

    async def try_lock(self, stream: str) -> bool:
        """Become the one process that runs `stream`: an advisory lock that lives as long as this connection."""
        with translated():
            rows = await command(self._connection, f"SELECT pg_try_advisory_lock({lock_key(stream)})")
        return bool(rows[0][0])

    async def create_slot(self, slot: str, *, temporary: bool, lock_timeout: float) -> NewSlot:
        """Make a logical slot with an exported snapshot.

        The server waits for every open writing transaction, in other databases too; SlotBlocked after `lock_timeout`
        seconds names them.
        """
        kind = "TEMPORARY " if temporary else ""
        text = f"CREATE_REPLICATION_SLOT \"{slot}\" {kind}LOGICAL pgoutput (SNAPSHOT 'export')"
        try:
            row = (await command(self._connection, text))[0]
        except psycopg.errors.LockNotAvailable as error:
            raise SlotBlocked(seconds=f"{lock_timeout:g}", pids=await self._writers()) from error
        except psycopg.Error as error:
            raise translate(error) from error
        return NewSlot(parse(str(row[1])), str(row[2]))

    async def _writers(self) -> str:
        """The processes with an open transaction that has written, and prepared transactions by their names."""
        with translated():
            rows = await command(self._connection, _WRITERS)
        return ", ".join(str(row[0]) for row in rows) or say("that have ended meanwhile")

    async def start(self, slot: str, publication: str, position: Lsn) -> None:
        """Begin the stream after `position`. SlotInUse, SlotMissing or SlotLost where the slot cannot serve it."""
        try:
            await command(self._connection, start_replication(slot, position, [publication]))
        except psycopg.Error as error:
            raise _start_error(error, slot, position) from error
        self._acknowledged = position

    async def frames(self) -> list[bytes]:
        """The next frames, at least one, in order. ConnectionLost when the server ends the stream or the connection."""
        while True:
            frames = self._drain()
            if frames:
                return frames
            await self._readable()
            try:
                self._pgconn.consume_input()
            except psycopg.Error as error:
                raise ConnectionLost(detail=first_line(error)) from error

    def _drain(self) -> list[bytes]:
        frames: list[bytes] = []
        take = self._pgconn.get_copy_data
        try:
            for _ in range(FRAMES_PER_DRAIN):
                size, data = take(1)
                if size > 0:
                    frames.append(data)  # type: ignore[arg-type]
                elif size == 0:
                    break
                else:
                    return self._ended(frames)
        except psycopg.Error as error:
            if frames:
                return frames
            raise ConnectionLost(detail=first_line(error)) from error
        return frames

    def _ended(self, frames: list[bytes]) -> list[bytes]:
        if frames:
            return frames
        detail = "the server ended the stream"
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            detail = result.error_message.decode(errors="replace").strip().splitlines()[0]
        raise ConnectionLost(detail=detail)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        socket = self._pgconn.socket
        loop.add_reader(socket, _resolve, ready)
        try:
            await ready
        finally:
            loop.remove_reader(socket)

    def acknowledge(self, position: Lsn, *, reply_requested: bool = False) -> None:
        """Tell the server that everything before `position` is in the graph for good; never goes backwards.

        The frame is sent as far as the socket takes it; the rest leaves with the next call.
        """
        self._acknowledged = max(self._acknowledged, position)
        clock = time.time_ns() // 1_000 - POSTGRES_EPOCH_UNIX_US
        done = self._acknowledged
        frame = standby_status(done, done, done, clock, reply_requested=reply_requested)
        try:
            self._pgconn.put_copy_data(frame)
            self._pgconn.flush()
        except psycopg.Error as error:
            raise ConnectionLost(detail=first_line(error)) from error


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _start_error(error: psycopg.Error, slot: str, position: Lsn) -> Exception:
    if error.sqlstate == _OBJECT_IN_USE:
        pid = _ACTIVE_FOR.search(first_line(error))
        return SlotInUse(slot=slot, pid=0 if pid is None else pid[1])
    if error.sqlstate == _UNDEFINED_OBJECT:
        return SlotMissing(slot=slot, position=render(position))
    if error.sqlstate == _NOT_IN_PREREQUISITE_STATE:
        return SlotLost(slot=slot, reason=first_line(error), position=render(position))
    return translate(error)


def lock_key(stream: str) -> int:
    """The advisory lock of a stream: 63 bits of a hash, so that two streams do not share one."""
    return int.from_bytes(hashlib.sha256(f"gpm-cdc {stream}".encode()).digest()[:8]) >> 1
