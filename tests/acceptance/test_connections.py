import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

import neo4j as neo4j_driver
import psycopg
import pytest

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.source.stream import ReplicationStream
from tests import servers
from tests.acceptance import bolt
from tests.acceptance.condition import until
from tests.acceptance.daemon import Daemon
from tests.acceptance.ledger import Writer, create
from tests.acceptance.private_postgres import PrivatePostgres, private_postgres
from tests.acceptance.stream import LOCKED_CHECKPOINT, Stream
from tests.proxy import Direction, Proxy

pytestmark = pytest.mark.timeout(300)

CUTS = 5
TUNING = {"batch_rows": 300, "transaction_timeout": 4, "wal_sender_timeout": 8, "keepalive_interval": 0.25}
FAST_STOP_SECONDS = 20.0


class Writing:
    """Transactions of 40 rows, one after the other, in a thread of its own, until it is left."""

    def __init__(self, stream: Stream) -> None:
        self._dsn = stream.postgres.dsn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.transactions = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with Writer(self._dsn, 0, 1) as writer:
            while not self._stop.wait(0.005):
                writer.transact(40)
                self.transactions += 1


@pytest.fixture
def written(stream: Stream) -> Iterator[Writing]:
    """A stream on which somebody writes all the time."""
    create(stream, standing=200)
    with Writing(stream) as writing:
        yield writing


def goes_on(stream: Stream, daemon: Daemon) -> None:
    """The daemon gets to everything that is committed now, and is still the same process."""
    stream.wait_current()
    assert daemon.running


def next_walsender(stream: Stream, former: int) -> None:
    """Wait until the daemon reads the slot over another connection."""
    until(lambda: stream.walsender() not in {former, None}, "the next walsender")


def ends_equal(stream: Stream, daemon: Daemon, writing: Writing) -> None:
    """With the writer gone, the graph has every transaction."""
    writing.__exit__()
    stream.wait_current()
    assert daemon.stop() == 0
    assert stream.cypher("MATCH (c:Counter) RETURN c.n AS n")[0]["n"] == writing.transactions
    stream.assert_equal()


def test_the_replication_connection_is_cut(stream: Stream, written: Writing) -> None:
    """A walsender that is terminated, again and again, costs nothing but time."""
    daemon = stream.run(tuning=TUNING)
    daemon.wait_line("streaming")
    for _ in range(CUTS):
        walsender = until(stream.walsender, "a walsender") or 0
        stream.sql("SELECT pg_terminate_backend(%s)", [walsender])
        next_walsender(stream, walsender)
        goes_on(stream, daemon)
    ends_equal(stream, daemon, written)


@pytest.mark.parametrize(
    ("message", "direction"),
    [(bolt.BEGIN, Direction.REQUEST), (bolt.RUN, Direction.RESPONSE), (bolt.COMMIT, Direction.RESPONSE)],
    ids=["begin", "statement", "commit"],
)
def test_the_graph_connection_is_cut_within_a_batch(
    stream: Stream, written: Writing, proxy: Proxy, message: bytes, direction: Direction
) -> None:
    """A connection to Neo4j that is reset at any place in a batch costs nothing but time."""
    daemon = stream.run(uri=proxy.uri(), tuning=TUNING)
    daemon.wait_line("streaming")
    hold = proxy.hold_requests if direction is Direction.REQUEST else proxy.hold_responses
    for number in range(CUTS):
        bolt.Trap(proxy, message, hold, passing=number).wait()
        proxy.wait_withheld(direction)
        proxy.cut()
        proxy.release()
        goes_on(stream, daemon)
    assert len(daemon.lines("neo4j trouble, trying again")) >= CUTS
    ends_equal(stream, daemon, written)


def test_the_graph_refuses_connections_for_a_while(stream: Stream, written: Writing, proxy: Proxy) -> None:
    """While Neo4j cannot be reached the daemon waits, longer than Postgres's timeout, and then goes on."""
    daemon = stream.run(uri=proxy.uri(), tuning=TUNING)
    daemon.wait_line("streaming")
    goes_on(stream, daemon)
    walsender = stream.walsender()
    proxy.refuse()
    proxy.cut()
    before = stream.checkpoint()
    gone = time.monotonic() + TUNING["wal_sender_timeout"] + 1
    until(lambda: time.monotonic() > gone, "longer than the timeout")
    assert stream.checkpoint() == before
    assert stream.walsender() == walsender
    proxy.accept()
    goes_on(stream, daemon)
    assert stream.walsender() == walsender
    ends_equal(stream, daemon, written)


def test_a_reader_holds_the_lock_for_too_long(stream: Stream, written: Writing, driver: neo4j_driver.Driver) -> None:
    """Somebody who holds the checkpoint's lock for longer than a transaction may last delays the stream only."""
    daemon = stream.run(tuning=TUNING)
    daemon.wait_line("streaming")
    before = stream.wait_current()
    with driver.session() as session, session.begin_transaction() as transaction:
        transaction.run(LOCKED_CHECKPOINT, stream=stream.name).consume()
        held = time.monotonic() + 2.5 * TUNING["transaction_timeout"]
        until(lambda: time.monotonic() > held or not daemon.running, "longer than the timeout")
        transaction.rollback()
    assert stream.wait_current().epoch == before.epoch
    ends_equal(stream, daemon, written)


