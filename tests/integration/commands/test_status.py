from gpm_cdc.runtime.status import read_status
from tests.integration.commands.conftest import Shop


async def test_stream_that_nobody_knows(shop: Shop) -> None:
    """Neither server has anything of it, and nothing is wrong with that."""
    found = await read_status(shop.settings)
    assert not found.known
    assert found.problem is None
    assert (found.checkpoint, found.slot, found.runner, found.lag_bytes) == (None, None, None, None)


async def test_stream_that_runs(shop: Shop) -> None:
    """It has an owner, a slot in use, and no problem."""
    async with shop.running():
        found = await read_status(shop.settings)
        assert found.problem is None
        assert found.publication
        assert found.runner is not None
        assert found.slot is not None
        assert found.runner.startswith(str(found.slot.active_pid))
        assert found.checkpoint is not None
        assert found.checkpoint.phase == "streaming"


async def test_stream_that_stands_still_falls_behind(shop: Shop) -> None:
    """Nobody runs it; what is written meanwhile is its lag in bytes, and how old that is nobody measures."""
    await shop.begin()
    before = await read_status(shop.settings)
    assert before.runner is None
    assert before.problem is None
    await shop.sql("INSERT INTO customers SELECT g, repeat('x', 100) FROM generate_series(10, 1000) AS g")
    after = await read_status(shop.settings)
    assert before.lag_bytes is not None
    assert after.lag_bytes is not None
    assert after.lag_bytes > before.lag_bytes + 50_000
    assert after.lag_seconds is None
    assert after.slot is not None
    assert after.slot.retained is not None
    assert after.slot.retained >= after.lag_bytes


async def test_graph_that_has_everything_lags_by_nothing(shop: Shop) -> None:
    """No bytes and no seconds, also while nobody runs the stream."""
    await shop.begin()
    await shop.neo4j.query(
        "MATCH (s:GpmCdcCheckpoint {stream: $stream}) SET s.lsn = s.lsn + 1000000000", stream=shop.settings.stream
    )
    found = await read_status(shop.settings)
    assert (found.lag_bytes, found.lag_seconds) == (0, 0.0)


async def test_slot_whose_checkpoint_is_gone(shop: Shop) -> None:
    """The graph does not know the stream any more: that is said, not raised."""
    await shop.begin()
    await shop.neo4j.query("MATCH (s:GpmCdcCheckpoint) DELETE s")
    found = await read_status(shop.settings)
    assert found.known
    assert found.checkpoint is None
    assert found.problem is not None
    assert found.problem.code == "slot_foreign"
