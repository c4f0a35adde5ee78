"""Random transactions against the world's tables, as SQL text that can be run again."""

# ruff: noqa: S608 - SQL from parts of this file is what this file is for

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg

type Make = Callable[[random.Random], str]

_WORDS = (
    "",
    "a",
    "b",
    "it's",
    "back\\slash",
    "tab\tnewline\nreturn\r",
    r"\N",
    "NULL",
    "{}",
    "ünïcödé 🜁",
    "x" * 300,
)


def literal(text: str | None) -> str:
    """`text` as SQL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def large(dice: random.Random, size: int = 10_000) -> str:
    """SQL for a text that is stored out of line."""
    return f"noise({dice.randrange(1_000_000)}, {size})"


def word(dice: random.Random) -> str:
    """A short text or NULL."""
    return literal(dice.choice((None, *_WORDS)))


def body(dice: random.Random) -> str:
    """A text that is mostly stored out of line, or NULL."""
    return dice.choice(("NULL", "'short'", large(dice), large(dice), large(dice, 2_500)))


def one_of(*texts: str) -> Make:
    """One of some SQL expressions."""
    return lambda dice: dice.choice(texts)


def number(first: int, last: int, *, null: float = 0.0) -> Make:
    """An integer, or now and then NULL."""
    return lambda dice: "NULL" if dice.random() < null else str(dice.randint(first, last))


class Columns(NamedTuple):
    """A table's columns: how to make a key, and how to make a value of each other column."""

    table: str
    key: tuple[str, ...]
    make_key: Callable[[random.Random], tuple[str, ...]]
    values: dict[str, Make]
    rekeyed: bool = True


_CODE = one_of("NULL", "'a'", "'b'", "'c'", "'d'")


