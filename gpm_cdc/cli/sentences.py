"""What every form of a report for people says in the same words."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Final

from gpm_cdc.domain.lsn import render
from gpm_cdc.verification.rendering import visible
from gpm_cdc.verification.report import FindingKind, KeyValue, Report, TableReport
from gpm_cdc.wording import say

KINDS: Final[Mapping[FindingKind, str]] = {
    "missing": "is missing from the graph",
    "extra": "is in the graph, but no row makes it so",
    "keyless": "is in the graph without a usable key",
    "duplicate": "is in the graph once more",
    "different": "differs",
    "wrong_end": "joins other nodes",
    "label": "has other labels",
    "foreign": "bears what the mapping does not own",
}


def key_text(key: Mapping[str, KeyValue]) -> str:
    """A row's key as `id=1, part=a`."""
    return ", ".join(f"{column}={'NULL' if value is None else visible(str(value))}" for column, value in key.items())


def position_text(report: Report | TableReport) -> str:
    """The position, or from which to which one, of a report or of a table in it."""
    if report.position is None:
        return "-"
    end = render(report.position)
    if report.began in (None, report.position):
        return end
    return say("{first} to {last}", first=render(report.began), last=end)


def positions_differ(tables: Iterable[TableReport]) -> bool:
    """Whether the tables were compared at different positions, so that each needs to tell its own."""
    return len({(table.began, table.position) for table in tables}) > 1


def sums_text(table: TableReport) -> str:
    """What the checksums of a table say."""
    if table.position is None:
        return say("not compared")
    return say("equal") if table.postgres == table.neo4j else say("differ")


def resumed_text(report: Report) -> str:
    """With what a pass began that went on with another one."""
    return say(
        "from pass {number}, which had settled {settled} of {count} tables",
        number=report.resumed_pass,
        settled=sum(table.resumed for table in report.tables),
        count=len(report.tables),
    )


def scope_text(report: Report) -> str:
    """What a pass compared."""
    if report.kind == "full":
        return say("full")
    if report.since is None:
        return say("incremental")
    return say(
        "incremental: what the stream has written after {position}, where a full pass that ended at {time} UTC found"
        " everything equal",
        position=render(report.since.position),
        time=f"{report.since.ended_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
    )
