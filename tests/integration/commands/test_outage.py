import asyncio
import threading

import pytest

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.run import WaitExpired
from gpm_cdc.errors.sink import GraphUnreachable
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.runtime.wait import wait
from tests.integration.commands.conftest import Shop
from tests.proxy import Direction, Proxy

_SOON = 10.0


async def test_command_that_somebody_waits_for_gives_up_at_once(shop: Shop, proxy: Proxy) -> None:
    """Neo4j that goes away in the middle is an error, not a silence."""
    settings = shop.settings.model_copy(update={"neo4j_uri": proxy.uri()})
    async with asyncio.timeout(_SOON), open_graph(settings) as writer:
        assert await writer.checkpoint(settings.stream) is None
        proxy.refuse()
        proxy.cut()
        with pytest.raises(GraphUnreachable) as caught:
            await writer.checkpoint(settings.stream)
    assert proxy.uri() in str(caught.value)


async def test_wait_sits_out_an_outage_until_its_time_is_up(shop: Shop, proxy: Proxy) -> None:
    """A restart of Neo4j is no reason to stop waiting."""
    await shop.begin()
    settings = shop.settings.model_copy(update={"neo4j_uri": proxy.uri()})
    asked = threading.Event()

    def listen(_: Direction, data: bytes) -> None:
        if b"GpmCdcCheckpoint" in data:
            asked.set()

    proxy.hook = listen
    waiting = asyncio.create_task(wait(settings, Lsn(0xFFFF_0000_0001), timeout=3))
    await asyncio.to_thread(asked.wait, _SOON)
    proxy.refuse()
    proxy.cut()
    with pytest.raises(WaitExpired):
        await waiting
