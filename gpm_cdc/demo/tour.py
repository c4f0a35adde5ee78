"""The tour itself: servers, tables, a stream, a library of source code, edits, questions, and the proof."""

import platform
import shlex
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from gpm_cdc.codegraph.loader import FILES_AT_ONCE
from gpm_cdc.demo import latency, questions
from gpm_cdc.demo.following import Pair, load, running
from gpm_cdc.demo.programs import application, command
from gpm_cdc.demo.protocol import MIGRATE
from gpm_cdc.demo.screen import Screen
from gpm_cdc.demo.stage import SERVERS, Stage, stage, workspace
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.demo import VerifyUndecided
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.source.session import query
from gpm_cdc.wording import say

MODELS: Final = "gpm_cdc.codegraph:Base"
CLEAN: Final = "verify: clean"
_MILLISECONDS: Final = 1_000


async def tour(screen: Screen, *, keep: bool) -> ExitCode:
    """The whole tour; what `verify` ended with. With `keep` the servers stay, and everything in them.

    Raises what its parts raise, having said where the logs are.
    """
    began = time.monotonic()
    screen.title("gpm-cdc keeps a Neo4j graph equal to Postgres tables, commit by commit: a tour")
    with workspace(keep=keep) as directory:
        try:
            async with AsyncExitStack() as stack:
                place = await _servers(screen, stack, directory, keep=keep)
                await _tables(screen, place)
                pair = await _daemon(screen, stack, place)
                await _library(screen, pair)
                await _edits(screen, pair)
                await _questions(screen, pair)
                outcome = await _proof(screen, place)
                with screen.moving() as moving:
                    moving.show(say("Stopping what the tour started."))
                    await stack.aclose()
        except Exception:
            screen.say("The logs are in {directory}.", directory=directory)
            if keep:
                screen.say(
                    "The servers may still run: 'gpm-cdc sandbox down --directory {place}' stops them.",
                    place=directory / SERVERS,
                )
            raise
        _next_steps(screen, place, keep=keep)
    screen.blank()
    screen.say("The whole tour took {seconds} s.", seconds=f"{time.monotonic() - began:.0f}", style="dim")
    screen.last(CLEAN if outcome == ExitCode.DONE else say("verify: not clean"), good=outcome == ExitCode.DONE)
    return outcome


async def _servers(screen: Screen, stack: AsyncExitStack, directory: Path, *, keep: bool) -> Stage:
    screen.heading("1  A real Postgres and a real Neo4j")
    began = time.monotonic()
    with screen.moving() as moving:
        place = await stack.enter_async_context(stage(directory, lambda step: moving.show(step.text), keep=keep))
    screen.done(
        "Both run on this machine, from Python packages: no Docker, no root. They took {seconds} s to start.",
        seconds=f"{time.monotonic() - began:.1f}",
    )
    return place


async def _tables(screen: Screen, place: Stage) -> None:
    screen.heading("2  Tables for source code, and what they mean as a graph")
    with screen.moving() as moving:
        moving.show(say("Alembic builds the tables of gpm_cdc.codegraph."))
        async with application(place, MIGRATE):
            pass
        moving.show(say("The mapping is read from the SQLAlchemy models."))
        await command(place, "map", "--models", MODELS, "--output", str(place.mapping))
    screen.say("Alembic built them. Their mapping comes from the SQLAlchemy models:")
    screen.say("gpm-cdc map --models {models}", models=MODELS, style="cyan")
    screen.table((say("table"), say("becomes")), list(_becomes(read_mapping(place.settings))))


def _becomes(mapping: GraphMapping) -> Iterator[tuple[str, str]]:
    """Each table, or its foreign key, and the pattern that its rows become."""
    labels = {node.table: node.label for node in mapping.nodes}
    for node in mapping.nodes:
        yield node.table.name, f"(:{node.label})"
        for edge in node.relationships:
            ends = [node.label, labels[edge.target]]
            start, end = ends if edge.direction == "out" else reversed(ends)
            yield f"{node.table.name}.{', '.join(edge.columns)}", f"(:{start})-[:{edge.type}]->(:{end})"
    for table in mapping.relationships:
        start, end = labels[table.start.target], labels[table.end.target]
        yield table.table.name, f"(:{start})-[:{'|'.join(table.types)}]->(:{end})"


async def _daemon(screen: Screen, stack: AsyncExitStack, place: Stage) -> Pair:
    screen.heading("3  The standard library goes in, and the graph follows")
    with screen.moving() as moving:
        moving.show(say("'gpm-cdc run' starts."))
        pair = await stack.enter_async_context(running(place))
    screen.say(
        "'gpm-cdc run' follows Postgres's log. A loader reads the library of Python {version} and stores it through "
        "SQLAlchemy, {files} files in a transaction.",
        version=platform.python_version(),
        files=FILES_AT_ONCE,
    )
    return pair


