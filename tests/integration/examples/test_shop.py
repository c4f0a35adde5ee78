"""The shop of examples/: it runs by itself, its migration makes its models, and its graph is the one of its tables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import neo4j as driver
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from tests import oracle
from tests.servers import Database, Neo4jServer

_SHOP = Path(__file__).parents[3] / "examples" / "shop"
_MAPPING = _SHOP / "gpm-cdc.toml"

type Run = Callable[..., list[Any]]


def _done(arguments: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=_SHOP, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _url(dsn: str) -> str:
    parts = conninfo_to_dict(dsn)
    user, password, host, name = (str(parts[key]) for key in ("user", "password", "host", "dbname"))
    url = URL.create("postgresql", user, password, host, int(str(parts["port"])), name)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def shop(postgres: Database) -> Run:
    """Runs a program of the shop on the test's database; the JSON lines it prints."""

    def run(*arguments: str) -> list[Any]:
        printed = _done(list(arguments), {"DATABASE_URL": _url(postgres.dsn)})
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]

    run("alembic", "upgrade", "head")
    return run


@pytest.fixture
def follow(postgres: Database, neo4j: Neo4jServer) -> Iterator[Callable[..., str]]:
    """Runs a command of gpm-cdc between the test's database and the graph, with the shop's mapping."""
    environment = {
        "GPM_POSTGRES_DSN": postgres.dsn,
        "GPM_NEO4J_URI": neo4j.uri,
        "GPM_NEO4J_USER": neo4j.user,
        "GPM_NEO4J_PASSWORD": neo4j.password,
        "GPM_STREAM": postgres.name,
    }
    yield lambda *arguments: _done(["gpm_cdc", *arguments], environment)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [postgres.name]
        )


def _table(postgres: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(postgres.dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_migration_makes_the_models(shop: Run) -> None:
    """Alembic finds nothing to add after the upgrade, and the way back leaves nothing in the way of another upgrade."""
    shop("alembic", "check")
    shop("alembic", "downgrade", "base")
    shop("alembic", "upgrade", "head")


def test_the_same_seed_writes_the_same_rows(shop: Run, postgres: Database) -> None:
    """Two fillings with one seed are equal, and the counts on its lines are those of the tables."""
    contents = []
    for _ in range(2):
        lines = shop("shop", "fill", "--customers", "60", "--orders", "90", "--seed", "3")
        counted = _table(
            postgres,
            "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders),"
            " (SELECT count(*) FROM categories) + (SELECT count(*) FROM products) + (SELECT count(*) FROM order_lines)",
        )
        assert counted[0][:2] == (60, 90)
        assert sum(counted[0]) == lines[-1]["rows"]
        contents.append(
            (
                _table(postgres, "SELECT name, email, city, joined, referred_by_id FROM customers ORDER BY email"),
                _table(postgres, "SELECT status::text, placed_at FROM orders ORDER BY 2"),
            )
        )
        shop("alembic", "downgrade", "base")
        shop("alembic", "upgrade", "head")
    assert contents[0] == contents[1]


def test_nobody_brings_in_themselves(shop: Run, postgres: Database) -> None:
    """Referrals stay a forest through filling and changing: without that, a chain would have no end."""
    shop("shop", "fill", "--customers", "20", "--orders", "60")
    shop("shop", "change", "--count", "150")
    looped = _table(
        postgres,
        "WITH RECURSIVE above AS (SELECT id AS start, referred_by_id AS id FROM customers"
        " UNION SELECT start, c.referred_by_id FROM above JOIN customers AS c ON c.id = above.id)"
        " SELECT start FROM above WHERE start = id",
    )
    assert looped == []


def test_the_graph_is_that_of_the_tables(
    shop: Run, follow: Callable[..., str], postgres: Database, neo4j: Neo4jServer
) -> None:
    """Rows that the snapshot finds, rows that the stream brings and every kind of single change arrive."""
    shop("shop", "fill", "--customers", "120", "--orders", "200")
    follow("map", "--check")
    follow("run", "--until-current")
    with driver.GraphDatabase.driver(neo4j.uri, auth=(neo4j.user, neo4j.password)) as graph:
        oracle.assert_equal(postgres.dsn, _MAPPING, graph)
        kinds = {change["kind"] for change in shop("shop", "change", "--count", "15")}
        assert kinds == {"moved", "ordered", "corrected", "credited", "cancelled"}
        follow("run", "--until-current")
        oracle.assert_equal(postgres.dsn, _MAPPING, graph)
