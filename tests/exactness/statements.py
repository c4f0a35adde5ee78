"""Draws statements against a schema. Whether Postgres takes them is its business; most of them should hit a row."""

# ruff: noqa: S608 - SQL from parts of this file is what this file is for

import random
from collections.abc import Callable, Mapping

from tests.exactness.schema import Column, Reference, Schema, Table
from tests.exactness.values import KeyType

type KeyTypes = Mapping[tuple[str, str], KeyType]
type Entry = dict[str, str]

_POOL = 4


def literal(text: str) -> str:
    """`text` as SQL."""
    return "'" + text.replace("'", "''") + "'"


class Statements:
    """Draws one statement after the other. Keys come from small pools, so that they meet again."""

    def __init__(self, dice: random.Random, schema: Schema, key_types: KeyTypes) -> None:
        self._dice = dice
        self._schema = schema
        self._key_types = key_types
        self._fresh = 100
        self._kept = _guarded(schema)
        self._entries = {name: self._pool(schema.table(name)) for name in sorted(self._kept)}
        self._kinds: list[tuple[Callable[[], str], int]] = [
            (self._insert, 26),
            (self._insert_several, 5),
            (self._update, 30),
            (self._update_all, 3),
            (self._delete, 10),
            (self._rekey, 10),
            (self._replace, 6),
            (self._come_and_go, 4),
            (self._swap, 4),
            (self._take_over, 4),
            (self._move_code, 6),
            (self._upsert, 5),
            (self._merge, 5),
            (self._copy, 3),
            (self._truncate, 1),
            (self._orphan, 2),
            (self._null_and_back, 4),
        ]

    def statement(self) -> str:
        """One statement, or a few that belong together."""
        kinds, weights = zip(*self._kinds, strict=True)
        make: Callable[[], str] = self._dice.choices(kinds, weights)[0]
        return make()

    def seeding(self) -> list[str]:
        """Rows to begin with."""
        return [self._insert_into(table) for table in self._schema.tables for _ in range(self._dice.randint(1, 5))]

    def mend(self) -> list[str]:
        """Statements after which every deferred constraint holds."""
        return [
            _mending(table, reference)
            for table in self._schema.tables
            for reference in table.references
            if reference.constraint is not None and "DEFERRABLE" in reference.constraint
        ]

    # Values

    def _table(self) -> Table:
        return self._dice.choice(self._schema.tables)

    def _guarded(self, table: Table) -> bool:
        return table.name in self._kept

    def _kind(self, table: Table, column: str) -> KeyType:
        """The key type of a key or code column, or of the column that a reference leads to."""
        found = self._key_types.get((table.name, column))
        if found is not None:
            return found
        for reference in table.references:
            for own, target in zip(reference.columns, reference.target_columns, strict=True):
                if own == column:
                    return self._key_types[reference.target, target]
        raise KeyError(column)

    def _number(self) -> int:
        return self._dice.randint(1, _POOL)

    def _fresh_number(self) -> int:
        self._fresh += 1
        return self._fresh

    def _unique(self, table: Table) -> list[str]:
        code = table.code
        return [*table.primary, *([] if code is None or code.name in table.primary else [code.name])]

    def _pool(self, table: Table) -> list[Entry]:
        pool = []
        for number in range(1, _POOL + 2):
            numbers = [self._number() for _ in self._unique(table)]
            numbers[-1 if table.code is None else -2] = number
            if table.code is not None:
                numbers[-1] = number
            pool.append(
                {name: self._text(table, name, n) for name, n in zip(self._unique(table), numbers, strict=True)}
            )
        return pool

    def _text(self, table: Table, column: str, number: int) -> str:
        """A value, written in any of its ways.

        In one way where keys must not change hands: a key deleted and inserted in another spelling has a new holder.
        """
        kind, own = self._kind(table, column), table.column(column)
        free = own.part == "reference" or not self._guarded(table)
        return literal(kind.value(number, self._dice.randrange(12) if free and own.sql == kind.sql else 0))

    def _entry(self, table: Table) -> Entry:
        """A primary key, and the code that goes with it."""
        if self._guarded(table):
            return dict(self._dice.choice(self._entries[table.name]))
        entry: Entry = {}
        for reference in table.references:
            if not set(reference.columns).isdisjoint(table.primary):
                entry.update(self._referred(table, reference, null=0.0))
        drawn = {name: self._text(table, name, self._number()) for name in self._unique(table)}
        code = table.code
        if code is not None and not code.required and self._dice.random() < 0.3:
            drawn[code.name] = "NULL"
        return {**drawn, **{name: text for name, text in entry.items() if name in table.primary}}

    def _referred(self, table: Table, reference: Reference, *, null: float = 0.2) -> Entry:
        """Values for the columns of a reference: mostly those of a row that is there, sometimes any, sometimes NULL."""
        dice = self._dice
        if dice.random() < null:
            emptied = dice.choice(reference.columns)
            return {name: "NULL" for name in reference.columns if name == emptied or dice.random() < 0.5}
        if dice.random() < 0.7:
            place = dice.randrange(_POOL)
            order = ", ".join(reference.target_columns)
            return {
                name: f"(SELECT {target} FROM {reference.target} ORDER BY {order} OFFSET {place} LIMIT 1)"
                for name, target in zip(reference.columns, reference.target_columns, strict=True)
            }
        return {name: self._text(table, name, self._number()) for name in reference.columns}

    def _value(self, column: Column) -> str:
        dice = self._dice
        if column.part == "large":
            size = dice.choice((2_500, 9_000))
            large = f"noise({dice.randrange(1_000_000)}, {size})"
            return dice.choice(("NULL", "'short'", large, large, large))
        if not column.required and dice.random() < 0.2:
            return "NULL"
        return literal(dice.choice(column.values))

    def _others(self, table: Table) -> Entry:
        """Values of every column beside key and code."""
        values: Entry = {}
        for reference in table.references:
            values.update(self._referred(table, reference, null=0.0 if table.related else 0.2))
        values.update({column.name: self._value(column) for column in table.of("data", "large", "kind")})
        return values

    def _row(self, table: Table) -> Entry:
        return {**self._others(table), **self._entry(table)}

    # Conditions

    def _where(self, table: Table) -> str:
        dice = self._dice
        if dice.random() < 0.6:
            return _nth(table, dice.randrange(_POOL))
        entry = self._entry(table)
        if dice.random() < 0.2:
            return f"{table.primary[-1]} = {entry[table.primary[-1]]}"
        return _is(table, entry)

    # Statements

    def _insert_into(self, table: Table) -> str:
        row = self._row(table)
        return f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(row.values())})"

    def _insert(self) -> str:
        return self._insert_into(self._table())

    def _insert_several(self) -> str:
        table = self._table()
        rows = [self._row(table) for _ in range(3)]
        names = list(dict.fromkeys(name for row in rows for name in row))
        values = ", ".join(f"({', '.join(row.get(name, 'DEFAULT') for name in names)})" for row in rows)
        return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {values} ON CONFLICT DO NOTHING"

    def _changes(self, table: Table) -> Entry:
        """New values for some columns that are not part of the key."""
        dice = self._dice
        possible: list[Entry] = [{column.name: self._value(column)} for column in table.of("data", "large", "kind")]
        for reference in table.references:
            values = self._referred(table, reference)
            possible.append({name: text for name, text in values.items() if name not in table.primary})
        code = table.code
        if code is not None and not self._guarded(table):
            possible.append({code.name: self._text(table, code.name, self._number())})
        changes: Entry = {}
        for part in dice.sample(possible, min(len(possible), dice.choice((1, 1, 2, 3)))):
            changes.update(part)
        return changes or {table.primary[0]: table.primary[0]}

    def _update(self) -> str:
        table = self._table()
        return f"UPDATE {table.name} SET {_set(self._changes(table))} WHERE {self._where(table)}"

    def _update_all(self) -> str:
        table = self._table()
        changes = {name: text for name, text in self._changes(table).items() if name not in self._unique(table)}
        return f"UPDATE {table.name} SET {_set(changes or {table.primary[0]: table.primary[0]})}"

    def _delete(self) -> str:
        table = self._table()
        return f"DELETE FROM {table.name} WHERE {self._where(table)}"

    def _rekey(self) -> str:
        table = self._table()
        if self._guarded(table):
            return self._rekey_for_good(table)
        new = self._entry(table)
        names = self._dice.sample(list(table.primary), self._dice.randint(1, len(table.primary)))
        changes = {name: new[name] for name in names}
        if table.code is not None and self._dice.random() < 0.3:
            changes[table.code.name] = new[table.code.name]
        if self._dice.random() < 0.3:
            changes = {**self._changes(table), **changes}
        return f"UPDATE {table.name} SET {_set(changes)} WHERE {self._where(table)}"

    def _rekey_for_good(self, table: Table) -> str:
        """A row takes a key that no row ever had, and nobody will get the one that it leaves."""
        entries = self._entries[table.name]
        place = self._dice.randrange(len(entries))
        old = dict(entries[place])
        name = self._dice.choice(self._unique(table))
        entries[place][name] = self._text(table, name, self._fresh_number())
        return f"UPDATE {table.name} SET {name} = {entries[place][name]} WHERE {_is(table, old)}"

    def _free(self) -> Table:
        """A table whose keys may change hands, if there is one."""
        free = [table for table in self._schema.tables if not self._guarded(table)]
        return self._dice.choice(free or self._schema.tables)

    def _swap(self) -> str:
        """Two or three keys change hands in a circle, over a key that nobody has."""
        table = self._free()
        if self._guarded(table):
            return self._delete()
        name = table.primary[-1]
        numbers = self._dice.sample(range(1, _POOL + 1), self._dice.choice((2, 2, 3)))
        spare = self._text(table, name, 99)
        texts = [self._text(table, name, number) for number in numbers]
        moves = list(zip([texts[0], *texts[1:], spare], [spare, *texts[:-1], texts[-1]], strict=True))
        rest = self._entry(table)
        same = "".join(f" AND {other} = {rest[other]}" for other in table.primary[:-1])
        return "; ".join(f"UPDATE {table.name} SET {name} = {new} WHERE {name} = {old}{same}" for old, new in moves)

    def _take_over(self) -> str:
        """A row goes, and another one takes its key."""
        table = self._free()
        if self._guarded(table):
            return self._delete()
        gone, other = self._entry(table), self._entry(table)
        new = {name: gone[name] for name in table.primary}
        return (
            f"DELETE FROM {table.name} WHERE {_is(table, gone)};"
            f" UPDATE {table.name} SET {_set(new)} WHERE {_is(table, other)}"
        )

    def _replace(self) -> str:
        """A row is deleted and one with its key inserted."""
        table = self._table()
        row = self._row(table)
        return (
            f"DELETE FROM {table.name} WHERE {_is(table, row)};"
            f" INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )

    def _come_and_go(self) -> str:
        """A row leaves its key, another one is put there, the first one goes or comes back."""
        table = self._free()
        if self._guarded(table):
            return self._replace()
        row = self._row(table)
        name = table.primary[-1]
        away = {**row, name: self._text(table, name, 98)}
        back = {name: row[name]}
        insertion = f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        leave = f"UPDATE {table.name} SET {name} = {away[name]} WHERE {_is(table, row)}"
        if self._dice.random() < 0.5:
            return f"{leave}; {insertion}; DELETE FROM {table.name} WHERE {_is(table, away)}"
        return (
            f"{leave}; {insertion}; DELETE FROM {table.name} WHERE {_is(table, row)};"
            f" UPDATE {table.name} SET {_set(back)} WHERE {_is(table, away)}"
        )

    def _move_code(self) -> str:
        """A code goes from one row to another."""
        free = [table for table in self._schema.tables if table.code is not None and not self._guarded(table)]
        if not free:
            return self._update()
        table = self._dice.choice(free)
        name = table.of("code")[0].name
        one, other = self._text(table, name, self._number()), self._text(table, name, self._number())
        spare = self._text(table, name, 97)
        return (
            f"UPDATE {table.name} SET {name} = {spare} WHERE {name} = {one};"
            f" UPDATE {table.name} SET {name} = {one} WHERE {name} = {other};"
            f" UPDATE {table.name} SET {name} = {other} WHERE {name} = {spare}"
        )

    def _upsert(self) -> str:
        table = self._table()
        changes = {name: text for name, text in self._changes(table).items() if name not in self._unique(table)}
        action = f"UPDATE SET {_set(changes)}" if changes else "NOTHING"
        return f"{self._insert_into(table)} ON CONFLICT ({', '.join(table.primary)}) DO {action}"

    def _merge(self) -> str:
        table = self._table()
        row = self._row(table)
        source = ", ".join(f"CAST({row[name]} AS {table.column(name).sql}) AS {name}" for name in table.primary)
        join = " AND ".join(f"own.{name} = given.{name}" for name in table.primary)
        changes = {name: text for name, text in self._changes(table).items() if name not in self._unique(table)}
        action = "DELETE" if not changes or self._dice.random() < 0.3 else f"UPDATE SET {_set(changes)}"
        return (
            f"MERGE INTO {table.name} AS own USING (SELECT {source}) AS given ON {join}"
            f" WHEN MATCHED THEN {action}"
            f" WHEN NOT MATCHED THEN INSERT ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )

    def _copy(self) -> str:
        table = self._table()
        rows = [self._entry(table) for _ in range(2)]
        names = list(rows[0])
        for column in table.of("data", "kind"):
            names.append(column.name)
            for row in rows:
                row[column.name] = self._value(column)
        for reference in table.references:
            for name in reference.columns:
                if name not in names:
                    names.append(name)
                    for row in rows:
                        row[name] = self._text(table, name, self._number())
        if any(row[name].startswith("(") for row in rows for name in names):
            return self._insert_several()
        lines = "".join("\t".join(_copy_text(row[name]) for name in names) + "\n" for row in rows)
        return f"COPY {table.name} ({', '.join(names)}) FROM STDIN;\n{lines}\\."

    def _truncate(self) -> str:
        tables = self._dice.sample(self._schema.tables, self._dice.choice((1, 1, 2)))
        return f"TRUNCATE {', '.join(table.name for table in tables)} CASCADE"

    def _orphan(self) -> str:
        """A row that refers to nothing, which Postgres lets pass when it believes to apply a replica's changes.

        The row that is missing never comes: for a reference that counts as enforced nobody would look for its children.
        """
        referring = [table for table in self._schema.tables if table.references]
        if not referring:
            return self._update()
        table = self._dice.choice(referring)
        reference = self._dice.choice(table.references)
        if not set(reference.columns).isdisjoint(table.primary) or (table.related and table.identity != "full"):
            return self._update()
        missing = {name: self._text(table, name, 96) for name in reference.columns}
        return (
            "SET LOCAL session_replication_role = replica;"
            f" UPDATE {table.name} SET {_set(missing)} WHERE {self._where(table)};"
            " SET LOCAL session_replication_role = origin"
        )

    def _null_and_back(self) -> str:
        referring = [table for table in self._schema.tables if table.references]
        if not referring:
            return self._update()
        table = self._dice.choice(referring)
        reference = self._dice.choice(table.references)
        names = [name for name in reference.columns if name not in table.primary]
        if not names:
            return self._update()
        entry = self._entry(table)
        back = {name: text for name, text in self._referred(table, reference, null=0.0).items() if name in names}
        return (
            f"UPDATE {table.name} SET {_set(dict.fromkeys(names, 'NULL'))} WHERE {_is(table, entry)};"
            f" UPDATE {table.name} SET {_set(back)} WHERE {_is(table, entry)}"
        )


def _set(changes: Entry) -> str:
    return ", ".join(f"{name} = {text}" for name, text in changes.items())


def _is(table: Table, entry: Entry) -> str:
    return " AND ".join(f"{name} = {entry[name]}" for name in table.primary)


def _nth(table: Table, place: int) -> str:
    names = ", ".join(table.primary)
    return f"({names}) = (SELECT {names} FROM {table.name} ORDER BY {names} OFFSET {place} LIMIT 1)"


def _copy_text(sql: str) -> str:
    """What stands in COPY data for a literal."""
    if sql == "NULL":
        return "\\N"
    text = sql[1:-1].replace("''", "'")
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _mending(table: Table, reference: Reference) -> str:
    pairs = " AND ".join(
        f"there.{target} = {table.name}.{name}"
        for name, target in zip(reference.columns, reference.target_columns, strict=True)
    )
    known = " AND ".join(f"{name} IS NOT NULL" for name in reference.columns)
    condition = f"{known} AND NOT EXISTS (SELECT FROM {reference.target} AS there WHERE {pairs})"
    columns = [table.column(name) for name in reference.columns]
    nullable = [column.name for column in columns if column.name not in table.primary and not column.required]
    if not nullable:
        return f"DELETE FROM {table.name} WHERE {condition}"
    return f"UPDATE {table.name} SET {nullable[0]} = NULL WHERE {condition}"


def _guarded(schema: Schema) -> set[str]:
    """The tables whose keys must not change hands: ends of relationship tables, and those whose keys are in theirs.

    Inference may take any table for a relationship.
    """
    if schema.careless:
        return set()
    if schema.inferred:
        return {table.name for table in schema.tables}
    reached = set(schema.ends())
    waiting = list(reached)
    while waiting:
        table = schema.table(waiting.pop())
        for reference in table.references:
            own = {*table.primary, *(column.name for column in table.of("code"))}
            if reference.target not in reached and not own.isdisjoint(reference.columns):
                reached.add(reference.target)
                waiting.append(reference.target)
    return reached
