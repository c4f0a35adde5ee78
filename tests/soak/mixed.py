"""Mixed writes with verify running again and again, with or without changes of the schema between."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from pydantic import SecretStr

from gpm_cdc.config.settings import Settings
from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime.verify import MAX_SNAPSHOT
from tests.acceptance.stream import Stream
from tests.patience import PATIENCE
from tests.soak import tables
from tests.soak.altering import Alterations
from tests.soak.passes import Passes, Say
from tests.soak.writing import Load, Writers

LOAD = Load(mixed=36, sparing=6)
"""What two slow cores follow, with both servers and a comparison on them too."""

_SHORT_SNAPSHOT = 2.0
"""Seconds: changes of the schema come about in the middle of such a pass."""

_WRITTEN = "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: for how many seconds, and with a change of the schema about every so many (None: without)."""

    seconds: int
    seed: int
    alter_every: float | None = None
    load: Load = LOAD


@dataclass(slots=True)
class Outcome:
    """What was seen. `faults` is empty unless something was wrong."""

    seconds: float = 0.0
    passes: int = 0
    clean: int = 0
    inconclusive: int = 0
    transactions: int = 0
    given_up: int = 0
    rows: int = 0
    oldest: int = 0
    held: float = 0.0
    changes: int = 0
    faults: list[str] = field(default_factory=list)


def settings_of(stream: Stream) -> Settings:
    """What leads to both servers of `stream`."""
    return Settings(
        postgres_dsn=SecretStr(stream.postgres.dsn),
        neo4j_uri=stream.neo4j.uri,
        neo4j_user=stream.neo4j.user,
        neo4j_password=SecretStr(stream.neo4j.password),
        stream=stream.name,
    )


async def run(stream: Stream, plan: Plan, say: Say) -> Outcome:
    """Fill, follow, write, compare; at the end the oracle compares once more. `stream` has nothing yet."""
    stream.execute(*tables.statements())
    stream.mapping.write_text(tables.MAPPING)
    daemon = stream.run()
    daemon.wait_line("streaming", PATIENCE)
    mapping = parse(tables.MAPPING, where=str(stream.mapping))
    passes = Passes(settings_of(stream), mapping, say)
    before = _rows(stream)
    started = time.monotonic()
    writers = Writers(stream.postgres.dsn, stream.directory, plan.load, seconds=plan.seconds, seed=plan.seed)
    try:
        changes = await _watch(stream, plan, writers, passes)
        transactions, given_up = await asyncio.to_thread(writers.done)
    finally:
        writers.close()
    outcome = Outcome(time.monotonic() - started, transactions=transactions, given_up=given_up)
    outcome.rows = _rows(stream) - before
    outcome.changes = changes
    outcome.faults += await _end(stream, passes)
    outcome.passes, outcome.held = len(passes.made), passes.longest_held
    outcome.oldest = passes.oldest
    outcome.clean, outcome.inconclusive = passes.count("clean"), passes.count("inconclusive")
    outcome.faults += passes.faults
    if not daemon.running:
        outcome.faults.append(f"the stream ended: {daemon.said[-2000:]}")
    return outcome


def _rows(stream: Stream) -> int:
    return int(str(stream.sql(_WRITTEN)[0][0]))


async def _watch(stream: Stream, plan: Plan, writers: Writers, passes: Passes) -> int:
    """Compare for as long as there is writing; how often the schema was changed."""
    if plan.alter_every is None:
        while writers.running:
            await passes.make()
        return 0
    stop = asyncio.Event()
    changes = Alterations(stream, random.Random(plan.seed), plan.alter_every, passes.say)
    passes.excused = changes.explain
    passes.bounds = (MAX_SNAPSHOT, _SHORT_SNAPSHOT)
    altering = asyncio.create_task(changes.run(stop))
    try:
        while writers.running:
            await passes.make()
    finally:
        stop.set()
        await altering
    return len(changes.made)


async def _end(stream: Stream, passes: Passes) -> list[str]:
    """Compare once more when nobody writes: by the oracle, and by a pass."""
    faults = []
    try:
        await asyncio.to_thread(stream.wait_current, PATIENCE)
        await asyncio.to_thread(stream.assert_equal)
    except (AssertionError, TimeoutError) as error:
        faults.append(f"at the end: {error}")
    last = await passes.make()
    if last.verdict != "clean":
        faults.append(f"the last pass says {last.verdict}")
    return faults
