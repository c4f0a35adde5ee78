"""How fast a comparison may go, so that whoever works on the servers does not notice it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from gpm_cdc.errors.verify import PassDisturbed
from gpm_cdc.wording import say

_LOOK_SECONDS = 1.0
"""How often the lag is asked for."""


class Pace:
    """At most `rate` rows and elements per second; none while `lag` in bytes is more than `most`. None: no limit."""

    def __init__(
        self,
        *,
        rate: float | None = None,
        most: int | None = None,
        lag: Callable[[], Awaitable[int]] | None = None,
        patience: float = math.inf,
    ) -> None:
        """`patience` in seconds bounds each pause: nobody may be running the stream."""
        self._rate = rate
        self._most = most
        self._lag = lag
        self._patience = patience
        self._due = 0.0
        self._looked = -math.inf
        self._open = asyncio.Event()
        self._open.set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody is admitted for as long as this lasts."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    async def spent(self, count: int) -> None:
        """Wait until `count` more are within the rate."""
        if self._rate is not None:
            now = time.monotonic()
            self._due = max(self._due, now) + count / self._rate
            await asyncio.sleep(self._due - now)

    async def admitted(self) -> None:
        """Return when nobody is alone and the stream does not lag too much; PassDisturbed if it does for too long."""
        await self._open.wait()
        if self._most is None or self._lag is None or time.monotonic() < self._looked + _LOOK_SECONDS:
            return
        begun = time.monotonic()
        while await self._lag() > self._most:
            if time.monotonic() - begun > self._patience:
                raise PassDisturbed(
                    detail=say(
                        "the graph was more than {bytes} bytes behind the log for {seconds} seconds",
                        bytes=self._most,
                        seconds=f"{self._patience:g}",
                    )
                )
            await asyncio.sleep(_LOOK_SECONDS)
        self._looked = time.monotonic()
