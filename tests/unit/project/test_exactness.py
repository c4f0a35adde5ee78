"""The parts of the history machine that need no server: what is drawn, kept, made small and counted."""

import time
from pathlib import Path
from typing import override

import pytest

from gpm_cdc.mapping.text import parse
from tests.exactness import ledger
from tests.exactness.histories import HISTORIES_PER_SCHEMA, draw_history
from tests.exactness.ledger import Record
from tests.exactness.machine import Machine, Outcome
from tests.exactness.running import Budget, Different, run_seed
from tests.exactness.script import Compare, Script, Transaction
from tests.exactness.shrinking import shrink
from tests.oracle.mapping_file import read_mapping


@pytest.mark.parametrize("number", range(20))
def test_a_drawn_history_can_be_read_again(number: int) -> None:
    """The same seed draws the same script, its mapping is one for package and oracle, and a dump loads equal."""
    script = draw_history(f"unit.{number}", 15, prepared=True)
    assert draw_history(f"unit.{number}", 15, prepared=True) == script
    assert len(parse(script.mapping, where="drawn").nodes) == len(read_mapping(script.mapping).nodes)
    assert Script.load(script.dump()) == script
    assert "PREPARE" not in draw_history(f"unit.{number}", 15, prepared=False).sql()


def test_neighbours_have_their_schema_in_common_and_nothing_else() -> None:
    """Neo4j's plans serve several histories; their statements are drawn each for itself, and the next schema too."""
    scripts = [draw_history(f"unit.{number}", 15, prepared=True) for number in range(HISTORIES_PER_SCHEMA + 1)]
    *neighbours, next_one = [(script.schema, script.mapping) for script in scripts]
    assert len(set(neighbours)) == 1
    assert next_one != neighbours[0]
    assert len({script.steps for script in scripts}) == len(scripts)


async def test_a_failing_history_shrinks_to_what_it_fails_with() -> None:
    """Steps, statements and parts of statements that do not matter are dropped."""
    steps = tuple(Transaction(tuple(f"a{step}{place}; b{step}{place}" for place in range(4))) for step in range(9))
    script = draw_history("unit.0", 15, prepared=False).with_steps((*steps, Compare()))

    async def fails(candidate: Script) -> bool:
        text = candidate.sql()
        return "b31" in text and "a62" in text

    small = await shrink(script, fails, seconds=10)
    assert small.steps == (Transaction(("b31",)), Transaction(("a62",)))


async def test_a_failure_tells_the_seed_and_the_script(tmp_path: Path) -> None:
    """The message alone replays it: the script in it is the one that was kept."""

    class Failing(Machine):
        @override
        async def run(self, script: Script) -> Outcome:
            message = f"another graph, {len(script.steps)} steps"
            raise AssertionError(message)

    failing = object.__new__(Failing)
    budget = Budget(1, time.monotonic() + 60, shrinking=1.0)
    with pytest.raises(Different) as caught:
        await run_seed(failing, Record(18, "4711"), budget, lambda _: None, tmp_path)
    told = str(caught.value)
    kept = tmp_path / "4711.0-18.json"
    assert "history 4711.0 on Postgres 18: another graph" in told
    assert "GPM_TEST_EXACTNESS_SEED=4711" in told
    assert f"make exactness SCRIPT={kept}" in told
    dump = told.partition(f"-- what {kept} holds:\n")[2]
    assert Script.load(dump) == Script.load(kept.read_text(encoding="utf-8"))
    assert Script.load(dump).origin == "4711.0"


def test_the_ledger_goes_on_with_a_seed_and_sums_per_version(tmp_path: Path) -> None:
    """A record takes the place of the one of its version and seed; the page sums the seeds of a version."""
    path = tmp_path / "ledger.json"
    record = Record(17, "7")
    record.add(Outcome(transactions=30, comparisons=9), 2.0)
    ledger.write(record, path)
    record.add(Outcome(transactions=12, comparisons=4), 1.0)
    ledger.write(record, path)
    ledger.write(Record(17, "8", histories=1, transactions=100), path)
    assert ledger.read(path)[0] == record
    assert "| 17 | 3 | 142 | 13 | 0 | 0 | 0 | 0.00 |" in path.with_suffix(".md").read_text()
