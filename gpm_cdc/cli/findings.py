"""`gpm-cdc findings`: what earlier passes of `verify` found."""

from dataclasses import asdict
from datetime import UTC

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.provenance import Provenance
from gpm_cdc.cli.rendering import show_json, show_table, talk
from gpm_cdc.cli.report import Forms, with_forms
from gpm_cdc.config.settings import Settings
from gpm_cdc.state import passes
from gpm_cdc.state.database import transaction
from gpm_cdc.state.migration import require_current
from gpm_cdc.state.passes import PassSummary
from gpm_cdc.wording import say


@click.command(
    epilog=examples(
        "gpm-cdc findings",
        "gpm-cdc findings --pass 12",
        "gpm-cdc findings --pass 12 --html report.html",
        "gpm-cdc findings --json | jq '.[] | [.started_at, .verdict, .finding_count]'",
    )
)
@with_forms
@click.option("--pass", "number", type=click.IntRange(min=1), metavar="ID", help="Show the report of this pass again.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100_000),
    default=20,
    show_default=True,
    metavar="COUNT",
    help="How many passes to list, the newest first.",
)
@with_settings
def findings(settings: Settings, *, forms: Forms, number: int | None, limit: int) -> None:
    """List the passes of 'gpm-cdc verify' with their verdicts, or show one of them again.

    They are kept from 'gpm-cdc db upgrade' on. Findings stay for history_days (GPM_HISTORY_DAYS), the numbers of a
    pass for good.
    """
    if number is None and (forms.lines or forms.page):
        raise click.UsageError(say("--jsonl and --html are forms of one pass: name it with --pass"))
    forms.require_possible()
    require_current(settings.state_conninfo)
    with transaction(settings.state_conninfo) as connection:
        if number is None:
            found = passes.passes(connection, settings.stream, limit)
        else:
            summary, report = passes.load(connection, settings.stream, number)
    if number is None:
        _show(found, settings.stream, as_json=forms.as_json)
        return
    provenance = Provenance(
        summary.stream, summary.started_at, summary.strict, {"gpm_cdc": summary.version}, summary.number
    )
    forms.deliver(report, provenance, shown=None)


def _show(found: list[PassSummary], stream: str, *, as_json: bool) -> None:
    if as_json:
        show_json([_document(each) for each in found])
    elif not found:
        talk("No pass of stream {stream} is kept yet: 'gpm-cdc verify' makes one.", stream=stream)
    else:
        columns = (
            "pass",
            "started",
            "kind",
            "verdict",
            "as of",
            "elements",
            "missing",
            "extra",
            "different",
            "not told",
            "seconds",
        )
        show_table([say(column) for column in columns], map(_row, found))


def _row(each: PassSummary) -> tuple[object, ...]:
    return (
        each.number,
        f"{each.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        each.kind,
        each.verdict,
        each.as_of_lsn or "-",
        each.elements_checked,
        each.missing,
        each.extra,
        each.different,
        each.unsettled_count,
        f"{each.seconds:.1f}",
    )


def _document(each: PassSummary) -> dict[str, object]:
    document = asdict(each)
    return {
        "pass": document.pop("number"),
        **document,
        "started_at": each.started_at.astimezone(UTC).isoformat(timespec="milliseconds"),
    }
