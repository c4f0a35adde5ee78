"""What is written into Postgres while the stream stands still, so that the stream's own rate is what gets measured."""

from dataclasses import dataclass

import psycopg

SCHEMA = """
CREATE TABLE item (
    id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, city text, amount double precision, active boolean,
    created timestamptz, score integer);
CREATE TABLE purchase (
    id bigint PRIMARY KEY, item_id bigint REFERENCES item, buyer text, note text, amount double precision, paid boolean,
    created timestamptz, quantity integer);
"""

MAPPING = """
version = 1

[[node]]
table = "public.item"
label = "Item"
key = ["id"]

[[node]]
table = "public.purchase"
label = "Purchase"
key = ["id"]
[[node.relationship]]
columns = ["item_id"]
type = "ITEM"
target = "public.item"
target_columns = ["id"]
"""

_ITEMS = """
INSERT INTO item
SELECT k, 'name ' || k, 'user' || k || '@example.com', 'city ' || mod(k, 100), k * 1.5, mod(k, 2) = 0,
       to_timestamp(1700000000 + k), mod(k, 1000)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS k
"""
_PURCHASES = """
INSERT INTO purchase
SELECT k, mod(k, 1000) + 1, 'buyer ' || mod(k, 1000), 'note ' || k, k * 1.5, mod(k, 2) = 0,
       to_timestamp(1700000000 + k), mod(k, 10)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS k WHERE
"""
_NEW = _PURCHASES + "mod(k, 10) < 4"
_OLD = _PURCHASES + "mod(k, 10) >= 4"
_UPDATE = """
UPDATE item SET name = name || 'x', score = score + 1 WHERE id BETWEEN %(first)s AND %(last)s
"""
_DELETE = """
DELETE FROM item WHERE id BETWEEN %(first)s AND %(last)s
"""
_CHANGE = """
UPDATE purchase SET note = note || 'x', quantity = quantity + 1
WHERE id BETWEEN %(first)s AND %(last)s AND mod(id, 10) BETWEEN 4 AND 6
"""
_MOVE = """
UPDATE purchase SET item_id = mod(item_id, 1000) + 1, note = note || 'x', quantity = quantity + 1
WHERE id BETWEEN %(first)s AND %(last)s AND mod(id, 10) = 7
"""
_REMOVE = """
DELETE FROM purchase WHERE id BETWEEN %(first)s AND %(last)s AND mod(id, 10) > 7
"""

REFERENCED_ITEMS = 1_000
"""How many items the purchases of the mixed workload refer to."""

OPERATIONS: dict[str, tuple[str, ...]] = {
    "insert": (_ITEMS,),
    "update": (_UPDATE,),
    "delete": (_DELETE,),
    "mixed": (_NEW, _CHANGE, _MOVE, _REMOVE),
}
"""Each operation's statements for the keys of one transaction."""

_FILLED_AT_ONCE = 10_000
"""Rows per transaction: one of all the rows would be one of Neo4j too, and beyond its memory."""

_FILLING: dict[str, str] = {"update": _ITEMS, "delete": _ITEMS, "mixed": _OLD}


@dataclass(frozen=True, slots=True)
class Workload:
    """`rows` changed rows of one operation in transactions of `size` rows."""

    operation: str
    size: int
    rows: int

    @property
    def name(self) -> str:
        """As in the report: `stream.insert.1000`."""
        return f"stream.{self.operation}.{self.size}"


def prepare(connection: psycopg.Connection[tuple[object, ...]], workload: Workload) -> None:
    """Empty the tables and fill in what the operation needs to be there."""
    connection.execute("TRUNCATE item, purchase")
    if workload.operation == "mixed":
        connection.execute(_ITEMS, {"first": 1, "last": REFERENCED_ITEMS})
    filling = _FILLING.get(workload.operation)
    if filling is None:
        return
    for first in range(1, workload.rows + 1, _FILLED_AT_ONCE):
        connection.execute(filling, {"first": first, "last": min(first + _FILLED_AT_ONCE - 1, workload.rows)})


def write(connection: psycopg.Connection[tuple[object, ...]], workload: Workload) -> None:
    """Commit the whole workload, one transaction per `size` keys."""
    for first in range(1, workload.rows + 1, workload.size):
        last = min(first + workload.size - 1, workload.rows)
        with connection.transaction():
            for text in OPERATIONS[workload.operation]:
                connection.execute(text, {"first": first, "last": last})
