"""Messages of the Bolt protocol as they go by in a proxy, and what to do with them there."""

import threading
from collections.abc import Callable

from tests.proxy import Direction, Proxy

COMMIT = b"\x00\x02\xb0\x12\x00\x00"
"""A whole chunk: a structure without fields, and the end of the message. The driver sends it alone."""

BEGIN = b"\xb1\x11"
"""The head of a structure with one field."""

RUN = b"\xb3\x10"
"""The head of a structure with three fields."""


class Trap:
    """Does something once, when a message goes by: `sprung` tells that it did.

    The action runs before the message is forwarded, in the proxy's own thread.
    """

    def __init__(self, proxy: Proxy, message: bytes, action: Callable[[], None], *, passing: int = 0) -> None:
        """`passing` messages are let go by first."""
        self._message = message
        self._action = action
        self._left = passing
        self.sprung = threading.Event()
        proxy.hook = self._see

    def _see(self, direction: Direction, data: bytes) -> None:
        if direction is not Direction.REQUEST or self.sprung.is_set() or self._message not in data:
            return
        if self._left:
            self._left -= 1
            return
        self._action()
        self.sprung.set()

    def wait(self, seconds: float = 30.0) -> None:
        """TimeoutError unless the message has gone by within `seconds`."""
        if not self.sprung.wait(seconds):
            message = f"no {self._message!r} went by within {seconds} seconds"
            raise TimeoutError(message)
