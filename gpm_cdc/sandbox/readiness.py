"""Waiting for a server that starts, and telling why it did not."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from gpm_cdc.errors.sandbox import PortTaken, ServerDied, StartTimeout
from gpm_cdc.sandbox.processes import Started

HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_LINE_LENGTH = 300
_BIND_FAILURES = ("could not bind IPv4 address", "Address already in use", "BindException")


def free_port(preferred: int | None = None) -> int:
    """A port of this machine that nobody listens on now: `preferred` if that is free."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if port and error.errno in {errno.EADDRINUSE, errno.EACCES}:
                    continue
                raise
            found: int = probe.getsockname()[1]
            return found
    raise AssertionError  # the second probe binds or raises


class Log:
    """The part of a log file that one start writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[str]:
        """What was written since this object was made."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._start)
                return file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def telling_line(self, marks: Sequence[str]) -> str:
        """The last line with one of `marks` in it; else the last line that is not empty."""
        lines = [line.strip() for line in self.lines() if line.strip()]
        marked = [line for line in lines if any(mark in line for mark in marks)]
        return (marked or lines or ["the log is empty"])[-1][:_LINE_LENGTH]


async def ready(  # noqa: PLR0913 - the facts of one start
    server: str,
    started: Started,
    probe: Callable[[], Awaitable[bool]],
    *,
    port: int,
    log: Log,
    marks: Sequence[str],
    seconds: float,
) -> None:
    """Wait until `probe` is true. PortTaken, ServerDied or StartTimeout if that does not happen in `seconds`."""
    deadline = time.monotonic() + seconds
    while not started.ended.done():
        if time.monotonic() > deadline:
            raise StartTimeout(server=server, seconds=round(seconds), line=log.telling_line(marks), log=log.path)
        if await probe():
            return
        await asyncio.wait([started.ended], timeout=_POLL_SECONDS)
    if any(mark in line for line in log.lines() for mark in _BIND_FAILURES):
        raise PortTaken(server=server, port=port)
    raise ServerDied(server=server, status=started.ended.result(), line=log.telling_line(marks), log=log.path)


async def listening(port: int) -> bool:
    """Whether somebody accepts connections on `port` of this machine."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
