"""Random edits of real Python files, as somebody at work makes them: most leave them valid, some do not."""

import ast
import random
import re
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
FILES = (
    *("json/__init__.py", "json/decoder.py", "json/encoder.py", "json/scanner.py", "textwrap.py", "graphlib.py"),
    *("collections/abc.py", "abc.py", "fnmatch.py", "bisect.py", "numbers.py", "reprlib.py", "contextlib.py"),
    *("importlib/resources/abc.py", "importlib/resources/__init__.py", "importlib/resources/_common.py"),
    *("concurrent/futures/__init__.py", "concurrent/futures/_base.py", "concurrent/futures/thread.py"),
)

type Files = dict[str, str]


def originals() -> Files:
    """The files as the interpreter brings them."""
    return {path: (LIBRARY / path).read_text(encoding="utf-8") for path in FILES if (LIBRARY / path).exists()}


def edits(files: Files, dice: random.Random) -> Iterator[Mapping[str, str | None]]:
    """One commit after the other, without end; `files` holds the texts as they are after each."""
    kinds: tuple[tuple[Callable[[Files, random.Random], Mapping[str, str | None]], int], ...] = (
        (_rename, 6), (_delete_definition, 5), (_add_definition, 5), (_duplicate, 3), (_add_import, 4),
        (_touch, 2), (_break, 2), (_restore, 5), (_move, 2), (_delete_file, 2), (_several, 2),
    )  # fmt: skip
    while True:
        kind = dice.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        change = kind(files, dice)
        for path, text in change.items():
            if text is None:
                files.pop(path, None)
            else:
                files[path] = text
        yield change


def _any(files: Files, dice: random.Random) -> str:
    return dice.choice(sorted(files)) if files else "empty.py"


def _spans(text: str) -> list[tuple[str, int, int, int]]:
    """Name, first and last line, and column of each definition."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    return [
        (node.name, node.lineno, node.end_lineno or node.lineno, node.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list
    ]


def _rename(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    spans = _spans(files.get(path, ""))
    if not spans:
        return {}
    old = dice.choice(spans)[0]
    text = re.sub(rf"\b{old}\b", f"{old.rstrip('0123456789')}{dice.randrange(4)}", files[path])
    return {path: text}


def _delete_definition(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    spans = _spans(files.get(path, ""))
    if not spans:
        return {}
    _, first, last, column = dice.choice(spans)
    lines = files[path].split("\n")
    return {path: "\n".join([*lines[: first - 1], f"{' ' * column}pass", *lines[last:]])}


def _add_definition(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    called = dice.choice(("json.loads", "dedent", "bisect.bisect", "Future", "self.run", "JSONDecoder", "added0"))
    name = f"added{dice.randrange(3)}"
    text = dice.choice(
        (
            f"\ndef {name}(x):\n    return {called}(x) or {called}()\n",
            f"\nclass {name}({called}):\n    def run(self):\n        return self.run() + {called}(1)\n",
            f"\nif True:\n    def {name}(): pass\nelse:\n    class {name}: pass\n",
        )
    )
    return {path: files.get(path, "") + text}


def _duplicate(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    spans = _spans(files.get(path, ""))
    if not spans:
        return {}
    _, first, last, _ = dice.choice(spans)
    lines = files[path].split("\n")
    return {path: "\n".join([*lines[:last], *lines[first - 1 : last], *lines[last:]])}


def _add_import(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    line = dice.choice(
        (
            *("import json", "from json import *", "import json.decoder as dec", "from json import loads as added1"),
            *("from textwrap import dedent", "from bisect import bisect as added2", "from . import thread"),
            *("from concurrent.futures import Future", "import abc as bisect", "from nowhere import added0"),
        )
    )
    return {path: f"{line}\n{files.get(path, '')}"}


def _touch(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    return {path: f"{files.get(path, '')}# {dice.random()}\n"}


def _break(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    return {path: f"{files.get(path, '')}\nprint((\n"}


def _restore(_: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = dice.choice(FILES)
    return {path: (LIBRARY / path).read_text(encoding="utf-8")} if (LIBRARY / path).exists() else {}


def _move(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    path = _any(files, dice)
    new = dice.choice(("json/moved.py", "moved/__init__.py", "json.py", "bisect/__init__.py"))
    return {path: None, new: files[path]} if path in files and new != path else {}


def _delete_file(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    return {_any(files, dice): None}


def _several(files: Files, dice: random.Random) -> Mapping[str, str | None]:
    """Some changes in one commit, of different files."""
    return {
        **_rename(files, dice),
        **_add_definition(files, dice),
        **_restore(files, dice),
        **_delete_file(files, dice),
    }
