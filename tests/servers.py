"""The servers that tests run against: named by environment variables, else in Docker, else the sandbox.

One Postgres and one Neo4j for the whole session. Each test gets a database of its own in the former and the latter
empty. Tests use the fixtures of conftest.py; `start_postgres` is for a test that needs a differently configured one.
"""

import asyncio
import gc
import secrets
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import docker  # type: ignore[import-untyped]  # testcontainers brings it, nobody its types
import docker.errors  # type: ignore[import-untyped]
import neo4j
import psycopg
from psycopg import sql
from testcontainers.community.neo4j import Neo4jContainer
from testcontainers.community.postgres import PostgresContainer

from gpm_cdc import sandbox
from gpm_cdc.errors.sandbox import SandboxError
from gpm_cdc.sandbox import accounts, places, postgres as embedded
from gpm_cdc.sandbox.processes import supervised
from gpm_cdc.sandbox.readiness import free_port
from gpm_cdc.sandbox.steps import silent

POSTGRES_VARIABLE = "GPM_TEST_POSTGRES_DSN"
NEO4J_VARIABLES = ("GPM_TEST_NEO4J_URI", "GPM_TEST_NEO4J_USER", "GPM_TEST_NEO4J_PASSWORD")
_POSTGRES_IMAGE = "pgvector/pgvector:pg18"
_NEO4J_IMAGE = "neo4j:5.26-community"
_DROP_SECONDS = 60.0
_DELETED_AT_ONCE = 10_000

type Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A whole Postgres: `dsn` leads to its administrative database."""

    dsn: str


@dataclass(frozen=True, slots=True)
class Database:
    """A Postgres database that belongs to one test: `dsn` leads there, `server` to the administrative database."""

    dsn: str
    server: str
    name: str

    async def connect(self, **options: Any) -> psycopg.AsyncConnection[tuple[Any, ...]]:  # noqa: ANN401 - psycopg's own
        """A new connection in autocommit mode."""
        return await psycopg.AsyncConnection.connect(self.dsn, **{"autocommit": True, **options})


@dataclass(frozen=True, slots=True)
class Neo4jServer:
    """A Neo4j whose one database the tests may empty."""

    uri: str
    user: str
    password: str
    database: str = "neo4j"

    def driver(self, **options: Any) -> neo4j.AsyncDriver:  # noqa: ANN401 - the driver's own
        """A new driver, to be used with `async with`."""
        return neo4j.AsyncGraphDatabase.driver(self.uri, auth=(self.user, self.password), **options)

    async def query(self, text: str, **parameters: object) -> list[dict[str, Any]]:
        """The rows of one query in a transaction of its own."""
        async with self.driver() as driver:
            found = await driver.execute_query(text, parameters, database_=self.database)
        return [row.data() for row in found.records]

    def wipe(self) -> None:
        """End all transactions and remove every node, constraint and index, in transactions of bounded size."""
        with (
            neo4j.GraphDatabase.driver(
                self.uri, auth=(self.user, self.password), notifications_min_severity="OFF"
            ) as driver,
            driver.session(database=self.database) as session,
        ):
            _end_transactions(session)
            for kind in ("CONSTRAINT", "INDEX"):
                condition = "WHERE type <> 'LOOKUP'" if kind == "INDEX" else ""
                shown = session.run(f"SHOW {kind} YIELD name, type {condition} RETURN name")
                for name in shown.value():
                    quoted = name.replace("`", "``")
                    session.run(f"DROP {kind} `{quoted}` IF EXISTS").consume()
            session.run(
                f"MATCH (n) CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF {_DELETED_AT_ONCE} ROWS"
            ).consume()


def _end_transactions(session: neo4j.Session) -> None:
    """Terminate what other sessions have open: a lock left by a test that failed would block the next one."""
    others = session.run(
        "SHOW TRANSACTIONS YIELD transactionId, currentQuery, database "
        "WHERE database <> 'system' AND NOT coalesce(currentQuery, '') STARTS WITH 'SHOW TRANSACTIONS' "
        "RETURN transactionId"
    ).value()
    if others:
        session.run("TERMINATE TRANSACTIONS $names", names=others).consume()


class NoServers(Exception):
    """The tests have no servers and cannot start any."""


@dataclass(slots=True)
class Servers:
    """The pair of a test session. `close` ends what was started for it."""

    postgres: PostgresServer
    neo4j: Neo4jServer
    origin: str
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Stop the servers that were started for the session."""
        self._stack.close()


