"""What is read out of one source."""

import ast
import textwrap

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.codegraph.extraction import DefinitionRow, Extract, extract, module_name


def read(text: str, path: str = "pkg/mod.py") -> Extract:
    """The extract of an indented text."""
    return extract(path, textwrap.dedent(text).encode())


def by_local(text: str) -> dict[str, DefinitionRow]:
    """The definitions of a text by what is behind the `#` in their keys."""
    return {row.local: row for row in read(text).definitions}


def names(text: str, kind: str, local: str, path: str = "pkg/mod.py") -> dict[str, int]:
    """The names of a kind that a definition uses, and how often."""
    return {row.name: row.occurrences for row in read(text, path).references if (row.kind, row.local) == (kind, local)}


def test_definitions() -> None:
    """Kinds, keys, qualified names, signatures, docstrings, spans."""
    found = by_local('''
        """About it."""
        class A(B, metaclass=M):
            """An A."""
            def f(self, x: int = 1, *rest, y) -> str:
                """Does f."""
                async def inner(): pass
                return inner
        def g(): pass
    ''')
    assert list(found) == ["", "A", "A.f", "A.f.inner", "g"]
    assert [row.kind for row in found.values()] == ["module", "class", "method", "function", "function"]
    assert found[""].docstring == "About it."
    assert (found["A"].signature, found["A"].docstring, found["A"].parent) == ("(B, metaclass=M)", "An A.", "")
    method = found["A.f"]
    assert method.qualname == "pkg.mod.A.f"
    assert method.signature == "(self, x: int=1, *rest, y) -> str"
    assert (method.lineno, method.col, method.end_lineno) == (5, 4, 8)
    assert found["A.f.inner"].parent == "A.f"


def test_redefinitions() -> None:
    """The second definition of a name gets an ordinal, and what is in it stays apart from what is in the first."""
    found = by_local("""
        if x:
            class A:
                def f(self): pass
        else:
            class A:
                def f(self): return 1
                def f(self): return 2
    """)
    assert list(found) == ["", "A", "A.f", "A~2", "A~2.f", "A~2.f~2"]
    assert found["A~2.f~2"].qualname == "pkg.mod.A.f"


@pytest.mark.parametrize(
    ("change", "lost", "new"),
    [
        (lambda text: "import os\n" + text, set(), set()),
        (lambda text: text.replace("    def f", "    def e(self): pass\n    def f"), set(), {"A.e"}),
        (lambda text: text.replace("return 1", "x = 2\n        return x"), set(), set()),
        (lambda text: text.replace("def g", "def h"), {"g"}, {"h"}),
        (lambda text: "\n\n# moved\n" + text, set(), set()),
    ],
    ids=["import at top", "method in the middle", "statement inside", "renamed", "moved"],
)
def test_keys_survive_edits(change: object, lost: set[str], new: set[str]) -> None:
    """An edit changes the keys of what it is about and no other; nothing takes over another's key."""
    text = "class A:\n    def f(self):\n        return 1\ndef g(): pass\n"
    before, after = by_local(text), by_local(change(text))  # type: ignore[operator]
    assert before.keys() - after.keys() == lost
    assert after.keys() - before.keys() == new
    if new == {"h"}:
        assert before["g"].body_hash == after["h"].body_hash
    assert all(before[key].name == after[key].name for key in before.keys() & after.keys())


def test_body_hash() -> None:
    """It changes with the code, not with its place, its name, blank lines or comments."""
    one = by_local("def f(a):\n    return a + 1\n")["f"].body_hash
    assert by_local("class A:\n    def g(a):\n        # why\n\n        return a + 1\n")["A.g"].body_hash == one
    assert by_local("def de(a):\n    return a + 1\n")["de"].body_hash == one
    assert by_local("def f(a):\n    return a + 2\n")["f"].body_hash != one


TEXT = """
    import os, xml.dom as dom
    import a.b.c
    from .near import thing as t, other
    from ..far import far
    from q import *
    V = 1
    def top(p):
        top(); t(); os.path.join(); dom.parse(); a.b.c.f(); len(); p.x(); V.y(); far.z()
        [f() for f in p]; (lambda other: other())(1); p()(); "s".join(); p[0].w(); p[0]()
    class A(t, Base[int], os.PathLike):
        attr = other()
        def m(self):
            self.n(); self.a.k(); super().m(); A(); A.s()
            def inner(): self.n()
        def n(self, os): os.x()
        @staticmethod
        def s(self): self.n()
        @deco(other)
        def d(self): global V; V = len()
"""


