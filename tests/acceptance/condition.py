"""Waiting for what another process does."""

import time
from collections.abc import Callable

from tests.patience import PATIENCE

_POLL_SECONDS = 0.02


def until[Answer](condition: Callable[[], Answer], what: str, seconds: float = PATIENCE) -> Answer:
    """The first true answer of `condition`, asked again and again; TimeoutError, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            message = f"{what}: not within {seconds} seconds"
            raise TimeoutError(message)
        time.sleep(_POLL_SECONDS)
    return answer
