"""python -m tests.mutation: mutants of the projection and of the Cypher, and which tests notice them."""

import os
import random
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

from tests.mutation import page, standing
from tests.mutation.killing import Verdict, judge, texts
from tests.mutation.mutating import ROOT, Mutant, sample

MODULES = (
    "gpm_cdc.projection.batch",
    "gpm_cdc.projection.coalesce",
    "gpm_cdc.projection.plan",
    *(
        f"gpm_cdc.cypher.{name}"
        for name in (
            "apply",
            "edges",
            "nodes",
            "relationships",
            "statement",
            "pieces",
            "expressions",
            "loading",
        )
    ),
)
COUNT = "220"
CYPHER = ("tests/unit/cypher/test_statements.py",)
PROJECTION = (*CYPHER, *(f"tests/unit/projection/test_{name}.py" for name in ("batch", "coalesce", "plan")))
INTEGRATION = tuple(
    f"tests/integration/core/test_{name}.py"
    for name in ("examples", "ends", "plans", "copies", "numbers", "wide_deletes", "hands")
)
UNIT_SECONDS, INTEGRATION_SECONDS = 300.0, 1_200.0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Court:
    """Judges mutants: the quickest tests first. The servers start for the first mutant that the others let through."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._named: Mapping[str, str] | None = None

    def quick(self, mutant: Mutant | None) -> Verdict:
        """What the unit tests say."""
        tests = CYPHER if mutant is not None and ".cypher." in mutant.module else PROJECTION
        first = texts(mutant, UNIT_SECONDS)
        return first if first.killer else _after(first, judge(mutant, tests, {}, UNIT_SECONDS))

    def whole(self, mutant: Mutant) -> Verdict:
        """What all tests say."""
        first = self.quick(mutant)
        return first if first.killer else _after(first, self._on_servers(mutant))

    def _on_servers(self, mutant: Mutant | None) -> Verdict:
        if self._named is None:
            self._named = self._stack.enter_context(standing.servers())
            _require(self._on_servers(None))
        return judge(mutant, INTEGRATION, self._named, INTEGRATION_SECONDS)


def _after(first: Verdict, second: Verdict) -> Verdict:
    return replace(second, seconds=first.seconds + second.seconds)


def _require(untouched: Verdict) -> None:
    if untouched.killer:
        message = f"without any mutant {untouched.killer} fails: {untouched.error}"
        raise SystemExit(message)


def main() -> int:
    """Exit 1 when a mutant lives without an explanation, or the tests fail without any mutant."""
    seed = os.environ.get("GPM_TEST_MUTATION_SEED") or str(random.SystemRandom().randrange(1, 1_000_000))
    drawn = sample(MODULES, int(os.environ.get("GPM_TEST_MUTATION_COUNT") or COUNT), seed)
    _say(f"seed {seed}: {len(drawn)} mutants")
    known = page.explanations()
    os.chdir(ROOT)
    verdicts: list[tuple[Mutant, Verdict]] = []
    with ExitStack() as stack:
        court = _Court(stack)
        _require(court.quick(None))
        for number, mutant in enumerate(drawn, start=1):
            verdict = court.quick(mutant) if mutant.name in known else court.whole(mutant)
            verdicts.append((mutant, verdict))
            told = f"killed by {verdict.killer}" if verdict.killer else "LIVES"
            _say(f"{number:4} {verdict.seconds:6.1f} s  {told}  line {mutant.line} of {mutant.name}")
            page.write(seed, verdicts)
    unexplained = page.unexplained(verdicts)
    for mutant in unexplained:
        _say(f"lives without an explanation in {page.EXPLANATIONS.name}: {mutant.name}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
