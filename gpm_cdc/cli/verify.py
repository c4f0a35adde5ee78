"""`gpm-cdc verify`: the drift report."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import ClassVar, Final, Self

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import show_json, show_table, talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys
from gpm_cdc.ports.verification import VerifyObserver
from gpm_cdc.runtime.history import recorded
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.verify import VerifyOrders, verify as compare
from gpm_cdc.verification.report import Finding, KeyValue, Report, Unsettled
from gpm_cdc.wording import say

SHOWN: Final = 20
"""Findings that are told to a person; --json has all."""

_LONGEST_TEXT: Final = 100
_EXIT_CODES: Final = {"clean": ExitCode.DONE, "drift": ExitCode.FINDING, "inconclusive": ExitCode.REPEAT}
_KINDS: Final = {
    "missing": "is missing from the graph",
    "extra": "is in the graph, but no row makes it so",
    "keyless": "is in the graph without a usable key",
    "duplicate": "is in the graph once more",
    "different": "differs",
    "wrong_end": "joins other nodes",
    "label": "has other labels",
    "foreign": "bears what the mapping does not own",
}


class _SilentObserver:
    """A VerifyObserver for programs: the report is all they want."""

    def waiting(self, position: Lsn) -> None:
        """Say nothing."""

    def comparing(self, number: int, position: Lsn) -> None:
        """Say nothing."""

    def compared(self, what: str, count: int) -> None:
        """Say nothing."""


class _TerminalObserver:
    """A VerifyObserver that keeps a live line on stderr."""

    _COLUMNS: ClassVar = (
        SpinnerColumn,
        lambda: TextColumn("{task.description}"),
        lambda: TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn,
    )

    def __init__(self) -> None:
        columns = [make() for make in self._COLUMNS]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task(say("preparing"), total=None, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _tell(self, description: str, advance: int = 0) -> None:
        if self._task is None:
            return
        task = self._progress.tasks[0]
        rate = say("{rate} elements/s", rate=f"{(task.completed + advance) / max(task.elapsed or 0.0, 0.001):,.0f}")
        self._progress.update(self._task, description=description, advance=advance, rate=rate if advance else "")

    def waiting(self, position: Lsn) -> None:
        """As the port says."""
        self._tell(say("waiting for the graph to get to {position}", position=render(position)))

    def comparing(self, number: int, position: Lsn) -> None:
        """As the port says."""
        self._tell(say("round {number} at {position}", number=number, position=render(position)))

    def compared(self, what: str, count: int) -> None:
        """As the port says."""
        self._tell(say("comparing {what}", what=what), count)


@click.command(
    epilog=examples(
        "gpm-cdc verify",
        "gpm-cdc verify --table orders --table public.customers",
        "gpm-cdc verify --json > report.json",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
@click.option(
    "--table", "tables", multiple=True, metavar="TABLE", help="Compare only this table; may be given several times."
)
@click.option("--strict", is_flag=True, help="Also report properties and labels that the mapping does not own.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the graph to get to the position of the comparison.",
)
@with_settings
def verify(settings: Settings, *, as_json: bool, tables: tuple[str, ...], strict: bool, timeout: float) -> ExitCode:
    """Compare the graph with the tables, node by node and relationship by relationship.

    Nothing is written to the tables, and nothing to the graph. Exit code 0: they are equal. 1: they are not, and the
    report says where. 3: that cannot be told now, and the report says why. Needs a spare replication slot and
    walsender, and a second of each where there is writing at the same time.
    """
    mapping = read_mapping(settings)
    orders = VerifyOrders(tables=tuple(map(TableName.parse, tables)), strict=strict, timeout=timeout)
    observer = _TerminalObserver() if sys.stderr.isatty() else _SilentObserver()
    with observer if isinstance(observer, _TerminalObserver) else nullcontext():
        report = asyncio.run(_compare(settings, mapping, orders, observer))
    if as_json:
        show_json(report.as_json())
    else:
        _show(report)
    return _EXIT_CODES[report.verdict]


async def _compare(settings: Settings, mapping: GraphMapping, orders: VerifyOrders, observer: VerifyObserver) -> Report:
    async with recorded(settings, "verify") as entry:
        report = await compare(settings, mapping, orders, observer)
        entry.verdict = report.verdict
        if report.position is not None:
            entry.reached(report.position)
        entry.count(keys.ELEMENT_COUNT, report.elements_checked)
    return report


def _show(report: Report) -> None:
    if report.position is not None:
        columns = [
            say(name)
            for name in ("table", "rows", "nodes", "relationships", "missing", "extra", "different", "checksums")
        ]
        show_table(
            columns,
            [
                (
                    table.table,
                    table.rows,
                    table.nodes,
                    table.relationships,
                    table.missing,
                    table.extra,
                    table.different,
                    say("equal") if table.postgres == table.neo4j else say("differ"),
                )
                for table in report.tables
            ],
        )
    for finding in report.findings[:SHOWN]:
        _show_finding(finding)
    _more(len(report.findings) - SHOWN)
    for open_question in report.unsettled[:SHOWN]:
        click.echo(_shown_question(open_question))
    _more(len(report.unsettled) - SHOWN)
    talk(
        "{count} elements in {seconds} s, as of {position}",
        count=f"{report.elements_checked:,}",
        seconds=f"{report.seconds:.1f}",
        position="-" if report.position is None else render(report.position),
    )
    click.echo(say("verify: {verdict}", verdict=report.verdict))


def _more(count: int) -> None:
    if count > 0:
        click.echo(say("and {count} more; --json lists all", count=count))


def _show_finding(finding: Finding) -> None:
    click.echo(
        say(
            "{table} {key}: {element} {what}",
            table=finding.table,
            key=_shown_key(finding.key),
            element=finding.element,
            what=say(_KINDS[finding.kind]),
        )
    )
    for name in (
        {**(finding.expected or {}), **(finding.actual or {})} if finding.kind not in ("missing", "extra") else ()
    ):
        expected, actual = (finding.expected or {}).get(name), (finding.actual or {}).get(name)
        click.echo(
            say("    {name}: {actual} instead of {expected}", name=name, actual=_cut(actual), expected=_cut(expected))
        )


def _shown_question(question: Unsettled) -> str:
    if question.table is None:
        return say("not told: {reason}", reason=question.reason)
    if question.key is None:
        return say("{table} not told: {reason}", table=question.table, reason=question.reason)
    key = _shown_key(question.key)
    return say("{table} {key} not told: {reason}", table=question.table, key=key, reason=question.reason)


def _shown_key(key: Mapping[str, KeyValue]) -> str:
    return ", ".join(f"{column}={value}" for column, value in key.items())


def _cut(text: str | None) -> str:
    if text is None:
        return say("nothing")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
