"""An SQL file as psql reads it: statements, lines for psql, rows after COPY ... FROM stdin, and what is between them.

As in psql, a semicolon ends a statement unless it is quoted, in a comment, in parentheses, or in the body of a
function between BEGIN ATOMIC and END. Joined again, the pieces are the file.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

type Kind = Literal["statement", "meta", "rows", "gap"]

_IDENTIFIER: Final = r"[A-Za-z_\x80-\U0010FFFF][\w$\x80-\U0010FFFF]*"

# An unterminated string or comment reaches to the end: whoever parses the piece says what is wrong with it.
_TOKEN: Final = re.compile(
    rf"""
      (?P<comment> --[^\n]* | /\* )
    | (?P<space> \s+ )
    | (?P<quoted> [eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z) | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> \$(?:[A-Za-z_\x80-\U0010FFFF][\w\x80-\U0010FFFF]*)?\$ )
    | (?P<word> {_IDENTIFIER} )
    | (?P<number> \d[\w.]* )
    | (?P<meta> \\[^\n]* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_ROWS_END: Final = re.compile(r"^\\\.[^\S\n]*(?:\n|\Z)", re.MULTILINE)
_REST_OF_LINE: Final = re.compile(r"[^\S\n]*(?:\n|\Z)")
_FUNCTION: Final = re.compile(r"create (?:or replace )?(?:function|procedure) ")
_TELLING_WORDS: Final = 4
_BLOCK_WORDS: Final = frozenset(("begin", "case", "end"))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: from `start` on, counted in characters."""

    kind: Kind
    start: int
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """The parts of `text`, in order; together they are `text`. The last statement may lack its semicolon."""
    place = 0
    while place < len(text):
        for piece in _next(text, place):
            if piece.text:
                yield piece
            place = piece.start + len(piece.text)


class Lines:
    """The lines of a file, to say where a character stands."""

    def __init__(self, text: str) -> None:
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect.bisect_left(self._ends, offset)
        return line + 1, offset - (self._ends[line - 1] if line else -1)


def outline(statement: str, width: int = 100) -> str:
    """A statement in one line: without comments, with the values of its strings left out, cut at `width`.

    What stands in quotes may be a row's value or a password.
    """
    shown = list[str]()
    place = 0
    while place < len(statement):
        kind, token, place = _token(statement, place)
        if kind in {"space", "comment"}:
            shown.append(" ")
        elif kind == "dollar" or (kind == "quoted" and not token.startswith('"')):
            shown.append("'…'")
        else:
            shown.append(token)
    line = " ".join("".join(shown).split()).rstrip("; ")
    return line if len(line) <= width else f"{line[: width - 1]}…"


@dataclass(slots=True)
class _Open:
    """What the statement in hand has said so far. `blocks` counts the BEGIN, ATOMIC or CASE, that lack their END."""

    beginning: str = ""
    previous: str = ""
    count: int = 0
    parentheses: int = 0
    blocks: int = 0
    rows_follow: bool = False

    def take(self, written: str) -> None:
        """Take a further word into account."""
        word = written.lower()
        self.count += 1
        if self.count <= _TELLING_WORDS:
            self.beginning += f"{word} "
        if word == "stdin" and self.previous == "from" and self.beginning.startswith("copy "):
            self.rows_follow = True
        self.previous = word
        if word in _BLOCK_WORDS and _FUNCTION.match(self.beginning):
            if word == "end":
                self.blocks = max(self.blocks - 1, 0)
            elif word == "begin" or self.blocks:
                self.blocks += 1


def _next(text: str, start: int) -> Iterator[Piece]:
    """A gap and what follows it: a statement with the rows that belong to it, or a line for psql."""
    place = start
    while place < len(text):
        kind, _, end = _token(text, place)
        if kind not in {"space", "comment"}:
            break
        place = end
    yield Piece("gap", start, text[start:place])
    if place == len(text):
        return
    kind, written, end = _token(text, place)
    if kind == "meta":
        yield Piece("meta", place, written)
        return
    opened = _Open()
    end = _end_of_statement(text, place, opened)
    yield Piece("statement", place, text[place:end])
    if opened.rows_follow:
        yield from _rows(text, end)


def _end_of_statement(text: str, start: int, opened: _Open) -> int:
    place = start
    while place < len(text):
        kind, written, end = _token(text, place)
        if kind == "meta":
            return place
        if kind == "word":
            opened.take(written)
        elif written == "(":
            opened.parentheses += 1
        elif written == ")":
            opened.parentheses -= 1
        elif written == ";" and opened.parentheses <= 0 and not opened.blocks:
            return end
        place = end
    return len(text)


def _rows(text: str, start: int) -> Iterator[Piece]:
    rest = _REST_OF_LINE.match(text, start)
    if rest is None:
        return
    yield Piece("gap", start, rest.group())
    end = _ROWS_END.search(text, rest.end())
    yield Piece("rows", rest.end(), text[rest.end() : len(text) if end is None else end.end()])


def _token(text: str, place: int) -> tuple[str, str, int]:
    """The kind and text of the token at `place`, and where the next one begins."""
    match = _TOKEN.match(text, place)
    assert match is not None  # noqa: S101 - `other` takes any character
    kind, end = str(match.lastgroup), match.end()
    if kind == "comment" and match.group() == "/*":
        end = _end_of_comment(text, end)
    elif kind == "dollar":
        closing = text.find(match.group(), end)
        end = len(text) if closing < 0 else closing + len(match.group())
    return kind, text[place:end], end


def _end_of_comment(text: str, place: int) -> int:
    """Where a comment ends whose beginning ends at `place`: comments may hold comments."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, place):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return len(text)
