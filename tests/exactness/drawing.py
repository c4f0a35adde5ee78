"""Draws a schema with its mapping, such that the stream has to follow it: what `check` refuses is not drawn."""

import random
from dataclasses import dataclass, field
from typing import Literal

from tests.exactness.schema import Column, Reference, Schema, Table
from tests.exactness.values import DATA_TYPES, KEY_TYPES, KeyType

_ACTIONS = ("CASCADE", "CASCADE", "SET NULL", "NO ACTION", "RESTRICT", "SET DEFAULT")
_KINDS = ("one", "two", "it's")
_MOODS = ("calm", "wild", "it's")


@dataclass(slots=True)
class Drawing:
    """A schema being drawn. `key_types` are the types of the columns that references may name."""

    dice: random.Random
    version: int
    key_types: dict[tuple[str, str], KeyType] = field(default_factory=dict)

    def schema(self) -> Schema:
        """One schema."""
        dice = self.dice
        tables = [self._node_table(f"t{number}") for number in range(dice.randint(2, 4))]
        for table in tables:
            for number in range(dice.choice((0, 1, 1, 2))):
                self._refer(table, dice.choice(tables), number)
            self._map(table)
        for number in range(dice.choice((0, 1, 1, 2))):
            tables.append(self._relationship_table(f"j{number}", dice.choice(tables[:2]), dice.choice(tables[:2])))
        return Schema(tables, careless=self._chance(0.5), inferred=self._chance(0.15))

    def _chance(self, of: float) -> bool:
        return self.dice.random() < of

    def _node_table(self, name: str) -> Table:
        dice = self.dice
        keys = []
        for number in range(dice.choice((1, 1, 2))):
            kind = dice.choice(KEY_TYPES)
            keys.append(Column(f"k{number}", kind.sql, "key", required=True))
            self.key_types[name, f"k{number}"] = kind
        primary = tuple(column.name for column in keys)
        table = Table(name, keys, primary, primary, label=name.upper())
        if self._chance(0.25):
            table.partitioned = dice.choice(primary)
        elif self._chance(0.45):
            self._add_code(table)
        self._add_data(table)
        if self._chance(0.2) and table.identity != "index":
            table.identity = "full"
        elif self._chance(0.2):
            if not table.of("kind"):
                table.columns.append(Column("kind", "text", "kind", _KINDS))
            if table.column("kind").sql == "text":
                table.columns.append(Column("made", "text GENERATED ALWAYS AS (left(kind, 1)) STORED", "generated"))
        dice.shuffle(table.columns)
        return table

    def _add_code(self, table: Table) -> None:
        kind = self.dice.choice(KEY_TYPES)
        identity = self._chance(0.3)
        required = identity or self._chance(0.2)
        table.columns.append(Column("code", kind.sql, "code", required=required))
        self.key_types[table.name, "code"] = kind
        if identity:
            table.identity = "index"
            table.key = ("code",)

    def _add_data(self, table: Table) -> None:
        dice = self.dice
        possible = [kind for kind in DATA_TYPES if kind.since <= self.version]
        for number in range(dice.randint(1, 3)):
            kind = dice.choice(possible)
            table.columns.append(Column(f"d{number}", kind.sql, "data", kind.values))
        if self._chance(0.4):
            table.columns.append(Column("body", "text", "large"))
        if self._chance(0.3):
            text = self._chance(0.5)
            table.columns.append(Column("kind", "text" if text else "mood", "kind", _KINDS if text else _MOODS))

    def _refer(self, table: Table, target: Table, number: int) -> None:
        dice = self.dice
        names = target.primary if target.code is None or self._chance(0.5) else ("code",)
        constraint, loose = self._constraint(table)
        kinds = [self._like(self.key_types[target.name, name], declared=constraint is not None) for name in names]
        columns = []
        for place, name in enumerate(names):
            own = self._shared_key(table, target, name) if number == 0 and place == 0 else None
            columns.append(own or self._reference_column(table, f"r{number}{place}", kinds[place]))
        if tuple(columns) == names and table is target:
            columns[-1] = self._reference_column(table, f"r{number}x", kinds[-1])
        table.references.append(
            Reference(
                tuple(columns),
                target.name,
                names,
                f"{table.name}_R{number}",
                constraint,
                loose=loose,
                direction=dice.choice(("out", "out", "in")),
            )
        )

    def _shared_key(self, table: Table, target: Table, name: str) -> str | None:
        """A key column of the table that also refers, where the types allow it."""
        wanted = self.key_types[target.name, name]
        for column in table.of("key"):
            if self.key_types[table.name, column.name] is wanted and self._chance(0.5):
                return column.name
        return None

    def _like(self, kind: KeyType, *, declared: bool) -> str:
        """The type of a column that refers to one of this kind."""
        return self.dice.choice((kind.sql, *kind.alike, *(kind.declared if declared else ())))

    def _reference_column(self, table: Table, name: str, sql: str) -> str:
        table.columns.append(Column(name, sql, "reference"))
        return name

    def _constraint(self, table: Table) -> tuple[str | None, bool]:
        """What Postgres is told of a reference, and whether it is loose."""
        dice = self.dice
        if self._chance(0.2):
            return None, True
        action = f"ON UPDATE {dice.choice(_ACTIONS)} ON DELETE {dice.choice(_ACTIONS)}"
        if self._chance(0.1) and table.partitioned is None:
            return f"{action} NOT VALID", True
        if self._chance(0.1) and self.version >= 18:
            return f"{action} NOT ENFORCED", True
        return f"{action} {dice.choice(('', '', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED'))}", False

    def _map(self, table: Table) -> None:
        """Everything about the mapping that the tables do not settle."""
        if self._chance(0.2):
            table.extra_labels = (f"Any `{table.name}`",)
        if table.of("kind") and self._chance(0.8):
            values = table.column("kind").values
            table.selector = ("kind", {value: f"Kind {value}" for value in values[:2]})
        self._name(table)
        hidden_allowed = table.references and not any(reference.loose for reference in table.references)
        # Whoever refers to a column needs it as a property, and that a key column is one only the key promises.
        hidden = {name for reference in table.references for name in reference.columns} & set(table.primary)
        if hidden_allowed and hidden <= set(table.key) and self._chance(0.25):
            table.keep_foreign_keys = False
            table.references = [_fixed(reference) for reference in table.references]

    def _name(self, table: Table) -> None:
        dice = self.dice
        for column in table.of("data", "key", "reference"):
            if self._chance(0.15):
                table.rename[column.name] = f"{column.name} `of` {table.name}"
        for column in table.of("data"):
            if column.sql.startswith("numeric") and "[" not in column.sql and self._chance(0.4):
                table.types[column.name] = dice.choice(("string", "float"))
            elif self._chance(0.1):
                table.types[column.name] = "string"
            elif self._chance(0.1):
                table.rename.pop(column.name, None)
                table.exclude = (*table.exclude, column.name)

    def _relationship_table(self, name: str, start: Table, end: Table) -> Table:
        dice = self.dice
        table = Table(name, [], (), (), related=True, label=f"{name.upper()} to")
        own = self._chance(0.5)
        # While an end is missing nothing keeps a large value that the stream leaves out: it ends when the end comes.
        bound = self._chance(0.5)
        for letter, target in (("s", start), ("e", end)):
            names = target.primary if target.code is None or self._chance(0.6) else ("code",)
            columns = []
            for place, target_column in enumerate(names):
                sql = self._like(self.key_types[target.name, target_column], declared=True)
                columns.append(f"{letter}{place}")
                table.columns.append(Column(columns[-1], sql, "reference", required=bound or not own))
            constraint = f"ON UPDATE {dice.choice(_ACTIONS)} ON DELETE {dice.choice(_ACTIONS)}"
            constraint += dice.choice(("", "", " DEFERRABLE INITIALLY DEFERRED"))
            table.references.append(Reference(tuple(columns), target.name, names, "", constraint, direction=None))
        if own:
            table.columns.append(Column("k0", "int", "key", required=True))
            self.key_types[name, "k0"] = KEY_TYPES[0]
        table.primary = ("k0",) if own else tuple(column.name for column in table.of("reference"))
        table.key = table.primary
        self._add_data(table)
        if self._chance(0.2) or (own and not bound):
            table.identity = "full"
        self._select_type(table)
        self._name_data(table)
        return table

    def _select_type(self, table: Table) -> None:
        if not table.of("kind"):
            return
        place = table.columns.index(table.column("kind"))
        column = table.columns[place]
        table.columns[place] = Column("kind", column.sql, "kind", column.values, required=True)
        table.selector = ("kind", {value: f"{table.label} {value}" for value in column.values})

    def _name_data(self, table: Table) -> None:
        for column in table.of("data"):
            if self._chance(0.2):
                table.rename[column.name] = f"{column.name} again"


def _fixed(reference: Reference) -> Reference:
    """The reference with a constraint under which no referenced key changes hands unseen."""
    deleting: Literal["CASCADE", "SET NULL"] = (
        "CASCADE" if "ON DELETE CASCADE" in str(reference.constraint) else "SET NULL"
    )
    return Reference(
        reference.columns,
        reference.target,
        reference.target_columns,
        reference.type,
        f"ON UPDATE RESTRICT ON DELETE {deleting}",
        direction=reference.direction,
    )
