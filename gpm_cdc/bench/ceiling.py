"""What Neo4j takes from a bare loop: the ceiling of `bench stream`. A program by itself that imports nothing of ours.

It reads one JSON document from standard input: `uri`, `user`, `password`, `name` (insert, update, delete or mixed),
`rows` and `sizes`. It prepares the rows in memory, sends them as lists of each of the `sizes`, each list with its
statements in one transaction, and prints one JSON document: `rate` (rows per second) and `size` of the best.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator

from neo4j import Driver, GraphDatabase

type Batch = list[tuple[str, list[list[object]]]]

_BUILT = "datetime({epochSeconds: r[6][0], nanosecond: r[6][1]})"
CREATE = (
    "UNWIND $rows AS r CREATE (n:Item {id: r[0], name: r[1], email: r[2], city: r[3], amount: r[4], active: r[5],"
    f" created: {_BUILT}, score: r[7]}})"
)
_SET = (
    "SET n.name = r[1], n.email = r[2], n.city = r[3], n.amount = r[4], n.active = r[5],"
    f" n.created = {_BUILT}, n.score = r[7]"
)
MERGE = f"UNWIND $rows AS r MERGE (n:Item {{id: r[0]}}) {_SET}"
DELETE = "UNWIND $rows AS r MATCH (n:Item {id: r}) DETACH DELETE n"
CREATE_CHILD = (
    "UNWIND $rows AS r CREATE (n:Purchase {id: r[0], item_id: r[1], buyer: r[2], note: r[3], amount: r[4], paid: r[5],"
    f" created: {_BUILT}, quantity: r[7]}})"
)
MERGE_CHILD = (
    "UNWIND $rows AS r MERGE (n:Purchase {id: r[0]}) SET n.item_id = r[1], n.buyer = r[2], n.note = r[3],"
    f" n.amount = r[4], n.paid = r[5], n.created = {_BUILT}, n.quantity = r[7]"
)
CONNECT = "UNWIND $rows AS r MATCH (c:Purchase {id: r[0]}) MATCH (p:Item {id: r[1]}) CREATE (c)-[:ITEM]->(p)"
DISCONNECT = "UNWIND $rows AS r MATCH (:Purchase {id: r[0]})-[e:ITEM]->(:Item) DELETE e"
DELETE_CHILD = "UNWIND $rows AS r MATCH (n:Purchase {id: r}) DETACH DELETE n"
_EPOCH = 1_700_000_000
_ITEMS = 1_000
_NEW, _CHANGED, _MOVED, _GONE = {0, 1, 2, 3}, {4, 5, 6}, {7}, {8, 9}
"""What becomes of a purchase in the mixed workload, by the last digit of its key."""


def item(key: int, version: int) -> list[object]:
    """The same values that the workload writes into table `item`."""
    return [
        key,
        f"name {key}" + "x" * version,
        f"user{key}@example.com",
        f"city {key % 100}",
        key * 1.5,
        key % 2 == 0,
        [_EPOCH + key, 0],
        key % 1000 + version,
    ]


def purchase(key: int, version: int, shift: int) -> list[object]:
    """The same values that the workload writes into table `purchase`."""
    return [
        key,
        (key + shift) % _ITEMS + 1,
        f"buyer {key % 1000}",
        f"note {key}" + "x" * version,
        key * 1.5,
        key % 2 == 0,
        [_EPOCH + key, 0],
        key % 10 + version,
    ]


def insert(first: int, size: int) -> Batch:
    """New items."""
    return [(CREATE, [item(key, 0) for key in range(first, first + size)])]


def update(first: int, size: int) -> Batch:
    """Items with two columns changed."""
    return [(MERGE, [item(key, 1) for key in range(first, first + size)])]


def delete(first: int, size: int) -> Batch:
    """Items that go."""
    keys: list[object] = list(range(first, first + size))
    return [(DELETE, keys)]  # type: ignore[list-item]


def mixed(first: int, size: int) -> Batch:
    """Of ten changes of purchases: four new, three updated, one given another item, two deleted."""
    keys = range(first, first + size)
    new = [purchase(key, 0, 0) for key in keys if key % 10 in _NEW]
    changed = [purchase(key, 1, 0) for key in keys if key % 10 in _CHANGED]
    moved = [purchase(key, 1, 1) for key in keys if key % 10 in _MOVED]
    gone: list[object] = [key for key in keys if key % 10 in _GONE]
    return [
        (DELETE_CHILD, gone),  # type: ignore[list-item]
        (CREATE_CHILD, new),
        (MERGE_CHILD, changed + moved),
        (DISCONNECT, [[row[0]] for row in moved]),
        (CONNECT, [row[:2] for row in new + moved]),
    ]


OPERATIONS: dict[str, Callable[[int, int], Batch]] = {
    "insert": insert,
    "update": update,
    "delete": delete,
    "mixed": mixed,
}


def batches(name: str, rows: int, size: int) -> Iterator[Batch]:
    """All batches of one run."""
    for first in range(1, rows + 1, size):
        yield OPERATIONS[name](first, min(size, rows + 1 - first))


def wipe(driver: Driver) -> None:
    """Empty the graph of the two labels."""
    for label in ("Item", "Purchase"):
        with driver.session() as session:
            text = f"MATCH (n:{label}) CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF 10000 ROWS"
            session.run(text).consume()


def send(driver: Driver, work: list[Batch]) -> float:
    """The seconds that it takes to send `work`, one transaction per batch."""
    started = time.perf_counter()
    with driver.session() as session:
        for batch in work:
            with session.begin_transaction() as transaction:
                for text, rows in batch:
                    transaction.run(text, rows=rows).consume()
                transaction.commit()
    return time.perf_counter() - started


def prepare(driver: Driver, name: str, rows: int) -> None:
    """Bring the graph to where the operation starts from, as the workload brings the tables."""
    wipe(driver)
    if name in {"update", "delete"}:
        send(driver, list(batches("insert", rows, 10_000)))
    if name == "mixed":
        send(driver, [[(CREATE, [item(key, 0) for key in range(1, _ITEMS + 1)])]])
        old = [purchase(key, 0, 0) for key in range(1, rows + 1) if key % 10 not in _NEW]
        for start in range(0, len(old), 10_000):
            part = old[start : start + 10_000]
            send(driver, [[(CREATE_CHILD, part), (CONNECT, [row[:2] for row in part])]])


def main() -> None:
    """Measure what standard input asks for."""
    asked = json.load(sys.stdin)
    best = {"rate": 0.0, "size": 0}
    with GraphDatabase.driver(asked["uri"], auth=(asked["user"], asked["password"])) as driver:
        for label in ("Item", "Purchase"):
            driver.execute_query(f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE")
        driver.execute_query("CALL db.awaitIndexes()")
        for size in asked["sizes"]:
            prepare(driver, asked["name"], asked["rows"])
            rate = asked["rows"] / send(driver, list(batches(asked["name"], asked["rows"], size)))
            if rate > best["rate"]:
                best = {"rate": rate, "size": size}
        wipe(driver)
    json.dump(best, sys.stdout)


if __name__ == "__main__":
    main()
