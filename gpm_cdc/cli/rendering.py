"""How commands show things: data on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpm_cdc.wording import say

UNBOUNDED: Final = 100_000
"""Columns of a table that is read by a program: rich would fold its lines at 80 otherwise."""


def talk(template: str, **facts: object) -> None:
    """Tell the person at the terminal something: a whole sentence, on stderr."""
    click.echo(say(template, **facts), err=True)


def show_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print `value` as one JSON document on stdout. Its keys are a contract: new ones may come, none goes."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout. None shows as an empty cell; a column of numbers stands to the right."""
    cells = [tuple(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[index], int | float) for row in cells)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        # Text, since a plain string would be read as markup: names in brackets would vanish.
        table.add_row(*("" if cell is None else Text(str(cell)) for cell in row))
    output().print(table)


def output() -> Console:
    """Where data goes that people read: stdout, coloured on a terminal, with lines of any length elsewhere."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False)
