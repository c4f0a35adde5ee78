"""Storing sources by difference: whatever the edits were, the tables are those of a fresh load."""

import os
import random
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from gpm_cdc.codegraph import Loader, Step
from tests.integration.codegraph.edits import edits, originals

SEQUENCES = 6
EDITS = 25

_RESOLVED = """
SELECT substr(start_key, length(project) + 2), substr(end_key, length(project) + 2), occurrences
FROM {table} JOIN code_definition ON key = start_key WHERE project = :project
"""
_TABLES = {
    "code_source": "SELECT path, digest, lines, error FROM code_source WHERE project = :project",
    "code_definition": (
        "SELECT substr(key, length(project) + 2), substr(source_key, length(project) + 2),"
        " substr(parent_key, length(project) + 2), kind, name, qualname, signature, docstring, body_hash, lineno, col,"
        " end_lineno, end_col FROM code_definition WHERE project = :project"
    ),
    "code_reference": (
        "SELECT substr(definition_key, length(project) + 2), kind, name, head, occurrences FROM code_reference"
        " WHERE project = :project"
    ),
    "code_alias": (
        "SELECT substr(source_key, length(project) + 2), name, target, target_head FROM code_alias"
        " WHERE project = :project"
    ),
}


def tables(engine: Engine, project: str) -> Mapping[str, set[tuple[Any, ...]]]:
    """What is stored of a project, without its name."""
    with engine.connect() as connection:
        found = {}
        resolved = {table: _RESOLVED.format(table=table) for table in ("code_call", "code_import", "code_inheritance")}
        for table, query in (_TABLES | resolved).items():
            rows = connection.execute(text(query), {"project": project}).all()
            found[table] = {tuple(row) for row in rows}
            assert len(found[table]) == len(rows)
        return found


@pytest.mark.long
def test_any_sequence_of_edits_ends_as_a_fresh_load(engine: Engine) -> None:
    """Real files; renamings, deletions, duplicates, imports, broken syntax, moved and deleted files."""
    seed = int(os.environ.get("GPM_TEST_EDITS_SEED", "0")) or random.SystemRandom().randrange(1_000_000)
    dice = random.Random(seed)
    for sequence in range(SEQUENCES):
        files, edited = originals(), f"edited{sequence}"
        loader = Loader(engine, edited)
        loader.store(files)
        for number, change in enumerate(islice(edits(files, dice), EDITS)):
            loader.store(change)
            if number % 5 == 0 or number == EDITS - 1:
                fresh = f"fresh{sequence}_{number}"
                for path in sorted(files, key=lambda _: dice.random()):
                    Loader(engine, fresh).store({path: files[path]})
                left, right = tables(engine, edited), tables(engine, fresh)
                for table, rows in left.items():
                    assert rows ^ right[table] == set(), f"{table}: GPM_TEST_EDITS_SEED={seed}, edit {number}"
                Loader(engine, fresh).store(dict.fromkeys(files))
                assert not any(tables(engine, fresh).values())


def test_a_directory(engine: Engine, tmp_path: Path) -> None:
    """A load stores what is new or changed and takes away what has vanished, in transactions that one can watch."""
    files = originals()
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    steps: list[Step] = []
    loader = Loader(engine, "p", processes=2)
    first = loader.load(tmp_path, progress=steps.append)
    assert (first.files, first.unchanged, first.deleted) == (len(files), 0, 0)
    assert steps[-1].files == steps[-1].files_in_all == len(files)
    assert steps[-1].definitions == loader.size().definitions
    Loader(engine, "q").store(files)
    assert tables(engine, "p") == tables(engine, "q")
    again = loader.load(tmp_path)
    assert again.unchanged == len(files)
    (tmp_path / "bisect.py").unlink()
    (tmp_path / "abc.py").write_text("def f(:", encoding="utf-8")
    third = loader.load(tmp_path)
    assert (third.files, third.unchanged, third.deleted) == (len(files) - 1, len(files) - 2, 1)
    assert (loader.size().sources, loader.size().failed) == (len(files) - 1, 1)


def test_what_is_the_same_is_not_written(engine: Engine) -> None:
    """No statement that writes for unchanged files; of an edited one only the rows that differ."""
    loader = Loader(engine, "p")
    source = "class A:\n    def f(self): return g()\ndef g(): pass\n"
    loader.store({"a.py": source})
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *facts: statements.append(facts[2].split()[0]))
    unchanged = loader.store({"a.py": source})
    assert unchanged.unchanged == 1
    assert set(statements) <= {"SELECT"}
    edited = loader.store({"a.py": source.replace("pass", "g()")})
    assert (edited.written.inserted, edited.written.removed, edited.written.resolved) == (1, 0, 1)
    assert edited.written.updated == 3  # the source, its module and g


def test_a_target_that_goes_and_comes_back(engine: Engine) -> None:
    """Users of a name find it again without being stored again; so through imports of imports."""
    loader = Loader(engine, "p")
    files = {
        "lib/deep.py": "def f(): pass\nclass C:\n    def m(self): pass\n",
        "lib/__init__.py": "from .deep import f, C as D\n",
        "other.py": "from lib import f as g\n",
        "user.py": "import lib, other\ndef u():\n    lib.f(); other.g(); lib.D(); lib.D.m()\nclass E(lib.D): pass\n",
    }
    loader.store(files)
    calls = {("user.py#u", "lib/deep.py#f", 2), ("user.py#u", "lib/deep.py#C", 1), ("user.py#u", "lib/deep.py#C.m", 1)}
    assert tables(engine, "p")["code_call"] == calls
    assert tables(engine, "p")["code_inheritance"] == {("user.py#E", "lib/deep.py#C", 1)}
    loader.store({"lib/deep.py": "def f(): pass\n"})
    assert tables(engine, "p")["code_call"] == {("user.py#u", "lib/deep.py#f", 2)}
    assert tables(engine, "p")["code_inheritance"] == set()
    loader.store({"lib/deep.py": None})
    assert tables(engine, "p")["code_call"] == set()
    loader.store({"lib/deep.py": files["lib/deep.py"]})
    assert tables(engine, "p")["code_call"] == calls
    loader.store({"lib/__init__.py": "def f(): pass\n"})
    assert tables(engine, "p")["code_call"] == {("user.py#u", "lib/__init__.py#f", 2)}


def test_imports_that_go_in_circles(engine: Engine) -> None:
    """They end."""
    loader = Loader(engine, "p")
    loader.store({"a.py": "from b import f\ndef u(): f()\n", "b.py": "from a import f\n"})
    assert tables(engine, "p")["code_call"] == set()
    assert ("a.py#", "b.py#", 1) in tables(engine, "p")["code_import"]


@pytest.mark.parametrize("path", ["deep.py", "tests/bad.py"])
def test_a_file_that_is_no_python(engine: Engine, path: str) -> None:
    """It is stored with its error, and mended later."""
    loader = Loader(engine, "p")
    loader.store({path: b"x = '\xff'\n"})
    assert (loader.size().failed, loader.size().definitions) == (1, 1)
    loader.store({path: "def f(): pass\n"})
    assert (loader.size().failed, loader.size().definitions) == (0, 2)


def test_projects_do_not_meet(engine: Engine) -> None:
    """The same paths and names in two projects are two graphs."""
    Loader(engine, "p").store({"a.py": "def f(): pass\n"})
    Loader(engine, "q").store({"b.py": "import a\ndef u(): a.f()\n"})
    assert tables(engine, "q")["code_call"] == set()
