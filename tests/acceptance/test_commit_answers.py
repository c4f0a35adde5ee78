import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import neo4j as neo4j_driver
import pytest

from gpm_cdc.cypher.statement import Statement, Statements, no_statements
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.stream import StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.sink.writer import Neo4jWriter, open_neo4j
from tests import servers
from tests.acceptance import bolt
from tests.acceptance.condition import until
from tests.acceptance.stream import LOCKED_CHECKPOINT
from tests.patience import PATIENCE
from tests.proxy import Direction, Proxy

COMMITS = 100
STREAM = "answers"
ROWS_PER_BATCH = 5
COUNT = "UNWIND $rows AS r MERGE (n:Tally {id: r}) SET n.count = coalesce(n.count, 0) + 1"


@dataclass(slots=True)
class Answers:
    """A writer behind a proxy, and batches that count how often they were applied."""

    writer: Neo4jWriter
    proxy: Proxy
    driver: neo4j_driver.Driver
    checkpoint: Checkpoint
    troubles: list[GpmCdcError] = field(default_factory=list)
    batches: int = 0

    async def write(self, fate: Callable[[], Callable[[], None]]) -> int:
        """Write the next batch, to whose COMMIT `fate` happens; the batch's number.

        The trap is laid before the write begins: a COMMIT that went by unseen would be waited for in vain.
        """
        spoil = fate()
        self.batches += 1
        number = self.batches
        keys = [number * ROWS_PER_BATCH + place for place in range(ROWS_PER_BATCH)]

        def steps() -> Statements:
            yield Statement(COUNT, keys)

        after = replace(self.checkpoint, position=Position(Lsn(self.checkpoint.position.lsn + 8)))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(self.writer.write(steps, self.checkpoint, after), asyncio.to_thread(spoil))
        self.checkpoint = after
        return number

    def delivered(self) -> Callable[[], None]:
        """The COMMIT arrives, its answer does not."""
        trap = self._trap(self.proxy.hold_responses)

        def spoil() -> None:
            trap.wait()
            self.proxy.wait_withheld(Direction.RESPONSE)
            self.proxy.cut()
            self.proxy.release()

        return spoil

    def dropped(self) -> Callable[[], None]:
        """The COMMIT never arrives."""
        trap = self._trap(self.proxy.drop_requests)

        def spoil() -> None:
            trap.wait()
            self.proxy.wait_withheld(Direction.REQUEST)
            self.proxy.release()  # first, or the next connection would lose what it says, too
            self.proxy.cut()

        return spoil

    def delayed(self) -> Callable[[], None]:
        """The connection is cut, and the COMMIT arrives when the next attempt already waits for the checkpoint."""
        trap = self._trap(self.proxy.hold_requests)

        def spoil() -> None:
            trap.wait()
            self.proxy.wait_withheld(Direction.REQUEST)
            self.proxy.strand()
            until(lambda: fence_waits(self.driver), "the next attempt waits for the checkpoint")
            self.proxy.deliver()

        return spoil

    def _trap(self, action: Callable[[], None]) -> bolt.Trap:
        return bolt.Trap(self.proxy, bolt.COMMIT, action)


def fence_waits(driver: neo4j_driver.Driver) -> bool:
    """Whether somebody waits for the checkpoint's lock."""
    shown = driver.execute_query("SHOW TRANSACTIONS YIELD currentQuery, status RETURN currentQuery, status").records
    return any(
        "GpmCdcCheckpoint" in (record["currentQuery"] or "") and record["status"].startswith("Blocked")
        for record in shown
    )


@pytest.fixture
async def answers(neo4j: servers.Neo4jServer, proxy: Proxy, driver: neo4j_driver.Driver) -> AsyncIterator[Answers]:
    """A stream that has just begun."""
    troubles: list[GpmCdcError] = []
    async with open_neo4j(
        proxy.uri(), neo4j.user, neo4j.password, neo4j.database, transaction_timeout=20.0, notice=troubles.append
    ) as writer:
        driver.execute_query("CREATE CONSTRAINT FOR (n:Tally) REQUIRE n.id IS UNIQUE")
        taken = await writer.take_over(STREAM, "this test")
        begun = replace(taken, position=Position(Lsn(8)), phase="streaming")
        await writer.write(no_statements, taken, begun)
        yield Answers(writer, proxy, driver, begun, troubles)


@pytest.mark.timeout(240)
async def test_a_commit_without_an_answer_is_settled(answers: Answers) -> None:
    """A hundred commits whose answer is cut off, delivered or not or late: each batch is in the graph exactly once."""
    seed = random.SystemRandom().randrange(10**6)
    kinds = [answers.delivered, answers.dropped, answers.delayed]
    fates = [kinds[number % len(kinds)] for number in range(COMMITS)]
    random.Random(seed).shuffle(fates)
    settled = 0
    for fate in fates:
        number = await answers.write(fate)
        low = number * ROWS_PER_BATCH
        found = answers.driver.execute_query(
            f"{LOCKED_CHECKPOINT} WITH s MATCH (n:Tally) WHERE $low <= n.id < $high"
            " RETURN s.lsn AS lsn, collect(n.count) AS counts",
            stream=STREAM,
            low=low,
            high=low + ROWS_PER_BATCH,
        ).records[0]
        assert found["counts"] == [1] * ROWS_PER_BATCH, (seed, number, fate.__name__)
        assert found["lsn"] == answers.checkpoint.position.lsn
        settled += 1
    assert settled == COMMITS
    assert len(answers.troubles) >= COMMITS
    total = answers.driver.execute_query("MATCH (n:Tally) RETURN count(n) AS n, sum(n.count) AS c").records[0]
    assert (total["n"], total["c"]) == (COMMITS * ROWS_PER_BATCH, COMMITS * ROWS_PER_BATCH)


def once() -> Statements:
    """One more node."""
    yield Statement("CREATE (:Tally {id: 0, count: 1})")


async def test_an_old_epoch_is_refused(answers: Answers) -> None:
    """A writer whose stream was taken over writes nothing, although the position is still the one that it knows."""
    await answers.writer.take_over(STREAM, "somebody else")
    after = replace(answers.checkpoint, position=Position(Lsn(16)))
    with pytest.raises(StreamTakenOver):
        await answers.writer.write(once, answers.checkpoint, after)
    assert answers.driver.execute_query("MATCH (n:Tally) RETURN n").records == []
    found = await answers.writer.checkpoint(STREAM)
    assert found is not None
    assert (found.position, found.epoch) == (answers.checkpoint.position, answers.checkpoint.epoch + 1)


async def test_an_old_epoch_that_waited_for_the_take_over_is_refused(answers: Answers) -> None:
    """A writer that waits for the checkpoint while the stream is taken over sees the new epoch once it has the lock."""
    after = replace(answers.checkpoint, position=Position(Lsn(16)))
    with answers.driver.session() as session, session.begin_transaction() as transaction:
        transaction.run(f"{LOCKED_CHECKPOINT} SET s.epoch = s.epoch + 1", stream=STREAM).consume()
        writing = asyncio.create_task(answers.writer.write(once, answers.checkpoint, after))
        await asyncio.to_thread(until, lambda: fence_waits(answers.driver), "the old writer waits")
        transaction.commit()
    with pytest.raises(StreamTakenOver):
        await writing
    assert answers.driver.execute_query("MATCH (n:Tally) RETURN n").records == []
    found = await answers.writer.checkpoint(STREAM)
    assert found is not None
    assert found.position == answers.checkpoint.position
