"""Metrics and health over HTTP: `/metrics` in Prometheus's formats, `/health` for whoever restarts or routes.

Served by threads of its own, so that a scrape is answered while the event loop is busy.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import TCPServer, ThreadingMixIn
from typing import Final, NamedTuple, override
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric as Family
from prometheus_client.registry import Collector

from gpm_cdc.errors.run import MetricsNotServed
from gpm_cdc.observability import logs
from gpm_cdc.observability.metrics import Metric

_SILENT_SECONDS: Final = 10.0
"""How long a client may say nothing before its connection is closed."""

_STOP_POLL_SECONDS: Final = 0.1
_TEXT: Final = "text/plain; charset=utf-8"

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's content: how many values there were up to each bound and beyond the last, and their sum."""

    counts: tuple[int, ...]
    total: float


type Value = float | Distribution

type Sample = tuple[tuple[str, ...], Value]
"""The values of the labels beside `stream`, in the order of the declaration, and what was measured."""


class Health(NamedTuple):
    """Whether all is well, and what is done or why it is not: one line."""

    well: bool
    text: str


class Measured(Collector):
    """What a registry asks at each scrape: `read` gives the samples that there are, metric by metric."""

    def __init__(self, stream: str, read: Callable[[], Iterable[tuple[Metric, Iterable[Sample]]]]) -> None:
        self._stream = stream
        self._read = read

    @override
    def collect(self) -> Iterator[Family]:
        for metric, samples in self._read():
            yield _family(metric, [((self._stream, *labels), value) for labels, value in samples])


def registry_of(measured: Measured) -> CollectorRegistry:
    """A registry of its own; the one of the process is left alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(measured)
    return registry


@contextmanager
def serving(address: tuple[str, int], registry: CollectorRegistry, health: Callable[[], Health]) -> Iterator[int]:
    """Serve until the context is left; the port. `health` is called by other threads. MetricsNotServed at the start."""
    host, port = address
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = _server(family, (str(place[0]), int(place[1])))
    except OSError as problem:
        raise MetricsNotServed(host=host, port=port, reason=problem.strerror or problem) from problem
    server.set_app(_application(make_wsgi_app(registry), health))
    thread = threading.Thread(
        target=server.serve_forever, args=(_STOP_POLL_SECONDS,), name="gpm-cdc metrics", daemon=True
    )
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _family(metric: Metric, samples: Sequence[Sample]) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
    match metric.kind:
        case "counter":
            family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
        case "histogram":
            family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
        case "gauge" | "state":
            family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.label_names)
    for labels, value in samples:
        if isinstance(value, Distribution):
            assert isinstance(family, HistogramMetricFamily)  # noqa: S101 - the declaration says so
            family.add_metric(labels, _buckets(metric, value), value.total)
        else:
            assert not isinstance(family, HistogramMetricFamily)  # noqa: S101 - the same
            family.add_metric(labels, value)
    return family


def _buckets(metric: Metric, value: Distribution) -> list[tuple[str, float]]:
    """Prometheus's buckets: each counts what the smaller ones count, too."""
    so_far = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, metric.bounds), "+Inf"), value.counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    return buckets


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    @override
    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the name service who we are, and may wait for it.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("scrape ended early")


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(family: int, place: tuple[str, int]) -> _Server:
    return (_Server6 if family == socket.AF_INET6 else _Server)(place, _Handler)


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_SECONDS

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape every few seconds is no news."""


def _application(metrics: WSGIApplication, health: Callable[[], Health]) -> WSGIApplication:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/health":
                found = health()
                status, text = "200 OK" if found.well else "503 Service Unavailable", found.text
            case _:
                status, text = "404 Not Found", "/metrics, /health"
        start_response(status, [("Content-Type", _TEXT)])
        return [f"{text}\n".encode()]

    return application
