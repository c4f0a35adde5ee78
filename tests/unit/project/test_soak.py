"""What the soak calls a fault, and its page."""

import random
from pathlib import Path
from typing import Any

import pytest

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.source import PublicationMissing
from gpm_cdc.errors.verify import GraphBehind
from gpm_cdc.mapping.text import parse
from gpm_cdc.verification.report import Finding, Held, Report, Unsettled
from tests import servers
from tests.acceptance.stream import Stream
from tests.soak import page, passes as soak, tables
from tests.soak.altering import Alteration, Alterations
from tests.soak.passes import Pass, Passes

OPEN = Unsettled("public.people", {"id": 7}, "changed")
BEHIND = GraphBehind(seconds="60", position="0/1", target="0/2", detail="")


def report(*unsettled: Unsettled, findings: int = 0) -> Report:
    """A report with open questions and findings."""
    found = [Finding("public.people", "Person", "extra", {"id": 1}, (), None, None)] * findings
    return Report(Lsn(1), 1.0, (), found, unsettled, snapshots=[Held(Lsn(1), 3.0)])


async def judged(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[Report | Exception], *, excused: bool | None = None
) -> Passes:
    """Passes with these outcomes."""
    left = iter(outcomes)

    async def verify(*_: object) -> Report:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(soak, "verify", verify)
    made = Passes(Settings(), parse(tables.MAPPING, where="here"), lambda _: None)
    made.excused = None if excused is None else lambda _: excused
    for _ in outcomes:
        await made.make()
    return made


async def test_what_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean passes, and questions that are answered two passes later."""
    made = await judged(monkeypatch, [report(), report(OPEN), report(OPEN), report(), report(OPEN), BEHIND, BEHIND])
    assert made.faults == []
    assert (made.count("clean"), made.count("inconclusive"), made.oldest) == (2, 5, 1)
    assert made.longest_held == 3.0


@pytest.mark.parametrize(
    "outcomes",
    [[report(findings=1)], [report(OPEN)] * 3, [BEHIND] * 3, [PublicationMissing(publication="p", stream="s")]],
)
async def test_what_is_a_fault(monkeypatch: pytest.MonkeyPatch, outcomes: list[Report | Exception]) -> None:
    """A finding, the same question in three passes, and what a person would have to mend."""
    assert len((await judged(monkeypatch, outcomes)).faults) == 1


@pytest.mark.parametrize(
    ("excused", "outcomes", "faults"),
    [(True, [BEHIND] * 3, 0), (False, [BEHIND], 1), (False, [report(OPEN)] * 2, 0), (False, [report(OPEN)] * 3, 1)],
)
async def test_what_is_a_fault_beside_changes(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[Report | Exception], *, excused: bool, faults: int
) -> None:
    """Whoever saw a change may leave anything open, whoever saw none only single rows, and not for long."""
    assert len((await judged(monkeypatch, outcomes, excused=excused)).faults) == faults


@pytest.mark.parametrize(("started", "ended", "seen"), [(0, 9, False), (0, 11, True), (12, 13, True), (21, 22, False)])
def test_which_passes_see_a_change(started: float, ended: float, *, seen: bool) -> None:
    """Those that end after its beginning and begin before the stream has read again what it touched."""
    stream: Any = Stream("s", servers.PostgresServer(""), None, None, Path())  # type: ignore[arg-type]
    changes = Alterations(stream, random.Random(1), 1.0, lambda _: None, [Alteration("ALTER", 10, 20)])
    assert changes.explain(Pass(started, ended, None)) is seen


def test_page() -> None:
    """A section for each mode that ran."""
    numbers = dict.fromkeys(page.COLUMNS["writes"][1], 1234)
    text = page.render({"writes": {**numbers, "held": 1.25, "seed": 5, "faults": ["x"]}})
    assert "| transactions | 1,234 |" in text
    assert "Seed 5; faults: 1.\n\n- x\n" in text
    assert "## Repairs" not in text
