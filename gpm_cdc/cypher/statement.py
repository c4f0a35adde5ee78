"""A statement and its rows."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

ROWS_PER_STATEMENT = 10_000
"""Measured: larger lists are no faster, and hold more of the server's transaction memory at once."""

type Record = list[Any]
"""One result row, values in the order of RETURN."""

type Statements = Generator["Statement", list[Record], None]
"""Yields statements in order; each `send` gives back the records of the statement before, empty if it returns none."""


class Statement(NamedTuple):
    """A Cypher text and the list that it unwinds as `$rows`. `returns` tells whether its records are wanted."""

    text: str
    rows: Sequence[Any] = ()
    returns: bool = False


def no_statements() -> Statements:
    """A batch that only moves the checkpoint."""
    yield from ()


def chunks[Item](rows: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """`rows` in pieces that one statement takes."""
    if len(rows) <= ROWS_PER_STATEMENT:
        if rows:
            yield rows
        return
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        yield rows[start : start + ROWS_PER_STATEMENT]
