"""The tables of the crash tests, transactions over them, and what must hold after every single one.

Every transaction bumps the one row of `counter`. A customer's `order_count` is the number of its purchases.
"""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import psycopg

from tests.acceptance.stream import LOCKED_CHECKPOINT, Stream

SCHEMA = """
CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, order_count int NOT NULL);
CREATE TABLE purchase (
    id bigint PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, amount numeric(12, 2) NOT NULL, note text
);
INSERT INTO counter VALUES (1, 0);
INSERT INTO customer SELECT i, 'customer ' || i, 0 FROM generate_series(0, 39) AS i;
"""
_STANDING = """
INSERT INTO customer SELECT i, 'customer ' || i, %(rows)s / 20 FROM generate_series(40, 59) AS i;
INSERT INTO purchase
SELECT 50000000 + i, 40 + i %% 20, i / 7.0, 'standing ' || i FROM generate_series(1, %(rows)s) AS i;
"""
_CUSTOMERS = 40
_ID_SPACE = 10_000_000

_BUMP = "UPDATE counter SET n = n + 1 WHERE id = 1"
_INSERT = """
WITH made AS (
    INSERT INTO purchase SELECT i, %(first)s + 2 * (i %% %(customers)s), i / 7.0, 'made ' || i
    FROM generate_series(%(low)s::bigint, %(high)s::bigint - 1) AS i RETURNING customer_id
), per AS (SELECT customer_id, count(*) AS n FROM made GROUP BY 1)
UPDATE customer SET order_count = order_count + n FROM per WHERE id = customer_id
"""
_DELETE = """
WITH gone AS (DELETE FROM purchase WHERE id >= %(low)s AND id < %(high)s RETURNING customer_id),
     per AS (SELECT customer_id, count(*) AS n FROM gone GROUP BY 1)
UPDATE customer SET order_count = order_count - n FROM per WHERE id = customer_id
"""
_CHANGE = """
UPDATE purchase SET amount = amount + 1, note = nullif(note, 'changed') || '!' WHERE id >= %(low)s AND id < %(high)s
"""
_MOVE = """
WITH before AS (SELECT customer_id FROM purchase WHERE id >= %(low)s AND id < %(high)s),
     moved AS (UPDATE purchase SET customer_id = %(first)s WHERE id >= %(low)s AND id < %(high)s RETURNING id),
     delta AS (SELECT customer_id, -count(*) AS n FROM before GROUP BY 1
               UNION ALL SELECT %(first)s, count(*) FROM moved),
     per AS (SELECT customer_id, sum(n) AS n FROM delta GROUP BY 1)
UPDATE customer SET order_count = order_count + n FROM per WHERE id = customer_id
"""

_STATE = """
MATCH (counter:Counter {id: 1})
CALL () { MATCH (c:Customer) WHERE c.order_count <> COUNT { (c)<-[:CUSTOMER]-() } RETURN count(c) AS wrong }
CALL () { MATCH (c:Customer) RETURN sum(c.order_count) AS counted }
CALL () { MATCH (p:Purchase) RETURN count(p) AS purchases }
RETURN counter.n AS n, wrong, counted, purchases
"""


type Share = tuple[int, ...]
"""A part of a load: how many rows each transaction touches."""


