"""`gpm-cdc verify`: the drift report."""

import asyncio
import gc
import sys
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import ClassVar, Final, Self

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.provenance import Provenance
from gpm_cdc.cli.rendering import talk
from gpm_cdc.cli.report import Forms, with_forms
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.history import kept
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.passes import Unwatched, recorded_pass
from gpm_cdc.runtime.repair import MAX_DELETE, REPAIR_TIMEOUT, Wanted, planned_repair, repair as ask_for_repair
from gpm_cdc.runtime.verify import MAX_SNAPSHOT, VerifyOrders
from gpm_cdc.runtime.versions import read_versions
from gpm_cdc.verification.rendering import without_values
from gpm_cdc.verification.report import Report
from gpm_cdc.verification.spool import Retold
from gpm_cdc.wording import say

REPAIRS: Final = 3
"""Passes after which what is still different is left to a person."""

SHOWN: Final = 20
"""Findings that are told to a person at once."""

_GARBAGE_THRESHOLD: Final = 1_000_000
"""Objects between two runs of the garbage collector. A million rows make many, none of them in cycles: looking for
some takes a fifth of the time of a pass."""

_EXIT_CODES: Final = {"clean": ExitCode.DONE, "drift": ExitCode.FINDING, "inconclusive": ExitCode.REPEAT}


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
        "gpm-cdc verify --incremental     # only what changed since the last full pass that was clean",
        "gpm-cdc verify --json > report.json",
        "gpm-cdc verify --resume          # what an interrupted pass has settled is not read again",
        "gpm-cdc verify --repair          # what differs is repaired through the stream, and compared again",
        "gpm-cdc verify --html report.html --no-values   # to send to somebody who may not see the rows",
        "gpm-cdc verify --jsonl - | jq -c 'select(.record == \"finding\") | .key'",
    )
)
@with_forms
@click.option(
    "--no-values",
    is_flag=True,
    help="Leave the values that differ out of the report and of what schema gpm_cdc keeps; types and keys stay.",
)
@click.option(
    "--table", "tables", multiple=True, metavar="TABLE", help="Compare only this table; may be given several times."
)
@click.option(
    "--resume", is_flag=True, help="Go on with the newest pass that broke off: what it has settled is not read again."
)
@click.option(
    "--incremental",
    is_flag=True,
    help="Compare what the stream has written since the last full pass that was clean; nothing that others wrote.",
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
@click.option("--repair", is_flag=True, help="Have the running stream repair what is found, and compare again.")
@click.option(
    "--max-delete",
    type=click.IntRange(min=0),
    default=MAX_DELETE,
    show_default=True,
    metavar="COUNT",
    help="With --repair: refuse to delete more elements than this.",
)
@click.option(
    "--max-snapshot",
    type=click.FloatRange(min=0.1, max=86_400),
    default=MAX_SNAPSHOT,
    show_default=True,
    metavar="SECONDS",
    help="How long to hold a snapshot of the tables; then the rest is read under a new one.",
)
@click.option(
    "--max-rate",
    type=click.FloatRange(min=1),
    metavar="NUMBER",
    help="Read at most so many rows and elements a second.",
)
@click.option(
    "--max-lag", type=click.IntRange(min=0), metavar="BYTES", help="Pause while the graph is further behind the log."
)
@with_settings
def verify(
    settings: Settings,
    *,
    forms: Forms,
    no_values: bool,
    tables: tuple[str, ...],
    resume: bool,
    incremental: bool,
    strict: bool,
    timeout: float,
    repair: bool,
    max_delete: int,
    max_snapshot: float,
    max_rate: float | None,
    max_lag: int | None,
) -> ExitCode:
    """Compare the graph with the tables, node by node and relationship by relationship.

    Nothing is written to the tables, and nothing to the graph but a note of what is proved, and what --repair asks
    the stream for: then report and exit code are those of the last pass. Exit code 0: they are equal. 1: they are
    not, and the report says where. 3: that cannot be told now, and the report says why. Needs a spare replication
    slot and walsender, and a second of each where there is writing at the same time. Where 'gpm-cdc db upgrade' made
    schema gpm_cdc, the report is kept there: 'gpm-cdc findings' shows it again, and --resume goes on with one that was
    killed, stopped or disturbed.
    """
    forms.require_possible()
    if incremental and (tables or resume):
        raise click.UsageError(say("--incremental cannot be used with --table or --resume"))
    mapping = read_mapping(settings)
    orders = VerifyOrders(
        tables=tuple(map(TableName.parse, tables)),
        strict=strict,
        incremental=incremental,
        timeout=timeout,
        max_snapshot=max_snapshot,
        max_rate=max_rate,
        max_lag=max_lag,
    )
    started_at = datetime.now(UTC)
    report, run = _compare(settings, mapping, orders, values=not no_values, resume=resume)
    for _ in range(REPAIRS if repair else 0):
        if report.verdict != "drift":
            break
        plan = asyncio.run(planned_repair(settings, mapping, Wanted(findings=report.findings)))
        plan.require_narrow(max_delete)
        if not plan.rereads:
            break
        talk("Found {count} differences; the stream repairs them.", count=f"{report.finding_count:,}")
        asyncio.run(ask_for_repair(settings, plan.rereads, timeout=REPAIR_TIMEOUT))
        started_at = datetime.now(UTC)
        report, run = _compare(settings, mapping, orders, values=not no_values, resume=False)
    if no_values:
        report = replace(report, findings=Retold(report.findings, without_values))
    number = run if run is not None and kept(settings, run, report, strict=strict) else None
    versions = asyncio.run(read_versions(settings)) if forms.leave else {}
    forms.deliver(report, Provenance(settings.stream, started_at, strict, versions, number), shown=SHOWN)
    if number is not None and not forms.silent:
        _tell_kept(number, report, settings.history_findings)
        _tell_settled(report)
    return _EXIT_CODES[report.verdict]


def _compare(
    settings: Settings, mapping: GraphMapping, orders: VerifyOrders, *, values: bool, resume: bool
) -> tuple[Report, int | None]:
    """One pass, with a live line where somebody looks at it."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    if not sys.stderr.isatty():
        return asyncio.run(recorded_pass(settings, mapping, orders, Unwatched(), values=values, resume=resume))
    with _TerminalObserver() as observer:
        return asyncio.run(recorded_pass(settings, mapping, orders, observer, values=values, resume=resume))


def _tell_kept(number: int, report: Report, limit: int) -> None:
    if report.finding_count > limit:
        talk(
            "Kept as pass {number}, with {limit} of its {count} findings: 'gpm-cdc findings --pass {number}'.",
            number=number,
            limit=f"{limit:,}",
            count=f"{report.finding_count:,}",
        )
    else:
        talk("Kept as pass {number}: 'gpm-cdc findings --pass {number}'.", number=number)


def _tell_settled(report: Report) -> None:
    settled = sum(table.settled for table in report.tables)
    if report.interrupted and settled:
        talk(
            "It broke off when {settled} of {count} tables were settled: 'gpm-cdc verify --resume' compares the rest.",
            settled=settled,
            count=len(report.tables),
        )
