import random
import sys
from collections.abc import Callable
from typing import Self

import neo4j as neo4j_driver
import pytest

from tests.acceptance import bolt
from tests.acceptance.condition import until
from tests.acceptance.ledger import Load, Reader, create, shares
from tests.acceptance.stream import Checkpoint, Stream
from tests.acceptance.witness import Witness
from tests.proxy import Direction, Proxy

KILLS = 30
KILLS_IN_SNAPSHOT = 6
KILLS_IN_COMMIT = 9
LOADED_ROWS = 200_000
COPIED_ROWS = 12_000
SHARES = 64
READINGS = 1_000
READ_POSITIONS = 100
SEED = random.SystemRandom().randrange(10**6)
TUNING = {"batch_rows": 400, "transaction_timeout": 15, "keepalive_interval": 0.5}
TAKE_OVER = "MERGE (s:GpmCdcCheckpoint"


class Killing:
    """Daemons of one stream, one after the other, each behind a proxy of its own."""

    def __init__(self, stream: Stream, load: Load, draw: random.Random) -> None:
        """With the first daemon. The load goes on at every start, and when a daemon has nothing left to do."""
        self.stream = stream
        self.load = load
        self.draw = draw
        self.epoch = 0
        self._copied = 0
        self._proxies: list[Proxy] = []
        self.begin_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self._proxies:
            proxy.close()

    def begin_again(self) -> None:
        """Start the next daemon."""
        self.load.allow_next()
        self.proxy = Proxy.of(self.stream.neo4j.uri)
        self._proxies.append(self.proxy)
        self.daemon = self.stream.run(uri=self.proxy.uri(), tuning=TUNING)

    def in_snapshot(self) -> None:
        """Kill after some batches of the copy."""
        wanted = self.draw.randint(2, 9)

        def copied() -> Checkpoint | None:
            assert self.daemon.running, self.daemon.said
            found = self.stream.checkpoint()
            begun = found is not None and found.epoch > self.epoch and found.lsn > self._copied
            return found if begun and found is not None and found.ordinal >= wanted else None

        found = until(copied, f"{wanted} batches of the copy")
        self.daemon.kill()
        after = self.stream.checkpoint()
        assert found is not None
        assert after is not None
        assert after.phase == "snapshot"
        assert after.ordinal >= found.ordinal
        self._copied = after.lsn
        self.epoch = after.epoch

    def _follow(self, checkpoints: int) -> Checkpoint:
        """Wait for that many new checkpoints of the present daemon; the last of them."""
        seen: set[int] = set()
        written = 0

        def moved() -> Checkpoint | None:
            nonlocal written
            assert self.daemon.running, self.daemon.said
            found = self.stream.checkpoint()
            if found is None or found.epoch == self.epoch or found.phase != "streaming":
                return None
            if not seen or (self.load.waits and found.lsn >= written):
                self.load.allow_next()
                written = self.stream.log_end()
            seen.add(found.lsn)
            return found if len(seen) > checkpoints else None

        found = until(moved, f"{checkpoints} new checkpoints", 60.0)
        assert found is not None
        return found

    def in_streaming(self) -> None:
        """Kill after some batches of the stream, wherever the daemon is then."""
        found = self._follow(self.draw.randint(1, 8))
        self.daemon.kill()
        self.epoch = found.epoch

    def in_commit_that_is_answered(self) -> None:
        """Kill while the answer to a COMMIT is on its way."""
        before = self._follow(1)
        trap = bolt.Trap(self.proxy, bolt.COMMIT, self.proxy.hold_responses)
        trap.wait()
        self.proxy.wait_withheld(Direction.RESPONSE)
        self.daemon.kill()
        after = self.stream.checkpoint()
        assert after is not None
        assert after.lsn > before.lsn
        self.epoch = after.epoch

    def in_commit_that_is_lost(self) -> None:
        """Kill while a COMMIT is on its way, which never arrives."""
        before = self._follow(1)
        trap = bolt.Trap(self.proxy, bolt.COMMIT, self.proxy.hold_requests)
        trap.wait()
        self.proxy.wait_withheld(Direction.REQUEST)
        self.daemon.kill()
        self.proxy.cut()
        self.epoch = before.epoch

    def in_commit_that_is_late(self) -> None:
        """Kill while a COMMIT is on its way, which arrives when the next daemon already waits for the checkpoint."""
        before = self._follow(1)
        trap = bolt.Trap(self.proxy, bolt.COMMIT, self.proxy.hold_requests)
        trap.wait()
        self.proxy.wait_withheld(Direction.REQUEST)
        self.daemon.kill()
        self.epoch = before.epoch
        late = self.proxy
        self.begin_again()
        until(lambda: waits_for_take_over(self.stream.driver), "the next daemon waits for the checkpoint")
        late.release()
        self._follow(1)


type Moment = Callable[[Killing], None]


def waits_for_take_over(driver: neo4j_driver.Driver) -> bool:
    """Whether a take-over waits for the lock of the checkpoint."""
    shown = driver.execute_query("SHOW TRANSACTIONS YIELD currentQuery, status RETURN currentQuery, status").records
    return any(
        (record["currentQuery"] or "").startswith(TAKE_OVER) and record["status"].startswith("Blocked")
        for record in shown
    )


def plan(draw: random.Random) -> list[Moment]:
    """The moments, those in the copy first; the daemon after the last of them follows the stream."""
    commits: list[Moment] = [
        Killing.in_commit_that_is_answered,
        Killing.in_commit_that_is_lost,
        Killing.in_commit_that_is_late,
    ]
    later: list[Moment] = commits * (KILLS_IN_COMMIT // len(commits))
    later += [Killing.in_streaming] * (KILLS - KILLS_IN_SNAPSHOT - len(later))
    draw.shuffle(later)
    return [*[Killing.in_snapshot] * KILLS_IN_SNAPSHOT, *later]


@pytest.mark.long
@pytest.mark.timeout(480)
def test_killed_thirty_times_during_a_load(stream: Stream) -> None:
    """Whatever the moment of a kill -9, the next daemon goes on so that every commit is in the graph exactly once."""
    draw = random.Random(SEED)
    create(stream, standing=COPIED_ROWS)
    with (
        Witness(stream.postgres.dsn, stream.name) as witness,
        Reader(stream) as reader,
        Load(stream.postgres.dsn, shares(LOADED_ROWS, SHARES, draw), SEED) as load,
        Killing(stream, load, draw) as killing,
    ):
        moments = plan(draw)
        for moment in moments:
            moment(killing)
            if not killing.daemon.running:
                killing.begin_again()
        load.finish(120)
        stream.wait_current(120)
        assert killing.daemon.stop() == 0
        assert load.rows == LOADED_ROWS
        transactions = load.transactions
        assert witness.learn() == transactions
        wrong = [reading for reading in reader.readings if reading.n != witness.count_at(reading.lsn)]
    assert len(moments) == KILLS
    assert wrong == []
    assert [reading for reading in reader.readings if not reading.holds] == []
    assert [reading for reading in reader.readings if reading.confirmed > reading.lsn] == []
    assert len(reader.readings) >= READINGS
    assert len({reading.lsn for reading in reader.readings}) >= READ_POSITIONS
    assert stream.cypher("MATCH (c:Counter) RETURN c.n AS n")[0]["n"] == transactions
    stream.assert_equal()
    sys.stdout.write(
        f"seed {SEED}: {transactions} transactions, {len(reader.readings)} readings at"
        f" {len({reading.lsn for reading in reader.readings})} positions\n"
    )
