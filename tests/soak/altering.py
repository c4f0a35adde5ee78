"""Changes of the schema beside the writers: one every few seconds, each with the time in which it can be noticed."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from tests.acceptance.stream import Stream
from tests.patience import PATIENCE
from tests.soak import tables as t
from tests.soak.passes import Pass, Say

_LOCK_TIMEOUT = "4s"
"""A change that waits for the lock of a pass makes every writer wait that comes after it."""

_MOST_COLUMNS = 3


@dataclass(slots=True)
class Alteration:
    """One change: from before its BEGIN until the stream has read what it touched, by the monotonic clock."""

    what: str
    began: float
    settled: float = float("inf")


@dataclass(slots=True)
class Alterations:
    """A session that changes the schema until `stop` is set."""

    stream: Stream
    draw: random.Random
    pause: float
    say: Say
    made: list[Alteration] = field(default_factory=list)
    _columns: list[tuple[str, str]] = field(default_factory=list)
    _number: int = 0
    _attached: set[int] = field(default_factory=lambda: set(range(t.DAYS // 2, t.DAYS)))
    _detached: set[int] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Change something about every `pause` seconds; the next only after the stream has followed the last."""
        async with await psycopg.AsyncConnection.connect(self.stream.postgres.dsn, autocommit=True) as session:
            await session.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
            while not stop.is_set():
                made = await self._alter(session)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.draw.uniform(0.5, 1.5) * (self.pause if made else 1.0)):
                        await stop.wait()

    async def _alter(self, session: psycopg.AsyncConnection) -> bool:
        """Make one change; whether it got the locks that it needs."""
        statements = self._drawn()
        change = Alteration("; ".join(statements), time.monotonic())
        # Before it is known whether it comes about: a pass may see it as soon as it is committed.
        self.made.append(change)
        try:
            async with session.transaction():
                for statement in statements:
                    await session.execute(statement.encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            self.made.remove(change)
            return False
        committed = time.monotonic()
        self._note(statements[-1])
        await asyncio.to_thread(self.stream.wait_current, PATIENCE)
        change.settled = time.monotonic()
        took = f"{committed - change.began:.1f} s, read again within {change.settled - committed:.1f} s"
        self.say(f"      {statements[-1]}: {took}")
        return True

    def _drawn(self) -> list[str]:
        self._number += 1
        table = self.draw.choice(["people", "visits", "calls", "memberships", "events", "regions"])
        choices = [
            [f"ALTER TABLE people ALTER rank TYPE {'bigint' if self._number % 2 else 'int'}"],
            [f"ALTER TABLE {table} ADD COLUMN more_{self._number} text DEFAULT gen_random_uuid()::text"],
            [f"ALTER TABLE {table} ADD COLUMN more_{self._number} int"],
            [f"TRUNCATE {self.draw.choice(['visits', 'memberships', 'calls', 'seats', 'events'])}"],
            *self._of_partitions(),
        ]
        if self._columns:
            dropped, name = self._columns[0]
            drop = [f"ALTER TABLE {dropped} DROP COLUMN {name}"]
            if len(self._columns) > _MOST_COLUMNS:
                return drop
            choices.append(drop)
        return self.draw.choice(choices)

    def _of_partitions(self) -> Iterator[list[str]]:
        for day in sorted(self._attached)[:1]:
            yield [f"ALTER TABLE events DETACH PARTITION events_{day}"]
            yield [f"TRUNCATE events_{day}"]
            yield [f"DROP TABLE events_{day}"]
        for day in sorted(self._detached)[:1]:
            rows = f"SELECT i, {day}, 'attached' FROM generate_series(1, 200) AS i"  # noqa: S608 - fixed texts
            yield [
                f"DROP TABLE IF EXISTS events_{day}",
                f"CREATE TABLE new_{day} (LIKE events INCLUDING ALL)",
                f"INSERT INTO new_{day} (id, day, note) {rows}",
                f"ALTER TABLE new_{day} RENAME TO events_{day}",
                f"ALTER TABLE events ATTACH PARTITION events_{day} FOR VALUES FROM ({day}) TO ({day + 1})",
            ]

    def _note(self, statement: str) -> None:
        """Remember what a later change must know."""
        words = statement.split()
        if "ADD COLUMN" in statement:
            self._columns.append((words[2], words[5]))
        elif "DROP COLUMN" in statement:
            self._columns.remove((words[2], words[5]))
        elif "DETACH" in statement or statement.startswith("DROP TABLE"):
            day = int(words[-1].removeprefix("events_"))
            self._attached.discard(day)
            self._detached.add(day)
        elif "ATTACH" in statement:
            day = int(words[5].removeprefix("events_"))
            self._detached.discard(day)
            self._attached.add(day)

    def explain(self, done: Pass) -> bool:
        """Whether a pass can have noticed one of them."""
        return any(change.began < done.ended and done.started < change.settled for change in self.made)
