import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import neo4j as neo4j_driver
import pytest

from tests.acceptance import bolt
from tests.acceptance.condition import until
from tests.acceptance.ledger import Writer, create
from tests.acceptance.stream import Checkpoint, Stream
from tests.proxy import Direction, Proxy

pytestmark = pytest.mark.timeout(300)

TAKE_OVER_SECONDS = 5.0
WAL_SENDER_TIMEOUT = 4
TRANSACTION_TIMEOUT = 4
TUNING = {
    "batch_rows": 200,
    "wal_sender_timeout": WAL_SENDER_TIMEOUT,
    "transaction_timeout": TRANSACTION_TIMEOUT,
    "keepalive_interval": 0.5,
}


class Writing:
    """Small transactions, one after the other, in a thread of its own, until it is left."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.wait(0.01):
            self._writer.transact(5)


class EpochWatch:
    """Reads the checkpoint again and again, in a thread of its own: what it saw must never go back."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen: list[Checkpoint] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert [each.epoch for each in self.seen] == sorted(each.epoch for each in self.seen)
        assert [each.lsn for each in self.seen] == sorted(each.lsn for each in self.seen)

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            found = self._stream.checkpoint()
            if found is not None:
                self.seen.append(found)


@pytest.fixture
def writer(stream: Stream) -> Iterator[Writer]:
    """A session that writes, on a stream whose tables are there."""
    create(stream, standing=200)
    with Writer(stream.postgres.dsn, 1, 2) as opened:
        yield opened


@contextmanager
def locked(driver: neo4j_driver.Driver, text: str) -> Iterator[None]:
    """Hold the lock of a node while this lasts."""
    with driver.session() as session, session.begin_transaction() as transaction:
        transaction.run(f"MATCH {text} SET n._lock = 1 REMOVE n._lock").consume()
        yield
        transaction.rollback()


def test_a_standby_takes_over_after_a_kill(stream: Stream, writer: Writer) -> None:
    """The second daemon waits while the first works, and five seconds after its kill -9 the graph moves again."""
    first = stream.run(tuning=TUNING)
    first.wait_line("streaming")
    second = stream.run(tuning=TUNING)
    owner = str(second.wait_line("standby")["owner"])
    assert f":{first.pid}" in owner
    with Writing(writer):
        before = stream.wait_current()
        assert second.lines("owner") == []
        first.kill()
        killed = time.monotonic()
        after = stream.wait_checkpoint("a checkpoint of the next owner", epoch=before.epoch + 1, lsn=before.lsn + 1)
        seconds = time.monotonic() - killed
    assert after.epoch == before.epoch + 1
    assert after.owner.endswith(f":{second.pid}")
    stream.wait_current()
    assert second.stop() == 0
    stream.assert_equal()
    assert seconds < TAKE_OVER_SECONDS


@pytest.mark.usefixtures("writer")
def test_a_second_daemon_that_must_not_wait_refuses(stream: Stream) -> None:
    """`run --no-wait` on a stream that runs exits 3 and says who has it; a standby ends on a signal, exit 0."""
    first = stream.run(tuning=TUNING)
    first.wait_line("streaming")
    walsender = stream.walsender()
    refused = stream.command("run", "--no-wait", tuning=TUNING)
    assert refused.returncode == 3, refused.stderr
    assert f":{first.pid}" in refused.stderr
    assert str(walsender) in refused.stderr
    waiting = stream.run(tuning=TUNING)
    waiting.wait_line("standby")
    assert waiting.stop() == 0
    assert first.running
    assert first.stop() == 0


def test_stopped_between_batches(stream: Stream, writer: Writer) -> None:
    """A daemon that is stopped while idle finds the stream taken over when it wakes, and waits for its turn."""
    first = stream.run(tuning=TUNING)
    first.wait_line("streaming")
    with EpochWatch(stream):
        before = stream.wait_current()
        first.pause()
        second = stream.run(tuning=TUNING)
        writer.transact(5)
        writer.transact(500)
        stream.wait_checkpoint("the second owner", epoch=before.epoch + 1, lsn=stream.log_end())
        first.resume()
        first.wait_line("standby")
        writer.transact(70)
        after = stream.wait_current()
        stream.assert_equal()
        second.kill()
        writer.transact(9)
        last = stream.wait_checkpoint("the first daemon owns again", epoch=after.epoch + 1, lsn=stream.log_end())
    assert after.epoch == before.epoch + 1
    assert after.owner.endswith(f":{second.pid}")
    assert last.owner.endswith(f":{first.pid}")
    assert first.stop() == 0
    stream.assert_equal()


def test_stopped_before_a_commit(stream: Stream, writer: Writer, proxy: Proxy) -> None:
    """A daemon that is stopped with its COMMIT on the way changes nothing when both go on after a take-over."""
    first = stream.run(uri=proxy.uri(), tuning=TUNING)
    first.wait_line("streaming")
    before = stream.wait_current()
    trap = bolt.Trap(proxy, bolt.COMMIT, proxy.hold_requests)
    writer.transact(100)
    trap.wait()
    proxy.wait_withheld(Direction.REQUEST)
    first.pause()
    with EpochWatch(stream):
        second = stream.run(tuning=TUNING)
        after = stream.wait_checkpoint("the second owner", epoch=before.epoch + 1, lsn=stream.log_end())
        proxy.release()
        first.resume()
        first.wait_line("standby")
        writer.transact(10)
        last = stream.wait_current()
    assert last.epoch == after.epoch == before.epoch + 1
    assert last.owner.endswith(f":{second.pid}")
    assert second.stop() == 0
    first.wait_line("owner", count=2)
    assert first.stop() == 0
    stream.assert_equal()


