"""The queue between reading and applying, bounded in bytes: what waits there is all that the reader may be ahead."""

import asyncio
from collections import deque

from gpm_cdc.replication.assembly import EVENT_BYTES, Heartbeat, Transaction

type Item = Transaction | Heartbeat

_HEARTBEAT_BYTES = 64


class TransactionQueue:
    """First in, first out, one producer and one consumer. A single item larger than the bound is let in when empty."""

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        self._limit = limit
        self._size = 0
        self._items: deque[Item] = deque()
        self._space = asyncio.Event()
        self.changed = asyncio.Event()
        """Set whenever an item was put; the consumer clears it before it looks."""

    async def put(self, item: Item) -> None:
        """Append `item`, waiting for space."""
        weight = _weight(item)
        while self._items and self._size + weight > self._limit:
            self._space.clear()
            await self._space.wait()
        self._items.append(item)
        self._size += weight
        self.changed.set()

    def peek(self) -> Item | None:
        """The oldest item, left in place; None when empty."""
        return self._items[0] if self._items else None

    def take(self) -> Item:
        """Remove and return the oldest item; IndexError when empty."""
        item = self._items.popleft()
        self._size -= _weight(item)
        self._space.set()
        return item


def _weight(item: Item) -> int:
    if isinstance(item, Heartbeat):
        return _HEARTBEAT_BYTES
    return item.byte_count + len(item.events) * EVENT_BYTES
