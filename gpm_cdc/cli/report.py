"""The forms of a report of `verify`: on the terminal, as one JSON document, as JSON lines, as a page."""

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final

import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gpm_cdc.cli.page import page
from gpm_cdc.cli.provenance import Provenance
from gpm_cdc.cli.rendering import output, show_json, talk
from gpm_cdc.cli.sentences import KINDS, key_text, position_text, positions_differ, resumed_text, scope_text, sums_text
from gpm_cdc.errors.verify import ReportUnwritable
from gpm_cdc.verification.exchange import lines
from gpm_cdc.verification.rendering import visible
from gpm_cdc.verification.report import Finding, Report, TableReport, Unsettled, Verdict
from gpm_cdc.wording import say

_STDOUT: Final = Path("-")
_LONGEST_TEXT: Final = 100
_PRIVATE: Final = 0xE000
"""The first of the characters that mean nothing by themselves, and stand for parts of a sentence."""

_COLOURS: Final[Mapping[Verdict, str]] = {"clean": "green", "drift": "red", "inconclusive": "yellow"}


@dataclass(frozen=True, slots=True)
class Forms:
    """What was asked for. `lines` and `page` are files, `lines` also stdout."""

    as_json: bool
    lines: Path | None
    page: Path | None

    @property
    def silent(self) -> bool:
        """Whether stdout belongs to a program."""
        return self.as_json or self.lines == _STDOUT

    @property
    def leave(self) -> bool:
        """Whether the report will be read elsewhere."""
        return self.as_json or self.lines is not None or self.page is not None

    def require_possible(self) -> None:
        """Refuse before the work what could not be delivered after it. UsageError or ReportUnwritable."""
        if self.as_json and self.lines == _STDOUT:
            raise click.UsageError(say("--json cannot be used with --jsonl -: both are for stdout"))
        for path in (self.lines, self.page):
            if path is not None and path != _STDOUT and not os.access(path if path.exists() else path.parent, os.W_OK):
                raise ReportUnwritable(path=path, reason=say("it is not there or may not be written"))

    def deliver(self, report: Report, provenance: Provenance, *, shown: int | None) -> None:
        """Give out the report in every form; without one for stdout, `shown` findings go there in words (None: all)."""
        facts = provenance.as_json()
        if self.lines is not None:
            with _written(self.lines) as file:
                _write(file, (f"{line}\n" for line in lines(report, facts)), "backslashreplace")
        if self.page is not None:
            with _written(self.page) as file:
                _write(file, page(report, provenance), "xmlcharrefreplace")
        if self.as_json:
            show_json({**report.as_json(), **facts})
        elif self.lines != _STDOUT:
            show_report(report, shown=shown)
        for path in (self.lines, self.page):
            if path is not None and path != _STDOUT:
                talk("The report is in {path}.", path=path)