class Pool:
    """Keys of a table whose keys must not be used again once a row has left them: each rename takes a new one."""

    def __init__(self, keys: Sequence[tuple[str, ...]]) -> None:
        self.keys = list(keys)
        self._last = 100

    def any(self, dice: random.Random) -> tuple[str, ...]:
        """A key that may be there."""
        return dice.choice(self.keys)

    def renewed(self, dice: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A key that may be there, and a new one in its place."""
        place = dice.randrange(len(self.keys))
        old = self.keys[place]
        self._last += 1
        new = self.keys[place] = (*old[:-1], str(self._last))
        return old, new


class History:
    """Statements, drawn from `dice`."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.people = Pool([(str(key),) for key in range(1, 7)])
        self.regions = Pool([(country, str(code)) for country in ("'de'", "'fr'") for code in (1, 2, 3)])
        self.slugs = [large(dice, 2_200) for _ in range(3)] + ["'short'", "'other'"]
        self.tables = self._tables()

    def seeding(self) -> list[str]:
        """Rows to begin with: some of every table, referenced tables first."""
        return [
            self._insert_into(table, table.make_key(self.dice))
            for table in self.tables
            for _ in range(self.dice.randint(0, 6))
        ]

    def statement(self) -> str:
        """One more statement, which Postgres may refuse."""
        kinds: list[tuple[Callable[[], str], int]] = [
            (self._insert, 34),
            (self._update, 30),
            (self._delete, 12),
            (self._rekey, 10),
            (self._replace, 5),
            (self._rename_for_good, 4),
            (self._swap, 3),
            (self._take_over, 3),
            (self._move_code, 3),
            (self._come_and_go, 3),
            (self._upsert, 4),
            (self._truncate, 1),
        ]
        chosen = self.dice.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        return chosen()

    def _table(self) -> Columns:
        return self.dice.choice(self.tables)

    def _insert(self) -> str:
        table = self._table()
        return self._insert_into(table, table.make_key(self.dice))

    def _insert_into(self, table: Columns, key: tuple[str, ...]) -> str:
        made = [make(self.dice) for make in table.values.values()]
        names = ", ".join((*table.key, *table.values))
        return f"INSERT INTO {table.table} ({names}) VALUES ({', '.join((*key, *made))})"

    def _upsert(self) -> str:
        table = self._table()
        name = self.dice.choice(list(table.values))
        return (
            f"{self._insert_into(table, table.make_key(self.dice))}"
            f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {name} = excluded.{name}"
        )

    def _where(self, table: Columns) -> str:
        if self.dice.random() < 0.2:
            return f"{table.key[-1]} = {table.make_key(self.dice)[-1]}"
        return self._is(table, table.make_key(self.dice))

    @staticmethod
    def _is(table: Columns, key: tuple[str, ...]) -> str:
        return " AND ".join(f"{name} = {value}" for name, value in zip(table.key, key, strict=True))

    def _update(self) -> str:
        table = self._table()
        names = self.dice.sample(list(table.values), self.dice.randint(1, min(3, len(table.values))))
        changes = ", ".join(f"{name} = {table.values[name](self.dice)}" for name in names)
        return f"UPDATE {table.table} SET {changes} WHERE {self._where(table)}"

    def _delete(self) -> str:
        table = self._table()
        return f"DELETE FROM {table.table} WHERE {self._where(table)}"

    def _rekey(self) -> str:
        table = self.dice.choice([table for table in self.tables if table.rekeyed])
        old, new = table.make_key(self.dice), table.make_key(self.dice)
        changes = [f"{name} = {value}" for name, value in zip(table.key, new, strict=True)]
        if self.dice.random() < 0.4:
            name = self.dice.choice(list(table.values))
            changes.append(f"{name} = {table.values[name](self.dice)}")
        return f"UPDATE {table.table} SET {', '.join(changes)} WHERE {self._is(table, old)}"

    def _replace(self) -> str:
        table = self._table()
        key = table.make_key(self.dice)
        return f"DELETE FROM {table.table} WHERE {self._is(table, key)}; {self._insert_into(table, key)}"

    def _rename_for_good(self) -> str:
        if self.dice.random() < 0.5:
            (old,), (new,) = self.people.renewed(self.dice)
            return f"UPDATE person SET id = {new} WHERE id = {old}"
        (country, old), (_, new) = self.regions.renewed(self.dice)
        return f"UPDATE region SET code = {new} WHERE country = {country} AND code = {old}"

    def _two(self) -> tuple[int, int]:
        one, other = self.dice.sample(range(1, 7), 2)
        return one, other

    def _swap(self) -> str:
        table = self.dice.choice(("parent", "child", "place"))
        one, other = self._two()
        return (
            f"UPDATE {table} SET id = 99 WHERE id = {one}; UPDATE {table} SET id = {one} WHERE id = {other};"
            f" UPDATE {table} SET id = {other} WHERE id = 99"
        )

    def _take_over(self) -> str:
        table = self.dice.choice(("parent", "place"))
        one, other = self._two()
        return f"DELETE FROM {table} WHERE id = {one}; UPDATE {table} SET id = {one} WHERE id = {other}"

    def _move_code(self) -> str:
        table = self.dice.choice(("parent", "place"))
        one, other = self._two()
        code = self.dice.choice("abcd")
        return (
            f"UPDATE {table} SET code = NULL WHERE code = '{code}';"
            f" UPDATE {table} SET code = '{code}' WHERE id = {one};"
            f" UPDATE {table} SET id = {one + 20} WHERE id = {one};"
            f" UPDATE {table} SET id = {one} WHERE id = {one + 20};"
            f" UPDATE {table} SET code = NULL WHERE id = {other}"
        )

    def _come_and_go(self) -> str:
        """A row leaves its key, another one is put there, the first one goes."""
        name = self.dice.choice(("parent", "place", "child"))
        table = next(columns for columns in self.tables if columns.table == name)
        key = table.make_key(self.dice)
        return (
            f"UPDATE {table.table} SET id = 70 WHERE {self._is(table, key)};"
            f" {self._insert_into(table, key)}; DELETE FROM {table.table} WHERE id = 70"
        )

    def _truncate(self) -> str:
        return f"TRUNCATE {self._table().table} CASCADE"

    def _tables(self) -> list[Columns]:
        def people(*, null: float = 0.2) -> Make:
            return lambda dice: "NULL" if dice.random() < null else self.people.any(dice)[0]

        def countries(dice: random.Random) -> str:
            return self.regions.any(dice)[0]

        def codes(dice: random.Random) -> str:
            return "NULL" if dice.random() < 0.2 else self.regions.any(dice)[1]

        def slugs(dice: random.Random) -> str:
            return dice.choice(self.slugs)

        def integer(first: int, last: int) -> Callable[[random.Random], tuple[str, ...]]:
            return lambda dice: (str(dice.randint(first, last)),)

        small = integer(1, 6)
        dates = one_of("'2019-01-01'", "'2019-12-31'", "'2020-05-05'", "NULL")
        return [
            Columns("region", ("country", "code"), self.regions.any, {"name": word}, rekeyed=False),
            Columns(
                "city",
                ("country", "code", "number"),
                lambda d: (*self.regions.any(d), str(d.randint(1, 3))),
                {"name": word},
            ),
            Columns("street", ("id",), small, {"country": countries, "code": codes, "number": number(1, 3, null=0.1)}),
            Columns(
                "person",
                ("id",),
                self.people.any,
                {
                    "name": word,
                    "kind": one_of("NULL", "'boss'", "'clerk'", "'other'"),
                    "bio": body,
                    "boss": people(),
                    "country": countries,
                    "code": codes,
                },
                rekeyed=False,
            ),
            Columns("tag", ("id",), small, {"owner": people(null=0), "word": word}),
            Columns(
                "likes",
                ("person", "country", "code"),
                lambda d: (*self.people.any(d), *self.regions.any(d)),
                {"since": dates, "why": body},
            ),
            Columns(
                "calls",
                ("id",),
                small,
                {
                    "kind": one_of("'phone'", "'video'"),
                    "at": one_of("NULL", "'2020-02-02 03:04:05.000006+02'", "'infinity'", "'0044-03-15 BC'"),
                    "body": body,
                    "caller": people(null=0.1),
                    "callee": people(null=0.1),
                },
            ),
            Columns(
                "parent", ("id",), small, {"code": _CODE, "label": word, "body": body, "next": number(1, 6, null=0.3)}
            ),
            Columns(
                "child", ("id",), integer(1, 9), {"note": word, "parent": number(1, 6, null=0.2), "parent_code": _CODE}
            ),
            Columns(
                "member", ("parent", "number"), lambda d: (str(d.randint(1, 6)), str(d.randint(1, 2))), {"note": word}
            ),
            Columns("place", ("id",), small, {"code": _CODE, "name": word}),
            Columns(
                "visit", ("id",), integer(1, 9), {"place": number(1, 8, null=0.2), "place_code": _CODE, "note": word}
            ),
            Columns(
                "event",
                ("id", "at"),
                lambda d: (str(d.randint(1, 3)), d.choice(("'2019-01-01'", "'2019-12-31'", "'2020-05-05'"))),
                {"title": word},
            ),
            Columns("remark", ("id",), small, {"event": number(1, 3, null=0.2), "at": dates, "words": word}),
            Columns("doc", ("slug",), lambda d: (slugs(d),), {"title": word, "body": body}),
            Columns(
                "page",
                ("slug", "number"),
                lambda d: (slugs(d), str(d.randint(1, 3))),
                {"body": body, "up": number(1, 3, null=0.4)},
            ),
            Columns("link", ("id",), small, {"slug": slugs, "note": word, "number": number(1, 3, null=0.3)}),
            Columns("whole", ("id",), small, {"a": word, "b": body, "person": people()}),
            Columns("sample", ("id",), small, _SAMPLE),
        ]


_SAMPLE: dict[str, Make] = {
    "small": one_of("NULL", "0", "-32768", "32767"),
    "exact": one_of("NULL", "0", "-0.01", "9999999999.99", "'NaN'"),
    "any_numeric": one_of("NULL", "1.0", "1.00", "1e30", "'NaN'", "'-Infinity'"),
    "real": one_of("NULL", "0", "0.1", "5e-324", "'NaN'", "'Infinity'", "1.7976931348623157e308"),
    "single": one_of("NULL", "0", "0.1", "3.4e38", "'-Infinity'"),
    "flag": one_of("NULL", "true", "false"),
    "raw": one_of("NULL", r"'\x'", r"'\x00ff5c'"),
    "day": one_of("NULL", "'1970-01-01'", "'0044-03-15 BC'", "'infinity'", "'5874897-12-31'"),
    "moment": one_of("NULL", "'1969-12-31 23:59:59Z'", "'2020-02-02 03:04:05+05:30'", "'-infinity'"),
    "local": one_of("NULL", "'2020-02-29 00:00'", "'294276-12-31 23:59:59.999999'"),
    "clock": one_of("NULL", "'00:00'", "'23:59:59.999999'", "'24:00'"),
    "span": one_of("NULL", "'0'", "'-1 mon +2 days -03:00:00.000001'", "'1 year 40 days 30 hours'"),
    "json": one_of("NULL", """'{"b": 1, "a": [null, "x\\\\ny"]}'""", "'null'"),
    "unique_id": one_of("NULL", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    "mood": one_of("NULL", "'calm'", "'wild'"),
    "numbers": one_of("NULL", "'{}'", "'{1,2,3}'", "'{1,NULL}'", "'{{1,2},{3,4}}'"),
    "words": one_of("NULL", "'{}'", """'{a,"b,c","NULL","it\\\\"s"}'""", "'{NULL}'"),
    "fixed": one_of("NULL", "''", "'ab'", "'abcd'"),
    "spot": one_of("NULL", "'(1.5,-2)'", "'(Infinity,0)'"),
    "big": body,
}

_MEND = (
    "UPDATE child SET parent = NULL WHERE parent NOT IN (SELECT id FROM parent)",
    "UPDATE child SET parent_code = NULL WHERE parent_code NOT IN (SELECT code FROM parent WHERE code IS NOT NULL)",
    "UPDATE parent SET next = NULL WHERE next NOT IN (SELECT id FROM parent)",
    "DELETE FROM member WHERE parent NOT IN (SELECT id FROM parent)",
)


class Writer:
    """Runs random transactions and notes what Postgres did not refuse."""

    def __init__(self, history: History, connection: psycopg.AsyncConnection[object]) -> None:
        self._history = history
        self._connection = connection
        self.script: list[str] = []

    async def seed(self) -> None:
        """One transaction that fills the tables."""
        await self._run("BEGIN")
        for statement in self._history.seeding():
            await self._attempt(statement)
        for statement in _MEND:
            await self._run(statement)
        await self._run("COMMIT")

    async def transaction(self) -> None:
        """A transaction that commits, or now and then one that does not."""
        dice = self._history.dice
        await self._run("BEGIN")
        for _ in range(dice.randint(1, 6)):
            if dice.random() < 0.1:
                await self._rolled_back()
            else:
                await self._attempt(self._history.statement())
        if dice.random() < 0.05:
            await self._run("ROLLBACK")
            return
        if not await self._attempt("SET CONSTRAINTS ALL IMMEDIATE"):
            for statement in _MEND:
                await self._run(statement)
        await self._run("COMMIT")

    async def _rolled_back(self) -> None:
        await self._run("SAVEPOINT undone")
        await self._attempt(self._history.statement())
        await self._attempt(self._history.statement())
        await self._run("ROLLBACK TO undone")

    async def _attempt(self, statement: str) -> bool:
        await self._connection.execute("SAVEPOINT attempt")
        try:
            await self._connection.execute(statement.encode())
        except psycopg.Error:
            await self._connection.execute("ROLLBACK TO attempt")
            return False
        await self._connection.execute("RELEASE attempt")
        self.script.append(statement)
        return True

    async def _run(self, statement: str) -> None:
        await self._connection.execute(statement.encode())
        self.script.append(statement)
