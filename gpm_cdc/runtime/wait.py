"""`wait`: until the graph includes a position of Postgres's log."""

import asyncio
import time
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

FIRST_POLL_SECONDS: Final = 0.01
LONGEST_POLL_SECONDS: Final = 0.5
_GROWTH: Final = 1.5

_log = logs.logger()


def includes(checkpoint: Checkpoint, target: Lsn) -> bool:
    """Whether the graph includes every commit before `target`, and is in the middle of neither a copy nor a commit."""
    return checkpoint.phase == "streaming" and checkpoint.position.lsn >= target


async def wait(settings: Settings, target: Lsn | None = None, *, timeout: float | None = None) -> Lsn:  # noqa: ASYNC109 - what --timeout says; the error tells how far it got
    """The graph's position, once that is `target` or later; without a target, what is committed in Postgres now.

    Needs Postgres only to find that out. Trouble of Neo4j is waited out, too. Raises WaitExpired after `timeout`
    seconds, StreamUnknown where the graph has no checkpoint.
    """
    started = time.monotonic()
    if target is None:
        async with connect(settings.conninfo) as postgres:
            target = await current_position(postgres)
    seen = _Seen()
    try:
        async with asyncio.timeout(None if timeout is None else timeout - (time.monotonic() - started)):
            async with open_writer(settings, _trouble) as writer:
                return await _poll(writer, settings.stream, target, seen)
    except TimeoutError as expired:
        raise WaitExpired(seconds=f"{timeout:g}", position=seen.position, target=render(target)) from expired


class _Seen:
    """How far the graph was at the last look."""

    position = render(ZERO)


async def _poll(writer: Neo4jWriter, stream: str, target: Lsn, seen: _Seen) -> Lsn:
    pause = FIRST_POLL_SECONDS
    while True:
        found = await writer.checkpoint(stream)
        if found is None:
            raise StreamUnknown(stream=stream)
        if includes(found, target):
            return found.position.lsn
        seen.position = render(found.position.lsn)
        await asyncio.sleep(pause)
        pause = min(pause * _GROWTH, LONGEST_POLL_SECONDS)


def _trouble(error: GpmCdcError) -> None:
    _log.warning("neo4j trouble, trying again", **{keys.SERVER: "neo4j", keys.ERROR: error.code, "reason": str(error)})