def with_forms[Outcome](command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Gives a command --json, --jsonl and --html, and hands it what was asked for as `forms`."""

    @click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
    @click.option(
        "--jsonl",
        "lines",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        metavar="FILE|-",
        help="Write one finding a line as JSON, the verdict last; '-' is stdout. For any number of findings.",
    )
    @click.option(
        "--html",
        "page",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write a page that can be sent to somebody: one file that needs nothing else.",
    )
    @functools.wraps(command)
    def formed(*arguments: object, as_json: bool, lines: Path | None, page: Path | None, **options: object) -> Outcome:
        return command(*arguments, forms=Forms(as_json, lines, page), **options)

    return formed


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    if path == _STDOUT:
        yield sys.stdout.buffer
        return
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise ReportUnwritable(path=path, reason=error.strerror) from error


def _write(file: IO[bytes], texts: Iterable[str], unencodable: str) -> None:
    for text in texts:
        file.write(text.encode("utf-8", unencodable))
    file.flush()


def show_report(report: Report, *, shown: int | None) -> None:
    """Tell a person what was found; at most `shown` findings and open questions each, None for all."""
    console = output()
    if report.position is not None:
        console.print(_tables(report.tables))
    for finding in islice(report.findings, shown):
        _show_finding(console, finding)
    for question in islice(report.unsettled, shown):
        console.print(_question(question))
    if shown is not None:
        _more(console, len(report.findings) - shown, say("findings"))
        _more(console, len(report.unsettled) - shown, say("open questions"))
    _left_out(console, report.left_out, say("findings"))
    _left_out(console, report.unsettled_left_out, say("open questions"))
    if report.resumed_pass is not None:
        talk("Resumed {from_pass}.", from_pass=resumed_text(report))
    if report.kind != "full":
        talk("The pass was {scope}.", scope=scope_text(report))
    talk(
        "{count} elements in {seconds} s, as of {position}",
        count=f"{report.elements_checked:,}",
        seconds=f"{report.seconds:.1f}",
        position=position_text(report),
    )
    console.print(Text(say("verify: {verdict}", verdict=report.verdict), f"bold {_COLOURS[report.verdict]}"))


def _tables(tables: Sequence[TableReport]) -> Table:
    told = positions_differ(tables)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column(say("table"), overflow="fold")
    for name in ("rows", "nodes", "relationships", "missing", "extra", "different"):
        shown.add_column(say(name), justify="right")
    shown.add_column(say("checksums"))
    if told:
        shown.add_column(say("as of"), overflow="fold")
    for table in tables:
        shown.add_row(
            Text(table.table, "bold"),
            *(f"{count:,}" for count in (table.rows, table.nodes, table.relationships)),
            *(
                Text(f"{count:,}", "bold red" if count else "dim")
                for count in (table.missing, table.extra, table.different)
            ),
            Text(sums_text(table), _colour(table)),
            *([Text(position_text(table))] if told else []),
        )
    return shown


def _colour(table: TableReport) -> str:
    if table.position is None:
        return "yellow"
    return "green" if table.postgres == table.neo4j else "bold red"


def _show_finding(console: Console, finding: Finding) -> None:
    console.print(
        _styled(
            "{table} {key}: {element} {what}",
            table=(finding.table, "bold"),
            key=(key_text(finding.key), "cyan"),
            element=(finding.element, ""),
            what=(say(KINDS[finding.kind]), "red"),
        )
    )
    if finding.kind in ("missing", "extra"):
        return
    expected, actual = finding.expected or {}, finding.actual or {}
    for name in {**expected, **actual}:
        told = _styled(
            "{name}: {actual}" if finding.expected is None else "{name}: {actual} instead of {expected}",
            name=(visible(name), ""),
            actual=(_cut(actual.get(name)), "red"),
            expected=(_cut(expected.get(name)), "green"),
        )
        console.print(Padding(told, (0, 0, 0, 4), expand=False))


def _styled(template: str, **parts: tuple[str, str]) -> Text:
    """A sentence whose placeholders are filled with texts, each in a style of its own, wherever a language has them."""
    places = {chr(_PRIVATE + number): part for number, part in enumerate(parts.values())}
    sentence = say(template, **dict(zip(parts, places, strict=True)))
    return Text.assemble(*(places.get(piece, piece) for piece in re.split(f"([{''.join(places)}])", sentence)))


def _question(question: Unsettled) -> Text:
    about = [] if question.table is None else [question.table]
    if question.key is not None:
        about.append(key_text(question.key))
    where = f"{' '.join(about)} " if about else ""
    return Text.assemble((where, "bold"), (say("not told: {reason}", reason=question.reason), "yellow"))


def _more(console: Console, count: int, what: str) -> None:
    if count > 0:
        template = "and {count} more {what}; --html FILE shows them, --jsonl FILE and --json have all"
        console.print(Text(say(template, count=f"{count:,}", what=what), "dim"))


def _left_out(console: Console, count: int, what: str) -> None:
    if count > 0:
        template = "and {count} more {what}, which were counted but not kept"
        console.print(Text(say(template, count=f"{count:,}", what=what), "dim"))


def _cut(text: str | None) -> str:
    if text is None:
        return say("nothing")
    return visible(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…")
