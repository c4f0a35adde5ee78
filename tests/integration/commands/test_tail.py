import asyncio
import json
import os
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from gpm_cdc.errors.run import PublicationAbsent
from gpm_cdc.runtime.tail import TracedTransaction, tail
from tests.integration.commands.conftest import Shop
from tests.patience import PATIENCE


async def follow(shop: Shop, ready: asyncio.Event, count: int) -> list[TracedTransaction]:
    """The next `count` transactions."""
    found: list[TracedTransaction] = []
    async with aclosing(tail(shop.settings, shop.mapping, ready.set)) as following:
        async for transaction in following:
            found.append(transaction)
            if len(found) == count:
                break
    return found


async def test_transactions_come_with_their_statements_and_leave_no_trace(shop: Shop) -> None:
    """Two commits are two transactions, in order; afterwards both servers are as they were."""
    await shop.publish()
    before = await shop.traces()
    ready = asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        following = asyncio.create_task(follow(shop, ready, 2))
        await ready.wait()
        await shop.sql("BEGIN; INSERT INTO customers VALUES (3, 'three'); UPDATE orders SET customer_id = 3; COMMIT")
        await shop.sql("DELETE FROM orders WHERE id = 1")
        first, second = await following
    assert [change.kind for change in first.changes] == ["insert", "update", "update"]
    assert first.changes[0].new == {"id": "3", "name": "three"}
    assert [change.old for change in second.changes] == [{"id": "1"}]
    assert any("MERGE" in statement.text and list(statement.rows) == [[3, "three"]] for statement in first.statements)
    assert any("DELETE" in statement.text for statement in second.statements)
    assert first.end_lsn < second.end_lsn
    assert await shop.traces() == before


async def test_publication_that_is_not_there_is_not_made(shop: Shop) -> None:
    """The command that makes it is named."""
    before = await shop.traces()
    with pytest.raises(PublicationAbsent) as caught:
        await follow(shop, asyncio.Event(), 1)
    assert shop.settings.publication_name in str(caught.value)
    assert "gpm-cdc run" in caught.value.advice
    assert await shop.traces() == before


async def test_interrupt_ends_it_well(shop: Shop, tmp_path: Path) -> None:
    """Each transaction is one line of JSON; Ctrl-C is the way to end it, so the exit code is 0."""
    await shop.begin()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gpm_cdc", "tail", "--json",
        cwd=tmp_path,
        env=_environment(shop),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        assert b"Following" in await process.stderr.readline()
        await shop.sql("UPDATE customers SET name = 'uno' WHERE id = 1")
        document = json.loads(await process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert document["changes"] == [{"kind": "update", "table": "public.customers", "new": {"id": "1", "name": "uno"}}]
    assert document["statements"][0]["rows"] == [[1, "uno"]]


def _environment(shop: Shop) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GPM_", "PG"))}
    return inherited | {
        "GPM_POSTGRES_DSN": shop.postgres.dsn,
        "GPM_NEO4J_URI": shop.neo4j.uri,
        "GPM_NEO4J_PASSWORD": shop.neo4j.password,
        "GPM_STREAM": shop.settings.stream,
    }