def test_calls() -> None:
    """Imports and definitions are followed, variables and parameters are not; a leading dot is an unknown receiver."""
    called = names(TEXT, "calls", "top")
    for name in ("pkg.mod.top", "pkg.near.thing", "os.path.join", "xml.dom.parse", "a.b.c.f", "len"):
        assert called[name] == 1
    for name in (".x", ".y", ".join", ".w"):
        assert called[name] == 1
    assert "pkg.near.other" not in called
    assert names(TEXT, "calls", "A") == {"pkg.near.other": 1, "deco": 1}
    assert names(TEXT, "calls", "A.m") == {
        "pkg.mod.A.n": 1,
        ".k": 1,
        ".m": 1,
        "super": 1,
        "pkg.mod.A": 1,
        "pkg.mod.A.s": 1,
    }
    assert names(TEXT, "calls", "A.m.inner") == {"pkg.mod.A.n": 1}
    assert names(TEXT, "calls", "A.n") == {".x": 1}
    assert names(TEXT, "calls", "A.s") == {".n": 1}


def test_inheritance_and_imports() -> None:
    """Bases without their brackets; modules by their absolute names, and what may be a module within one."""
    assert names(TEXT, "inherits", "A") == {"pkg.near.thing": 1, "Base": 1, "os.PathLike": 1}
    imported = names(TEXT, "imports", "")
    assert {"os", "xml.dom", "a.b.c", "pkg.near", "pkg.near.thing", "pkg.near.other", "q"} <= imported.keys()
    assert "q.*" not in imported


def test_relative_imports() -> None:
    """From a package they count from the package; beyond the top they stay as written."""
    assert "pkg.sub.x" in names("from .sub import x", "imports", "", "pkg/__init__.py")
    assert "pkg.sub" in names("from ..sub import x", "imports", "", "pkg/mod/__init__.py")
    assert "pkg.x" in names("from . import x", "imports", "")
    assert "...sub" in names("from ...sub import x", "imports", "")


def test_aliases() -> None:
    """What the imports at the top of a module bind, also under a condition; not those of a function."""
    found = dict(
        read("try:\n    import a.b\n    from c import d as e\nexcept E:\n    e = None\ndef f():\n    import g").aliases
    )
    assert found == {"pkg.mod.a": "a", "pkg.mod.e": "c.d"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"def f(:\n", "SyntaxError"),
        (b"x = '\xff'\n", "SyntaxError"),
        (b"x = 1\0\n", "null bytes"),
        (b"# coding: nonsense\n", "SyntaxError"),
        (b"x = " + b"(" * 5_000 + b"\n", "Error"),
        (b"x = " + b"-" * 200_000 + b"1\n", "Error"),
    ],
    ids=["syntax", "encoding", "nul", "unknown encoding", "nested", "deep"],
)
def test_errors_are_recorded(content: bytes, error: str) -> None:
    """A source that is no Python keeps its module, and says why."""
    found = extract("bad.py", content)
    assert found.error is not None
    assert error in found.error
    assert [row.kind for row in found.definitions] == ["module"]
    assert found.references == ()


def test_what_postgres_cannot_hold() -> None:
    """NUL and lone surrogates are spelled out, a name that is too long to be a key is an error of the source."""
    found = by_local('def f(a="\\0"):\n    "x\\0y \\ud800"\n')["f"]
    assert found.docstring == "x\\x00y \\ud800"
    assert "\0" not in (found.signature or "")
    assert read(f"def {'n' * 2_000}(): pass").error == "a definition's name is too long to be a key"


def test_other_spellings() -> None:
    """A byte order mark, another encoding, other line ends."""
    assert [row.name for row in extract("a.py", "\ufeffdef f(): pass\r\ndef g(): pass".encode()).definitions[1:]] == [
        "f",
        "g",
    ]
    assert extract("a.py", "# coding: latin-1\ndef é(): 'ü'".encode("latin-1")).definitions[1].docstring == "ü"


def test_module_names() -> None:
    """A package is named by its directory."""
    assert [module_name(path) for path in ("a.py", "a/b.py", "a/__init__.py", "__init__.py")] == [
        "a",
        "a.b",
        "a",
        "__init__",
    ]


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Nothing raises, and there is always one module."""
    found = extract("any.py", content)
    assert [row.kind for row in found.definitions].count("module") == 1


@given(st.integers(0, 10_000))
def test_every_definition_once(seed: int) -> None:
    """Each `def` and `class` of a text is one row with a key of its own."""
    text = "".join(f"\ndef n{seed // (place + 1) % 4}():\n    class K{place % 2}: pass" for place in range(8))
    wanted = sum(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(text)))
    rows = extract("a.py", text.encode()).definitions
    assert len({row.local for row in rows}) == len(rows) == wanted + 1
