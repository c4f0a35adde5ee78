"""`gpm-cdc run`: the daemon."""

import asyncio
import gc
import signal
import sys
from typing import override

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.progress import LogObserver, TerminalObserver
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.ports.observer import Observer
from gpm_cdc.runtime.daemon import Daemon, Orders, quiet_retries
from gpm_cdc.runtime.history import recorded
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.wording import say

_GARBAGE_THRESHOLD = 200_000
"""Objects between two runs of the garbage collector. A batch makes many, none of them in cycles."""


class LsnType(click.ParamType[Lsn]):
    """An LSN as Postgres prints it."""

    name = "LSN"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Lsn:
        """The position; a usage error for anything else."""
        try:
            return parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not an LSN such as 16/B374D848", param, ctx)


@click.command(
    epilog=examples(
        "gpm-cdc run",
        "gpm-cdc run --until-current      # catch up, then stop",
        "gpm-cdc run --adopt              # the graph holds mapped labels already: make them equal",
    )
)
@click.option("--until-current", is_flag=True, help="Stop when everything committed before the start is in the graph.")
@click.option(
    "--until-lsn", type=LsnType(), metavar="LSN", help="Stop when everything before this position is in the graph."
)
@click.option("--no-snapshot", is_flag=True, help="Begin a new stream without copying the rows that are there already.")
@click.option("--adopt", is_flag=True, help="Begin on a graph that already holds mapped labels, and make it equal.")
@click.option("--no-wait", is_flag=True, help="Refuse, instead of standing by, when another process runs the stream.")
@with_settings
def run(
    settings: Settings, *, until_current: bool, until_lsn: Lsn | None, no_snapshot: bool, adopt: bool, no_wait: bool
) -> None:
    """Keep the graph equal to the tables, until stopped.

    A new stream begins with a consistent copy of every mapped table; after that each committed transaction follows.
    SIGTERM and SIGINT end it after the batch in hand. A second `run` on the same stream stands by and takes over.
    """
    if until_current and until_lsn is not None:
        raise click.UsageError(say("--until-current cannot be used with --until-lsn"))
    mapping = read_mapping(settings)
    orders = Orders(
        until=until_lsn, until_current=until_current, snapshot=not no_snapshot, adopt=adopt, wait=not no_wait
    )
    gc.set_threshold(_GARBAGE_THRESHOLD)
    quiet_retries()
    observer = TerminalObserver() if sys.stderr.isatty() else LogObserver(settings.stream)
    with observer:
        asyncio.run(_run(settings, mapping, orders, observer))


async def _run(settings: Settings, mapping: GraphMapping, orders: Orders, observer: Observer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with recorded(settings, "run") as entry:
        await Daemon(settings, mapping, orders, entry.observing(observer)).run(stop)
