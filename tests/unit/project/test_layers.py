"""The import contracts hold, and they notice what they are there for."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_CONTRACTS = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def _layers() -> list[str]:
    (contract,) = [each for each in _CONTRACTS if each["type"] == "layers"]
    return [name for line in contract["layers"] for name in line.split(" | ")]


def _copy(directory: Path) -> None:
    shutil.copytree(_ROOT / "gpm_cdc", directory / "gpm_cdc", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", directory)


def _refused(directory: Path) -> str:
    """What import-linter says about the package in `directory`, which it has to refuse."""
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", program, "--no-cache"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


_VIOLATIONS = {
    "layers": ("projection/violation.py", "from gpm_cdc.config import settings\n"),
    "pure-core": ("domain/violation.py", "import time\n"),
    "no-drivers": ("ports/violation.py", "import psycopg\n"),
    "home-of-psycopg": ("sink/violation.py", "import psycopg\n"),
    "home-of-neo4j": ("source/violation.py", "import neo4j\n"),
    "home-of-sqlalchemy": ("source/violation_orm.py", "import sqlalchemy\n"),
    "home-of-pglast": ("source/violation_ddl.py", "import pglast\n"),
    "home-of-click": ("runtime/violation.py", "import click\n"),
    "home-of-prometheus-client": ("runtime/violation_metrics.py", "import prometheus_client\n"),
    "acyclic": ("domain/violation_back.py", "from gpm_cdc.domain import violation_forth\n"),
}


def test_each_contract_notices_its_violation(tmp_path: Path) -> None:
    """A copy of the package with one forbidden import for each contract breaks every one of them."""
    _copy(tmp_path)
    names = {contract["id"]: contract["name"] for contract in _CONTRACTS}
    for path, text in (_VIOLATIONS[contract] for contract in names):
        (tmp_path / "gpm_cdc" / path).write_text(text, encoding="utf-8")
    forth = "from gpm_cdc.domain import violation_back\n"
    (tmp_path / "gpm_cdc/domain/violation_forth.py").write_text(forth, encoding="utf-8")
    said = _refused(tmp_path)
    assert [id_ for id_, name in names.items() if f"{name} BROKEN" not in said] == []


def test_new_package_needs_a_layer(tmp_path: Path) -> None:
    """A top-level package that no layer names is refused."""
    _copy(tmp_path)
    (tmp_path / "gpm_cdc/odds_and_ends.py").write_text("", encoding="utf-8")
    said = _refused(tmp_path)
    assert "odds_and_ends" in said


def _exists(package: str) -> bool:
    return (
        _ROOT.joinpath("gpm_cdc", package, "__init__.py").is_file() or _ROOT.joinpath(f"gpm_cdc/{package}.py").is_file()
    )


def test_a_layer_with_code_is_not_optional() -> None:
    """Parentheses are for layers that have no code yet; afterwards they would hide that one vanished."""
    for name in _layers():
        package = name.strip("()")
        assert _exists(package) != name.startswith("("), (
            f"{package}: {'drop' if _exists(package) else 'add'} the parentheses"
        )


_HOMES = {
    "psycopg": ["source", "sandbox", "bench"],
    "neo4j": ["sink", "sandbox", "bench"],
    "sqlalchemy": ["state", "orm", "codegraph", "demo"],
    "pglast": ["ddl"],
    "click": ["cli"],
    "prometheus_client": ["observability"],
}


@pytest.mark.parametrize("driver", _HOMES)
def test_each_driver_has_its_homes(driver: str) -> None:
    """A driver that is installed may be imported by its homes, as far as they have code, and by nothing else."""
    homes = [f"gpm_cdc.{package}" for package in _HOMES[driver] if _exists(package)]
    allowed = [each["allowed_importers"] for each in _CONTRACTS if driver in each.get("protected_modules", [])]
    assert allowed == ([homes] if homes else [])


def test_what_decides_is_kept_from_every_driver() -> None:
    """The contract covers each package that has code, and each driver that is not at home there."""
    (contract,) = [each for each in _CONTRACTS if each["id"] == "no-drivers"]
    packages = ["verification", "replication", "ports", "config", "observability"]
    assert contract["source_modules"] == [f"gpm_cdc.{package}" for package in packages if _exists(package)]
    strangers = {driver for driver, homes in _HOMES.items() if set(homes).isdisjoint(packages)}
    assert strangers <= set(contract["forbidden_modules"])


def test_layers_are_the_documented_ones() -> None:
    """The page that explains the layers lists the same ones in the same order."""
    page = (_ROOT / "docs/adr/0001-layers.md").read_text(encoding="utf-8")
    block = [line[4:] for line in page.splitlines() if line.startswith("    ")]
    documented = [name for line in block for name in line.split("  ")[0].split(" | ")]
    assert documented == [name.strip("()") for name in _layers()]
