"""Single changes: how long after its COMMIT each can be seen in the graph."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from gpm_cdc.demo import application
from gpm_cdc.demo.following import Pair
from gpm_cdc.demo.screen import Moving
from gpm_cdc.wording import say

COUNT: Final = 20
PATIENCE_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.002

_VISIBLE: Final[Mapping[str, str]] = {
    "moved": "MATCH (c:Customer {id: $customer}) RETURN c.city = $city",
    "ordered": (
        "MATCH (:Customer {id: $customer})-[:PLACED]->(o:Order {id: $order})"
        " RETURN count { (o)-[:CONTAINS]->(:Product) } = $lines"
    ),
    "corrected": (
        "MATCH (:Order {id: $order})-[line:CONTAINS]->(:Product {id: $product}) RETURN line.quantity = $quantity"
    ),
    "credited": ("MATCH (:Customer {id: $customer})-[:REFERRED_BY]->(other:Customer) RETURN other.id = $referrer"),
    "cancelled": "RETURN NOT EXISTS { MATCH (:Order {id: $order}) }",
}
"""How each kind of change shows in the graph; the parameters are what the application says of it."""


class Latency(NamedTuple):
    """From the return of COMMIT in the application to the first query that shows the change, in seconds."""

    kind: str
    seconds: float


class Summary(NamedTuple):
    """Changes of one kind, or of all. Seconds."""

    number: int
    median: float
    slowest: float

    @classmethod
    def of(cls, latencies: list[Latency]) -> "Summary":
        """Of at least one change."""
        seconds = [latency.seconds for latency in latencies]
        return cls(len(seconds), statistics.median(seconds), max(seconds))


def explained(kind: str) -> str:
    """What the application does in a change of this kind, and what that is in the graph."""
    match kind:
        case "moved":
            return say("a customer moves: one property")
        case "ordered":
            return say("an order is placed: a node, its lines as relationships")
        case "corrected":
            return say("a quantity is corrected: a property of a relationship")
        case "credited":
            return say("somebody else brought them in: a relationship moves")
        case "cancelled":
            return say("an order is cancelled: a node and its relationships go")
        case _:
            raise ValueError(kind)


async def measure(pair: Pair, moving: Moving, count: int = COUNT) -> list[Latency]:
    """Have the application make `count` changes, each once the one before can be seen. Raises GraphStandsStill."""
    stage = pair.stage
    latencies: list[Latency] = []
    arguments = (*application.CHANGE, "--count", str(count))
    async with application.started(*arguments, environ=stage.environment, log=stage.log("shop")) as shop:
        while len(latencies) < count and (change := await shop.ask()) is not None:
            moving.show(
                say("Change {number} of {count}: {what}", number=len(latencies) + 1, count=count,
                    what=explained(change["kind"]))
            )  # fmt: skip
            latencies.append(await _seen(pair, change))
    return latencies


async def _seen(pair: Pair, change: Mapping[str, object]) -> Latency:
    kind, committed = str(change["kind"]), float(str(change["committed_at"]))
    while await pair.ask(_VISIBLE[kind], **change) != [[True]]:
        if time.monotonic() - committed > PATIENCE_SECONDS:
            raise pair.late(PATIENCE_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)
    # Both processes read the same clock of this machine.
    return Latency(kind, time.monotonic() - committed)
