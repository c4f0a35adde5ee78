"""One Python source as rows: its definitions, the names that they use, and what its imports bind. No IO.

Whatever the bytes are, there is a module; what cannot be read as Python is an error beside it, never an exception.
"""

import ast
import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from gpm_cdc.codegraph.kinds import CALLS, IMPORTS, INHERITS
from gpm_cdc.codegraph.scopes import Function, Scope, ScopeReader, named

PRODUCER: Final = f"1 of Python {sys.version_info.major}.{sys.version_info.minor}"
"""Changes whenever the same bytes would give other rows."""

_LONGEST_KEY: Final = 1_200
_LONGEST_NAME: Final = 900
"""Bytes: an index of Postgres holds entries up to 2,700, and the longest is (key, kind, name)."""


class DefinitionRow(NamedTuple):
    """A definition; `local` is the part of its key behind the `#`, `parent` that of the definition around it."""

    local: str
    parent: str | None
    kind: str
    name: str
    qualname: str
    signature: str | None
    docstring: str | None
    body_hash: str
    lineno: int
    col: int
    end_lineno: int
    end_col: int


class ReferenceRow(NamedTuple):
    """A name that the definition `local` uses."""

    local: str
    kind: str
    name: str
    occurrences: int


class Extract(NamedTuple):
    """Everything about one source. Definitions in the order of the text, each behind the one around it."""

    path: str
    digest: str
    lines: int
    error: str | None
    definitions: tuple[DefinitionRow, ...]
    references: tuple[ReferenceRow, ...]
    aliases: tuple[tuple[str, str], ...]


def digest_of(content: bytes) -> str:
    """What tells whether a source has to be read again."""
    return hashlib.sha256(PRODUCER.encode() + content).hexdigest()


def module_name(path: str) -> str:
    """The dotted name by which `path`, relative to a directory of the import path, is imported."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def extract(path: str, content: bytes) -> Extract:
    """Read a source; `path` is relative to what is loaded, with slashes."""
    digest, lines = digest_of(content), content.count(b"\n") + 1
    empty = _module(path, lines, digest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        reader = _Reader(path, tree, content)
        definitions = (_module(path, lines, digest, reader.module_docstring()), *reader.definitions)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Extract(path, digest, lines, _storable(_told(error)), (empty,), (), ())
    if any(len(row.local.encode()) + len(path.encode()) > _LONGEST_KEY for row in definitions):
        return Extract(path, digest, lines, "a definition's name is too long to be a key", (empty,), (), ())
    return Extract(path, digest, lines, None, definitions, tuple(reader.references()), tuple(reader.aliases()))


def _told(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    text = getattr(error, "msg", None) or str(error) or type(error).__name__
    return f"{type(error).__name__}: {text}" + ("" if line is None else f" (line {line})")


def _module(path: str, lines: int, digest: str, docstring: str | None = None) -> DefinitionRow:
    qualname = module_name(path)
    name = qualname.rpartition(".")[2]
    return DefinitionRow("", None, "module", name, qualname, None, docstring, digest, 1, 0, lines, 0)


def _fits(*names: str) -> bool:
    return all(len(name.encode()) <= _LONGEST_NAME for name in names)


def _storable(text: str) -> str:
    """`text` without what Postgres or UTF-8 cannot hold: NUL and halves of surrogate pairs are spelled out."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


class _Reader:
    """Walks the definitions of one module, outer ones first."""

    def __init__(self, path: str, tree: ast.Module, content: bytes) -> None:
        self._tree = tree
        # As the parser counts lines: form feeds and the like end none.
        self._lines = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._package = path.endswith("__init__.py")
        self._module = module_name(path)
        self._used: Counter[str] = Counter()
        self._references: Counter[tuple[str, str, str]] = Counter()
        self.definitions: list[DefinitionRow] = []
        self._scope = self._read(Scope("module", self._module, "", None), tree)

    def module_docstring(self) -> str | None:
        """The docstring of the module."""
        return _docstring(self._tree)

    def references(self) -> Iterator[ReferenceRow]:
        """The names that the module's definitions use."""
        for (local, kind, name), count in self._references.items():
            if _fits(name):
                yield ReferenceRow(local, kind, name, count)

    def aliases(self) -> Iterator[tuple[str, str]]:
        """What the module's own imports bind: dotted names and what they stand for."""
        for name, binding in self._scope.bindings.items():
            target = f"{self._module}.{name}"
            if binding.imported and binding.target and binding.target != target and _fits(target, binding.target):
                yield target, binding.target

    def _read(self, scope: Scope, node: ast.Module | Function | ast.ClassDef) -> Scope:
        found = ScopeReader(scope, node, self._module, package=self._package)
        for name in found.imports:
            self._references["", IMPORTS, name] += 1
        for definition in found.definitions:
            self._define(scope, definition)
        for function, shadowed in found.calls:
            called = scope.resolve(function, shadowed)
            if called is not None:
                self._references[scope.local, CALLS, called] += 1
        return scope

    def _define(self, scope: Scope, node: Function | ast.ClassDef) -> None:
        plain = f"{scope.local}.{node.name}" if scope.local else node.name
        self._used[plain] += 1
        local = plain if self._used[plain] == 1 else f"{plain}~{self._used[plain]}"
        qualname = f"{scope.qualname}.{node.name}"
        if isinstance(node, ast.ClassDef):
            kind = "class"
            bases = (scope.resolve(named(base)) for base in node.bases)
            self._references.update((local, INHERITS, parent) for parent in bases if parent is not None)
        else:
            kind = "method" if scope.kind == "class" else "function"
        self.definitions.append(
            DefinitionRow(
                local, scope.local, kind, node.name, qualname, _signature(node), _docstring(node), self._hash(node),
                node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0,
            )
        )  # fmt: skip
        self._read(Scope("class" if kind == "class" else "function", qualname, local, scope), node)

    def _hash(self, node: Function | ast.ClassDef) -> str:
        text = "\n".join(self._lines[node.lineno - 1 : node.end_lineno])
        keyword = "class" if isinstance(node, ast.ClassDef) else "def"
        name = text.find(node.name, text.find(keyword) + len(keyword))
        text = text[:name] + text[name + len(node.name) :]
        lines = map(str.strip, text.split("\n"))
        kept = (line for line in lines if line and not line.startswith("#"))
        return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:32]


def _signature(node: Function | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        parts = [ast.unparse(base) for base in node.bases]
        parts += [f"{word.arg}={ast.unparse(word.value)}" if word.arg else f"**{ast.unparse(word.value)}"
                  for word in node.keywords]  # fmt: skip
        return _storable(f"({', '.join(parts)})" if parts else "")
    returned = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return _storable(f"({ast.unparse(node.args)}){returned}")


def _docstring(node: ast.Module | Function | ast.ClassDef) -> str | None:
    text = ast.get_docstring(node)
    return None if text is None else _storable(text)
