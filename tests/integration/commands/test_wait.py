import asyncio

import pytest

from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.errors.run import StreamUnknown, WaitExpired
from gpm_cdc.runtime.wait import wait
from tests.integration.commands.conftest import Shop
from tests.patience import PATIENCE


async def test_own_write_is_in_the_graph_afterwards(shop: Shop) -> None:
    """The use of it: write, take the position, wait, read the graph."""
    async with shop.running():
        async with await shop.postgres.connect() as connection:
            await connection.execute("INSERT INTO customers VALUES (3, 'three')")
            cursor = await connection.execute("SELECT pg_current_wal_lsn()::text")
            target = parse((await cursor.fetchall())[0][0])
        reached = await wait(shop.settings, target, timeout=PATIENCE)
        assert reached >= target
        found = await shop.neo4j.query("MATCH (n:Customer {id: 3}) RETURN n.name AS name")
        assert found == [{"name": "three"}]


async def test_without_a_position_it_is_what_is_committed_now(shop: Shop) -> None:
    """A stream that runs gets there although nothing else is written."""
    async with shop.running():
        await shop.sql("INSERT INTO customers VALUES (4, 'four')")
        await wait(shop.settings, timeout=PATIENCE)
        assert await shop.neo4j.query("MATCH (n:Customer {id: 4}) RETURN count(n) AS n") == [{"n": 1}]


async def test_time_is_up(shop: Shop) -> None:
    """The error says how far the graph is and how far it should be."""
    await shop.begin()
    with pytest.raises(WaitExpired) as caught:
        await wait(shop.settings, Lsn(0xFFFF_0000_0001), timeout=0.3)
    assert "FFFF/1" in str(caught.value)
    assert "0.3 seconds" in str(caught.value)
    assert "0/0," not in str(caught.value)


async def test_graph_without_a_checkpoint(shop: Shop) -> None:
    """A stream that is not there is not waited for."""
    with pytest.raises(StreamUnknown) as caught:
        await wait(shop.settings, Lsn(1), timeout=PATIENCE)
    assert shop.settings.stream in str(caught.value)


async def test_position_that_comes_while_it_waits(shop: Shop) -> None:
    """It looks again until the graph is there."""
    await shop.begin()
    await shop.sql("INSERT INTO customers VALUES (5, 'five')")
    waiting = asyncio.create_task(wait(shop.settings, timeout=60))
    async with shop.running():
        await waiting
    assert await shop.neo4j.query("MATCH (n:Customer {id: 5}) RETURN count(n) AS n") == [{"n": 1}]
