"""Runs the histories of a seed until time or number is up; a failing one is made small and told."""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpm_cdc.errors.base import GpmCdcError
from tests.exactness.histories import draw_history
from tests.exactness.ledger import Record
from tests.exactness.machine import Machine
from tests.exactness.script import Script
from tests.exactness.shrinking import shrink

FAILURES = (AssertionError, GpmCdcError, TimeoutError)
"""What a history can fail with; anything else is a mistake of the machine."""


KEPT = Path(".exactness")
"""Where the script of a failure is left."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When to end: a number of histories of the seed, those counted before included, or a moment (time.monotonic)."""

    histories: int
    deadline: float
    shrinking: float = 300.0


class Different(AssertionError):
    """A history failed; the message has all that replays it, also where nothing else is left of the run."""


def fresh_seed() -> str:
    """A seed that depends on nothing."""
    return str(random.SystemRandom().randrange(1, 1_000_000))


async def run_seed(
    machine: Machine, record: Record, budget: Budget, report: Callable[[Record], None], kept: Path
) -> None:
    """Run the seed's histories that `record` does not count yet; Different for the first that fails.

    `report` gets the record after each; `kept` is the directory for the script of a failure.
    """
    while record.histories < budget.histories and time.monotonic() < budget.deadline:
        script = draw_history(f"{record.seed}.{record.histories}", record.version, prepared=True)
        started = time.monotonic()
        try:
            outcome = await machine.run(script)
        except FAILURES as error:
            raise await _different(machine, script, error, budget.shrinking, kept) from error
        record.add(outcome, time.monotonic() - started)
        report(record)


async def _different(machine: Machine, script: Script, error: BaseException, seconds: float, kept: Path) -> Different:
    kind = type(error)

    async def fails(candidate: Script) -> bool:
        with contextlib.suppress(*(other for other in FAILURES if other is not kind)):
            try:
                await machine.run(candidate)
            except kind:
                return True
        return False

    path = kept / f"{script.origin}-{script.version}.json"
    _keep(script, path)
    small = await shrink(script, fails, seconds=seconds)
    _keep(small, path)
    seed = script.origin.rpartition(".")[0]
    lines = (
        f"history {script.origin} on Postgres {script.version}: {error}",
        f"all histories of the seed: GPM_TEST_EXACTNESS_SEED={seed}",
        f"this one, made small: make exactness SCRIPT={path}",
        small.sql(),
        f"-- what {path} holds:",
        small.dump(),
    )
    return Different("\n".join(lines))


def _keep(script: Script, path: Path) -> None:
    """Write the script for a replay, and for people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script.dump(), encoding="utf-8")
    path.with_suffix(".sql").write_text(script.sql(), encoding="utf-8")
