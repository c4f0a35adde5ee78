"""The files of the tour: the standard library of the interpreter that runs it."""

import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEFINITIONS: Final = 40_000
"""Modules, classes, functions and methods to stop at, about: what a machine with two cores shows in a minute."""

_FOREIGN: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})
_TESTS: Final = frozenset({"test", "tests"})
_DEFINITION: Final = re.compile(rb"^\s*(?:async\s+def|def|class)\s", re.MULTILINE)


def root() -> Path:
    """The directory of the library. A virtual environment has none of its own and uses its interpreter's."""
    return Path(sysconfig.get_path("stdlib"))


def files(definitions: int = DEFINITIONS) -> list[str]:
    """The library's sources, and as many of its own tests as fit into `definitions`; paths below `root`, with slashes.

    Not every distribution of Python brings the tests.
    """
    top = root()
    every = sorted(path.relative_to(top) for path in top.rglob("*.py"))
    own = [path for path in every if not _FOREIGN & set(path.parts)]
    chosen = [path for path in own if not _TESTS & set(path.parts)]
    room = definitions - sum(_count(top / path) for path in chosen)
    chosen += _fitting(top, (path for path in own if _TESTS & set(path.parts)), room)
    return [path.as_posix() for path in chosen]


def _fitting(top: Path, paths: Iterator[Path], room: int) -> Iterator[Path]:
    for path in paths:
        room -= _count(top / path)
        if room < 0:
            return
        yield path


def _count(path: Path) -> int:
    """Definitions in a file, about: the module, and what looks like one."""
    return 1 + len(_DEFINITION.findall(path.read_bytes()))
