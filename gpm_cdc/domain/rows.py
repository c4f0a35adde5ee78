r"""Rows as COPY prints them, taken apart when they are asked for, by rows or by columns.

The text format: a tab between values, a newline between rows, both escaped inside a value; \N is NULL.
https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from collections.abc import Iterator, Sequence
from typing import overload, override

type CopiedRow = tuple[str | None, ...]

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class CopiedRows(Sequence[CopiedRow]):
    """The rows of `text`, which ends without a newline; all have as many values."""

    __slots__ = ("_rows", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._rows: list[CopiedRow] | None = None

    @override
    def __len__(self) -> int:
        return self._text.count("\n") + 1

    @overload
    def __getitem__(self, place: int) -> CopiedRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[CopiedRow]: ...
    @override
    def __getitem__(self, place: int | slice) -> CopiedRow | list[CopiedRow]:
        return self._whole()[place]

    @override
    def __iter__(self) -> Iterator[CopiedRow]:
        return iter(self._whole())

    def columns(self) -> list[Sequence[str | None]]:
        """The values of each column, in the order of the rows; without making rows where that is possible."""
        text = self._text
        if "\\" in text:
            return list(zip(*self._whole(), strict=True))
        width = text.partition("\n")[0].count("\t") + 1
        values = text.replace("\n", "\t").split("\t")
        return [values[place::width] for place in range(width)]

    def _whole(self) -> list[CopiedRow]:
        if self._rows is None:
            self._rows = _rows_of(self._text)
        return self._rows


def _rows_of(text: str) -> list[CopiedRow]:
    if "\\" not in text:
        return [tuple(line.split("\t")) for line in text.split("\n")]
    return [
        tuple(line.split("\t")) if "\\" not in line else tuple(map(_unescape, line.split("\t")))
        for line in text.split("\n")
    ]


def _unescape(value: str) -> str | None:
    if "\\" not in value:
        return value
    if value == r"\N":
        return None
    first, *parts = value.split("\\")
    text = [first]
    literal = False
    for part in parts:
        if literal:
            text.append(part)
            literal = False
        elif part == "":
            text.append("\\")
            literal = True
        else:
            text.append(_ESCAPES.get(part[0], part[0]) + part[1:])
    return "".join(text)
