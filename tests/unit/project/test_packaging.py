"""Lock files, the Python finder and the no-skips plugin."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[3]
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def _pins(name: str) -> dict[str, str]:
    return dict(_PIN.findall((_ROOT / "requirements" / name).read_text(encoding="utf-8")))


def _wanted(*lists: list[str]) -> list[Requirement]:
    return [found for each in lists for text in each if (found := Requirement(text)).name != "gpm-cdc"]


_DEPENDENCIES = _PROJECT["project"]["dependencies"]
_EXTRAS = _PROJECT["project"]["optional-dependencies"]
_BUILD = _PROJECT["dependency-groups"]["build"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("runtime.txt", _wanted(_DEPENDENCIES)),
        ("dev.txt", _wanted(_DEPENDENCIES, _EXTRAS["sandbox"], _EXTRAS["dev"], _BUILD)),
        ("build.txt", _wanted(_BUILD, _PROJECT["build-system"]["requires"])),
    ],
)
def test_lock_satisfies_the_metadata(name: str, wanted: list[Requirement]) -> None:
    """Every requirement is pinned to a version that its range allows: `make lock` was not forgotten."""
    pins = _pins(name)
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}"
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "build.txt"])
def test_lock_has_hashes_and_no_addresses(name: str) -> None:
    """Every pin is checked by its hash, and nothing says where to download from."""
    text = (_ROOT / "requirements" / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|^-|file:| @ ", text, re.MULTILINE)


def test_locks_agree() -> None:
    """The image runs the versions that the tests ran."""
    tested = _pins("dev.txt")
    for name in ("runtime.txt", "build.txt"):
        assert _pins(name).items() <= tested.items()


def _find_python(tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    surroundings = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path)} | environ
    command = ["/bin/sh", str(_ROOT / ".ci/find-python")]
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=60)


def _program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _shadowed(tmp_path: Path) -> None:
    """Hides the machine's own interpreters behind a version manager's shims, which answer and fail."""
    for name in ("python3.13", "python3.12", "python3.14", "python3", "python"):
        _program(tmp_path / "bin" / name, f"echo '{name}: command not found' >&2; exit 127")


@pytest.mark.parametrize(
    "place", [".pyenv/versions/3.12.9/bin/python", ".local/share/uv/python/cpython-3.13.1/bin/python3"]
)
def test_python_is_found_behind_shims(tmp_path: Path, place: str) -> None:
    """A shim that answers to its name and then fails is passed over; the manager's own versions are looked through."""
    _shadowed(tmp_path)
    _program(tmp_path / place, f'exec "{sys.executable}" "$@"')
    found = _find_python(tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).samefile(sys.executable)


def test_named_root_of_pyenv_is_searched(tmp_path: Path) -> None:
    """PYENV_ROOT moves the versions."""
    _shadowed(tmp_path)
    _program(tmp_path / "elsewhere/versions/3.13.0/bin/python", f'exec "{sys.executable}" "$@"')
    assert _find_python(tmp_path, PYENV_ROOT=str(tmp_path / "elsewhere")).returncode == 0


def test_missing_python_is_explained(tmp_path: Path) -> None:
    """Without a suitable Python the message says what to install and how to name one."""
    _shadowed(tmp_path)
    _program(tmp_path / ".pyenv/versions/3.12.9/bin/python", "exit 1")
    found = _find_python(tmp_path)
    assert found.returncode != 0
    assert found.stdout == ""
    assert "Python 3.12 or newer" in found.stderr
    assert "make PYTHON=" in found.stderr


def test_named_python_is_not_second_guessed(tmp_path: Path) -> None:
    """PYTHON that does not do is an error, not a hint."""
    found = _find_python(tmp_path, PYTHON=str(_program(tmp_path / "old", "exit 1")))
    assert found.returncode != 0
    assert "PYTHON=" in found.stderr
    assert _find_python(tmp_path, PYTHON=sys.executable).stdout.strip() == sys.executable


_SKIPPING = """
import pytest

def test_runs():
    "Passes."

@pytest.mark.xfail(reason="known")
def test_known():
    "Fails as expected."
    assert False
"""


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("", 0),
        ("def test_skipped():\n    pytest.skip('no server')\n", 1),
        ("pytest.skip('no server', allow_module_level=True)\n", 1),
    ],
)
def test_forbidden_skip_fails_the_run(tmp_path: Path, extra: str, code: int) -> None:
    """A skipped test or module fails the run and is named; an expected failure does not count as one."""
    (tmp_path / "test_probe.py").write_text(_SKIPPING + extra, encoding="utf-8")
    (tmp_path / "test_other.py").write_text("def test_it():\n    'Passes.'\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "--rootdir", str(tmp_path), "-c", os.devnull,
         "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path)],
        cwd=_ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert ("skipped, which this run forbids" in done.stdout) == bool(code)
