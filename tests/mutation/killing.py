"""Runs tests against a mutant in a fork of this process: what all tests import is loaded once, the package never."""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, override

# Loaded for the forks.
import docker  # type: ignore[import-untyped]  # noqa: F401
import hypothesis
import neo4j  # noqa: F401
import psycopg  # noqa: F401
import pydantic  # noqa: F401
import pytest
import sqlalchemy  # noqa: F401
import testcontainers.community.neo4j
import testcontainers.community.postgres  # noqa: F401

from tests.mutation.mutating import Mutant, path_of

EXAMPLES = 20
"""Of each property test, a fifth of what `make test` draws: a mutant that lives longer is counted as alive."""

_QUICK: dict[str, Any] = {
    "max_examples": EXAMPLES,
    "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
    "database": None,
    "deadline": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
}
"""One failure is enough, however large; and a busy machine must not look like a dead mutant."""

_TEST_SECONDS = 120
_GRACE_SECONDS = 30.0
_TEXTS = "tests/unit/cypher/test_texts.py::test_what_is_sent_for_each_kind_of_batch"
_BROKEN = 70
"""What a fork ends with in which pytest itself failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said. `killer` is the test that failed first, empty where the mutant lives."""

    killer: str
    error: str
    seconds: float


class _Mutated(importlib.abc.MetaPathFinder):
    """Imports the one module with its mistake."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    @override
    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """As importlib says."""
        del path, target
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, path_of(fullname), loader=_Loader(self._mutant))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(path_of(mutant.module)))
        self._mutant = mutant

    @override
    def exec_module(self, module: ModuleType) -> None:
        """Run the changed tree."""
        exec(compile(self._mutant.tree(), self.path, "exec"), module.__dict__)  # noqa: S102 - our own source


class _FirstFailure:
    """A pytest plugin that keeps the name of the test that failed first."""

    def __init__(self) -> None:
        self.name = ""
        self.error = ""

    def _keep(self, name: str, text: str) -> None:
        if not self.name:
            lines = [
                line for line in text.splitlines() if line.startswith("E  ") and "+--" not in line
            ] or text.splitlines()[-1:]
            self.name, self.error = name, (lines[-1] if lines else "").removeprefix("E").strip()[:200]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """As pytest says."""
        if report.failed:
            self._keep(report.nodeid, report.longreprtext)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """As pytest says."""
        if report.failed:
            self._keep(report.nodeid, report.longreprtext)


def texts(mutant: Mutant | None, seconds: float) -> Verdict:
    """What tests/unit/cypher/test_texts.py says, without pytest, whose start takes longer than the test."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(int(seconds))
            if mutant is not None:
                sys.meta_path.insert(0, _Mutated(mutant))
            from tests.unit.cypher import batches  # noqa: PLC0415 - imports the package

            code = int(batches.text() != batches.GOLDEN.read_text(encoding="utf-8"))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Verdict(_TEXTS if code else "", f"exit {code}" if code else "", time.monotonic() - started)


def judge(mutant: Mutant | None, tests: Sequence[str], environment: Mapping[str, str], seconds: float) -> Verdict:
    """Run `tests` until the first failure, `seconds` at the most; None: against the package as it is."""
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(mutant, tests, environment, writing)
    os.close(writing)
    killer, error = _answer(reading, child, seconds)
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == _BROKEN:
        message = "pytest did not run"
        raise RuntimeError(message)
    if not killer and code:
        killer, error = "the tests as a whole", f"exit {code}"
    return Verdict(killer, error, time.monotonic() - started)


def _answer(reading: int, child: int, seconds: float) -> tuple[str, str]:
    """What the child wrote; one that does not end is interrupted, so that it tears down what it has set up."""
    for way, patience in ((signal.SIGINT, seconds), (signal.SIGKILL, _GRACE_SECONDS)):
        ready, _, _ = select.select([reading], [], [], patience)
        if ready:
            answer = os.read(reading, 65_536)
            killer, error = json.loads(answer) if answer else ("", "")
            return str(killer), str(error)
        os.kill(child, way)
    return "the tests as a whole", f"not done after {seconds:.0f} seconds"


def _child(mutant: Mutant | None, tests: Sequence[str], environment: Mapping[str, str], writing: int) -> None:
    code = _BROKEN
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.environ.update(environment)
        if mutant is not None:
            sys.meta_path.insert(0, _Mutated(mutant))
        hypothesis.settings.register_profile("mutation", **_QUICK)
        hypothesis.settings.load_profile("mutation")
        first = _FirstFailure()
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--timeout={_TEST_SECONDS}"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is loaded for the forks
        code = int(pytest.main([*options, *tests], plugins=[first]))
        os.write(writing, json.dumps([first.name, first.error]).encode())
    except BaseException:  # noqa: BLE001 - told, and the fork ends
        traceback.print_exc()
    finally:
        os._exit(code)
