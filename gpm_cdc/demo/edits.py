"""The edits of the tour: what somebody does to copies of some files, and how the graph shows each of them.

The files are the running interpreter's own, so an edit finds its place by the name of a definition, never by a line.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from gpm_cdc.wording import say

PROJECT: Final = "python"
FILES: Final = (
    "graphlib.py",
    "json/__init__.py",
    "json/decoder.py",
    "json/encoder.py",
    "json/scanner.py",
    "json/tool.py",
    "textwrap.py",
)
"""What is copied and edited, by path below the library's directory."""

_SUBCLASS: Final = '''\
"""JSON for people who like colours."""

import json


class ColourEncoder(json.JSONEncoder):
    """Paints what the encoder writes."""

    def encode(self, o):
        return "\\033[36m" + super().encode(o) + "\\033[0m"
'''


class Signs(NamedTuple):
    """How a change shows in the graph: all of this is so, and was not all so before."""

    present: tuple[str, ...] = ()
    """Keys of nodes."""
    absent: tuple[str, ...] = ()
    """Keys of nodes."""
    links: tuple[tuple[str, str, str], ...] = ()
    """Relationships: the key of the start, the type, the key of the end."""
    texts: tuple[tuple[str, str, str], ...] = ()
    """The key of a node, a property of it, and what that holds within its text."""


class Edit(NamedTuple):
    """One commit of whoever writes the code."""

    file: str
    what: str
    files: Mapping[str, str | None]
    """The new text of each file that changes; None where the file goes."""
    signs: Signs


def key(path: str, local: str = "") -> str:
    """The key of a definition in the library; without `local` that of the module."""
    return f"{PROJECT}/{path}#{local}"


class _Code(NamedTuple):
    """Texts by path: as they are after the edits so far, and as they were before the first."""

    now: Mapping[str, str]
    original: Mapping[str, str]


def edits(files: Mapping[str, str]) -> Iterator[Edit]:
    """The edits, in their order, from the texts of FILES. Each builds on those before it."""
    now = dict(files)
    for make in _ORDER:
        edit = make(_Code(now, files))
        now |= {path: text for path, text in edit.files.items() if text is not None}
        for path in [path for path, text in edit.files.items() if text is None]:
            del now[path]
        yield edit


def _rename_function(code: _Code) -> Edit:
    path, old, new = "json/encoder.py", "_make_iterencode", "_pieces_of"
    _found(code.now[path], old)
    signs = Signs(
        present=(key(path, new),),
        absent=(key(path, old),),
        links=((key(path, "JSONEncoder.iterencode"), "CALLS", key(path, new)),),
    )
    what = say("function {old} is renamed to {new}, and so is the call of it", old=old, new=new)
    return Edit(path, what, {path: re.sub(rf"\b{old}\b", new, code.now[path])}, signs)


def _delete_class(code: _Code) -> Edit:
    path, name = "json/decoder.py", "JSONDecodeError"
    first, last = _found(code.now[path], name)
    lines = code.now[path].split("\n")
    kept = "\n".join([*lines[: first - 1], *lines[last:]])
    what = say("class {name} is deleted: its callers call nothing now", name=name)
    return Edit(path, what, {path: kept}, Signs(absent=(key(path, name), key(path, f"{name}.__init__"))))


def _undo_deletion(code: _Code) -> Edit:
    path, name = "json/decoder.py", "JSONDecodeError"
    call = (key("json/__init__.py", "loads"), "CALLS", key(path, name))
    what = say("the class is back, and all of its callers find it again")
    return Edit(path, what, {path: code.original[path]}, Signs(present=(key(path, name),), links=(call,)))


def _add_import(code: _Code) -> Edit:
    path, other = "textwrap.py", "graphlib"
    text = _inserted(code.now[path], _first_import(code.now[path]), f"import {other}")
    what = say("'import {other}' is added at the top: every definition below moves by a line", other=other)
    return Edit(path, what, {path: text}, Signs(links=((key(path), "IMPORTS", key(f"{other}.py")),)))


