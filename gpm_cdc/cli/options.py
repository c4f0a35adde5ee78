"""What commands have in common: options for the settings, verbosity, examples in the help."""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, override

import click

from gpm_cdc.cli.rendering import talk
from gpm_cdc.config.loading import CONFIG_FILE, flag, load, variable
from gpm_cdc.config.redaction import holds_password
from gpm_cdc.config.settings import Settings
from gpm_cdc.observability import logs

type Command[Outcome] = Callable[..., Outcome]

TRACEBACKS: Final = 2
"""How many -v it takes to see Python's tracebacks."""

_SETTINGS: Final = {
    "config": "The configuration file: settings and mapping.",
    "postgres_dsn": "The source, as a URI or as key=value text. Without it libpq's own variables hold (PGHOST, ...).",
    "neo4j_uri": "The graph.",
    "neo4j_user": (
        "Who writes the graph. There is no option for the password, which other users could read in the process list: "
        f"it is {variable('neo4j_password')}, a file named by {variable('neo4j_password')}_FILE, or in the "
        "configuration file."
    ),
    "neo4j_database": "The database within Neo4j.",
    "stream": "The stream's name: names slot, publication and checkpoint.",
}
"""Those of every command."""

_SHOWN_DEFAULTS: Final = {"config": f"{CONFIG_FILE}, if it is there", "postgres_dsn": None}

_log = logs.logger()


@dataclass(slots=True)
class Verbosity:
    """How often -v was given; on the root context, where the frame finds it when a command fails."""

    level: int = 0


class _SettingOption(click.Option):
    """An option whose variable and default click only shows: the settings are merged and explained in one place."""

    def __init__(self, *arguments: Any, shown_default: str | None, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        self._shown_default = shown_default

    @override
    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return None

    @override
    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        extra = super().get_help_extra(ctx)
        if self._shown_default is not None:
            extra["default"] = self._shown_default
        return extra


def with_verbosity[Outcome](command: Command[Outcome]) -> Command[Outcome]:
    """Gives a command -v and sets up its log lines on stderr."""

    @click.option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks too.")
    @functools.wraps(command)
    def audible(*arguments: object, verbose: int, **options: object) -> Outcome:
        click.get_current_context().find_root().ensure_object(Verbosity).level = verbose
        logs.configure(terminal=sys.stderr.isatty(), verbosity=verbose)
        return command(*arguments, **options)

    return audible


def with_settings[Outcome](command: Command[Outcome]) -> Command[Outcome]:
    """Gives a command the options of the settings and -v, and hands it one `Settings` as its first argument.

    `command(settings, *, ...)` keeps its own options as keywords. Raises ConfigurationError before the command starts.
    """

    @functools.wraps(command)
    def settled(*arguments: object, **options: object) -> Outcome:
        flags = {field: options.pop(field) for field in Settings.model_fields if field in options}
        dsn = flags["postgres_dsn"]
        if isinstance(dsn, str) and holds_password(dsn):
            talk(
                "The password in {flag} can be read by other users of this machine in the process list; "
                "{variable}, {variable}_FILE or ~/.pgpass keep it to yourself.",
                flag=flag("postgres_dsn"),
                variable=variable("postgres_dsn"),
            )
        settings = load(flags, os.environ, Path.cwd())
        _log.debug("settings", **settings.public())
        return command(settings, *arguments, **options)

    with_options = with_verbosity(settled)
    for field, meaning in reversed(_SETTINGS.items()):
        with_options = setting_option(field, meaning)(with_options)
    return with_options


def setting_option[Outcome](
    field: str, meaning: str, metavar: str | None = None
) -> Callable[[Command[Outcome]], Command[Outcome]]:
    """The option of one setting, for a command that `with_settings` hands its settings to, above that."""
    return click.option(
        flag(field),
        field,
        cls=_SettingOption,
        envvar=variable(field),
        show_envvar=True,
        shown_default=_shown_default(field),
        help=meaning,
        metavar=metavar,
    )


def examples(*lines: str) -> str:
    """The end of a command's help, for `epilog=`: one command line each, ready to be typed."""
    # \b keeps click from filling the lines into one paragraph.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def _shown_default(field: str) -> str | None:
    default = _SHOWN_DEFAULTS.get(field, Settings.model_fields[field].default)
    return cast("str | None", default)
