"""Repairs of rows that writers change, on a server whose synchronous standby does not answer.

Every COMMIT is in the log, and so in the stream, while no snapshot shows it until the wait for the standby is ended:
the graph is ahead of whatever a repair could read beside the stream. Versions of a row only grow, so an old row that is
written over a newer one shows as a version that goes back.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import neo4j
import psycopg

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.runtime.repair import repair
from tests.acceptance.stream import LOCKED_CHECKPOINT, Stream
from tests.patience import PATIENCE
from tests.soak.mixed import settings_of
from tests.soak.passes import Say

SCHEMA = """
CREATE TABLE things (id int PRIMARY KEY, version bigint NOT NULL, part_of int REFERENCES things ON DELETE SET NULL,
                     note text);
CREATE SEQUENCE versions;
INSERT INTO things SELECT i, nextval('versions'), nullif(i / 2, 0), 'first' FROM generate_series(1, {rows}) AS i;
"""

MAPPING = """
version = 1
[[node]]
table = "public.things"
label = "Thing"
key = ["id"]
[[node.relationship]]
columns = ["part_of"]
type = "PART_OF"
target = "public.things"
target_columns = ["id"]
"""

ROWS = 40
WRITERS = 6
ASKERS = 8
_TABLE = TableName("public", "things")
_RELEASE_SECONDS = 0.25
"""About how long commits wait before some are let go: a slot is made only when all writers of before have ended."""

_WRITES = (
    "UPDATE things SET version = nextval('versions'), note = %(note)s WHERE id = %(id)s",
    """UPDATE things SET version = nextval('versions'),
           part_of = (SELECT id FROM things WHERE id = %(other)s FOR KEY SHARE) WHERE id = %(id)s""",
    "DELETE FROM things WHERE id = %(id)s",
    """INSERT INTO things VALUES (%(id)s, nextval('versions'), NULL, %(note)s)
       ON CONFLICT (id) DO UPDATE SET version = excluded.version""",
)
_WEIGHTS = (5, 3, 1, 4)
_WRITER = "soak writer"
_END_WAITS = (
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
    " WHERE wait_event = 'SyncRep' AND application_name = %(writer)s AND random() < %(part)s"
)
_SWITCHED = 0.2
"""How often the standby is not required for a moment, instead."""

_TOLD_EVERY = 50
_DAMAGE = "MATCH (n:Thing {id: $id}) SET n.note = 'damaged'"
_VERSIONS = "MATCH (n:Thing) RETURN n.id AS id, n.version AS version"


@dataclass(slots=True)
class Outcome:
    """What was seen. `hidden` are looks at a graph ahead of the tables, `faults` what was wrong."""

    repairs: int = 0
    writes: int = 0
    waits_ended: int = 0
    looks: int = 0
    hidden: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Fire:
    """One run of `repairs` repairs on a server of its own: settings of the whole server are changed."""

    stream: Stream
    repairs: int
    seed: int
    say: Say
    outcome: Outcome = field(default_factory=Outcome)
    _begun: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _newest: dict[int, int] = field(default_factory=dict)

    async def run(self) -> Outcome:
        """Fill, follow, write, repair; at the end the oracle compares."""
        stream, outcome = self.stream, self.outcome
        stream.execute(SCHEMA.format(rows=ROWS))
        stream.mapping.write_text(MAPPING)
        daemon = stream.run()
        daemon.wait_line("streaming", PATIENCE)
        started = time.monotonic()
        async with self._ruling() as ruler:
            await _require_standby(ruler, there=True)
            async with asyncio.TaskGroup() as around:
                around.create_task(self._release(random.Random(f"{self.seed} release"), ruler))
                around.create_task(self._look())
                try:
                    await self._write_and_repair()
                finally:
                    self._quiet.set()
            await _require_standby(ruler, there=False)
        outcome.seconds = time.monotonic() - started
        try:
            await asyncio.to_thread(stream.wait_current, PATIENCE)
            await asyncio.to_thread(stream.assert_equal)
        except (AssertionError, TimeoutError) as error:
            outcome.faults.append(f"at the end: {error}")
        if not daemon.running:
            outcome.faults.append(f"the stream ended: {daemon.said[-2000:]}")
        return outcome

    async def _write_and_repair(self) -> None:
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                writers.create_task(self._write(random.Random(f"{self.seed} writer {number}")))
            try:
                async with asyncio.TaskGroup() as askers:
                    for number in range(ASKERS):
                        askers.create_task(self._ask(random.Random(f"{self.seed} asker {number}")))
            finally:
                self._over.set()

    @asynccontextmanager
    async def _ruling(self) -> AsyncIterator[psycopg.AsyncConnection]:
        # A session that waits for no standby.
        async with await psycopg.AsyncConnection.connect(
            self.stream.postgres.dsn, autocommit=True, options="-c synchronous_commit=local"
        ) as session:
            yield session

    async def _write(self, draw: random.Random) -> None:
        async with await psycopg.AsyncConnection.connect(self.stream.postgres.dsn, application_name=_WRITER) as session:
            while not self._over.is_set():
                key, other = draw.randint(1, ROWS), draw.randint(1, ROWS)
                drawn = {"id": key, "other": other, "note": f"n{draw.random()}"}
                try:
                    # Whoever has a row's turn keeps it until its commit is over, so that each row's versions grow.
                    await session.execute("SELECT pg_advisory_xact_lock(%s)", [key])
                    await session.execute(draw.choices(_WRITES, _WEIGHTS)[0], drawn)
                    await session.commit()
                except (psycopg.errors.DeadlockDetected, psycopg.errors.QueryCanceled):
                    await session.rollback()
                else:
                    self.outcome.writes += 1

    async def _release(self, draw: random.Random, ruler: psycopg.AsyncConnection) -> None:
        """End waits now and then: of some, of all, or of all that come for a moment."""
        while not self._quiet.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), draw.uniform(0.2, 1.8) * _RELEASE_SECONDS)
            if draw.random() < _SWITCHED:
                await _require_standby(ruler, there=False)
                await _require_standby(ruler, there=True)
                continue
            part = draw.choice([0.5, 1.0])
            ended = await ruler.execute(_END_WAITS, {"part": part, "writer": _WRITER})
            self.outcome.waits_ended += ended.rowcount

    async def _look(self) -> None:
        """Look at the graph under the checkpoint's lock, again and again: no version may be less than it was."""
        stream, outcome = self.stream, self.outcome
        async with self._ruling() as session, stream.neo4j.driver() as driver, driver.session() as graph:
            while not self._quiet.is_set():
                found = await graph.execute_write(_versions, stream.name)
                shown = dict(await (await session.execute("SELECT id, version FROM things")).fetchall())
                outcome.looks += 1
                outcome.hidden += any(shown.get(key, 0) < version for key, version in found.items())
                for key, version in found.items():
                    if version < self._newest.get(key, 0):
                        outcome.faults.append(f"thing {key} went back from version {self._newest[key]} to {version}")
                self._newest |= found

    async def _ask(self, draw: random.Random) -> None:
        """Damage a row's node and have it repaired, one after the other, until there were enough."""
        settings = settings_of(self.stream)
        async with self.stream.neo4j.driver() as driver:
            while self._begun < self.repairs and not self.outcome.faults:
                self._begun += 1
                key = draw.randint(1, ROWS)
                await driver.execute_query(_DAMAGE, id=key)
                try:
                    await repair(settings, {_TABLE: frozenset([(str(key),)])}, timeout=PATIENCE)
                except GpmCdcError as error:
                    self.outcome.faults.append(f"a repair failed: {error}")
                    return
                self.outcome.repairs += 1
                if self.outcome.repairs % _TOLD_EVERY == 0:
                    self.say(f"      {self.outcome.repairs} repairs, {self.outcome.writes} commits of writers")


async def _versions(transaction: neo4j.AsyncManagedTransaction, stream: str) -> dict[int, int]:
    await (await transaction.run(LOCKED_CHECKPOINT, stream=stream)).consume()
    return {row["id"]: row["version"] async for row in await transaction.run(_VERSIONS)}


async def _require_standby(ruler: psycopg.AsyncConnection, *, there: bool) -> None:
    """Let commits wait for a standby that does not exist, or for none."""
    name = "absent" if there else ""
    await ruler.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'".encode())
    await ruler.execute("SELECT pg_reload_conf()")