def _add_call(code: _Code) -> Edit:
    path, name = "json/__init__.py", "loads"
    _, last = _found(code.now[path], name)
    text = _inserted(code.now[path], last + 1, "    import textwrap\n    textwrap.dedent(s)")
    call = (key(path, name), "CALLS", key("textwrap.py", "dedent"))
    what = say("{name} imports textwrap and calls textwrap.dedent", name=name)
    return Edit(path, what, {path: text}, Signs(links=(call,)))


def _break_syntax(code: _Code) -> Edit:
    path = "json/scanner.py"
    what = say("saved with a syntax error: the file keeps its module, the definitions go")
    return Edit(path, what, {path: code.now[path] + "\nprint((\n"}, Signs(absent=(key(path, "py_make_scanner"),)))


def _mend_syntax(code: _Code) -> Edit:
    path = "json/scanner.py"
    what = say("the syntax error is mended")
    return Edit(path, what, {path: code.original[path]}, Signs(present=(key(path, "py_make_scanner"),)))


def _move_file(code: _Code) -> Edit:
    path, new = "json/tool.py", "json/pretty.py"
    signs = Signs(present=(key(new, "main"),), absent=(key(path), key(path, "main")))
    return Edit(path, say("the file moves to {new}", new=new), {path: None, new: code.now[path]}, signs)


def _delete_file(code: _Code) -> Edit:
    path = "graphlib.py"
    gone = tuple(key(path, name) for name in ("", *_definitions(code.now[path])))
    return Edit(path, say("the file is deleted, with everything in it"), {path: None}, Signs(absent=gone))


def _add_file(_: _Code) -> Edit:
    path, name = "json/colours.py", "ColourEncoder"
    parent = (key(path, name), "INHERITS", key("json/encoder.py", "JSONEncoder"))
    what = say("a new file: class {name} inherits from json.JSONEncoder", name=name)
    return Edit(path, what, {path: _SUBCLASS}, Signs(links=(parent,)))


def _change_signature(code: _Code) -> Edit:
    path, name, annotation = "textwrap.py", "shorten", "-> str"
    text = _replaced_in(code.now[path], name, "):", f") {annotation}:")
    what = say("{name} says what it returns", name=name)
    return Edit(path, what, {path: text}, Signs(texts=((key(path, name), "signature", annotation),)))


def _change_docstring(code: _Code) -> Edit:
    path, name, words = "textwrap.py", "indent", "Shifts lines to the right. "
    text = _replaced_in(code.now[path], name, '"""', f'"""{words}')
    what = say("the docstring of {name} is rewritten", name=name)
    return Edit(path, what, {path: text}, Signs(texts=((key(path, name), "docstring", words),)))


_ORDER: Final[tuple[Callable[[_Code], Edit], ...]] = (
    _rename_function,
    _delete_class,
    _undo_deletion,
    _add_import,
    _add_call,
    _break_syntax,
    _mend_syntax,
    _move_file,
    _delete_file,
    _add_file,
    _change_signature,
    _change_docstring,
)


def _definitions(text: str) -> Iterator[str]:
    """The names of the functions and classes at the top of a module."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement.name


def _found(text: str, name: str) -> tuple[int, int]:
    """The first and the last line of the definition at the top of a module. LookupError if there is none."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return statement.lineno, statement.end_lineno or statement.lineno
    raise LookupError(name)


def _first_import(text: str) -> int:
    """The line of the first import of a module."""
    return next(each.lineno for each in ast.parse(text).body if isinstance(each, ast.Import | ast.ImportFrom))


def _inserted(text: str, line: int, added: str) -> str:
    """The text with the lines `added` before `line`, which counts from one."""
    lines = text.split("\n")
    return "\n".join([*lines[: line - 1], added, *lines[line - 1 :]])


def _replaced_in(text: str, name: str, old: str, new: str) -> str:
    """The text with the first `old` in the definition of `name` replaced."""
    first, _ = _found(text, name)
    lines = text.split("\n")
    return "\n".join([*lines[: first - 1], "\n".join(lines[first - 1 :]).replace(old, new, 1)])
