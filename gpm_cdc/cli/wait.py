"""`gpm-cdc wait`: until the graph includes a position."""

import asyncio

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.run import LsnType
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.runtime.wait import wait as wait_for


@click.command(
    help="""Return when the graph includes everything before a position of Postgres's log; print where the graph is.

    Without --lsn the position is that of everything committed when the command starts. With --lsn only the graph is
    asked. The exit code is 3 if the time is up.""",
    epilog=examples("gpm-cdc wait --timeout 30", "gpm-cdc wait --lsn 16/B374D848"),
)
@click.option(
    "--lsn", type=LsnType(), metavar="LSN", help="The position, as pg_current_wal_lsn() prints it after a commit."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after this long. Without it, never.",
)
@with_settings
def wait(settings: Settings, *, lsn: Lsn | None, timeout: float | None) -> None:
    """The command; its help is above, since it is text for people."""
    click.echo(render(asyncio.run(wait_for(settings, lsn, timeout=timeout))))
