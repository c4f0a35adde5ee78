"""Metrics and health of a daemon, read as Prometheus reads them."""

import socket
import time
from collections.abc import Callable

import neo4j as neo4j_driver
import pytest

from tests.acceptance.condition import until
from tests.acceptance.daemon import Daemon
from tests.acceptance.stream import LOCKED_CHECKPOINT, Stream
from tests.proxy import Proxy
from tests.scraping import Scrape, get, present, read

PERSON = 2
ROWS = 50


class Scraped:
    """A daemon that serves its metrics."""

    def __init__(self, stream: Stream, *arguments: str, uri: str | None = None) -> None:
        self._stream = stream
        self.port = _free_port()
        tuning = {"metrics": f"127.0.0.1:{self.port}", "keepalive_interval": 0.25, "wal_sender_timeout": 8}
        self.daemon: Daemon = stream.run(*arguments, uri=uri, tuning=tuning)

    def metrics(self) -> Scrape:
        """What it tells now; nothing before it listens."""
        try:
            status, text = get(self.port, "/metrics")
        except ConnectionRefusedError:
            assert self.daemon.running, self.daemon.said
            return {}
        assert status == 200
        return read(text, self._stream.name)

    def health(self) -> tuple[int, str]:
        """Status and text."""
        return get(self.port, "/health")

    def wait(self, condition: Callable[[Scrape], object], what: str) -> Scrape:
        """The first metrics that fulfil the condition."""

        def fulfilled() -> Scrape:
            found = self.metrics()
            return found if found and condition(found) else {}

        return until(fulfilled, what)

    def wait_state(self, state: str) -> Scrape:
        """The first metrics that tell this state."""
        return self.wait(lambda found: present(found, "gpm_cdc_state") == state, f"state {state}")

    def wait_current(self) -> Scrape:
        """The first metrics by which the graph is at what is the end of the log now."""
        end = self._stream.log_end()

        def current(found: Scrape) -> bool:
            return (
                present(found, "gpm_cdc_phase") == "streaming"
                and found.get(("gpm_cdc_source_position_bytes",), 0) >= end
                and found.get(("gpm_cdc_lag_bytes",)) == 0
            )

        return self.wait(current, "the graph is current")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def filled(stream: Stream) -> Stream:
    """Two tables with a foreign key, filled, and their mapping."""
    stream.execute(
        "CREATE TABLE one (id int PRIMARY KEY, name text)",
        "CREATE TABLE two (id int PRIMARY KEY, one int REFERENCES one)",
        "INSERT INTO one SELECT i, 'n' || i FROM generate_series(1, 50) i",
        "INSERT INTO two SELECT i, i FROM generate_series(1, 50) i",
    )
    stream.map()
    return stream


def test_copying_streaming_falling_behind_and_catching_up(filled: Stream, driver: neo4j_driver.Driver) -> None:
    """Counts are those of what was done; the lag grows while the graph takes nothing, and goes afterwards."""
    scraped = Scraped(filled)
    found = scraped.wait_current()
    assert present(found, "gpm_cdc_state") == "owner"
    assert scraped.health() == (200, "running, phase streaming\n")
    assert found["gpm_cdc_copied_rows_total",] == 3 * ROWS  # the relationships of two are read by themselves
    assert found["gpm_cdc_transactions_total",] == 0
    filled.execute(*["UPDATE one SET name = name || '!' WHERE id <= 10"] * 3)
    found = scraped.wait_current()
    assert found["gpm_cdc_transactions_total",] == 3
    assert found["gpm_cdc_changes_total",] >= 30
    assert 10 <= found["gpm_cdc_rows_total",] <= 30
    assert 1 <= found["gpm_cdc_batch_seconds_count",] <= 3
    assert found["gpm_cdc_batch_seconds_sum",] > 0
    assert found["gpm_cdc_lag_seconds",] == 0
    checkpoint = filled.wait_current()
    assert scraped.wait_current()["gpm_cdc_graph_position_bytes",] >= checkpoint.lsn
    with driver.session() as session, session.begin_transaction() as transaction:
        transaction.run(LOCKED_CHECKPOINT, stream=filled.name).consume()
        written = time.monotonic()
        filled.execute("INSERT INTO one SELECT i, repeat('x', 100) FROM generate_series(51, 1000) i")
        behind = scraped.wait(lambda found: found.get(("gpm_cdc_lag_seconds",), 0) > 2, "a lag of 2 seconds")
        assert behind["gpm_cdc_lag_seconds",] < time.monotonic() - written + 3
        assert behind["gpm_cdc_lag_bytes",] > 50_000
        position, end = (behind[f"gpm_cdc_{side}_position_bytes",] for side in ("graph", "source"))
        assert behind["gpm_cdc_lag_bytes",] == end - position
        assert behind["gpm_cdc_slot_retained_bytes",] >= behind["gpm_cdc_lag_bytes",]
        transaction.rollback()
    assert scraped.wait_current()["gpm_cdc_transactions_total",] == 4
    assert scraped.daemon.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        scraped.health()


