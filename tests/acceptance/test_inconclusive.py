"""The command's verdict when the stream is dead, stands still, lags, or has lost what it reads from."""

import json

import pytest

from tests.acceptance.stream import Stream

REPEAT = 3
PERSON = 2
DRIFT = 1
CLEAN = 0


@pytest.fixture
def streamed(stream: Stream) -> Stream:
    """A table in a graph that equals it; nobody runs the stream."""
    stream.execute(
        "CREATE TABLE one (id int PRIMARY KEY, name text)", "INSERT INTO one SELECT i, 'n' FROM generate_series(1, 9) i"
    )
    stream.map()
    assert stream.command("run", "--until-current").returncode == CLEAN
    return stream


def reason(stream: Stream) -> str:
    """Why a pass told nothing, which is what its exit code says."""
    done = stream.command("verify", "--json", "--timeout", "1")
    assert done.returncode == REPEAT, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["verdict"], report["findings"]) == ("inconclusive", [])
    return str(report["inconclusive"][0]["reason"])


def change(stream: Stream) -> None:
    """A row that the graph does not have yet."""
    stream.execute("INSERT INTO one SELECT max(id) + 1, 'new' FROM one")


@pytest.mark.long
def test_a_daemon_that_stands_still_lags_or_is_killed(streamed: Stream) -> None:
    """It has not written what is committed: that is neither there nor missing until it has."""
    daemon = streamed.run()
    daemon.wait_line("streaming")
    daemon.pause()
    change(streamed)
    assert "running but has not caught up" in reason(streamed)
    daemon.resume()
    streamed.wait_current()
    # A batch that waits for a lock in the graph, held by somebody else.
    with streamed.driver.session() as session, session.begin_transaction() as transaction:
        transaction.run("MATCH (n:One {id: 3}) SET n._lock = 1 REMOVE n._lock").consume()
        streamed.execute("UPDATE one SET name = 'late' WHERE id = 3")
        assert "running but has not caught up" in reason(streamed)
    assert streamed.command("verify").returncode == CLEAN
    daemon.kill()
    streamed.cypher("MATCH (n:One {id: 4}) SET n.name = 'damaged'")
    change(streamed)
    assert "nobody runs the stream" in reason(streamed)
    assert streamed.command("run", "--until-current").returncode == CLEAN
    assert streamed.command("verify").returncode == DRIFT


def test_a_slot_or_a_publication_that_is_gone(streamed: Stream) -> None:
    """Nothing tells any more whether the graph has everything; without the publication a person must see to it."""
    streamed.execute(f"SELECT pg_drop_replication_slot('{streamed.name}')")
    change(streamed)
    assert "nobody runs the stream" in reason(streamed)
    streamed.execute(f"ALTER PUBLICATION {streamed.name} DROP TABLE one")
    done = streamed.command("verify", "--timeout", "1")
    assert (done.returncode, "clean" in done.stdout) == (PERSON, False)
    streamed.execute(f"DROP PUBLICATION {streamed.name}")
    done = streamed.command("verify", "--timeout", "1")
    assert (done.returncode, "clean" in done.stdout) == (PERSON, False)
