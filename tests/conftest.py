"""Fixtures that every test may use: the servers, the folder of test data, a proxy that can lose what it carries."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.proxy import Proxy

_DATA_VARIABLE = "GPM_TEST_DATA"
_SETTING = re.compile(r"GPM_(?!TEST_)|PG")
_NEEDING_SERVERS = {"postgres_server", "neo4j_server"}
_MOST_PROCESSES = 4
_servers = pytest.StashKey[servers.Servers]()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run with test data that is not there: the tests that need it would prove nothing.

    What the shell sets for the program and for libpq goes: it would lead tests to servers that are not theirs.
    """
    for name in [name for name in os.environ if _SETTING.match(name)]:
        del os.environ[name]
    named = os.environ.get(_DATA_VARIABLE)
    if named and not Path(named).is_dir():
        message = f"{_DATA_VARIABLE} is {named}, which is not a directory"
        raise pytest.UsageError(message)
    if config.getoption("numprocesses", None) and servers.named(os.environ):
        message = "-n needs a pair of servers for each process; the variables name one: leave -n out, or the variables"
        raise pytest.UsageError(message)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` means: each has servers of its own, and Neo4j alone takes a gigabyte and a core."""
    return 0 if servers.named(os.environ) else min(os.cpu_count() or 1, _MOST_PROCESSES)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones, in whatever order they and the others are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Find the servers before the first test, outside any test's timeout; without them the run ends at once."""
    needed = any(_NEEDING_SERVERS & set(getattr(item, "fixturenames", ())) for item in session.items)
    if not needed or session.config.option.collectonly:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")

    def report(line: str) -> None:
        if reporter is not None:
            reporter.write_line(f"servers: {line}")

    try:
        found = servers.find(os.environ, report)
    except servers.NoServers as error:
        pytest.exit(f"The tests need a Postgres and a Neo4j: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    session.config.stash[_servers] = found
    report(f"from {found.origin}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests recorded of themselves, in whichever process they ran."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    terminalreporter.write_line(f"{name}: {value}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that were started for the session."""
    found = config.stash.get(_servers, None)
    if found is not None:
        found.close()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> servers.PostgresServer:
    """The Postgres of the session, with wal_level=logical."""
    return pytestconfig.stash[_servers].postgres


@pytest.fixture(scope="session")
def neo4j_server(pytestconfig: pytest.Config) -> servers.Neo4jServer:
    """The Neo4j of the session, with whatever the test before left in it."""
    return pytestconfig.stash[_servers].neo4j


@pytest.fixture
def postgres(postgres_server: servers.PostgresServer) -> Iterator[servers.Database]:
    """A new database for the test."""
    with servers.database(postgres_server) as made:
        yield made


@pytest.fixture
def neo4j(neo4j_server: servers.Neo4jServer) -> servers.Neo4jServer:
    """Neo4j, empty: no nodes, no constraints, no indexes, no open transactions."""
    neo4j_server.wipe()
    return neo4j_server


@pytest.fixture
def test_data() -> Path:
    """The folder of test data that GPM_TEST_DATA names."""
    named = os.environ.get(_DATA_VARIABLE)
    if not named:
        pytest.skip(f"{_DATA_VARIABLE} is not set: it names the folder with northwind.sql and pagila.sql")
    return Path(named)


@pytest.fixture
def proxy(neo4j_server: servers.Neo4jServer) -> Iterator[Proxy]:
    """A proxy in front of Neo4j."""
    with Proxy.of(neo4j_server.uri) as opened:
        yield opened
