"""The parts of the history machine that need no server: what is drawn, kept, made small and counted."""

from pathlib import Path

import pytest

from gpm_cdc.mapping.text import parse
from tests.exactness import ledger
from tests.exactness.histories import draw_history
from tests.exactness.ledger import Record
from tests.exactness.machine import Outcome
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


async def test_a_failing_history_shrinks_to_what_it_fails_with() -> None:
    """Steps, statements and parts of statements that do not matter are dropped."""
    steps = tuple(Transaction(tuple(f"a{step}{place}; b{step}{place}" for place in range(4))) for step in range(9))
    script = draw_history("unit", 15, prepared=False).with_steps((*steps, Compare()))

    async def fails(candidate: Script) -> bool:
        text = candidate.sql()
        return "b31" in text and "a62" in text

    small = await shrink(script, fails, seconds=10)
    assert small.steps == (Transaction(("b31",)), Transaction(("a62",)))


def test_the_ledger_goes_on_with_a_seed_and_sums_per_version(tmp_path: Path) -> None:
    """A record takes the place of the one of its version and seed; the page sums the seeds of a version."""
    path = tmp_path / "ledger.json"
    record = Record(17, "7")
    record.add(Outcome(transactions=30, comparisons=9), 2.0)
    ledger.write(record, path)
    record.add(Outcome(transactions=12, comparisons=4), 1.0)
    ledger.write(record, path)
    ledger.write(Record(17, "8", histories=1, transactions=100, stops={"endpoint_taken_over": 2}), path)
    assert ledger.read(path)[0] == record
    assert "| 17 | 3 | 142 | 13 | 0 | 0 | 0 | 2 endpoint_taken_over |" in path.with_suffix(".md").read_text()
