"""The HTTP side, over real sockets of this machine."""

import socket
from collections.abc import Callable, Iterator

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.run import MetricsNotServed
from gpm_cdc.observability import metrics
from gpm_cdc.observability.exposition import Health, Measured, registry_of, serving
from tests.scraping import get

REGISTRY = registry_of(Measured("s", lambda: [(metrics.TRANSACTIONS, [((), 3)]), (metrics.BATCH, [])]))


class Process:
    """What tells of its health."""

    def __init__(self) -> None:
        self.health = Health(well=True, text="running")


@pytest.fixture
def process() -> Process:
    """A process that is well."""
    return Process()


@pytest.fixture
def port(process: Process) -> Iterator[int]:
    """Where the process serves."""
    with serving(("127.0.0.1", 0), REGISTRY, lambda: process.health) as found:
        yield found


def test_metrics_are_served_as_text(port: int) -> None:
    """In Prometheus's format; a metric without samples still has its help."""
    status, text = get(port, "/metrics")
    assert status == 200
    assert 'gpm_cdc_transactions_total{stream="s"} 3.0' in text
    assert "# TYPE gpm_cdc_batch_seconds histogram" in text
    assert "python_info" not in text


def test_metrics_are_served_as_openmetrics(port: int) -> None:
    """Where the client says that it understands that."""
    status, text = get(port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    assert [family.name for family in families] == ["gpm_cdc_transactions", "gpm_cdc_batch_seconds"]


def test_health_follows_the_process(port: int, process: Process) -> None:
    """200 while it is well, 503 with the reason otherwise."""
    assert get(port, "/health") == (200, "running\n")
    process.health = Health(well=False, text="waiting")
    assert get(port, "/health") == (503, "waiting\n")


def test_other_paths_are_not_found(port: int) -> None:
    """The answer names those there are."""
    status, text = get(port, "/")
    assert status == 404
    assert "/metrics" in text


def test_nothing_listens_afterwards() -> None:
    """The port is free as soon as the run has ended, and can be taken again at once."""
    with serving(("127.0.0.1", 0), REGISTRY, lambda: Health(well=True, text="")) as port:
        get(port, "/metrics")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    with serving(("127.0.0.1", port), REGISTRY, lambda: Health(well=True, text="")):
        assert get(port, "/metrics")[0] == 200


def test_registry_of_the_process_is_left_alone(port: int) -> None:
    """Nothing of ours is in it: two runs in one process do not see each other."""
    assert get(port, "/metrics")[0] == 200
    assert b"gpm_cdc" not in prometheus_client.generate_latest()


def test_an_ipv6_address_is_served() -> None:
    """Written in brackets in the setting."""
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    address = Settings(metrics="[::1]:9187").metrics_address
    assert address == ("::1", 9187)
    with serving((address[0], 0), REGISTRY, lambda: Health(well=True, text="")) as port:
        assert get(port, "/metrics", host="::1")[0] == 200


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


def _in_use() -> tuple[str, int, Callable[[], None]]:
    taken = socket.create_server(("127.0.0.1", 0))
    return "127.0.0.1", taken.getsockname()[1], taken.close


def test_an_address_that_cannot_be_had_is_said() -> None:
    """A port in use, a host of another machine, no host at all: each names itself and what to do."""
    host, port, close = _in_use()
    try:
        for address in ((host, port), ("192.0.2.1", 9187), ("no such host", 9187)):
            with (
                pytest.raises(MetricsNotServed) as caught,
                serving(address, REGISTRY, lambda: Health(well=True, text="")),
            ):
                pass
            assert str(address[1]) in str(caught.value)
            assert "GPM_METRICS" in caught.value.advice
            assert caught.value.exit_code == ExitCode.PERSON
    finally:
        close()
