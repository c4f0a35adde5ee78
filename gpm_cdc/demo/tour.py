"""The tour itself: servers, tables, a stream, an application, questions, and the proof."""

import asyncio
import shlex
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from gpm_cdc.demo import application, latency, questions
from gpm_cdc.demo.following import Pair, fill, running
from gpm_cdc.demo.latency import Summary
from gpm_cdc.demo.screen import Screen
from gpm_cdc.demo.stage import PROGRAM, SERVERS, Stage, stage, workspace
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.demo import ProgramFailed, VerifyUndecided
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.wording import say

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
                await _crowd(screen, pair)
                await _changes(screen, pair)
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
    screen.heading("2  An application with its tables")
    screen.say("A small shop, examples/shop, written with SQLAlchemy. It knows nothing of graphs.")
    with screen.moving() as moving:
        moving.show(say("Alembic builds the tables."))
        async with application.started(*application.MIGRATE, environ=place.environment, log=place.log("alembic")):
            pass
    screen.table((say("table"), say("becomes")), list(_becomes(read_mapping(place.settings))))
    screen.say("The file gpm-cdc.toml says so; 'gpm-cdc map' writes the first form of it from the tables.")


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
    screen.heading("3  The application writes, the graph follows")
    with screen.moving() as moving:
        moving.show(say("'gpm-cdc run' starts."))
        pair = await stack.enter_async_context(running(place))
    screen.say("The shop writes transactions of one row to a thousand; 'gpm-cdc run' reads Postgres's log.")
    return pair


async def _crowd(screen: Screen, pair: Pair) -> None:
    with screen.moving() as moving:
        progress = await fill(pair, moving)
    written = progress.written or progress.started
    seconds = written - progress.started
    screen.done(
        "{rows} rows in {transactions} transactions, {rate} rows/s through the ORM.",
        rows=f"{progress.rows:,}",
        transactions=f"{progress.transactions:,}",
        rate=f"{progress.rows / seconds:,.0f}",
    )
    screen.done(
        "{nodes} nodes and {relationships} relationships, complete {late} s after the last commit.",
        nodes=f"{progress.nodes:,}",
        relationships=f"{progress.relationships:,}",
        late=f"{max(0.0, (progress.arrived or written) - written):.1f}",
    )


async def _changes(screen: Screen, pair: Pair) -> None:
    screen.heading("4  From COMMIT to visible")
    with screen.moving() as moving:
        seen = await latency.measure(pair, moving)
    kinds = {kind: [each for each in seen if each.kind == kind] for kind in dict.fromkeys(each.kind for each in seen)}
    rows = [(latency.explained(kind), *_milliseconds(Summary.of(of_kind))) for kind, of_kind in kinds.items()]
    screen.table((say("what the shop did"), say("times"), say("median ms"), say("slowest ms")), rows)
    count, median, slowest = _milliseconds(Summary.of(seen))
    screen.done(
        "{count} single changes: half of them were in the graph {median} ms after COMMIT, all within {slowest} ms.",
        count=count,
        median=f"{median:,}",
        slowest=f"{slowest:,}",
    )
    screen.say("The slowest are the first of their kind: Neo4j plans each statement once.", style="dim")


def _milliseconds(summary: Summary) -> tuple[int, int, int]:
    return summary.number, round(summary.median * _MILLISECONDS), round(summary.slowest * _MILLISECONDS)


async def _questions(screen: Screen, pair: Pair) -> None:
    screen.heading("5  Questions that hurt in SQL")
    screen.say("Whose friends, and friends of friends at any depth, brought the most revenue?", style="bold")
    screen.cypher(questions.REFERRALS)
    began = time.monotonic()
    rows = await pair.ask(questions.REFERRALS)
    seconds = time.monotonic() - began
    screen.table(questions.REFERRAL_COLUMNS, rows)
    _answered(screen, seconds)
    (one, first), (other, second) = await pair.ask(questions.STRANGERS)
    screen.blank()
    question = "How are {first} and {second} connected, through whatever it takes?"
    screen.say(question, first=first, second=second, style="bold")
    screen.cypher(questions.CONNECTION)
    began = time.monotonic()
    ((stops, types, forward),) = await pair.ask(questions.CONNECTION_AS_TEXT, one=one, other=other)
    seconds = time.monotonic() - began
    screen.blank()
    screen.chain(stops, list(zip(types, forward, strict=True)))
    _answered(screen, seconds)


def _answered(screen: Screen, seconds: float) -> None:
    milliseconds = f"{seconds * _MILLISECONDS:,.0f}"
    screen.say("Answered in {milliseconds} ms, planning included.", milliseconds=milliseconds, style="dim")


async def _proof(screen: Screen, place: Stage) -> ExitCode:
    """Run `gpm-cdc verify`; the exit code with which it ended, if that is a verdict."""
    screen.heading("6  The proof")
    screen.say("'gpm-cdc verify' compares every row with the graph, value by value.")
    log = place.log("verify")
    with log.open("ab") as errors, screen.moving() as moving:
        moving.show(say("Comparing."))
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "verify", stdout=PIPE, stderr=errors, env=dict(place.environment), cwd=place.directory
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    screen.quote(output.decode().rstrip().removesuffix(CLEAN).rstrip())
    status = process.returncode
    if status == ExitCode.REPEAT:
        raise VerifyUndecided(log=log)
    if status not in (ExitCode.DONE, ExitCode.FINDING):
        raise ProgramFailed(program="gpm-cdc verify", status=status, log=log)
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