def test_stopped_inside_an_open_transaction(stream: Stream, writer: Writer) -> None:
    """A daemon that is stopped while its transaction waits inside Neo4j changes nothing when it wakes."""
    first = stream.run(tuning=TUNING)
    first.wait_line("streaming")
    before = stream.wait_current()
    with locked(stream.driver, "(n:Counter {id: 1})"):
        writer.transact(100)
        until(lambda: blocked(stream.driver, "Counter"), "the batch waits for a node")
        first.pause()
        second = stream.run(tuning=TUNING)
        stream.wait_checkpoint("the second owner", epoch=before.epoch + 1)
        until(lambda: blocked(stream.driver, "Counter"), "the batch of the second waits for the node")
    with EpochWatch(stream):
        after = stream.wait_current()
        first.resume()
        first.wait_line("standby")
        writer.transact(10)
        last = stream.wait_current()
    assert last.epoch == after.epoch == before.epoch + 1
    assert last.owner.endswith(f":{second.pid}")
    assert second.stop() == 0
    first.wait_line("owner", count=2)
    assert first.stop() == 0
    stream.assert_equal()


def test_an_old_owner_is_refused_although_nothing_moved(stream: Stream, writer: Writer, proxy: Proxy) -> None:
    """A daemon that does not notice the loss of its lock begins a batch after the take-over, and is refused."""
    # Its reader waits for space in the queue and it has nothing to report: so it does not look at the connection.
    deaf = {**TUNING, "keepalive_interval": 60, "wal_sender_timeout": 240, "batch_bytes": 1024, "queue_bytes": 1024}
    first = stream.run(uri=proxy.uri(), tuning=deaf)
    first.wait_line("streaming")
    trap = bolt.Trap(proxy, bolt.BEGIN, proxy.hold_requests)
    for _ in range(6):
        writer.transact(60)
    trap.wait()
    proxy.wait_withheld(Direction.REQUEST)
    before = stream.checkpoint()
    assert before is not None
    with Proxy.of(stream.neo4j.uri) as other, EpochWatch(stream):
        begun = bolt.Trap(other, bolt.BEGIN, other.hold_requests)
        second = stream.run(uri=other.uri(), tuning=TUNING)
        second.wait_line("standby")
        stream.sql("SELECT pg_terminate_backend(%s)", [stream.walsender()])
        begun.wait()
        taken = stream.wait_checkpoint("the second owner", epoch=before.epoch + 1)
        assert taken.lsn == before.lsn
        proxy.release()
        first.wait_line("taken over")
        assert stream.checkpoint() == taken
        other.release()
        first.wait_line("standby")
        last = stream.wait_current()
        assert second.stop() == 0
        first.wait_line("owner", count=2)
        assert first.stop() == 0
    assert last.owner.endswith(f":{second.pid}")
    stream.assert_equal()


@pytest.mark.parametrize(("held", "passing"), [(bolt.COMMIT, 0), (bolt.RUN, 1)], ids=["commit", "statement"])
def test_stopped_with_nobody_to_take_over(
    stream: Stream, writer: Writer, proxy: Proxy, held: bytes, passing: int
) -> None:
    """A daemon that was stopped for longer than every timeout goes on by itself when it wakes."""
    daemon = stream.run(uri=proxy.uri(), tuning=TUNING)
    daemon.wait_line("streaming")
    before = stream.wait_current()
    walsender = stream.walsender()
    trap = bolt.Trap(proxy, held, proxy.hold_requests, passing=passing)
    writer.transact(100)
    trap.wait()
    proxy.wait_withheld(Direction.REQUEST)
    daemon.pause()
    until(lambda: stream.walsender() != walsender, "Postgres gives the walsender up")
    until(lambda: not open_batches(stream.driver), "Neo4j ends the transaction")
    proxy.release()
    daemon.resume()
    stream.wait_current()
    after = stream.checkpoint()
    assert after is not None
    assert after.epoch == before.epoch + 1
    assert daemon.stop() == 0
    stream.assert_equal()


def blocked(driver: neo4j_driver.Driver, label: str) -> bool:
    """Whether a statement about nodes with the label waits for a lock."""
    shown = driver.execute_query("SHOW TRANSACTIONS YIELD currentQuery, status RETURN currentQuery, status").records
    return any(
        f"`{label}`" in (record["currentQuery"] or "") and record["status"].startswith("Blocked") for record in shown
    )


def open_batches(driver: neo4j_driver.Driver) -> bool:
    """Whether a transaction of somebody else is open."""
    shown = driver.execute_query(
        "SHOW TRANSACTIONS YIELD currentQuery, database, status WHERE database <> 'system'"
        " AND NOT coalesce(currentQuery, '') STARTS WITH 'SHOW' RETURN status"
    ).records
    return any(not record["status"].startswith("Terminated") for record in shown)
