"""`gpm-cdc demo` as a person runs it: what it shows, what it leaves, and how it ends when something happens to it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

_SECONDS = 240
"""A bound for busy machines; on two idle cores the tour takes about one minute."""

_LOADING = "follows Postgres's log"
"""What the tour says when `gpm-cdc run` runs and the application begins to load."""

pytestmark = pytest.mark.timeout(2 * _SECONDS)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files that the user of Postgres can enter."""
    directory = Path(tempfile.mkdtemp(prefix="gpm-demo-test-"))
    directory.chmod(0o711)
    yield directory
    for process in _processes(directory):
        process.kill()
    shutil.rmtree(directory, ignore_errors=True)


def _processes(directory: Path) -> list[psutil.Process]:
    """Every process that was started for the tour in `directory`, ourselves and the tour excepted."""
    found = []
    for process in psutil.process_iter():
        try:
            named = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(directory) in text for text in named):
            found.append(process)
    return found


@contextmanager
def _demo(place: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running tour; its output is one pipe. Foreign settings must not lead it to servers of the user's own."""
    environment = {**os.environ, "TMPDIR": str(place), "GPM_POSTGRES_DSN": "host=127.0.0.1 port=1", "PGPORT": "1"}
    command = [sys.executable, "-m", "gpm_cdc", "demo", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=place
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            return read
    pytest.fail(f"the tour ended without {text!r}:\n{read}")


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.long
def test_tour_ends_clean_and_leaves_nothing(place: Path) -> None:
    """Every part shows its result, the last line is the verdict, and no file and no process is left."""
    with _demo(place) as process:
        output, _ = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, output
    assert output.splitlines()[-1] == "verify: clean"
    for part in (
        "gpm-cdc map --models gpm_cdc.codegraph:Base",
        "(:Definition)-[:CALLS]->(:Definition)",
        "definitions and",
        "nodes and",
        "12 edits",
        "MATCH (caller)-[:CALLS]->+(f:Definition)",
        "WITH RECURSIVE",
        "public.code_call",
        "What to try next",
    ):
        assert part in output
    assert output.count("Both give the same") == 3
    assert list(place.iterdir()) == []
    assert _processes(place) == []


@pytest.mark.long
def test_broken_off_tour_leaves_nothing(place: Path) -> None:
    """SIGTERM in the middle of it stops everything that it started, also what --keep would have left."""
    with _demo(place, "--keep") as process:
        _read_until(process, _LOADING)
        process.terminate()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "Stopped." in output
    assert list(place.iterdir()) == []
    _wait(lambda: _processes(place) == [])


@pytest.mark.long
def test_failing_tour_says_what_and_where(place: Path) -> None:
    """When `gpm-cdc run` dies, the tour stops, names it and its log, and leaves the logs of the servers too."""
    with _demo(place) as process:
        _read_until(process, _LOADING)
        (daemon,) = [each for each in _processes(place) if each.cmdline()[-2:] == ["gpm_cdc", "run"]]
        daemon.kill()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "'gpm-cdc run' ended with signal 9" in output
    (directory,) = place.iterdir()
    assert str(directory / "run.log") in output
    assert {"run.log", "servers-neo4j.log", "servers-postgres.log"} <= {log.name for log in directory.iterdir()}
    assert not (directory / "servers").exists()
    _wait(lambda: _processes(place) == [])
