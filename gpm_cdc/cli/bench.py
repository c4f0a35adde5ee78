"""`gpm-cdc bench`: figures, each beside the ceiling of the same machine."""

import asyncio

import click
from rich.console import Console

from gpm_cdc import sandbox
from gpm_cdc.bench import verify as verification
from gpm_cdc.bench.stream import OPERATIONS, SIZES, Result, measure, plan
from gpm_cdc.cli.options import examples, with_verbosity
from gpm_cdc.cli.rendering import show_json, show_table
from gpm_cdc.wording import say

_ROWS = 200_000
_REPEATS = 3
_VERIFIED = 1_000_000


@click.group()
def bench() -> None:
    """Measure the stream against what Neo4j itself takes on this machine, and how fast both sides are compared."""


@bench.command(
    epilog=examples(
        "gpm-cdc bench stream",
        "gpm-cdc bench stream --operation insert --operation update --size 1000",
        "gpm-cdc bench stream --json > figures.json",
    )
)
@click.option(
    "--rows", type=click.IntRange(min=1_000), default=_ROWS, show_default=True, help="Changed rows per workload."
)
@click.option(
    "--operation",
    "operations",
    type=click.Choice(OPERATIONS),
    multiple=True,
    default=OPERATIONS,
    show_default=True,
    help="What to measure; may be repeated.",
)
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(min=1),
    multiple=True,
    default=SIZES,
    show_default=True,
    help="Rows per transaction; may be repeated.",
)
@click.option(
    "--repeat", "repeats", type=click.IntRange(min=1), default=_REPEATS, show_default=True, help="Turns of each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@with_verbosity
def stream(*, rows: int, operations: tuple[str, ...], sizes: tuple[int, ...], repeats: int, as_json: bool) -> None:
    """How many changed rows per second pass from Postgres into Neo4j.

    Runs on a sandbox of its own. Rows are committed while the daemon is stopped, then it catches up: the rate is that
    of the stream, not of the writer. The ceiling is what a bare loop that sends the same rows to Neo4j reaches. Both
    are measured in turn, and medians are shown.
    """
    console = Console(stderr=True)
    results: list[Result] = []
    with console.status(say("starting a sandbox")) as status:
        box = asyncio.run(sandbox.up(ephemeral=True))
        try:
            results.extend(measure(box, plan(rows, operations, sizes), repeats, status.update))
        finally:
            asyncio.run(sandbox.down(box.directory))
    if as_json:
        show_json(results)
        return
    show_table(
        (
            say("name"),
            say("rows"),
            say("rows/s"),
            say("ceiling"),
            say("ratio"),
            "CPU gpm-cdc",
            "Postgres",
            "Neo4j",
            "RSS MB",
        ),
        [_row(result) for result in results],
    )


@bench.command(
    epilog=examples(
        "gpm-cdc bench verify", "gpm-cdc bench verify --rows 100000 --max-snapshot 2", "gpm-cdc bench verify --json"
    )
)
@click.option(
    "--rows", type=click.IntRange(min=1_000), default=_VERIFIED, show_default=True, help="Nodes, and relationships."
)
@click.option(
    "--repeat", "repeats", type=click.IntRange(min=1), default=_REPEATS, show_default=True, help="Comparisons."
)
@click.option(
    "--max-snapshot",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="How long a snapshot may be held. Default: that of verify.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@with_verbosity
def verify(*, rows: int, repeats: int, max_snapshot: float | None, as_json: bool) -> None:
    """How many nodes and relationships per second `gpm-cdc verify` compares when all of them are equal.

    Then how long an incremental pass takes after 1,000 changes, and a full one that finds 10 damaged nodes.

    Runs on a sandbox of its own, which the daemon fills first.
    """
    console = Console(stderr=True)
    results: list[Result] = []
    with console.status(say("starting a sandbox")) as status:
        box = asyncio.run(sandbox.up(ephemeral=True))
        try:
            results.extend(verification.measure(box, rows, repeats, status.update, max_snapshot=max_snapshot))
        finally:
            asyncio.run(sandbox.down(box.directory))
    if as_json:
        show_json(results)
        return
    show_table(
        (
            *(say("name"), say("elements"), say("elements/s"), say("seconds"), say("snapshots"), say("longest s")),
            *("CPU gpm-cdc", "Postgres", "Neo4j", "RSS MB"),
        ),
        [
            (
                *(result[key] for key in ("name", "rows", "rate", "seconds", "snapshots", "snapshot_seconds")),
                *result["cpu_seconds"].values(),
                round(result["rss_peak_bytes"] / 1_000_000),
            )
            for result in results
        ],
    )


def _row(result: Result) -> tuple[object, ...]:
    cpu = result["cpu_seconds"]
    return (
        result["name"],
        result["rows"],
        result["rate"],
        result["ceiling_rate"],
        result["ratio"],
        cpu["gpm_cdc"],
        cpu["postgres"],
        cpu["neo4j"],
        round(result["rss_peak_bytes"] / 1_000_000),
    )
