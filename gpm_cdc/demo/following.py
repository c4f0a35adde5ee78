"""The library is loaded while the graph follows: how much is where, and how far apart they are."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

from gpm_cdc.config.settings import STREAM
from gpm_cdc.cypher.journal import PAGE_LABEL
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL
from gpm_cdc.demo.programs import COMMAND, application
from gpm_cdc.demo.protocol import LOAD, Loaded, Loading
from gpm_cdc.demo.screen import Fact, Moving
from gpm_cdc.demo.stage import Stage
from gpm_cdc.domain.lsn import ZERO, Lsn
from gpm_cdc.errors.demo import GraphStandsStill, ProgramFailed
from gpm_cdc.runtime.graph import open_writer
from gpm_cdc.sandbox.processes import Command, Started, supervised
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source.session import Connection, connect
from gpm_cdc.source.system import current_position, end_of_log
from gpm_cdc.wording import say

LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0
"""Without progress for so long, something is wrong. The first queries of a cold Neo4j take seconds."""

STOP_SECONDS: Final = 20.0

_CHECKPOINT: Final = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream, phase: 'streaming'}}) RETURN s.lsn"
_NODES: Final = "MATCH (n) RETURN count(n)"
_PAGES: Final = f"MATCH (n:{PAGE_LABEL}) RETURN count(n)"
_RELATIONSHIPS: Final = "MATCH ()-[r]->() RETURN count(r)"


@dataclass(slots=True)
class Progress:
    """What was written and what has arrived. Times are seconds of the monotonic clock."""

    started: float | None = None
    """When the application first told of its work: until then it only began to run."""
    files: int = 0
    total: int = 0
    definitions: int = 0
    rows: int = 0
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

    def hear(self, told: Loading, now: float) -> None:
        """Take in how far the application is at `now`."""
        self.started = self.started or now
        self.files, self.total = told["files"], told["of"]
        self.definitions, self.rows = told["definitions"], told["rows"]
        self.written = now

    def look(self, now: float, position: Lsn, reached: Lsn) -> None:
        """At `now` the log is at `position`, and the graph at `reached`."""
        if not self._ahead or position > self._ahead[-1][1]:
            self._ahead.append((now, position))
        while self._ahead and self._ahead[0][1] <= reached:
            self._ahead.popleft()
        self.lag = now - self._ahead[0][0] if self._ahead else 0.0

    @property
    def late(self) -> float:
        """Seconds from the last commit until the graph held everything."""
        return max(0.0, (self.arrived or 0.0) - (self.written or 0.0))

    def facts(self, now: float) -> list[Fact]:
        """What to show."""
        seconds = max((self.written or now) - (self.started or now), 0.001)
        return [
            Fact(
                say("files"),
                say("{files} of {total}", files=f"{self.files:,}", total=f"{self.total:,}"),
                self.files / max(self.total, 1),
            ),
            Fact(
                say("Postgres"),
                say("{rows} rows, {rate} a second", rows=f"{self.rows:,}", rate=f"{self.rows / seconds:,.0f}"),
            ),
            Fact(
                say("Neo4j"),
                say("{nodes} nodes, {relationships} relationships", nodes=f"{self.nodes:,}",
                    relationships=f"{self.relationships:,}"),
                min(1.0, self.nodes / max(self.definitions, 1)),
            ),
            Fact(say("behind"), say("{seconds} s", seconds=f"{self.lag:.1f}")),
        ]  # fmt: skip


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
        argv=(*COMMAND, "run"),
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


async def load(pair: Pair, moving: Moving) -> tuple[Progress, Loaded]:
    """Let the application bring its tables to what the files hold, and return when the graph holds all of it."""
    progress = Progress()
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch(pair, progress, moving))
        report = await _write(pair.stage, progress)
        progress.target = await current_position(pair.postgres)
    return progress, report


async def _write(stage: Stage, progress: Progress) -> Loaded:
    async with application(stage, LOAD) as loading:
        while (told := await loading.hear()) is not None and "seconds" not in told:
            progress.hear(cast("Loading", told), time.monotonic())
    if told is None:
        raise ProgramFailed(program=f"gpm_cdc.demo.application {LOAD}", status=0, log=stage.log("application"))
    return cast("Loaded", told)


async def _watch(pair: Pair, progress: Progress, moving: Moving) -> None:
    reached, moved = ZERO, time.monotonic()
    while progress.target is None or reached < progress.target:
        position = await end_of_log(pair.postgres)
        before, reached = reached, await pair.reached() or ZERO
        now = time.monotonic()
        if reached > before:
            moved = now
        elif now - moved > PATIENCE_SECONDS:
            raise pair.late(PATIENCE_SECONDS)
        progress.look(now, position, reached)
        progress.nodes, progress.relationships = await count(pair)
        moving.show(say("The loader writes, the graph follows."), progress.facts(now))
        await asyncio.sleep(LOOK_SECONDS)
    progress.arrived = now


async def count(pair: Pair) -> tuple[int, int]:
    """Nodes and relationships in the graph, from Neo4j's own counters."""
    ((nodes,),), ((pages,),), ((relationships,),) = [await pair.ask(text) for text in (_NODES, _PAGES, _RELATIONSHIPS)]
    return nodes - pages - 1, relationships  # less the journal and the checkpoint
