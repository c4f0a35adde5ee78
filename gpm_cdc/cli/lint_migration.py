"""`gpm-cdc lint-migration`: what the stream will do with each statement of an SQL file."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import UNBOUNDED, show_json, talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.ddl import Report, Surroundings, Verdict, judge
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.ddl import ScriptUnreadable
from gpm_cdc.mapping import text as mapping_text
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.wording import say

_STDIN: Final = "-"
_STYLES: Final = {
    "unaffected": "dim",
    "follows": "green",
    "rereads": "cyan",
    "depends": "yellow",
    "refused": "bold red",
    "stops": "bold red",
}


@click.command(
    "lint-migration",
    help="""Say what the stream will do with each statement of FILE, before it is deployed. Asks no server.

    FILE is SQL: Alembic's offline output, a dump, anything that psql reads; without it, standard input. With a mapping
    in the configuration file only its tables count, without one every table counts as mapped. The outcome of each
    statement is one of: unaffected, follows, rereads (the stream reads the table again: harmless, but it takes as long
    as a copy of that table), depends (on what the file does not say), refused (by Postgres), stops. The exit code is 1
    if any is refused or stops.""",
    epilog=examples(
        "gpm-cdc lint-migration migration.sql",
        "alembic upgrade head --sql | gpm-cdc lint-migration",
        "gpm-cdc lint-migration --json migration.sql",
    ),
)
@click.argument("file", default=_STDIN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_settings
def lint_migration(settings: Settings, *, file: str, as_json: bool) -> ExitCode:
    """The command; its help is above, since it is text for people."""
    mapping = _mapping(settings)
    where = say("standard input") if file == _STDIN else file
    surroundings = Surroundings(mapping, settings.publication_name, settings.slot_name)
    report = judge(_read(file, where), surroundings, where=where)
    if as_json:
        show_json(_document(report, settings, mapping))
    else:
        _show(report)
        _conclude(report, mapping)
    return ExitCode.FINDING if report.blocked else ExitCode.DONE


def _mapping(settings: Settings) -> GraphMapping | None:
    """The mapping of the configuration file; None if there is no such file, or no mapping in it."""
    if settings.config is None:
        return None
    mapping = mapping_text.parse(settings.config.read_text(encoding="utf-8"), where=settings.config.name)
    return mapping if mapping.nodes else None


def _read(file: str, where: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as problem:
        raise ScriptUnreadable(path=where, reason=problem.strerror) from problem
    except UnicodeDecodeError as problem:
        # Not chained: the cause holds the file's bytes.
        raise ScriptUnreadable(path=where, reason=say("byte {place} is not UTF-8", place=problem.start)) from None
    if "\0" in text:
        raise ScriptUnreadable(path=where, reason=say("it is not text"))
    return text


def _document(report: Report, settings: Settings, mapping: GraphMapping | None) -> dict[str, object]:
    return {
        "blocked": report.blocked,
        "mapping": None if mapping is None else str(settings.config),
        "counts": report.counts,
        "statements": [{"outcome": verdict.outcome, **asdict(verdict)} for verdict in report.verdicts],
    }


def _show(report: Report) -> None:
    """One block per statement. Neighbours with the same judgements share one: a dump has thousands of INSERTs."""
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(justify="right", style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for verdicts in _runs(report.verdicts):
        first, last = verdicts[0], verdicts[-1]
        place = f"{first.line}:{first.column}" if first.line == last.line else f"{first.line}-{last.line}"
        for index, line in enumerate(_lines(verdicts)):
            outcome = Text(first.outcome, style=_STYLES[first.outcome]) if index == 0 else Text()
            grid.add_row(Text(place if index == 0 else ""), outcome, line)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else UNBOUNDED)
    with console.capture() as captured:
        console.print(grid)
    for printed in captured.get().splitlines():
        click.echo(printed.rstrip())


def _runs(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    for _, run in itertools.groupby(verdicts, key=lambda verdict: verdict.judgements):
        yield list(run)


def _lines(verdicts: Sequence[Verdict]) -> Iterator[Text]:
    first = verdicts[0]
    quiet = first.outcome == "unaffected"
    shown = Text(first.statement, style="dim" if quiet else "bold")
    if len(verdicts) > 1:
        shown.append(say("  and {count} more", count=len(verdicts) - 1), style="dim not bold")
    yield shown
    if quiet and all(judgement.code == "nothing" for judgement in first.judgements):
        return
    remedies = list(dict.fromkeys(judgement.remedy for judgement in first.judgements if judgement.remedy))
    for message in dict.fromkeys(judgement.message for judgement in first.judgements):
        yield Text(message, style="dim" if quiet else "")
    for remedy in remedies:
        yield Text(say("next: {remedy}", remedy=remedy), style="dim" if quiet else "cyan")


def _conclude(report: Report, mapping: GraphMapping | None) -> None:
    counted = ", ".join(f"{outcome} {count}" for outcome, count in report.counts.items() if count)
    talk("Statements: {count} ({counted}).", count=len(report.verdicts), counted=counted or say("none"))
    if mapping is None:
        talk("There is no mapping, so every table counts as mapped unless this file makes it.")
    if report.blocked:
        talk("The stream does not go on by itself after this file.")
    else:
        talk("Nothing here stops the stream.")
    if report.counts["rereads"]:
        talk("Until a table has been read again the checkpoint promises nothing (its phase is 'rereading').")
