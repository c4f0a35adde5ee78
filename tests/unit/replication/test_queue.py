import asyncio

import pytest

from gpm_cdc.domain.changes import Insert
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.replication.assembly import Heartbeat, Transaction
from gpm_cdc.replication.queue import Item, TransactionQueue


def transaction(end: int, size: int) -> Transaction:
    """A transaction of one row that weighs `size` bytes of text."""
    return Transaction(Lsn(end), 0, [Insert(1, ["1"])], size)


async def test_first_in_first_out() -> None:
    """Items leave in the order in which they came."""
    queue = TransactionQueue(100_000)
    items: list[Item] = [transaction(1, 10), Heartbeat(Lsn(2), reply_requested=False), transaction(3, 10)]
    for item in items:
        await queue.put(item)
    assert queue.peek() is items[0]
    assert [queue.take() for _ in items] == items
    assert queue.peek() is None
    with pytest.raises(IndexError):
        queue.take()


async def test_full_queue_makes_the_producer_wait() -> None:
    """What would pass the bound waits until enough was taken."""
    queue = TransactionQueue(2_000)
    await queue.put(transaction(1, 700))
    await queue.put(transaction(2, 700))
    waiting = asyncio.create_task(queue.put(transaction(3, 1_500)))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.take()
    await asyncio.sleep(0)
    assert not waiting.done(), "one transaction of 700 bytes and one of 1,500 pass the bound"
    queue.take()
    await waiting
    assert queue.take().end_lsn == 3  # type: ignore[union-attr]


async def test_item_beyond_the_bound_is_let_in_alone() -> None:
    """A transaction larger than the whole queue passes when it is empty."""
    queue = TransactionQueue(100)
    await queue.put(transaction(1, 1_000_000))
    waiting = asyncio.create_task(queue.put(Heartbeat(Lsn(2), reply_requested=False)))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.take()
    await waiting


async def test_changed_tells_the_consumer() -> None:
    """The consumer can wait for the next item."""
    queue = TransactionQueue(100)
    assert not queue.changed.is_set()
    await queue.put(transaction(1, 1))
    assert queue.changed.is_set()
