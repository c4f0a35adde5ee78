"""What only a server can show of the writer's promises: locks, competition, passing trouble."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import neo4j
import pytest
from neo4j.exceptions import TransientError

from gpm_cdc.cypher.statement import Record, Statement, Statements
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import GraphTransactionEnded
from gpm_cdc.errors.stream import StreamTakenOver
from gpm_cdc.sink.writer import Neo4jWriter, open_neo4j
from tests.contract.test_graph_writer import PROBE, moved, probe
from tests.patience import PATIENCE
from tests.servers import Neo4jServer
from tests.unit.mapping.tables import table
from tests.unit.projection.plans import planned


@asynccontextmanager
async def opened(
    server: Neo4jServer, transaction_timeout: float = 10.0, troubles: list[Exception] | None = None
) -> AsyncIterator[Neo4jWriter]:
    """A writer on `server`."""
    notice: Callable[[Exception], None] = (lambda _: None) if troubles is None else troubles.append
    async with open_neo4j(
        server.uri,
        server.user,
        server.password,
        server.database,
        transaction_timeout=transaction_timeout,
        notice=notice,
    ) as writer:
        yield writer


@pytest.fixture
async def writer(neo4j: Neo4jServer) -> AsyncIterator[Neo4jWriter]:
    """A writer on an empty graph."""
    async with opened(neo4j) as ready:
        yield ready


@asynccontextmanager
async def locked(server: Neo4jServer) -> AsyncIterator[neo4j.AsyncTransaction]:
    """A transaction that has changed the checkpoint of stream s and not yet committed."""
    async with server.driver() as driver, driver.session() as session:
        transaction = await session.begin_transaction()
        result = await transaction.run("MATCH (s:GpmCdcCheckpoint {stream: 's'}) SET s.lsn = 77 RETURN s")
        assert await result.single() is not None
        yield transaction
        await transaction.close()


async def waiting_for_lock(server: Neo4jServer) -> None:
    """Return when some transaction waits for a lock."""
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await server.query("SHOW TRANSACTIONS YIELD status RETURN status")
            if any(row["status"].startswith("Blocked") for row in rows):
                return


async def probes(server: Neo4jServer) -> list[str]:
    """The names that were written."""
    return [row["name"] for row in await server.query("MATCH (n:Probe) RETURN n.name AS name ORDER BY name")]


async def test_locked_read_waits_for_an_open_transaction(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """A read under the lock sees what a transaction that was open before it has done; a plain read does not wait."""
    await writer.take_over("s", "me")
    async with locked(neo4j) as transaction:
        plain = await writer.checkpoint("s")
        assert plain is not None
        assert plain.position.lsn == 0
        reading = asyncio.create_task(writer.checkpoint("s", locked=True))
        await waiting_for_lock(neo4j)
        assert not reading.done()
        await transaction.commit()
        found = await reading
    assert found is not None
    assert found.position.lsn == 77


async def test_writer_that_waited_for_a_take_over_is_refused(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """The fence tests the epoch after it has the lock: who waited while the stream was taken over gets nothing in."""
    former = await writer.take_over("s", "one")
    async with neo4j.driver() as driver, driver.session() as session:
        transaction = await session.begin_transaction()
        await (
            await transaction.run("MATCH (s:GpmCdcCheckpoint {stream: 's'}) SET s.epoch = s.epoch + 1, s.owner = 'two'")
        ).consume()
        writing = asyncio.create_task(writer.write(probe("a"), former, moved(former, 5)))
        await waiting_for_lock(neo4j)
        await transaction.commit()
    with pytest.raises(StreamTakenOver):
        await writing
    assert await probes(neo4j) == []


async def test_take_over_waits_for_the_batch_of_the_former_owner(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """A batch that had the lock first is complete before the stream changes hands."""
    first = await writer.take_over("s", "one")
    async with locked(neo4j) as transaction, opened(neo4j) as other:
        taking = asyncio.create_task(other.take_over("s", "two"))
        await waiting_for_lock(neo4j)
        await transaction.commit()
        second = await taking
    assert (second.epoch, second.position.lsn) == (first.epoch + 1, 77)


async def test_of_many_writers_one_gets_through(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """Writers that race from one position with take-overs in between never write twice, and never both."""
    async with opened(neo4j) as other:
        for number in range(10):
            before = await writer.take_over("s", "one")
            raced = await asyncio.gather(
                writer.write(probe(f"{number} one"), before, moved(before, number + 1)),
                other.take_over("s", "two"),
                return_exceptions=True,
            )
            taken = raced[1]
            assert not isinstance(taken, BaseException)
            written = await probes(neo4j)
            if raced[0] is None:
                assert f"{number} one" in written
                assert taken.position.lsn == number + 1
            else:
                assert isinstance(raced[0], StreamTakenOver)
                assert f"{number} one" not in written
                assert taken.position.lsn != number + 1
                await other.write(probe(f"{number} two"), taken, moved(taken, number + 1))


async def test_first_take_overs_at_once_make_one_checkpoint(neo4j: Neo4jServer) -> None:
    """Two processes that begin the same stream at the same time agree who was second."""
    plan = planned('[[node]]\ntable = "public.t"\nlabel = "T"\nkey = ["id"]', table("t", "id"))
    async with opened(neo4j) as one, opened(neo4j) as other:
        await one.prepare(plan)
        taken = await asyncio.gather(one.take_over("s", "one"), other.take_over("s", "two"))
    assert sorted(checkpoint.epoch for checkpoint in taken) == [1, 2]


async def test_records_come_back_to_the_steps(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """A statement that returns gets its records sent back; one that does not gets none."""
    seen: list[list[Record]] = []

    def steps() -> Statements:
        seen.append((yield Statement("UNWIND $rows AS r RETURN r, r * 2", [1, 2], returns=True)))
        seen.append((yield Statement(PROBE, ["a"])))

    before = await writer.take_over("s", "me")
    await writer.write(steps, before, moved(before, 5))
    assert seen == [[[1, 2], [2, 4]], []]
    assert await probes(neo4j) == ["a"]


async def test_passing_trouble_is_retried_from_the_start(neo4j: Neo4jServer) -> None:
    """After trouble that passes the whole batch runs anew, once in the end; the trouble is told."""
    troubles: list[Exception] = []
    attempts = 0

    def steps() -> Statements:
        nonlocal attempts
        attempts += 1
        yield Statement(PROBE, ["a"])
        if attempts < 3:
            message = "for now"
            raise TransientError(message)

    async with opened(neo4j, troubles=troubles) as writer:
        before = await writer.take_over("s", "me")
        await writer.write(steps, before, moved(before, 5))
    assert attempts == 3
    assert len(troubles) == 2
    assert await probes(neo4j) == ["a"]


async def test_statement_that_neo4j_refuses_is_our_error(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """What repeating does not change ends the write with an error of ours, and with nothing written."""

    def steps() -> Statements:
        yield Statement(PROBE, ["a"])
        yield Statement("UNWIND $rows AS r CREATE (:Probe {name: [r, null]})", ["b"])

    before = await writer.take_over("s", "me")
    with pytest.raises(GpmCdcError):
        await writer.write(steps, before, moved(before, 5))
    assert await probes(neo4j) == []
    assert await writer.checkpoint("s", locked=True) == before
    await writer.write(probe("c"), before, moved(before, 5))
    assert await probes(neo4j) == ["c"]


async def test_cancelled_write_leaves_nothing(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """A write that is cancelled while it waits is not in the graph, and the writer is of use afterwards."""
    before = await writer.take_over("s", "me")
    async with locked(neo4j):
        writing = asyncio.create_task(writer.write(probe("a"), before, moved(before, 5)))
        await waiting_for_lock(neo4j)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await writer.write(probe("b"), before, moved(before, 5))
    assert await probes(neo4j) == ["b"]


async def test_write_outlasts_somebody_who_holds_the_checkpoint(neo4j: Neo4jServer) -> None:
    """A reader that holds the checkpoint longer than a transaction may last delays the write, and does not end it."""
    troubles: list[Exception] = []
    async with opened(neo4j, transaction_timeout=1.0, troubles=troubles) as writer:
        before = await writer.take_over("s", "me")
        async with locked(neo4j) as transaction:
            writing = asyncio.create_task(writer.write(probe("a"), before, moved(before, 5)))
            async with asyncio.timeout(PATIENCE):
                while not troubles and not writing.done():  # noqa: ASYNC110 - the driver wakes nobody
                    await asyncio.sleep(0.05)
            assert not writing.done()
            await transaction.rollback()
        await writing
    assert await probes(neo4j) == ["a"]


async def test_a_batch_that_needs_longer_gets_longer(neo4j: Neo4jServer) -> None:
    """What cannot be done within a transaction's time is done in the end, and the next batch has the usual time."""
    slow = "UNWIND range(1, $rows[0]) AS x WITH count(x) AS n CREATE (:Probe {name: 'slow', n: n})"
    troubles: list[Exception] = []

    def steps() -> Statements:
        yield Statement(slow, [size])

    async with opened(neo4j, transaction_timeout=1.0, troubles=troubles) as writer:
        before = await writer.take_over("s", "me")
        size = 2_000_000
        while not troubles:
            size *= 2
            await writer.write(steps, before, moved(before, before.position.lsn + 1))
            before = moved(before, before.position.lsn + 1)
        assert {type(trouble) for trouble in troubles} == {GraphTransactionEnded}
        assert len(troubles) < 5
    assert await neo4j.query("MATCH (p:Probe {name: 'slow', n: $size}) RETURN count(p) AS c", size=size) == [{"c": 1}]