def test_standing_by_and_taking_over(filled: Stream) -> None:
    """A standby is well, and says nothing of the graph until it owns the stream."""
    owner = Scraped(filled)
    owner.wait_current()
    standby = Scraped(filled)
    standby.wait_state("standby")
    assert standby.health()[0] == 200
    found = standby.wait(lambda found: ("gpm_cdc_source_position_bytes",) in found, "the end of the log")
    assert ("gpm_cdc_graph_position_bytes",) not in found
    assert present(found, "gpm_cdc_phase") is None
    owner.daemon.kill()
    standby.wait_state("owner")
    standby.wait_current()
    assert standby.daemon.stop() == 0


def test_losing_neo4j(filled: Stream, proxy: Proxy) -> None:
    """Not well, with the reason, while it is gone; well again by itself, with the trouble counted."""
    scraped = Scraped(filled, uri=proxy.uri())
    scraped.wait_current()
    proxy.refuse()
    proxy.cut()
    filled.execute("UPDATE one SET name = 'late'")
    scraped.wait_state("waiting")
    status, reason = scraped.health()
    assert status == 503
    assert "waiting for a server: Neo4j" in reason
    assert filled.neo4j.password not in reason
    late = scraped.wait(lambda found: found.get(("gpm_cdc_lag_seconds",), 0) > 1, "a lag of 1 second")
    assert late["gpm_cdc_retries_total", "neo4j"] >= 1
    proxy.accept()
    found = scraped.wait_current()
    assert present(found, "gpm_cdc_state") == "owner"
    assert scraped.health()[0] == 200
    assert found["gpm_cdc_transactions_total",] == 1
    assert scraped.daemon.stop() == 0


def test_starting_without_neo4j(filled: Stream, proxy: Proxy) -> None:
    """A daemon that cannot begin says what it waits for, and counts its beginnings."""
    proxy.refuse()
    scraped = Scraped(filled, uri=proxy.uri())
    found = scraped.wait(lambda found: found["gpm_cdc_restarts_total", "neo4j"] >= 1, "a restart")
    assert present(found, "gpm_cdc_state") == "waiting"
    assert scraped.health()[0] == 503
    proxy.accept()
    scraped.wait_current()
    assert scraped.daemon.stop() == 0


def test_losing_the_connection_to_postgres(filled: Stream) -> None:
    """Another beginning, by the server at fault."""
    scraped = Scraped(filled)
    scraped.wait_current()
    walsender = until(filled.walsender, "a walsender")
    filled.sql("SELECT pg_terminate_backend(%s)", [walsender])
    scraped.wait(lambda found: found["gpm_cdc_restarts_total", "postgres"] == 1, "the restart")
    scraped.wait_state("owner")
    assert scraped.wait_current()["gpm_cdc_restarts_total", "neo4j"] == 0
    assert scraped.daemon.stop() == 0


def test_scheduled_passes_and_repair(filled: Stream) -> None:
    """The last verdict with its findings by table; what is read again to mend them."""
    scraped = Scraped(filled, "--verify-every", "1s")
    found = scraped.wait(lambda found: present(found, "gpm_cdc_verify_verdict") == "clean", "a clean pass")
    assert found["gpm_cdc_verify_elements",] == 3 * ROWS
    assert found["gpm_cdc_verify_duration_seconds",] > 0
    assert abs(time.time() - found["gpm_cdc_verify_timestamp_seconds",]) < 60
    assert found["gpm_cdc_verify_findings", "public.one", "different"] == 0
    filled.cypher("MATCH (n:One {id: 3}) SET n.name = 'secret value'")
    filled.cypher("MATCH (:Two {id: 5})-[e]->() DELETE e")
    found = scraped.wait(lambda found: found["gpm_cdc_verify_unsettled_questions",] == 0 and _differs(found), "drift")
    assert present(found, "gpm_cdc_verify_verdict") == "drift"
    assert found["gpm_cdc_verify_findings", "public.two", "missing"] == 1
    assert found["gpm_cdc_verify_passes_total", "drift"] >= 1
    assert "secret value" not in get(scraped.port, "/metrics")[1]
    assert filled.command("repair", "--key", "one", "3").returncode == 0
    assert filled.command("repair", "--table", "two").returncode == 0
    found = scraped.wait(lambda found: present(found, "gpm_cdc_verify_verdict") == "clean", "a clean pass again")
    assert found["gpm_cdc_rereads_total", "public.one", "rows"] == 1
    assert found["gpm_cdc_rereads_total", "public.two", "table"] == 1
    assert scraped.daemon.stop() == 0


def _differs(found: Scrape) -> bool:
    return found["gpm_cdc_verify_findings", "public.one", "different"] == 1


def test_an_address_in_use_is_refused_at_the_start(filled: Stream) -> None:
    """Before anything is touched, with what to do. What is no address is refused as a setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = filled.command("run", "--until-current", "--metrics", f"127.0.0.1:{port}")
    assert refused.returncode == PERSON
    assert f"port {port} of 127.0.0.1" in refused.stderr
    assert "GPM_METRICS" in refused.stderr
    assert filled.checkpoint() is None
    refused = filled.command("run", "--metrics", "9187")
    assert refused.returncode == PERSON
    assert "127.0.0.1:9187" in refused.stderr
