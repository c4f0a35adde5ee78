"""What the tour looks like: text, tables, queries, and a moving part on a terminal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gpm_cdc.wording import say

_INDENT: Final = 3
_LINE_SECONDS: Final = 3.0
_PLAIN_WIDTH: Final = 100
_REFRESHES: Final = 8
_KEYWORDS: Final = r"\b(MATCH|WITH|RETURN|ORDER BY|DESC|LIMIT|AS|SHORTEST)\b"


class Moving:
    """The part that says what goes on now: redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._told = 0.0

    def show(self, text: str, facts: Mapping[str, str] | None = None) -> None:
        """What goes on, and quantities by name."""
        facts = facts or {}
        if self._live is not None:
            grid = Table.grid(padding=(0, 2))
            for name, value in facts.items():
                grid.add_row(Text(name, style="dim"), Text(value))
            spinner = Spinner("dots", Text(text), style="cyan")
            self._live.update(Padding(Group(spinner, Padding(grid, (0, 0, 0, 2))), (0, 0, 0, _INDENT)))
        elif time.monotonic() - self._told >= _LINE_SECONDS:
            self._told = time.monotonic()
            line = "; ".join(f"{name}: {value}" for name, value in facts.items())
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

    def cypher(self, text: str) -> None:
        """A query."""
        shown = Text(text)
        shown.highlight_regex(_KEYWORDS, "blue")
        self._print(shown)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; numbers stand to the right."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for place, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
            table.add_column(column, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(Text(_cell(cell)) for cell in row))
        self._print(table)

    def chain(self, stops: Sequence[str], links: Sequence[tuple[str, bool]]) -> None:
        """A path: the stops, and between them the types, each with whether it points forward."""
        text = Text(stops[0], style="bold")
        for stop, (link, forward) in zip(stops[1:], links, strict=True):
            text.append(f" -{link}-> " if forward else f" <-{link}- ", style="cyan not bold")
            text.append(stop, style="bold" if stop == stops[-1] else "not bold")
        self._print(text)

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

    def _print(self, shown: Text | Table) -> None:
        self._console.print(Padding(shown, (0, 0, 0, _INDENT), expand=False))


def _cell(value: object) -> str:
    match value:
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
