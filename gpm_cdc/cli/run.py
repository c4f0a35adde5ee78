"""`gpm-cdc run`: the daemon."""

import asyncio
import gc
import re
import signal
import sys
from collections.abc import Coroutine
from typing import override

import click

from gpm_cdc.cli.options import examples, setting_option, with_settings
from gpm_cdc.cli.progress import LogObserver, TerminalObserver
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.daemon import Daemon, Orders, quiet_retries
from gpm_cdc.runtime.history import recorded
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.measuring import Meter, served, watch_log
from gpm_cdc.runtime.passes import Schedule, verify_regularly
from gpm_cdc.wording import say

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}

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


class DurationType(click.ParamType[float]):
    """A number of seconds, or one with a unit: 90s, 15m, 1h, 1d."""

    name = "DURATION"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; a usage error for anything else."""
        found = _DURATION.fullmatch(str(value))
        if found is None or float(found[1]) == 0:
            self.fail(say("{value} is not a duration such as 15m or 1h", value=value), param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command(
    epilog=examples(
        "gpm-cdc run",
        "gpm-cdc run --verify-every 1d --verify-changes-every 10m    # prove that graph and tables are equal",
        "gpm-cdc run --metrics 127.0.0.1:9187    # for Prometheus; also /health",
        "gpm-cdc run --until-current      # catch up, then stop",
        "gpm-cdc run --adopt              # the graph holds mapped labels already: make them equal",
        "gpm-cdc run --remap              # the mapping was edited: read again what it concerns",
    )
)
@click.option("--until-current", is_flag=True, help="Stop when everything committed before the start is in the graph.")
@click.option(
    "--until-lsn", type=LsnType(), metavar="LSN", help="Stop when everything before this position is in the graph."
)
@click.option("--no-snapshot", is_flag=True, help="Begin a new stream without copying the rows that are there already.")
@click.option("--adopt", is_flag=True, help="Begin on a graph that already holds mapped labels, and make it equal.")
@click.option("--remap", is_flag=True, help="Accept an edited mapping, and read the tables again that it concerns.")
@click.option("--no-wait", is_flag=True, help="Refuse, instead of standing by, when another process runs the stream.")
@click.option(
    "--verify-every",
    type=DurationType(),
    metavar="DURATION",
    help="Compare graph and tables this often, such as 1d, and log the verdict; 'gpm-cdc status' shows the last one.",
)
@click.option(
    "--verify-changes-every",
    type=DurationType(),
    metavar="DURATION",
    help="In between compare what the stream has written since the last such pass that was clean, such as 10m.",
)
@setting_option("metrics", "Serve /metrics and /health there, to whoever reaches it; [::1]:9187 is IPv6.", "HOST:PORT")
@with_settings
def run(
    settings: Settings,
    *,
    until_current: bool,
    until_lsn: Lsn | None,
    no_snapshot: bool,
    adopt: bool,
    remap: bool,
    no_wait: bool,
    verify_every: float | None,
    verify_changes_every: float | None,
) -> None:
    """Keep the graph equal to the tables, until stopped.

    A new stream begins with a consistent copy of every mapped table; after that each committed transaction follows.
    SIGTERM and SIGINT end it after the batch in hand. A second `run` on the same stream stands by and takes over.
    """
    if until_current and until_lsn is not None:
        raise click.UsageError(say("--until-current cannot be used with --until-lsn"))
    mapping = read_mapping(settings)
    orders = Orders(
        until=until_lsn,
        until_current=until_current,
        snapshot=not no_snapshot,
        adopt=adopt,
        remap=remap,
        wait=not no_wait,
    )
    gc.set_threshold(_GARBAGE_THRESHOLD)
    quiet_retries()
    observer = TerminalObserver() if sys.stderr.isatty() else LogObserver(settings.stream)
    meter = Meter(observer)
    schedule = Schedule(verify_every, verify_changes_every)
    with served(settings, meter), observer:
        asyncio.run(_run(settings, mapping, orders, meter, schedule))


async def _run(settings: Settings, mapping: GraphMapping, orders: Orders, meter: Meter, schedule: Schedule) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with recorded(settings, "run") as entry:
        beside: list[Coroutine[None, None, None]] = []
        if schedule != Schedule(None, None):
            beside.append(verify_regularly(settings, mapping, schedule, stop, meter))
        if settings.metrics is not None:
            beside.append(watch_log(settings, meter))
        tasks = [asyncio.create_task(each) for each in beside]
        try:
            await Daemon(settings, mapping, orders, entry.observing(meter), meter).run(stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
