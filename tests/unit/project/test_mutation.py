"""The parts of the mutation runner that need no fork: the mistakes, the sample, the page."""

import ast

from tests.mutation import page
from tests.mutation.__main__ import MODULES
from tests.mutation.killing import Verdict
from tests.mutation.mutating import mutants, path_of, sample


def test_every_mutant_is_a_program_and_differs_from_the_module() -> None:
    """One that does not compile, or changes nothing, would say nothing about the tests."""
    drawn = sample(MODULES, 60, "unit")
    for mutant in drawn:
        tree = mutant.tree()
        compile(tree, mutant.module, "exec")
        assert ast.dump(tree) != ast.dump(ast.parse(path_of(mutant.module).read_text(encoding="utf-8"))), mutant.name
        assert mutant.before != mutant.after


def test_a_seed_draws_the_same_mutants_from_every_module() -> None:
    """A run can be repeated, and none of the modules is left out of the draw."""
    assert sample(MODULES, 40, "1") == sample(MODULES, 40, "1")
    assert sample(MODULES, 40, "1") != sample(MODULES, 40, "2")
    assert {mutant.module for mutant in mutants(MODULES)} == set(MODULES)


def test_the_page_counts_and_names_those_that_live() -> None:
    """Whoever lives without an explanation is told so."""
    dead, living = sample(MODULES, 2, "unit")
    verdicts = [(dead, Verdict("tests/a.py::test", "E", 1.0)), (living, Verdict("", "", 2.0))]
    text = page.render("7", verdicts)
    assert "Seed 7: 2 mutants, 1 killed (50.0 %), 3 seconds" in text
    assert f"`{living.before}` becomes `{living.after}`" in text
    assert page.unexplained(verdicts) == [living]
