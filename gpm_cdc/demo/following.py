"""The shop fills up while the graph follows: how much is where, and how far apart they are."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from gpm_cdc.config.settings import STREAM
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL
from gpm_cdc.demo import application
from gpm_cdc.demo.screen import Moving
from gpm_cdc.demo.stage import PROGRAM, Stage
from gpm_cdc.domain.lsn import ZERO, Lsn, parse
from gpm_cdc.errors.demo import GraphStandsStill, ProgramFailed
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.sandbox.processes import Command, Started, supervised
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.session import Connection, connect, query
from gpm_cdc.source.system import current_position
from gpm_cdc.wording import say

LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0
"""Without progress for so long, something is wrong. The first queries of a cold Neo4j take seconds."""

STOP_SECONDS: Final = 20.0

_CHECKPOINT: Final = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream, phase: 'streaming'}}) RETURN s.lsn"
_NODES: Final = "MATCH (n) RETURN count(n)"
_RELATIONSHIPS: Final = "MATCH ()-[r]->() RETURN count(r)"


@dataclass(slots=True)
class Progress:
    """What was written and what has arrived. Times are seconds of the monotonic clock."""

    started: float
    rows: int = 0
    transactions: int = 0
    written: float | None = None
    """When the last row had been written."""
    nodes: int = 0
    relationships: int = 0
    lag: float = 0.0
    """Age in seconds of the oldest position of the log, among those looked at, that the graph does not include yet."""
    target: Lsn | None = None
    """The end of the log when the last row had been written."""
    arrived: float | None = None
    """When the graph held everything."""
    _ahead: deque[tuple[float, Lsn]] = field(default_factory=deque)

    def look(self, now: float, position: Lsn, reached: Lsn) -> None:
        """At `now` the log is at `position`, and the graph at `reached`."""
        if not self._ahead or position > self._ahead[-1][1]:
            self._ahead.append((now, position))
        while self._ahead and self._ahead[0][1] <= reached:
            self._ahead.popleft()
        self.lag = now - self._ahead[0][0] if self._ahead else 0.0

    def facts(self, now: float) -> dict[str, str]:
        """What to show."""
        seconds = max((self.written or now) - self.started, 0.001)
        return {
            say("Postgres"): say(
                "{rows} rows in {transactions} transactions, {rate} rows/s",
                rows=f"{self.rows:,}",
                transactions=f"{self.transactions:,}",
                rate=f"{self.rows / seconds:,.0f}",
            ),
            say("Neo4j"): say(
                "{nodes} nodes, {relationships} relationships",
                nodes=f"{self.nodes:,}",
                relationships=f"{self.relationships:,}",
            ),
            say("lag"): say("{seconds} s", seconds=f"{self.lag:.2f}"),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """Both servers, as the tour looks at them, and the running `gpm-cdc run` between them."""

    stage: Stage
    graph: Neo4jWriter
    postgres: Connection
    _daemon: Started

    async def ask(self, text: str, **parameters: object) -> list[list[Any]]:
        """The rows of a query on the graph. ProgramFailed when nothing keeps the graph any more."""
        if self._daemon.ended.done():
            raise ProgramFailed(program="gpm-cdc run", status=self._daemon.ended.result(), log=self.stage.log("run"))
        return await self.graph.ask(text, **parameters)

    async def reached(self) -> Lsn | None:
        """Up to where the graph includes everything; None while the first copy is made."""
        found = await self.ask(_CHECKPOINT, stream=STREAM)
        return Lsn(found[0][0]) if found else None

    def late(self, seconds: float) -> GraphStandsStill:
        """The error for a graph that does not move for `seconds`."""
        return GraphStandsStill(seconds=int(seconds), log=self.stage.log("run"))


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Pair]:
    """`gpm-cdc run` on the stage, from the moment at which it follows the stream; it ends with the block or with us."""
    command = Command(
        name="run",
        argv=(*PROGRAM, "run"),
        environment=stage.environment,
        directory=stage.directory,
        log=stage.log("run"),
        account=None,
        stop=[(signal.SIGTERM, STOP_SECONDS)],
        orphaned=signal.SIGTERM,
    )
    settings = stage.settings
    async with (
        connect(settings.conninfo) as postgres,
        open_writer(settings, lambda _: None) as graph,
        supervised(stage.directory) as supervisor,
    ):
        pair = Pair(stage, graph, postgres, await supervisor.start(command))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await pair.reached() is None:
            if time.monotonic() > deadline:
                raise pair.late(PATIENCE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)
        yield pair


async def fill(pair: Pair, moving: Moving) -> Progress:
    """Let the shop fill its tables, and return when the graph holds everything."""
    progress = Progress(started=time.monotonic())
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch(pair, progress, moving))
        await _write(pair.stage, progress)
        progress.target = await current_position(pair.postgres)
    return progress


async def _write(stage: Stage, progress: Progress) -> None:
    async with application.started(*application.FILL, environ=stage.environment, log=stage.log("shop")) as shop:
        while (told := await shop.hear()) is not None:
            progress.rows = told["rows"]
            progress.transactions += 1
            progress.written = time.monotonic()


async def _watch(pair: Pair, progress: Progress, moving: Moving) -> None:
    reached, moved = ZERO, time.monotonic()
    while progress.target is None or reached < progress.target:
        rows = await query(pair.postgres, "SELECT pg_current_wal_flush_lsn()::text")
        before, reached = reached, await pair.reached() or ZERO
        now = time.monotonic()
        if reached > before:
            moved = now
        elif now - moved > PATIENCE_SECONDS:
            raise pair.late(PATIENCE_SECONDS)
        progress.look(now, parse(str(rows[0][0])), reached)
        progress.nodes, progress.relationships = await count(pair)
        moving.show(say("The shop writes, the graph follows."), progress.facts(now))
        await asyncio.sleep(LOOK_SECONDS)
    progress.arrived = now


async def count(pair: Pair) -> tuple[int, int]:
    """Nodes and relationships in the graph, from Neo4j's own counters."""
    (nodes,), (relationships,) = *await pair.ask(_NODES), *await pair.ask(_RELATIONSHIPS)
    return nodes - 1, relationships  # less the checkpoint
