"""`gpm-cdc map`: the mapping inferred from the catalogue, or the file's mapping compared with it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from gpm_cdc import orm
from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import talk
from gpm_cdc.config.loading import CONFIG_FILE
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import Catalogue, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.mapping import MappingExists, MappingFileRefused, MappingMissing
from gpm_cdc.mapping import text
from gpm_cdc.mapping.inference import Inference, infer
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.validation import validate
from gpm_cdc.orm import ModelMapping
from gpm_cdc.source.catalogue import read_catalogue
from gpm_cdc.source.session import connect
from gpm_cdc.wording import say


@click.command(
    "map",
    help="""Write the mapping that follows from the tables and foreign keys of the source, as TOML.

    Tables that cannot be followed are left out; the output says why, and stderr too. With --models it follows from
    SQLAlchemy models instead, and no database is needed. With --check, compare the mapping
    of the configuration file with the source instead: the findings go to stdout, and the exit code is 1 if any
    blocks.""",
    epilog=examples(
        "gpm-cdc map",
        "gpm-cdc map --output gpm-cdc.toml",
        "gpm-cdc map --models shop.model:Base --output gpm-cdc.toml",
        "gpm-cdc map --check",
    ),
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. Settings that it holds already are kept. Without it the mapping goes to stdout.",
)
@click.option("--force", is_flag=True, help="Replace a mapping that the file holds already. Its ignore list is kept.")
@click.option("--check", is_flag=True, help="Compare the mapping of the configuration file with the source.")
@click.option(
    "--models",
    metavar="MODULE:BASE",
    help="The base of SQLAlchemy models, a registry or a MetaData. Its tables are in scope, whatever their schema.",
)
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    default=("public",),
    show_default=True,
    help="A schema whose tables are in scope; may be given several times.",
)
@with_settings
def map_(
    settings: Settings, output: Path | None, force: bool, check: bool, models: str | None, schemas: tuple[str, ...]
) -> ExitCode:
    """The command; its help is above, since it is text for people."""
    if check and models is not None:
        raise click.UsageError(say("--check compares the configuration file with the source: leave --models out."))
    if check and (output is not None or force):
        raise click.UsageError(say("--check writes nothing, so --output and --force mean nothing with it."))
    if force and output is None:
        raise click.UsageError(say("--force is about the file that --output names."))
    if check:
        return _check(settings, schemas)
    _write(settings, output, partial(_from_models, models) if models else partial(_inferred, settings, schemas), force)
    return ExitCode.DONE


def _check(settings: Settings, schemas: Sequence[str]) -> ExitCode:
    if settings.config is None:
        raise MappingMissing(path=CONFIG_FILE)
    mapping = text.parse(_read(settings.config), where=settings.config.name)
    if not any(True for _ in mapping.tables()):
        raise MappingMissing(path=settings.config)
    findings = validate(mapping, _catalogue(settings, schemas, _named_tables(mapping)))
    for finding in findings:
        click.echo(_shown(finding))
    blocking = sum(finding.blocks for finding in findings)
    if blocking:
        talk("Blocking findings: {count}.", count=blocking)
        return ExitCode.FINDING
    talk("The mapping of {path} fits the source.", path=settings.config)
    return ExitCode.DONE


type _Source = Callable[[tuple[TableName, ...]], tuple[Inference | ModelMapping, str]]
"""Makes a mapping without some tables, with the sentence for the case that it is empty."""


def _inferred(settings: Settings, schemas: Sequence[str], ignore: tuple[TableName, ...]) -> tuple[Inference, str]:
    nothing = say("Schema {schemas} holds no table that can be mapped; --schema names others.",
                  schemas=", ".join(schemas))  # fmt: skip
    return infer(_catalogue(settings, schemas, ()), ignore), nothing


def _from_models(name: str, ignore: tuple[TableName, ...]) -> tuple[ModelMapping, str]:
    return orm.load(name, ignore), say("{name} has no table that can be mapped.", name=name)


def _write(settings: Settings, output: Path | None, source: _Source, force: bool) -> None:
    path = settings.config if output is None else output
    existing = _read(path) if path is not None and path.exists() else ""
    where = CONFIG_FILE if path is None else path.name
    if output is not None and not force and text.holds_mapping(existing, where=where):
        raise MappingExists(path=output)
    ignore = text.parse_ignore(existing, where=where)
    inference, nothing = source(ignore)
    if output is None:
        click.echo(text.render(inference.mapping, inference.notes), nl=False)
    else:
        _save(output, text.merge_into(existing, inference.mapping, inference.notes, where=where))
    _tell(inference, output, nothing)


def _tell(inference: Inference | ModelMapping, output: Path | None, nothing: str) -> None:
    for finding in inference.findings:
        talk("{finding}", finding=_shown(finding))
    if not any(True for _ in inference.mapping.tables()):
        talk("{nothing}", nothing=nothing)
    elif output is not None:
        talk(
            "{path} maps {nodes} tables to nodes and {relationships} to relationships. Read it, change what you want "
            "to be "
            "different, then: gpm-cdc map --check",
            path=output,
            nodes=len(inference.mapping.nodes),
            relationships=len(inference.mapping.relationships),
        )


def _shown(finding: Finding) -> str:
    remedy = say("\n  next: {remedy}", remedy=finding.remedy) if finding.remedy else ""
    return f"{finding.severity}: {finding.message}{remedy}"


def _catalogue(settings: Settings, schemas: Sequence[str], tables: Iterable[TableName]) -> Catalogue:
    async def read() -> Catalogue:
        async with connect(settings.conninfo) as connection:
            return await read_catalogue(connection, schemas, tables)

    return asyncio.run(read())


def _named_tables(mapping: GraphMapping) -> Iterable[TableName]:
    yield from mapping.tables()
    for node in mapping.nodes:
        yield from (relationship.target for relationship in node.relationships)
    for relationship in mapping.relationships:
        yield from (relationship.start.target, relationship.end.target)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise MappingFileRefused(path=path, reason=problem) from problem


def _save(path: Path, content: str) -> None:
    try:
        # In place: the file may hold a password, and its owner and mode are the user's choice.
        path.write_text(content, encoding="utf-8")
    except OSError as problem:
        raise MappingFileRefused(path=path, reason=problem.strerror) from problem
