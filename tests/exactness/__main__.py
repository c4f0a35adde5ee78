"""python -m tests.exactness [SCRIPT]: histories on every server version, into the ledger; or one script again."""

import asyncio
import logging
import os
import sys
import time
from pathlib import Path

import structlog

from tests import servers
from tests.exactness import ledger
from tests.exactness.ledger import Record
from tests.exactness.machine import Machine
from tests.exactness.running import KEPT, Budget, Different, fresh_seed, run_seed
from tests.exactness.script import Script

HISTORIES = 2_000
VERSIONS = "15,16,17,18"


def _variable(name: str, default: str) -> str:
    return os.environ.get(f"GPM_TEST_EXACTNESS_{name}") or default


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _record(version: int, seed: str, histories: int) -> Record:
    """The record to go on with: the seed's, else the first that lacks histories, else one of a new seed."""
    known = [record for record in ledger.read() if record.version == version]
    if seed:
        return next((record for record in known if record.seed == seed), Record(version, seed))
    unfinished = (record for record in known if record.histories < histories)
    return next(unfinished, Record(version, fresh_seed()))


async def _run_version(version: int, graph: servers.Neo4jServer, seconds: float) -> None:
    histories = int(_variable("HISTORIES", str(HISTORIES)))
    record = _record(version, _variable("SEED", ""), histories)
    _say(f"Postgres {version}, seed {record.seed}, from history {record.histories} on")

    def report(done: Record) -> None:
        ledger.write(done)
        if done.histories % 20 == 0:
            _say(f"  {done.histories} histories, {done.transactions} transactions, {done.seconds:.0f} s")

    async with servers.start_postgres(str(version), max_prepared_transactions="10") as server:
        with servers.database(server) as database:
            budget = Budget(histories, time.monotonic() + seconds)
            await run_seed(Machine(database, graph), record, budget, report, KEPT)
    _say(f"  {record.histories} histories, {record.transactions} transactions: no difference")


async def _replay(script: Script, graph: servers.Neo4jServer) -> None:
    _say(script.sql())
    async with servers.start_postgres(str(script.version), max_prepared_transactions="10") as server:
        with servers.database(server) as database:
            outcome = await Machine(database, graph).run(script)
    _say(f"no difference: {outcome}")


def main(arguments: list[str]) -> int:
    """Exit 1 at the first difference."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = servers.find(os.environ, lambda line: _say(f"servers: {line}"))
    try:
        if arguments:
            script = Script.load(Path(arguments[0]).read_text(encoding="utf-8"))
            asyncio.run(_replay(script, found.neo4j))
            return 0
        versions = [int(version) for version in _variable("VERSIONS", VERSIONS).split(",")]
        end = time.monotonic() + float(_variable("SECONDS", "1e9"))
        for place, version in enumerate(versions):
            share = (end - time.monotonic()) / (len(versions) - place)
            asyncio.run(_run_version(version, found.neo4j, share))
    except Different as difference:
        _say(str(difference))
        return 1
    finally:
        found.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
