"""What is written about the project agrees with the project."""

import re
from pathlib import Path

import click
import pytest

from gpm_cdc.cli import main as frame

_ROOT = Path(__file__).parents[3]
_PAGES = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob("examples/**/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MAKE = re.compile(r"^\s*make ([a-z]+)\b|`make ([a-z]+)\b", re.MULTILINE)
_COMMAND = re.compile(r"(?:^\s*|`)gpm-cdc ([a-z][a-z-]*)", re.MULTILINE)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_make_targets_exist(page: Path) -> None:
    """A page names only targets that the Makefile has."""
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {one or other for one, other in _MAKE.findall(page.read_text(encoding="utf-8"))}
    assert named <= targets


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_commands_exist(page: Path) -> None:
    """A page names only commands that the program has."""
    known = set(frame.cli.list_commands(click.Context(frame.cli)))
    assert set(_COMMAND.findall(page.read_text(encoding="utf-8"))) <= known


def test_decisions_are_numbered_without_gaps() -> None:
    """A decision can be cited by its number."""
    numbers = [int(page.name[:4]) for page in sorted(_ROOT.glob("docs/adr/*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
