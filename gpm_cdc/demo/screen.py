"""What the tour looks like: text, tables, queries, and a moving part on a terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gpm_cdc.wording import say

_INDENT: Final = 3
_LINE_SECONDS: Final = 3.0
_PLAIN_WIDTH: Final = 100
_COLUMN: Final = 6
_REFRESHES: Final = 8
_BAR: Final = 24
_GAP: Final = 3
_MARK: Final = 2
_NAME_LINES: Final = 2
_KEYWORDS: Final = (
    r"\b(MATCH|WHERE|WITH|RECURSIVE|RETURN|DISTINCT|ORDER BY|AS|SHORTEST|SELECT|FROM|JOIN|ON|UNION|AND|OR|EXISTS|IN)\b"
)


class Fact(NamedTuple):
    """A quantity that moves: its name, what it is now, and where it has an end how much of it is done, 0 to 1."""

    name: str
    value: str
    share: float | None = None


class Moving:
    """The part that says what goes on now: redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._told = 0.0

    def show(self, text: str, facts: Sequence[Fact] = ()) -> None:
        """What goes on, and quantities."""
        if self._live is not None:
            grid = Table.grid(padding=(0, 2))
            for fact in facts:
                bar = Text() if fact.share is None else ProgressBar(total=1.0, completed=fact.share, width=_BAR)
                grid.add_row(Text(fact.name, style="dim"), bar, Text(fact.value))
            spinner = Spinner("dots", Text(text), style="cyan")
            self._live.update(Padding(Group(spinner, Padding(grid, (0, 0, 0, 2))), (0, 0, 0, _INDENT)))
        elif time.monotonic() - self._told >= _LINE_SECONDS:
            self._told = time.monotonic()
            line = "; ".join(f"{fact.name}: {fact.value}" for fact in facts)
            self._console.print(Text(f"{' ' * _INDENT}{text} {line}".rstrip()), soft_wrap=True)


class Screen:
    """The person's terminal, or whatever stdout is. Lines appear as they are said."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _PLAIN_WIDTH

    def title(self, template: str, **facts: object) -> None:
        """The first thing on the screen."""
        self._console.print(Panel(Text(say(template, **facts)), box=box.ROUNDED, border_style="cyan", padding=(0, 2)))

    def heading(self, template: str, **facts: object) -> None:
        """The beginning of a part."""
        self._console.print()
        self._console.print(Rule(Text(say(template, **facts), style="bold cyan"), align="left", style="cyan dim"))

    def say(self, template: str, *, style: str = "", **facts: object) -> None:
        """A sentence."""
        self._print(Text(say(template, **facts), style=style))

    def done(self, template: str, **facts: object) -> None:
        """A sentence about something that went well."""
        self._print(Text.assemble(("✓ ", "green"), say(template, **facts)))

    def step(self, columns: Sequence[str], text: str) -> None:
        """A line of a list that grows: short columns, which stand to the right, and a text that may be long."""
        grid = Table.grid(padding=(0, 2))
        for _ in columns:
            grid.add_column(justify="right", min_width=_COLUMN, no_wrap=True)
        grid.add_row(*(Text(column, style="cyan") for column in columns), Text(text))
        self._print(grid)

    def beside(self, first: tuple[str, str], second: tuple[str, str]) -> None:
        """Two queries, each with what stands above it; one below the other where the screen is narrow."""
        shown = [_query(*first), _query(*second)]
        needed = _INDENT + _GAP + sum(cell_len(line) for line in (_widest(first), _widest(second)))
        if self._console.width < needed:
            for each in shown:
                self._print(each)
            return
        grid = Table.grid(padding=(0, _GAP))
        grid.add_row(*shown)
        self._print(grid)

    def names(self, names: Sequence[str], total: int) -> None:
        """Some names of `total`, as many as fit into a few lines."""
        room = _NAME_LINES * (self._console.width - _INDENT - _MARK)
        text = Text()
        shown = 0
        for name in names:
            more = say(" and {count} more", count=f"{total - shown - 1:,}")
            if cell_len(text.plain) + cell_len(name) + cell_len(more) + _MARK > room:
                break
            text.append(f"{', ' if shown else ''}{name}")
            shown += 1
        if shown < total:
            text.append(say(" and {count} more", count=f"{total - shown:,}"), style="dim")
        self._print(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; numbers stand to the right."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for place, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
            table.add_column(column, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(Text(_cell(cell)) for cell in row))
        self._print(table)

    def commands(self, lines: Sequence[tuple[str, str]]) -> None:
        """Command lines to try, each with what it is for."""
        grid = Table.grid(padding=(0, 2))
        for command, purpose in lines:
            grid.add_row(Text(command, style="cyan", overflow="fold"), Text(purpose, style="dim"))
        self._print(grid)

    def quote(self, text: str) -> None:
        """What a program of ours printed, as it is."""
        self._print(Text.from_ansi(text))

    def blank(self) -> None:
        """An empty line."""
        self._console.print()

    def last(self, text: str, *, good: bool) -> None:
        """The last line, at the margin, so that a program can look for it."""
        self._console.print(Text(text, style="bold green" if good else "bold red"))

    @contextmanager
    def moving(self) -> Iterator[Moving]:
        """A part of the screen that says what goes on; it vanishes in the end."""
        if not self._console.is_terminal:
            yield Moving(self._console, None)
            return
        with Live(console=self._console, transient=True, refresh_per_second=_REFRESHES) as live:
            yield Moving(self._console, live)

    def _print(self, shown: Text | Table | Group) -> None:
        self._console.print(Padding(shown, (0, 0, 0, _INDENT), expand=False))


def _widest(query: tuple[str, str]) -> str:
    heading, text = query
    return max((heading, *text.splitlines()), key=cell_len)


def _query(heading: str, text: str) -> Group:
    shown = Text(text)
    shown.highlight_regex(_KEYWORDS, "blue")
    return Group(Text(heading, style="bold"), shown)


def _cell(value: object) -> str:
    match value:
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
