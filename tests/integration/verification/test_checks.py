"""Every check of a pass, switched off once: what it is there for, and that a test notices its absence.

A row of `CHECKS` is a check, how its function is taken out of it, and a scenario that has the first verdict with the
check, which is true, and the second without it, which is false. The scenarios act between steps of the pass, so that
each does the same every time. `REDUNDANT` are those that others stand behind: the verdict stays true without them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime import reference, verify
from gpm_cdc.verification.report import Verdict
from tests.integration.verification import switches
from tests.integration.verification.conftest import MAPPING, SCHEMA, World
from tests.integration.verification.meddling import Meddler
from tests.integration.verification.scenarios import (
    BEHIND,
    CHANGED,
    CHANGED_LAZILY,
    CHECKPOINT,
    EMPTIED,
    LATER_ROWS,
    PARENT_TO_COME,
    RENAMED,
    RENAMED_UNPUBLISHED,
    REPUBLISHED,
    REWRITTEN,
    UNPUBLISHED,
    WRONG,
    Patch,
    Scenario,
    by_halves,
    checkpoint_with,
    cypher,
    damaging,
    orphan,
)


@dataclass(frozen=True)
class Check:
    """One check, and what it keeps the verdict from."""

    name: str
    disabled: tuple[Patch, ...]
    scenario: Scenario
    true: Verdict
    false: Verdict


@dataclass(frozen=True)
class Redundant:
    """A check without which the verdict of a scenario stays true, and what stands behind it."""

    name: str
    disabled: tuple[Patch, ...]
    scenario: Scenario
    true: Verdict
    behind: str


def damaged(text: str) -> Scenario:
    """The graph is wrong all the time."""
    return Scenario(before=damaging(text))


EDGE = "MATCH (p:Person {id: 2})-[:REPORTS_TO]->(q) CREATE (p)-[:REPORTS_TO]->(q)"
ORPHANED = Scenario(during=orphan, running=True)
BY_HALVES = Scenario(surroundings=by_halves)
WENT_BACK = Scenario(
    during=cypher(f"{CHECKPOINT} SET s.lsn = s.lsn - 8"), after=cypher(f"{CHECKPOINT} SET s.lsn = s.lsn + 8")
)
RELABELLED = "MATCH (p:Person {id: 2}) REMOVE p:Clerk SET p:Boss"
RETYPED = "MATCH (p:Person {id: 2}) SET p.boss = 1.0"
ALL_OF_TABLES = (switches.unmoved_while_read, switches.unmoved_in_the_end)
COMMITTED = switches.consistent_if(lambda found: found.position.ordinal == 0)
WHOLE = switches.consistent_if(lambda found: found.phase == "streaming")
MAPPING_HASH, SYSTEM = map(switches.taken_for_same, ("mapping_hash", "system_identifier"))
OTHER_MAPPING = checkpoint_with("mapping_hash", "'another'")
OTHER_SOURCE = checkpoint_with("system_identifier", "'7'")

CHECKS = (
    # What is in flight.
    Check("a changed row is in flight", (switches.without_own_row,), CHANGED, "clean", "drift"),
    Check("a relationship is with its end", (switches.without_ends,), ORPHANED, "clean", "drift"),
    Check("also with one that comes", (switches.without_ends_found,), PARENT_TO_COME, "clean", "drift"),
    # What has to be known before anything is judged.
    Check("changes are followed first", (switches.without_draining,), CHANGED_LAZILY, "clean", "drift"),
    Check("as far as rows were read", (switches.without_latest,), LATER_ROWS, "inconclusive", "drift"),
    Check("a difference is read under the lock", (switches.without_second_reading,), BY_HALVES, "clean", "drift"),
    Check("the graph is at the position", (switches.without_waiting,), BEHIND, "inconclusive", "drift"),
    Check("or nothing is left for it", (switches.without_looking,), BEHIND, "inconclusive", "drift"),
    # It is one and the same graph all the time.
    Check("it has not gone back", (switches.without_going_back,), WENT_BACK, "inconclusive", "clean"),
    Check("it is not being filled", (COMMITTED,), checkpoint_with("phase", "'rereading'"), "inconclusive", "drift"),
    Check("nor in a transaction", (WHOLE,), checkpoint_with("ordinal", "1"), "inconclusive", "drift"),
    Check("it is of the same mapping", (MAPPING_HASH,), OTHER_MAPPING, "inconclusive", "drift"),
    Check("it is of the same source", (SYSTEM,), OTHER_SOURCE, "inconclusive", "drift"),
    # Snapshot and changes tell everything of the tables.
    Check("tables are what they were", ALL_OF_TABLES, REWRITTEN, "inconclusive", "drift"),
    Check("and published", (*ALL_OF_TABLES, switches.without_publication), UNPUBLISHED, "inconclusive", "drift"),
    Check("without a gap", (switches.unmoved_in_the_end,), REPUBLISHED, "inconclusive", "drift"),
    # From one round to the next.
    Check(
        "an emptied table is compared anew",
        (switches.without_truncates, switches.unmoved_in_the_end),
        EMPTIED,
        "clean",
        "drift",
    ),
    Check("an open row keeps its trace", (switches.without_following,), RENAMED, "drift", "clean"),
    Check("also over a gap", (switches.unmoved_in_the_end,), RENAMED_UNPUBLISHED, "drift", "clean"),
    # What counts as equal.
    Check("types count", (switches.without_types,), damaged(RETYPED), "drift", "clean"),
    Check("everything is there once", (switches.without_duplicates,), damaged(EDGE), "drift", "clean"),
    Check("digests are sums", (switches.with_xor,), damaged(f"{EDGE}, (p)-[:REPORTS_TO]->(q)"), "drift", "clean"),
    Check("digests are compared", (switches.without_buckets,), damaged(WRONG), "drift", "clean"),
    Check("labels count", (switches.without_labels,), damaged(RELABELLED), "drift", "clean"),
    Check("nodes without key count", (switches.without_keyless,), damaged("CREATE (:Visit {at: 1})"), "drift", "clean"),
)

REDUNDANT = (
    Redundant(
        "the checkpoint is read under its lock",
        (switches.without_lock,),
        CHANGED_LAZILY,
        "clean",
        "the second reading takes the lock itself, and the changes are followed to where it was",
    ),
    Redundant(
        "changes are followed to the position",
        (switches.without_position,),
        CHANGED_LAZILY,
        "clean",
        "no row is read as of an earlier one",
    ),
    Redundant(
        "tables are looked at with each snapshot",
        (switches.unmoved_while_read,),
        REWRITTEN,
        "inconclusive",
        "they are in the end",
    ),
    Redundant(
        "tables are looked at in the end",
        (switches.unmoved_in_the_end,),
        REWRITTEN,
        "inconclusive",
        "they are with each snapshot, but one may be the last",
    ),
    Redundant(
        "the publication fits in the end",
        (switches.without_publication,),
        UNPUBLISHED,
        "inconclusive",
        "it is part of what a table is",
    ),
    Redundant(
        "emptied tables are known",
        (switches.without_truncates,),
        EMPTIED,
        "clean",
        "they have other files",
    ),
    Redundant(
        "the name is in a facet's hashes",
        (switches.without_names,),
        CHANGED,
        "clean",
        "each facet has buckets of its own; the checksum of a table needs the name",
    ),
)


@pytest.fixture
def world_of(world: World) -> Callable[[Scenario], Awaitable[World]]:
    """Makes the world of a scenario."""

    async def make(scenario: Scenario) -> World:
        made = replace(world, mapping=parse(scenario.mapping, where="gpm-cdc.toml"))
        async with await made.database.connect() as connection:
            await connection.execute(SCHEMA.encode())
            if scenario.mapping != MAPPING:
                await connection.execute("ALTER TABLE people DROP CONSTRAINT people_boss_fkey")
        await made.caught_up()
        return made

    return make


def meeting_between(world: World, scenario: Scenario, turn: int, patch: pytest.MonkeyPatch) -> None:
    """Have `between` done before the second reference is made."""
    opened: list[int] = []
    open_reference = reference.open_reference

    def open_after(*arguments: Any, **options: Any) -> AbstractAsyncContextManager[Any]:  # noqa: ANN401 - as open_reference
        opened.append(turn)
        if len(opened) == 2:
            scenario.between(world, turn)
        return open_reference(*arguments, **options)

    patch.setattr(verify, "open_reference", open_after)


async def verdict_of(world: World, scenario: Scenario, turn: int, disabled: Sequence[Patch]) -> Verdict:
    """What a pass says in this turn."""
    await asyncio.to_thread(scenario.before, world, turn)
    if scenario.caught_up:
        await world.caught_up()
    with pytest.MonkeyPatch.context() as patch:
        scenario.surroundings(patch)
        meeting_between(world, scenario, turn, patch)
        for switch in disabled:
            switch(patch)
        async with world.running() if scenario.running else nullcontext():
            meddler = Meddler(lambda: scenario.during(world, turn))
            report = await asyncio.to_thread(lambda: asyncio.run(world.verify(observer=meddler, **scenario.orders)))
    await asyncio.to_thread(scenario.after, world, turn)
    print(turn, report.verdict, list(report.findings)[:3], report.unsettled[:2])  # noqa: T201 - for who looks at a failure
    return report.verdict


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_without_a_check_the_verdict_is_false(
    check: Check, world_of: Callable[[Scenario], Awaitable[World]]
) -> None:
    """In the same scenario it is true with the check."""
    world = await world_of(check.scenario)
    assert await verdict_of(world, check.scenario, 1, ()) == check.true
    assert await verdict_of(world, check.scenario, 2, check.disabled) == check.false


@pytest.mark.parametrize("check", REDUNDANT, ids=lambda check: check.name)
async def test_what_another_check_stands_behind(
    check: Redundant, world_of: Callable[[Scenario], Awaitable[World]]
) -> None:
    """Without it alone the verdict stays true."""
    world = await world_of(check.scenario)
    assert await verdict_of(world, check.scenario, 1, check.disabled) == check.true
