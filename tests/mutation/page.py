"""docs/mutation.md: what was drawn, what died, and why the rest lives."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.killing import EXAMPLES, Verdict
from tests.mutation.mutating import ROOT, Mutant

PAGE = ROOT / "docs" / "mutation.md"
EXPLANATIONS = Path(__file__).with_name("survivors.toml")

_HEAD = """# Mutation: which mistakes the tests notice

`make mutation` makes small mistakes, one at a time, in the projection, the coalescing and the Cypher, and runs tests
of `make test` against each until one fails: the unit tests first, then those of tests/integration/core. The seed
decides which mistakes. Property tests that do not say otherwise get {examples} examples each. A mutant that lives needs
an explanation in tests/mutation/survivors.toml; one that has it there is spared the servers and counts as alive.

Seed {seed}: {count} mutants, {killed} killed ({share:.1f} %), {seconds:.0f} seconds.
"""


def explanations() -> dict[str, str]:
    """Why mutants live, by their names."""
    found = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8")) if EXPLANATIONS.exists() else {}
    return {entry["mutant"]: entry["why"] for entry in found.get("survivor", ())}


def unexplained(verdicts: Sequence[tuple[Mutant, Verdict]]) -> list[Mutant]:
    """The mutants that live, and nobody knows why."""
    known = explanations()
    return [mutant for mutant, verdict in verdicts if not verdict.killer and mutant.name not in known]


def write(seed: str, verdicts: Sequence[tuple[Mutant, Verdict]]) -> None:
    """Render the page."""
    PAGE.write_text(render(seed, verdicts), encoding="utf-8")


def render(seed: str, verdicts: Sequence[tuple[Mutant, Verdict]]) -> str:
    """The page for these verdicts."""
    killed = [verdict for _, verdict in verdicts if verdict.killer]
    seconds = sum(verdict.seconds for _, verdict in verdicts)
    share = 100 * len(killed) / max(len(verdicts), 1)
    head = _HEAD.format(
        examples=EXAMPLES, seed=seed, count=len(verdicts), killed=len(killed), share=share, seconds=seconds
    )
    return "\n".join([head, *_modules(verdicts), "", *_killers(killed), "", *_living(verdicts)]) + "\n"


def _modules(verdicts: Sequence[tuple[Mutant, Verdict]]) -> list[str]:
    every = Counter(mutant.module for mutant, _ in verdicts)
    dead = Counter(mutant.module for mutant, verdict in verdicts if verdict.killer)
    lines = ["| module | mutants | killed |", "|---|---:|---:|"]
    return lines + [f"| {module} | {count} | {dead[module]} |" for module, count in sorted(every.items())]


def _killers(killed: Sequence[Verdict]) -> list[str]:
    files = Counter(verdict.killer.partition("::")[0] for verdict in killed)
    lines = ["| killed by a test of | mutants |", "|---|---:|"]
    return lines + [f"| {name} | {count} |" for name, count in files.most_common()]


def _living(verdicts: Sequence[tuple[Mutant, Verdict]]) -> list[str]:
    known = explanations()
    lines = ["## Those that live", ""]
    for mutant, verdict in verdicts:
        if not verdict.killer:
            lines.append(f"- {mutant.module}, `{mutant.function}`: `{mutant.before}` becomes `{mutant.after}`.")
            lines.append(f"  {known.get(mutant.name, 'Not explained yet.')}")
    return lines if len(lines) > 2 else [*lines, "None."]
