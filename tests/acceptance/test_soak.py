"""The soak for some seconds: enough to see that nothing of it is broken. `make soak` is the long one."""

import asyncio
from pathlib import Path

import neo4j as neo4j_driver
import pytest

from tests import servers
from tests.acceptance.stream import Stream
from tests.soak import fire, mixed
from tests.soak.writing import Load

SECONDS = 20
REPAIRS = 50
SEED = 4
LOAD = Load(mixed=12, sparing=3)


def say(line: str) -> None:
    """What pytest shows of a test that fails."""
    print(line)  # noqa: T201 - captured


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("alter_every", [None, 3.0])
def test_verify_tells_the_truth_while_there_is_writing(stream: Stream, alter_every: float | None) -> None:
    """No finding, no question that stays open; with changes of the schema, an open question only because of them."""
    seen = asyncio.run(mixed.run(stream, mixed.Plan(SECONDS, SEED, alter_every, LOAD), say))
    assert not seen.faults
    assert seen.passes > 1
    assert seen.transactions > 50
    assert alter_every is None or seen.changes > 0


@pytest.mark.timeout(600)
def test_repairs_while_no_standby_answers(
    neo4j: servers.Neo4jServer, driver: neo4j_driver.Driver, tmp_path: Path
) -> None:
    """Rows are repaired while the graph is ahead of every snapshot; no old version is written over a newer one."""

    async def run() -> fire.Outcome:
        async with servers.start_postgres() as server:
            stream = Stream("soak", server, neo4j, driver, tmp_path)
            try:
                return await fire.Fire(stream, REPAIRS, SEED, say).run()
            finally:
                stream.close()

    seen = asyncio.run(run())
    assert not seen.faults
    assert seen.repairs >= REPAIRS
    assert seen.hidden > 0
