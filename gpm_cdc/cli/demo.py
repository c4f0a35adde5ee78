"""`gpm-cdc demo`: the guided tour."""

import asyncio
import signal

import click

from gpm_cdc.cli.options import examples, with_verbosity
from gpm_cdc.cli.rendering import talk
from gpm_cdc.errors.base import ExitCode


@click.command(epilog=examples("gpm-cdc demo", "gpm-cdc demo --keep     # and look around afterwards"))
@click.option("--keep", is_flag=True, help="Leave the servers running, with everything in them, and say where.")
@with_verbosity
def demo(*, keep: bool) -> ExitCode:
    """See a graph follow its tables, in less than a minute: a guided tour on servers of its own.

    It starts a real Postgres and a real Neo4j, lets a small SQLAlchemy application write, and ends with what `verify`
    says, which is its exit code too. Nothing of yours is touched. Needs the extra: pip install 'gpm-cdc[sandbox]'.
    """
    try:
        return asyncio.run(_tour(keep=keep))
    except asyncio.CancelledError:
        talk("Stopped.")
        return ExitCode.REPEAT


async def _tour(*, keep: bool) -> ExitCode:
    from gpm_cdc.demo.screen import Screen  # noqa: PLC0415 - the drivers are not needed for --help
    from gpm_cdc.demo.tour import tour  # noqa: PLC0415 - as above

    touring = asyncio.create_task(tour(Screen(), keep=keep))
    # As Ctrl-C does by itself: what was started is stopped before this process ends.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, touring.cancel)
    return await touring