def find(environment: Mapping[str, str], report: Report) -> Servers:
    """The servers of this session; NoServers if there are none. `report` hears what takes time."""
    postgres = _named_postgres(environment)
    graph = _named_neo4j(environment)
    if postgres is not None and graph is not None:
        return Servers(postgres, graph, "environment variables")
    with ExitStack() as stack:
        if _docker_answers():
            origin = "Docker"
            postgres = postgres or stack.enter_context(_docker_postgres(report))
            graph = graph or stack.enter_context(_docker_neo4j(report))
        else:
            origin = "sandbox"
            started = stack.enter_context(_sandbox(report))
            postgres = postgres or PostgresServer(started.postgres_dsn)
            graph = graph or Neo4jServer(started.neo4j_uri, started.neo4j_user, started.neo4j_password)
        return Servers(postgres, graph, origin, stack.pop_all())


def named(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a server, which then only one process may use."""
    return any(environment.get(name) for name in (POSTGRES_VARIABLE, *NEO4J_VARIABLES))


def _named_postgres(environment: Mapping[str, str]) -> PostgresServer | None:
    dsn = environment.get(POSTGRES_VARIABLE)
    return PostgresServer(dsn) if dsn else None


def _named_neo4j(environment: Mapping[str, str]) -> Neo4jServer | None:
    values = [environment.get(name) for name in NEO4J_VARIABLES]
    if not any(values):
        return None
    uri, user, password = values
    if uri is None or user is None or password is None:
        missing = ", ".join(name for name in NEO4J_VARIABLES if not environment.get(name))
        message = f"{missing} is not set, though other variables of the Neo4j for tests are"
        raise NoServers(message)
    return Neo4jServer(uri, user, password)


def _docker_answers() -> bool:
    with warnings.catch_warnings():
        # Where no engine listens, the client leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _ping_docker()
        gc.collect()
    return answers


def _ping_docker() -> bool:
    try:
        client = docker.from_env()
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except docker.errors.APIError:
        return False
    finally:
        client.close()


@contextmanager
def _docker_postgres(report: Report) -> Iterator[PostgresServer]:
    report(f"starting {_POSTGRES_IMAGE}")
    settings = [
        part
        for name in ("wal_level", "max_wal_senders", "max_replication_slots", "max_connections")
        for part in ("-c", f"{name}={embedded.SETTINGS[name]}")
    ]
    container = PostgresContainer(_POSTGRES_IMAGE, username="postgres", dbname="postgres", driver=None)
    with container.with_command(["postgres", *settings]) as running:
        yield PostgresServer(running.get_connection_url())


@contextmanager
def _docker_neo4j(report: Report) -> Iterator[Neo4jServer]:
    report(f"starting {_NEO4J_IMAGE}")
    with Neo4jContainer(_NEO4J_IMAGE) as running:
        yield Neo4jServer(running.get_connection_url(), running.username, running.password)


@contextmanager
def _sandbox(report: Report) -> Iterator[sandbox.Sandbox]:
    last = 0.0

    def hear(step: sandbox.Step) -> None:
        nonlocal last
        if not step.detail or time.monotonic() - last > 5:
            last = time.monotonic()
            report(step.text)

    try:
        started = asyncio.run(sandbox.up(ephemeral=True, progress=hear))
    except SandboxError as error:
        message = f"{error} {error.advice}"
        raise NoServers(message) from error
    try:
        yield started
    finally:
        asyncio.run(sandbox.down(started.directory))


@contextmanager
def database(server: PostgresServer, locale: LiteralString = "") -> Iterator[Database]:
    """A new, empty database on `server`, dropped afterwards with its slots, whoever still uses it.

    `locale` is what CREATE DATABASE is to be told of it.
    """
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}")
        connection.execute(statement.format(sql.Identifier(name), sql.SQL(locale)))
    try:
        yield Database(psycopg.conninfo.make_conninfo(server.dsn, dbname=name), server.dsn, name)
    finally:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            _drop(connection, name)


def _drop(connection: psycopg.Connection, name: str) -> None:
    """Drop the database `name`: WITH (FORCE) ends sessions, but refuses while a walsender holds a slot in it."""
    deadline = time.monotonic() + _DROP_SECONDS
    while True:
        connection.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", [name]
        )
        try:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
        else:
            return


@asynccontextmanager
async def start_postgres(version: str | None = None, **settings: str) -> AsyncIterator[PostgresServer]:
    """A Postgres of its own for one test: `version` is a major version, `settings` go over the sandbox's own.

    It ends with the block, or with this process.
    """
    cache = places.cache_directory()
    places.make(cache)
    install = await embedded.installation(embedded.chosen(version).version, accounts.unprivileged(), cache, silent)
    directory = await asyncio.to_thread(places.temporary_directory)
    password, port = secrets.token_hex(8), free_port()
    async with supervised(directory, remove=directory) as supervisor:
        await embedded.initialise(install, directory, password)
        await embedded.start(
            install,
            supervisor,
            directory,
            port=port,
            password=password,
            settings={**embedded.SETTINGS, **embedded.EPHEMERAL_SETTINGS, **settings},
        )
        yield PostgresServer(embedded.dsn(port, password))