def shares(rows: int, count: int, draw: random.Random) -> list[Share]:
    """Transactions of mixed size over `rows` rows in all, in `count` parts of about the same number of rows."""
    sizes: list[list[int]] = [[] for _ in range(count)]
    left = rows
    while left:
        low, high = draw.choices([(1, 1), (2, 20), (21, 150), (151, 600), (601, 2500)], [30, 30, 25, 10, 3])[0]
        size = min(draw.randint(low, high), left)
        sizes[(rows - left) * count // rows].append(size)
        left -= size
    return [tuple(part) for part in sizes]


def create(stream: Stream, *, standing: int = 0) -> None:
    """Make the tables, with `standing` purchases (a multiple of 20) that nobody touches, and the mapping."""
    with psycopg.connect(stream.postgres.dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(SCHEMA)
        connection.execute(_STANDING, {"rows": standing})
    stream.map()


class Writer:
    """One session that writes, in its own range of ids and over its own half of the customers."""

    def __init__(self, dsn: str, number: int, seed: int) -> None:
        """`number` 0 or 1; two writers never wait for each other except for the counter, which each bumps last."""
        self._connection = psycopg.connect(dsn)
        self._first = number
        self._draw = random.Random(f"{seed} {number}")
        self._tail = self._head = number * _ID_SPACE
        self.transactions = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def transact(self, size: int) -> None:
        """One transaction over `size` purchases: inserted, changed, given to another customer or deleted."""
        alive = self._head - self._tail
        kinds = ["insert", "change", "move", "delete"] if alive > 2 * size else ["insert"]
        kind = self._draw.choices(kinds, [50, 25, 15, 10][: len(kinds)])[0]
        low = self._tail if kind == "delete" else self._tail + self._draw.randint(0, max(0, alive - size))
        if kind == "insert":
            low, self._head = self._head, self._head + size
        elif kind == "delete":
            self._tail += size
        first = self._first + (2 * self._draw.randrange(_CUSTOMERS // 2) if kind == "move" else 0)
        parameters = {"low": low, "high": low + size, "first": first, "customers": _CUSTOMERS // 2}
        text = {"insert": _INSERT, "change": _CHANGE, "move": _MOVE, "delete": _DELETE}[kind]
        with self._connection.transaction():
            self._connection.execute(text, parameters)
            self._connection.execute(_BUMP)
        self.transactions += 1
        self.rows += size


class Load:
    """Two writers in threads of their own that write one share after the other, as far as they are allowed."""

    def __init__(self, dsn: str, parts: list[Share], seed: int) -> None:
        self._parts = parts
        self._allowed = 0
        self._idle = 0
        self._changed = threading.Condition()
        self._ended = False
        self._failures: list[Exception] = []
        self._writers = [Writer(dsn, number, seed) for number in range(2)]
        self._threads = [threading.Thread(target=self._write, args=(writer,)) for writer in self._writers]
        self._next = self._steps()
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for writer in self._writers:
            writer.__exit__()

    @property
    def transactions(self) -> int:
        """How many are committed."""
        return sum(writer.transactions for writer in self._writers)

    @property
    def rows(self) -> int:
        """How many purchases were written, changed or deleted."""
        return sum(writer.rows for writer in self._writers)

    @property
    def waits(self) -> bool:
        """Whether everything that is allowed is written."""
        return self._idle == len(self._threads)

    def allow_next(self, count: int = 1) -> None:
        """Let the writers go on to the end of the next `count` shares."""
        with self._changed:
            self._allowed += count
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Let them write everything, and wait for it."""
        self.allow_next(len(self._parts))
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "the load is not done in time"
        assert not self._failures, self._failures

    def _steps(self) -> Iterator[tuple[int, int]]:
        for number, part in enumerate(self._parts):
            for size in part:
                yield number, size

    def _wait_allowed(self, share: int) -> None:
        self._changed.wait_for(lambda: self._ended or share < self._allowed)

    def _write(self, writer: Writer) -> None:
        try:
            while True:
                with self._changed:
                    step = next(self._next, None)
                    if step is None:
                        return
                    self._idle += 1
                    self._wait_allowed(step[0])
                    self._idle -= 1
                    if self._ended:
                        return
                writer.transact(step[1])
        except psycopg.Error as error:
            self._failures.append(error)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the graph and the slot said while the checkpoint's lock was held."""

    lsn: int
    epoch: int
    phase: str
    confirmed: int
    n: int
    wrong: int
    counted: int
    purchases: int

    @property
    def holds(self) -> bool:
        """The invariant over both tables."""
        return self.wrong == 0 and self.counted == self.purchases


class Reader:
    """Reads the graph under the checkpoint's lock again and again, in a thread of its own, until it is left."""

    _PAUSE_SECONDS = 0.01
    _TIMEOUT_SECONDS = 20.0

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all)
        self.readings: list[Reading] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read_all(self) -> None:
        with (
            psycopg.connect(self._stream.postgres.dsn, autocommit=True) as postgres,
            self._stream.driver.session() as session,
        ):
            while not self._stop.wait(self._PAUSE_SECONDS):
                with session.begin_transaction(timeout=self._TIMEOUT_SECONDS) as transaction:
                    locked = transaction.run(
                        f"{LOCKED_CHECKPOINT} RETURN s.lsn AS lsn, s.epoch AS epoch, s.phase AS phase",
                        stream=self._stream.name,
                    ).single()
                    if locked is None or locked["phase"] != "streaming":
                        continue
                    state = transaction.run(_STATE).single(strict=True)
                    row = postgres.execute(
                        "SELECT (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots"
                        " WHERE slot_name = %s",
                        [self._stream.name],
                    ).fetchone()
                    assert row is not None
                    self.readings.append(Reading(**locked.data(), confirmed=int(row[0]), **state.data()))
