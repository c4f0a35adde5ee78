"""`gpm-cdc sandbox`: the embedded Postgres and Neo4j."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click
from rich.console import Console
from rich.text import Text

from gpm_cdc.cli.options import examples, with_verbosity
from gpm_cdc.cli.rendering import show_json, show_table, talk
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.sandbox import QueryMissing

if TYPE_CHECKING:
    from gpm_cdc.sandbox import Progress, Step

_DETAIL_SECONDS: Final = 5.0

_directory: Final = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GPM_SANDBOX_DIRECTORY",
    show_envvar=True,
    help="Where the sandbox lives. Default: below your data directory; for root /var/lib/gpm-cdc/sandbox.",
)
_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def sandbox() -> None:
    """A real Postgres and a real Neo4j to try things on: no installation, no Docker, no root."""


@sandbox.command(
    epilog=examples(
        "gpm-cdc sandbox up",
        "gpm-cdc sandbox up --directory ./servers --postgres-version 17",
        'export GPM_POSTGRES_DSN="$(gpm-cdc sandbox up --json | jq -r .postgres_dsn)"',
    )
)
@_directory
@click.option("--postgres-version", metavar="MAJOR", help="15, 16, 17, or 18 (the default, with pgvector).")
@click.option("--neo4j-version", metavar="VERSION", help="Such as 5.26.20 (the default) or 2026.02.2.")
@click.option(
    "--ephemeral",
    is_flag=True,
    help="Stop the servers and remove their data on `down`, or when this terminal session ends. Without --directory: "
    "in a new temporary directory. A sandbox that exists already stays what it is.",
)
@_json
@with_verbosity
def up(
    *, directory: Path | None, postgres_version: str | None, neo4j_version: str | None, ephemeral: bool, as_json: bool
) -> None:
    """Start the servers, or find them running, and print how to reach them.

    They stay until `down`. The first start downloads Neo4j from Maven Central; later ones need no network.
    """
    from gpm_cdc import sandbox as servers  # noqa: PLC0415 - the drivers are not needed for --help

    with _progress() as progress:
        started = asyncio.run(
            servers.up(
                directory,
                postgres_version=postgres_version,
                neo4j_version=neo4j_version,
                ephemeral=ephemeral,
                # Not the parent: it may be a subshell or a wrapper that ends at once.
                owner=os.getsid(0),
                progress=progress,
            )
        )
    facts = {name: str(value) for name, value in asdict(started).items()}
    if as_json:
        show_json(facts)
    else:
        show_table(("setting", "value"), list(facts.items()))


@sandbox.command(epilog=examples("gpm-cdc sandbox down", "gpm-cdc sandbox down --directory ./servers"))
@_directory
@with_verbosity
def down(*, directory: Path | None) -> None:
    """Stop the servers. Their data stays, unless the sandbox is ephemeral."""
    from gpm_cdc import sandbox as servers  # noqa: PLC0415 - the drivers are not needed for --help

    place = servers.status(directory).directory
    if asyncio.run(servers.down(directory)):
        talk("The sandbox in {directory} is stopped.", directory=place)
    else:
        talk("No sandbox was running in {directory}.", directory=place)


@sandbox.command(epilog=examples("gpm-cdc sandbox status", "gpm-cdc sandbox status --json"))
@_directory
@_json
@with_verbosity
def status(*, directory: Path | None, as_json: bool) -> ExitCode:
    """Show whether the servers run. Exit code 1 if they do not."""
    from gpm_cdc import sandbox as servers  # noqa: PLC0415 - the drivers are not needed for --help

    found = servers.status(directory)
    if as_json:
        show_json({**asdict(found), "directory": str(found.directory)})
    elif not found.servers:
        talk("There is no sandbox in {directory}.", directory=found.directory)
    else:
        columns = ("server", "version", "port", "pid", "running")
        show_table(columns, [(s.name, s.version, s.port, s.pid, "yes" if s.running else "no") for s in found.servers])
    return ExitCode.DONE if found.running else ExitCode.FINDING


@sandbox.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples("gpm-cdc sandbox psql", "gpm-cdc sandbox psql -- -c 'SELECT version()'"),
)
@_directory
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(*, directory: Path | None, arguments: tuple[str, ...]) -> NoReturn:
    """Open psql on the sandbox's Postgres; ARGUMENTS go to psql."""
    from gpm_cdc.sandbox import clients  # noqa: PLC0415 - the drivers are not needed for --help

    program, environment = clients.psql(directory)
    # In place of this process, so that the terminal and its signals are psql's.
    os.execve(program, [str(program), *arguments], environment)  # noqa: S606 - there is no shell to want


@sandbox.command(
    epilog=examples(
        "gpm-cdc sandbox cypher 'MATCH (n) RETURN labels(n), count(*)'", "gpm-cdc sandbox cypher < query.cypher"
    )
)
@_directory
@click.argument("query", required=False)
@with_verbosity
def cypher(*, directory: Path | None, query: str | None) -> None:
    """Run QUERY, or what stands on standard input, on the sandbox's Neo4j and print the rows."""
    from gpm_cdc.sandbox import clients  # noqa: PLC0415 - the drivers are not needed for --help

    if query is None and not sys.stdin.isatty():
        query = sys.stdin.read()
    if not query or not query.strip():
        raise QueryMissing
    result = asyncio.run(clients.cypher(directory, query))
    if sys.stdout.isatty():
        show_table(result.columns, [[_cell(value) for value in row] for row in result.rows])
    else:
        for row in (result.columns, *result.rows):
            click.echo("\t".join(_cell(value) for value in row))


def _cell(value: object) -> str:
    """A value of the graph on one line, within one cell."""
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


@contextmanager
def _progress() -> Iterator["Progress"]:
    """Progress on stderr: one line that changes on a terminal, else lines, of the details one every few seconds."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as shown:
            yield lambda step: shown.update(Text(step.text))
        return
    said = 0.0

    def tell(step: "Step") -> None:
        nonlocal said
        if not step.detail or time.monotonic() - said > _DETAIL_SECONDS:
            said = time.monotonic()
            click.echo(step.text, err=True)

    yield tell