async def _library(screen: Screen, pair: Pair) -> None:
    with screen.moving() as moving:
        progress, report = await load(pair, moving)
    screen.done(
        "{files} files in {seconds} s: {definitions} definitions and {edges} edges, {rate} a second.",
        files=f"{report['looked_at']:,}",
        seconds=f"{report['seconds']:.1f}",
        definitions=f"{report['definitions']:,}",
        edges=f"{report['edges']:,}",
        rate=f"{(report['definitions'] + report['edges']) / report['seconds']:,.0f}",
    )
    screen.done(
        "{nodes} nodes and {relationships} relationships in Neo4j, complete {late} s after the last commit.",
        nodes=f"{progress.nodes:,}",
        relationships=f"{progress.relationships:,}",
        late=f"{progress.late:.1f}",
    )


async def _edits(screen: Screen, pair: Pair) -> None:
    screen.heading("4  Somebody edits, and the graph follows each commit")
    screen.say("Copies of a few files change. How long after COMMIT does the graph show it, in milliseconds?")
    screen.step((say("ms"), say("rows")), say("edit"))
    with screen.moving() as moving:
        summary = await latency.measure(
            pair,
            lambda file, what: moving.show(f"{file}: {what}"),
            lambda seen: screen.step((_milliseconds(seen.seconds), f"{seen.rows:,}"), f"{seen.file}: {seen.what}"),
        )
    screen.done(
        "{count} edits: half of them were in the graph {median} ms after COMMIT, all within {slowest} ms.",
        count=summary.number,
        median=_milliseconds(summary.median),
        slowest=_milliseconds(summary.slowest),
    )
    with screen.moving() as moving:
        _, report = await load(pair, moving)
    screen.done(
        "The library was loaded once more, which undoes all that: {unchanged} of {files} files are the same and cost "
        "nothing. It took {seconds} s.",
        unchanged=f"{report['unchanged']:,}",
        files=f"{report['looked_at']:,}",
        seconds=f"{report['seconds']:.1f}",
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * _MILLISECONDS:,.0f}"


async def _questions(screen: Screen, pair: Pair) -> None:
    screen.heading("5  Questions about the code, in Cypher and in the SQL that it replaces")
    # Without statistics of tables that were empty a moment ago, Postgres's plans would be poor ones.
    await query(pair.postgres, "ANALYZE")
    for number, question in enumerate(questions.QUESTIONS):
        with screen.moving() as moving:
            moving.show(say("Both servers answer."))
            given = await questions.answer(question, pair.ask, partial(query, pair.postgres))
        if number:
            screen.blank()
        screen.say(question.text, style="bold")
        screen.beside(
            (say("Cypher: {time} ms", time=_milliseconds(given.cypher_seconds)), question.cypher),
            (say("SQL: {time} ms", time=_milliseconds(given.sql_seconds)), question.sql),
        )
        screen.done("Both give the same {count} names.", count=f"{len(given.names):,}")
        if given.ways:
            (longest,) = questions.longest(given.ways, 1)
            screen.say("Only Cypher tells the ways too. The longest, {count} imports:", count=len(longest) - 1)
            screen.say(" → ".join(longest))
        else:
            screen.names(questions.well_known(given.names), len(given.names))


async def _proof(screen: Screen, place: Stage) -> ExitCode:
    """Run `gpm-cdc verify`; the exit code with which it ended, if that is a verdict."""
    screen.heading("6  The proof")
    screen.say("'gpm-cdc verify' compares every row with the graph, value by value.")
    with screen.moving() as moving:
        moving.show(say("Comparing."))
        status, output = await command(place, "verify")
    screen.quote(output.rstrip().removesuffix(CLEAN).rstrip())
    if status == ExitCode.REPEAT:
        raise VerifyUndecided(log=place.log("verify"))
    return ExitCode(status)


def _next_steps(screen: Screen, place: Stage, *, keep: bool) -> None:
    screen.heading("What to try next")
    servers = shlex.quote(str(place.servers.directory))
    if keep:
        screen.say("The servers go on, with all the data. Tell the commands which ones you mean:")
        screen.say("export GPM_SANDBOX_DIRECTORY={directory}", directory=servers, style="cyan")
        screen.commands(
            [
                ("gpm-cdc sandbox psql", say("look at the tables, or change them")),
                ("gpm-cdc sandbox cypher 'MATCH (n) RETURN count(n)'", say("ask the graph")),
                ("gpm-cdc sandbox down", say("stop the servers")),
            ]
        )
    else:
        screen.say("Everything the tour started is stopped and removed.")
    screen.commands(
        [
            ("gpm-cdc demo --keep", say("the same, and the servers stay for you to play with")),
            (
                "gpm-cdc map --output gpm-cdc.toml",
                say("your own tables: infer a mapping (GPM_POSTGRES_DSN names them)"),
            ),
            ("gpm-cdc check", say("what both servers still need")),
            ("gpm-cdc run", say("copy the tables, then follow")),
            ("gpm-cdc verify", say("prove it")),
        ]
    )
