"""The `gpm-cdc` command: finds the subcommand, runs it, turns what went wrong into words and an exit code."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast, override

import click

from gpm_cdc import __version__
from gpm_cdc.cli.options import TRACEBACKS, Verbosity
from gpm_cdc.cli.rendering import talk
from gpm_cdc.errors.base import ExitCode, GpmCdcError
from gpm_cdc.errors.terminal import OutputClosed

PROGRAM: Final = "gpm-cdc"

_COMMANDS: Final = {
    "sandbox": "gpm_cdc.cli.sandbox:sandbox",
    "map": "gpm_cdc.cli.map:map_",
    "lint-migration": "gpm_cdc.cli.lint_migration:lint_migration",
    "check": "gpm_cdc.cli.check:check",
    "run": "gpm_cdc.cli.run:run",
    "status": "gpm_cdc.cli.status:status",
    "wait": "gpm_cdc.cli.wait:wait",
    "tail": "gpm_cdc.cli.tail:tail",
    "verify": "gpm_cdc.cli.verify:verify",
    "findings": "gpm_cdc.cli.findings:findings",
    "repair": "gpm_cdc.cli.repair:repair",
    "reset": "gpm_cdc.cli.reset:reset",
    "demo": "gpm_cdc.cli.demo:demo",
    "bench": "gpm_cdc.cli.bench:bench",
    "db": "gpm_cdc.cli.db:db",
}
"""Each command's place, in the order in which a newcomer meets them."""


class _Commands(click.Group):
    """Imports a command when it is asked for: `gpm-cdc status` need not wait for what `gpm-cdc bench` imports."""

    def __init__(self, places: Mapping[str, str], *, name: str, help: str, epilog: str) -> None:  # noqa: A002 - click's name
        super().__init__(name, help=help, epilog=epilog)
        self._places = places

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    @override
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as problem:
            # click would leave with 1, which means drift here.
            raise OutputClosed from problem


def _built(places: Mapping[str, str]) -> dict[str, str]:
    return {name: place for name, place in places.items() if importlib.util.find_spec(place.partition(":")[0])}


_EPILOG: Final = """\b
A setting is a command's option, or else an environment variable, or else in gpm-cdc.toml, or else its default.

\b
Exit codes:
  0  done, clean
  1  drift, or a finding that blocks
  2  a person must change something
  3  repeating may help
"""

cli: Final = click.version_option(__version__, prog_name=PROGRAM)(
    _Commands(
        _built(_COMMANDS),
        name=PROGRAM,
        help="Keeps a Neo4j graph equal to Postgres tables, commit by commit, and proves it.",
        epilog=_EPILOG,
    )
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `gpm-cdc` with `arguments` (None: those of this process) and leave with its exit code.

    A command returns an ExitCode, or nothing where it is done.
    """
    code = outcome(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more on its way out, and would replace the exit code when that fails too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def outcome(arguments: Sequence[str]) -> int:
    """The exit code of `gpm-cdc` with `arguments`, everything that went wrong having been said on stderr."""
    verbosity = Verbosity()
    try:
        returned = cli.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=verbosity)
    except click.ClickException as refusal:
        refusal.show()
        return ExitCode.PERSON
    except click.Abort as abort:
        talk("Stopped.")
        return ExitCode.REPEAT if isinstance(abort.__cause__, KeyboardInterrupt) else ExitCode.PERSON
    except Exception as problem:  # noqa: BLE001 - the edge of the program: whatever it is, it ends here, in words
        return _explain(problem, verbosity)
    return ExitCode.DONE if returned is None else int(returned)


def _explain(problem: Exception, verbosity: Verbosity) -> ExitCode:
    """Say what `problem` is, and what to do about it. What a person must mend goes before what may pass by itself."""
    if verbosity.level >= TRACEBACKS:
        traceback.print_exception(problem)
    leaves = _leaves(problem)
    expected = [leaf for leaf in leaves if isinstance(leaf, GpmCdcError)]
    if len(expected) < len(leaves):
        stranger = next(leaf for leaf in leaves if not isinstance(leaf, GpmCdcError))
        # Its message stays out: it may quote a row or a connection string.
        talk("error: internal error, {kind} at {place}", kind=type(stranger).__name__, place=_place(stranger))
        talk("  next: this is a defect of gpm-cdc; run the command again with -vv and report what it prints.")
        return ExitCode.PERSON
    error = min(expected, key=lambda each: each.exit_code)
    talk("error: {message}", message=error)
    if error.advice:
        talk("  next: {remedy}", remedy=error.advice)
    return error.exit_code


def _leaves(problem: BaseException) -> list[BaseException]:
    """What actually went wrong: a task group wraps the errors of its tasks, also when there is only one."""
    if isinstance(problem, BaseExceptionGroup):
        return [leaf for each in problem.exceptions for leaf in _leaves(each)]
    return [problem]


def _place(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
