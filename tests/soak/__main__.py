"""python -m tests.soak [MODE ...]: each mode for its time, into docs/soak.md. Modes: writes, schema, repairs."""

import asyncio
import os
import random
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import neo4j as neo4j_driver

from tests import servers
from tests.acceptance.stream import Stream
from tests.soak import fire, mixed, page

MINUTES = {"writes": 20.0, "schema": 10.0}
REPAIRS = 1_000
ALTER_EVERY = 6.0
KEPT = Path(".soak")
"""Where the logs of the last daemon are afterwards."""


def _variable(name: str) -> str | None:
    return os.environ.get(f"GPM_TEST_SOAK_{name}") or None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _stream(postgres: servers.Database | servers.PostgresServer, graph: servers.Neo4jServer) -> Iterator[Stream]:
    graph.wipe()
    with (
        tempfile.TemporaryDirectory() as directory,
        neo4j_driver.GraphDatabase.driver(
            graph.uri, auth=(graph.user, graph.password), notifications_min_severity="OFF"
        ) as driver,
    ):
        stream = Stream(f"soak_{secrets.token_hex(4)}", postgres, graph, driver, Path(directory))
        try:
            yield stream
        finally:
            stream.close()
            KEPT.mkdir(exist_ok=True)
            for log in Path(directory).glob("*.log"):
                shutil.copy(log, KEPT)


def _mixed(mode: str, seed: int, found: servers.Servers) -> dict[str, Any]:
    minutes = float(_variable("MINUTES") or MINUTES[mode])
    plan = mixed.Plan(round(minutes * 60), seed, ALTER_EVERY if mode == "schema" else None)
    with servers.database(found.postgres) as database, _stream(database, found.neo4j) as stream:
        return asdict(asyncio.run(mixed.run(stream, plan, _say)))


async def _repairs(seed: int, graph: servers.Neo4jServer) -> dict[str, Any]:
    count = int(_variable("REPAIRS") or REPAIRS)
    async with servers.start_postgres() as postgres:
        with _stream(postgres, graph) as stream:
            return asdict(await fire.Fire(stream, count, seed, _say).run())


def _run(mode: str, seed: int, found: servers.Servers) -> bool:
    """Whether nothing was wrong."""
    _say(f"{mode}, seed {seed}")
    seen = asyncio.run(_repairs(seed, found.neo4j)) if mode == "repairs" else _mixed(mode, seed, found)
    seen |= {"seed": seed}
    page.write(mode, seen)
    for line in page.told(mode, seen, "  {name}: {value}"):
        _say(line)
    for fault in seen["faults"]:
        _say(f"  FAULT {fault}")
    return not seen["faults"]


def main(arguments: list[str]) -> int:
    """Exit 1 when something was wrong in any mode."""
    unknown = [mode for mode in arguments if mode not in page.COLUMNS]
    if unknown:
        _say(f"there is no mode {unknown[0]}; the modes are {', '.join(page.COLUMNS)}")
        return 2
    seed = int(_variable("SEED") or random.SystemRandom().randrange(1, 1_000_000))
    found = servers.find(os.environ, lambda line: _say(f"servers: {line}"))
    try:
        well = [_run(mode, seed, found) for mode in arguments or page.COLUMNS]
    finally:
        found.close()
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