async def test_prepare_makes_constraints_and_indexes_once(neo4j: Neo4jServer, writer: Neo4jWriter) -> None:
    """What the plan needs is online when `prepare` returns, however often it is called."""
    plan = planned('[[node]]\ntable = "public.t"\nlabel = "T x`y"\nkey = ["a", "b"]', table("t", "a b", key="a b"))
    for _ in range(2):
        await writer.prepare(plan)
    rows = await neo4j.query(
        "SHOW INDEXES YIELD labelsOrTypes, properties, state, type WHERE type <> 'LOOKUP'"
        " RETURN labelsOrTypes[0] AS label, properties, state"
    )
    assert sorted((row["label"], row["properties"], row["state"]) for row in rows) == [
        ("GpmCdcCheckpoint", ["stream"], "ONLINE"),
        ("GpmCdcTouched", ["stream", "schema", "table", "state"], "ONLINE"),
        ("T x`y", ["a", "b"], "ONLINE"),
    ]


async def test_row_values_stay_out_of_the_drivers_log(writer: Neo4jWriter, caplog: pytest.LogCaptureFixture) -> None:
    """The driver writes every parameter into its debug log; the rows of a batch are only counted there."""
    before = await writer.take_over("s", "me")
    with caplog.at_level(logging.DEBUG, logger="neo4j"):
        await writer.write(probe("discretion"), before, moved(before, 5))
    assert "<1 rows>" in caplog.text
    assert "discretion" not in caplog.text
