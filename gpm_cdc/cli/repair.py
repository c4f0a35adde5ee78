"""`gpm-cdc repair`: rows, tables, or the findings of a report made right through the stream."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import show_table, talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import render
from gpm_cdc.projection.plan import RowKey
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.repair import MAX_DELETE, REPAIR_TIMEOUT, RepairPlan, Wanted, planned_repair, repair as ask
from gpm_cdc.state import passes
from gpm_cdc.state.database import transaction
from gpm_cdc.state.migration import require_current
from gpm_cdc.verification.exchange import FindingList, read_findings
from gpm_cdc.wording import say


@click.command(
    help="""Make single rows, whole tables, or what a report found, right in the graph.

    The running stream does it: it reads the rows from Postgres at a position that it brings the graph to exactly, so
    writers need not stop, and no old value is ever written over a new one. --dry-run shows what would be read.""",
    epilog=examples(
        "gpm-cdc verify --jsonl found.jsonl; gpm-cdc repair --report found.jsonl",
        "gpm-cdc repair --pass 12 --dry-run",
        'gpm-cdc repair --key orders 17 --key order_details \'["17", "3"]\'',
        "gpm-cdc repair --table orders      # every row of it",
        "gpm-cdc repair --table orders --where \"placed_at >= '2026-01-01'\"",
    ),
)
@click.option("--table", "tables", multiple=True, metavar="TABLE", help="Read every row of this table again.")
@click.option(
    "--where",
    "condition",
    metavar="CONDITION",
    help="Only the rows of the one --table for which this condition in SQL holds. Nodes whose rows are gone meet none.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    nargs=2,
    metavar="TABLE KEY",
    help="Repair the row with this key, as Postgres prints it; a key of several columns as a list in JSON.",
)
@click.option(
    "--report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Repair what this report found: a file of 'verify --json' or 'verify --jsonl'.",
)
@click.option("--pass", "number", type=click.IntRange(min=1), metavar="ID", help="Repair what this kept pass found.")
@click.option(
    "--max-delete",
    type=click.IntRange(min=0),
    default=MAX_DELETE,
    show_default=True,
    metavar="COUNT",
    help="Refuse a report with more elements than this that no row accounts for.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be read again.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=86_400),
    default=REPAIR_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the stream to have done it. It does it even if nobody waits any more.",
)
@with_settings
def repair(
    settings: Settings,
    *,
    tables: tuple[str, ...],
    condition: str | None,
    keys: tuple[tuple[str, str], ...],
    report: Path | None,
    number: int | None,
    max_delete: int,
    dry_run: bool,
    timeout: float,
) -> None:
    """The command; its help is above, since it is text for people."""
    if not tables and not keys and report is None and number is None:
        raise click.UsageError(say("name what to repair with --table, --key, --report or --pass"))
    if condition is not None and len(tables) != 1:
        raise click.UsageError(say("--where is about the rows of one table: name it with --table"))
    mapping = read_mapping(settings)
    listed = list(_listed(settings, report, number))
    named = list(map(TableName.parse, tables))
    wanted = Wanted(
        tables=named if condition is None else (),
        keys=[(TableName.parse(table), _key(text)) for table, text in keys],
        findings=[each for found in listed for each in found.findings],
        conditions={} if condition is None else dict.fromkeys(named, condition),
    )
    plan = asyncio.run(planned_repair(settings, mapping, wanted))
    plan.require_narrow(max_delete)
    show_plan(plan, left_out=sum(found.left_out for found in listed))
    if dry_run or not plan.rereads:
        return
    position = asyncio.run(ask(settings, plan.rereads, timeout=timeout))
    talk("Repaired; the graph is at {position}. 'gpm-cdc verify' proves it.", position=render(position))


def show_plan(plan: RepairPlan, *, left_out: int) -> None:
    """What a repair will read again, on stdout."""
    if not plan.rereads:
        talk("There is nothing to repair.")
    else:
        rows = (
            (
                table,
                say("every row") if keys is None else f"{len(keys):,}",
                say(plan.reasons[table]) if table in plan.reasons else "",
            )
            for table, keys in sorted(plan.rereads.items())
        )
        show_table([say("table"), say("rows"), say("because of")], rows)
    if plan.left:
        talk("{count} findings are about what the mapping does not own: they are left alone.", count=plan.left)
    if left_out:
        talk(
            "The report counts {count} further findings without saying where: verify again afterwards.", count=left_out
        )


def _key(text: str) -> RowKey:
    """A key of one column as it is, or a list of texts in JSON."""
    if text.startswith("["):
        try:
            parts = json.loads(text)
        except ValueError:
            parts = None
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return tuple(parts)
    return (text,)


def _listed(settings: Settings, report: Path | None, number: int | None) -> Iterable[FindingList]:
    if report is not None:
        yield read_findings(report)
    if number is not None:
        require_current(settings.state_conninfo)
        with transaction(settings.state_conninfo) as connection:
            yield passes.read_findings(connection, settings.stream, number)
