"""`wait`: until the graph includes a position of Postgres's log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import ZERO, Lsn, render
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.run import StreamUnknown, WaitExpired
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.session import connect
from gpm_cdc.source.system import current_position
from gpm_cdc.wording import say

FIRST_POLL_SECONDS: Final = 0.01
LONGEST_POLL_SECONDS: Final = 0.5
_GROWTH: Final = 1.5

_log = logs.logger()


def includes(checkpoint: Checkpoint, target: Lsn) -> bool:
    """Whether the graph includes every commit before `target`, and is in the middle of neither a copy nor a commit."""
    return checkpoint.phase == "streaming" and checkpoint.position.lsn >= target


class Watch:
    """A graph that is looked at until it includes what somebody waits for. Serves any number of waits at once."""

    def __init__(self, settings: Settings, writer: Neo4jWriter) -> None:
        """`writer` stays the caller's."""
        self._settings = settings
        self._writer = writer

    async def reached(self, target: Lsn | None = None, *, timeout: float | None = None) -> Lsn:  # noqa: ASYNC109 - the error tells how far it got
        """As `wait`."""
        seen = _Seen(target)
        async with _within(timeout, seen):
            return await self._reached(seen)

    async def _reached(self, seen: "_Seen") -> Lsn:
        if seen.target is None:
            async with connect(self._settings.conninfo) as postgres:
                seen.target = await current_position(postgres)
        return await _poll(self._writer, self._settings.stream, seen.target, seen)


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """A connection to the graph of `settings`, for an application that waits for its writes again and again.

    Trouble of Neo4j is waited out.
    """
    async with open_writer(settings, _trouble) as writer:
        yield Watch(settings, writer)


async def wait(settings: Settings, target: Lsn | None = None, *, timeout: float | None = None) -> Lsn:  # noqa: ASYNC109 - what --timeout says
    """The graph's position, once that is `target` or later; without a target, what is committed in Postgres now.

    Needs Postgres only to find that out. Trouble of Neo4j is waited out, too. Raises WaitExpired after `timeout`
    seconds, StreamUnknown where the graph has no checkpoint.
    """
    seen = _Seen(target)
    async with _within(timeout, seen), watching(settings) as watch:
        return await watch._reached(seen)  # noqa: SLF001 - the time to connect counts here


@dataclass(slots=True)
class _Seen:
    """What is waited for, once that is known, and how far the graph was at the last look."""

    target: Lsn | None
    position: Lsn = ZERO


@asynccontextmanager
async def _within(seconds: float | None, seen: _Seen) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as expired:
        target = say("what is committed in Postgres") if seen.target is None else render(seen.target)
        raise WaitExpired(seconds=f"{seconds:g}", position=render(seen.position), target=target) from expired


async def _poll(writer: Neo4jWriter, stream: str, target: Lsn, seen: _Seen) -> Lsn:
    pause = FIRST_POLL_SECONDS
    while True:
        found = await writer.checkpoint(stream)
        if found is None:
            raise StreamUnknown(stream=stream)
        if includes(found, target):
            return found.position.lsn
        seen.position = found.position.lsn
        await asyncio.sleep(pause)
        pause = min(pause * _GROWTH, LONGEST_POLL_SECONDS)


def _trouble(error: GpmCdcError) -> None:
    _log.warning("neo4j trouble, trying again", **{keys.SERVER: "neo4j", keys.ERROR: error.code, "reason": str(error)})