async def test_the_slot_is_still_in_use_for_a_moment(stream: Stream, written: Writing) -> None:
    """A daemon that has the stream's lock waits for a walsender that has not given the slot back yet."""
    former = stream.run(tuning=TUNING)
    former.wait_line("streaming")
    assert former.stop() == 0
    holder = await ReplicationStream.open(stream.postgres.dsn, wal_sender_timeout=60, lock_timeout=10)
    try:
        await holder.start(stream.name, stream.name, Lsn(0))
        daemon = stream.run(tuning=TUNING)
        await asyncio.to_thread(until, lambda: asks_for_the_slot(stream), "the daemon looks at the slot")
    finally:
        await holder.close()
    await asyncio.to_thread(goes_on, stream, daemon)
    ends_equal(stream, daemon, written)


def asks_for_the_slot(stream: Stream) -> bool:
    """Whether a daemon's session has just read the state of the slot."""
    return bool(
        stream.sql(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gpm-cdc'"
            " AND state = 'idle' AND query LIKE '%active_pid%pg_replication_slots%'",
        )
    )


@pytest.fixture
async def server() -> AsyncIterator[PrivatePostgres]:
    """A Postgres that a test may stop."""
    async with private_postgres() as made:
        yield made


@pytest.fixture
def private(
    server: PrivatePostgres, neo4j: servers.Neo4jServer, driver: neo4j_driver.Driver, tmp_path: Path
) -> Iterator[Stream]:
    """A stream from that Postgres."""
    made = Stream("private", servers.PostgresServer(server.dsn), neo4j, driver, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_postgres_restarts(server: PrivatePostgres, private: Stream, number: signal.Signals) -> None:
    """A stop of Postgres with the daemon attached does not hang, and the daemon goes on when it is back."""
    create(private, standing=200)
    daemon = private.run(tuning=TUNING)
    daemon.wait_line("streaming")
    written = 0
    for _ in range(2):
        with Writer(private.postgres.dsn, 0, 1) as writer:
            writer._tail = writer._head = written * 1_000_000
            for _ in range(30):
                writer.transact(50)
        written += 1
        await server.stop(number, FAST_STOP_SECONDS)
        await asyncio.to_thread(daemon.wait_line, "waiting for a server", count=written)
        await server.start()
        await asyncio.to_thread(goes_on, private, daemon)
    assert daemon.stop() == 0
    assert private.cypher("MATCH (c:Counter) RETURN c.n AS n")[0]["n"] == written * 30
    private.assert_equal()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_batch(stream: Stream, written: Writing, number: signal.Signals) -> None:
    """SIGTERM and SIGINT in the middle of work: exit 0, whole batches only, and the next one goes on from there."""
    for _ in range(3):
        daemon = stream.run(tuning=TUNING)
        daemon.wait_line("batch", count=3)
        assert daemon.stop(number) == 0
        assert "Traceback" not in daemon.said
        found = stream.checkpoint()
        assert found is not None
        assert stream.confirmed() <= found.lsn
        assert daemon.lines("batch")[-1]["lsn"] == f"{found.lsn >> 32:X}/{found.lsn & 0xFFFFFFFF:X}"
    last = stream.run(tuning=TUNING)
    last.wait_line("streaming")
    ends_equal(stream, last, written)


def test_a_signal_waits_for_the_batch_in_hand(stream: Stream, written: Writing, proxy: Proxy) -> None:
    """A batch whose COMMIT is under way when SIGTERM comes is finished, and counted as finished."""
    daemon = stream.run(uri=proxy.uri(), tuning=TUNING)
    daemon.wait_line("batch")
    bolt.Trap(proxy, bolt.COMMIT, proxy.hold_requests).wait()
    proxy.wait_withheld(Direction.REQUEST)
    before = stream.checkpoint()
    daemon.send(signal.SIGTERM)
    with pytest.raises(TimeoutError):
        until(lambda: not daemon.running, "it does not end", 1.0)
    proxy.release()
    assert daemon.wait_end() == 0
    after = stream.checkpoint()
    assert before is not None
    assert after is not None
    assert after.lsn > before.lsn
    last = stream.run(tuning=TUNING)
    last.wait_line("streaming")
    ends_equal(stream, last, written)


def test_an_idle_stream_lets_the_log_go(stream: Stream) -> None:
    """With writes to other tables only, checkpoint and slot follow within seconds, the slot never ahead."""
    create(stream, standing=200)
    stream.execute("CREATE TABLE unmapped (id int, filler text)")
    daemon = stream.run(tuning=TUNING)
    daemon.wait_line("streaming")
    with psycopg.connect(stream.postgres.dsn, autocommit=True) as postgres:
        for _ in range(4):
            postgres.execute("INSERT INTO unmapped SELECT i, repeat('x', 500) FROM generate_series(1, 2000) AS i")
            target = stream.log_end()

            def followed(target: int = target) -> bool:
                confirmed = stream.confirmed()
                found = stream.checkpoint()
                assert found is not None
                assert confirmed <= found.lsn
                return confirmed >= target

            until(followed, "the slot follows", 5.0)
    assert daemon.lines("batch") == []
    assert daemon.stop() == 0
    stream.assert_equal()
