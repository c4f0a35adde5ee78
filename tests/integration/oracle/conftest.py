import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import psycopg
import pytest
from neo4j import Driver, GraphDatabase
from psycopg import sql
from psycopg.conninfo import make_conninfo

type Execute = Callable[[str], None]


class PostgresDatabase(Protocol):
    """A server."""

    @property
    def dsn(self) -> str:
        """Where it is."""


class Neo4jServer(Protocol):
    """A server whose graph the tests may empty."""

    @property
    def uri(self) -> str:
        """Where it is."""

    @property
    def user(self) -> str:
        """Who may write."""

    @property
    def password(self) -> str:
        """With which password."""


@pytest.fixture
def dsn(postgres: PostgresDatabase) -> Iterator[str]:
    """A new database for the test."""
    name = f"oracle_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield make_conninfo(postgres.dsn, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def execute_sql(dsn: str) -> Execute:
    """Runs a script in the test's database and commits it."""

    def execute(script: str) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(script)

    return execute


@pytest.fixture
def driver(neo4j: Neo4jServer) -> Iterator[Driver]:
    """A driver of a graph that is empty."""
    with GraphDatabase.driver(neo4j.uri, auth=(neo4j.user, neo4j.password)) as opened:
        opened.execute_query("MATCH (n) DETACH DELETE n")
        yield opened
        opened.execute_query("MATCH (n) DETACH DELETE n")
