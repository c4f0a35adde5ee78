"""Single edits: how long after its COMMIT each can be seen in the graph."""

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gpm_cdc.demo.following import Pair
from gpm_cdc.demo.programs import application
from gpm_cdc.demo.protocol import EDIT
from gpm_cdc.errors.demo import EditSeenBefore

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.002

_VISIBLE: Final = """\
RETURN all(key IN $present WHERE EXISTS { MATCH (:Definition {key: key}) })
   AND none(key IN $absent WHERE EXISTS { MATCH (:Definition {key: key}) })
   AND all(link IN $links WHERE EXISTS {
         MATCH (:Definition {key: link[0]})-[r]->(:Definition {key: link[2]}) WHERE type(r) = link[1] })
   AND all(text IN $texts WHERE EXISTS {
         MATCH (d:Definition {key: text[0]}) WHERE d[text[1]] CONTAINS text[2] })"""
"""Whether the graph shows all signs of an edit, which are the parameters."""


class Latency(NamedTuple):
    """An edit, from the return of its COMMIT to the first query that shows it, in seconds."""

    file: str
    what: str
    rows: int
    """Rows that the edit inserted, updated or deleted."""
    seconds: float


class Summary(NamedTuple):
    """Of several edits. Seconds."""

    number: int
    median: float
    slowest: float

    @classmethod
    def of(cls, latencies: list[Latency]) -> "Summary":
        """Of at least one edit."""
        seconds = [latency.seconds for latency in latencies]
        return cls(len(seconds), statistics.median(seconds), max(seconds))


async def measure(pair: Pair, announce: Callable[[str, str], None], tell: Callable[[Latency], None]) -> Summary:
    """Have the application make its edits, each once the one before can be seen. Raises GraphStandsStill.

    `announce` hears of each edit before it is made, its file and what it is, `tell` once it can be seen.
    """
    seen: list[Latency] = []
    async with application(pair.stage, EDIT) as editing:
        while (edit := await editing.hear()) is not None:
            announce(edit["file"], edit["what"])
            if await _seen(pair, edit["signs"]):
                raise EditSeenBefore(file=edit["file"])
            await editing.go_on()
            if (done := await editing.hear()) is None:
                break
            seconds = await _until_seen(pair, edit["signs"], done["committed_at"])
            seen.append(Latency(edit["file"], edit["what"], done["rows"], seconds))
            tell(seen[-1])
            await editing.go_on()
    return Summary.of(seen)


async def _until_seen(pair: Pair, signs: Mapping[str, object], committed: float) -> float:
    while not await _seen(pair, signs):
        if time.monotonic() - committed > PATIENCE_SECONDS:
            raise pair.late(PATIENCE_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)
    # Both processes read the same clock of this machine.
    return time.monotonic() - committed


async def _seen(pair: Pair, signs: Mapping[str, object]) -> bool:
    return await pair.ask(_VISIBLE, **signs) == [[True]]
