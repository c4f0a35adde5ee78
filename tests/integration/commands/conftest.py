"""A small stream, driven from within the test's process."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.text import parse
from gpm_cdc.ports.observer import BatchReport
from gpm_cdc.runtime.daemon import Daemon, Orders
from gpm_cdc.runtime.status import read_status
from tests import servers
from tests.patience import PATIENCE

TABLES = """
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers);
INSERT INTO customers VALUES (1, 'one'), (2, 'two');
INSERT INTO orders VALUES (1, 1), (2, 1);
"""
MAPPING = """
[[node]]
table = "public.customers"
label = "Customer"
key = ["id"]
[[node]]
table = "public.orders"
label = "Order"
key = ["id"]
[[node.relationship]]
columns = ["customer_id"]
type = "CUSTOMER"
target = "public.customers"
target_columns = ["id"]
"""
_POLL_SECONDS = 0.02


class _Silent:
    """An observer of nothing."""

    def snapshot_started(self, rows: int) -> None:
        """Ignored."""

    def snapshot_progress(self, what: str, rows: int) -> None:
        """Ignored."""

    def snapshot_finished(self, position: Lsn, seconds: float) -> None:
        """Ignored."""

    def streaming(self, position: Lsn) -> None:
        """Ignored."""

    def batch_applied(self, report: BatchReport) -> None:
        """Ignored."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A database with tables, an empty graph, and what a command gets to know of them."""

    postgres: servers.Database
    neo4j: servers.Neo4jServer
    settings: Settings
    mapping: GraphMapping

    async def sql(self, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one SQL statement, committed."""
        async with await self.postgres.connect() as connection:
            cursor = await connection.execute(text.encode(), parameters or None)
            return await cursor.fetchall() if cursor.description is not None else []

    async def begin(self) -> None:
        """Copy the tables, and stop."""
        await Daemon(self.settings, self.mapping, Orders(until_current=True), _Silent()).run(asyncio.Event())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A stream that is being run, until the context is left."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Daemon(self.settings, self.mapping, Orders(), _Silent()).run(stop))
            async with asyncio.timeout(PATIENCE):
                await self._started()
            yield
            stop.set()

    async def _started(self) -> None:
        """Returns when the slot is being read."""
        while True:
            found = await read_status(self.settings)
            if found.slot is not None and found.slot.active_pid is not None:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def publish(self) -> None:
        """Make the publication as another program would."""
        await self.sql(
            f"CREATE PUBLICATION {self.settings.publication_name} FOR TABLE customers, orders"
            " WITH (publish_via_partition_root = true)"
        )

    async def traces(self) -> dict[str, list[Any]]:
        """Everything that a command could leave behind on the two servers."""
        return {
            "publications": await self.sql("SELECT pubname::text FROM pg_publication"),
            "slots": await self.sql(
                "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()"
            ),
            "nodes": await self.neo4j.query("MATCH (n) RETURN labels(n) AS labels, properties(n) AS p ORDER BY p.id"),
            "constraints": await self.neo4j.query("SHOW CONSTRAINTS YIELD name"),
        }


@pytest.fixture
async def shop(postgres: servers.Database, neo4j: servers.Neo4jServer, tmp_path: Path) -> Shop:
    """Tables and a mapping, not yet a stream."""
    config = tmp_path / "gpm-cdc.toml"
    config.write_text("version = 1\n" + MAPPING, "utf-8")
    settings = Settings(
        postgres_dsn=SecretStr(postgres.dsn),
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=SecretStr(neo4j.password),
        stream=f"test_{secrets.token_hex(4)}",
        config=config,
    )
    made = Shop(postgres, neo4j, settings, parse(config.read_text("utf-8"), where="test"))
    await made.sql(TABLES)
    return made
