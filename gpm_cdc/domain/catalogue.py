"""What Postgres says about its tables, as a value: read once by `source.catalogue`, reasoned about without a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self, override


class TableName(NamedTuple):
    """A table's qualified name; sorts by schema, then name."""

    schema: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """`schema.name`; a bare name is in `public`. No quotes: names are in the catalogue's own spelling."""
        schema, dot, name = text.partition(".")
        return cls(schema, name) if dot else cls("public", schema)


@dataclass(frozen=True, slots=True)
class PgType:
    """A Postgres type as a column uses it.

    `name` is pg_type.typname (`int4`, `numeric`, `_text`), `kind` pg_type.typtype (b base, c composite, d domain,
    e enum, r range, m multirange, p pseudo), `modifier` atttypmod (-1 none) or the domain's own typtypmod. `element` is
    set for arrays, `base` for domains (one step down; `resolved` goes all the way).
    """

    oid: int
    schema: str
    name: str
    kind: str = "b"
    modifier: int = -1
    element: "PgType | None" = None
    base: "PgType | None" = None

    @property
    def resolved(self) -> "PgType":
        """The type below all domains, carrying the modifier of the domain that set one."""
        return self if self.base is None else self.base.resolved


@dataclass(frozen=True, slots=True)
class Column:
    """A column that exists now. `position` is attnum; `generated` is '' (no), 's' (stored) or 'v' (virtual).

    `deterministic` is false where its collation calls texts equal that differ in their bytes.
    """

    name: str
    type: PgType
    not_null: bool
    position: int
    generated: Literal["", "s", "v"] = ""
    deterministic: bool = True


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique index over plain columns, without a predicate. `immediate` is false for deferrable constraints."""

    name: str
    columns: tuple[str, ...]
    immediate: bool
    primary: bool = False


type ReferentialAction = Literal["no action", "restrict", "cascade", "set null", "set default"]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key. `columns[i]` refers to `target_columns[i]`.

    `validated` is false for NOT VALID, `enforced` for NOT ENFORCED (Postgres 18).
    """

    name: str
    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]
    deferrable: bool = False
    validated: bool = True
    enforced: bool = True
    on_update: ReferentialAction = "no action"
    on_delete: ReferentialAction = "no action"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or the root of a partition tree.

    `kind` is pg_class.relkind (r table, p partitioned); `persistence` is p, u (unlogged) or t. `replica_identity` is d,
    n, f or i; `identity_columns` are the columns that a DELETE carries (all for `f`, none for `n` or a missing key).
    `partitions` are the leaves and inner nodes below a partitioned table, `partition_of` its parent if it is one.
    `partition_foreign_keys` are those that some partitions have and the root has not.
    """

    name: TableName
    oid: int
    columns: tuple[Column, ...]
    kind: Literal["r", "p"] = "r"
    persistence: Literal["p", "u", "t"] = "p"
    primary_key: UniqueKey | None = None
    unique_keys: tuple[UniqueKey, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    replica_identity: Literal["d", "n", "f", "i"] = "d"
    identity_columns: tuple[str, ...] = ()
    partitions: tuple[TableName, ...] = ()
    partition_of: TableName | None = None
    partition_foreign_keys: Mapping[TableName, tuple[ForeignKey, ...]] = field(default_factory=dict)
    row_security: bool = False

    def column(self, name: str) -> Column | None:
        """The column called `name`, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables in scope, by name, in the order of their names. Partitions appear beside their roots.

    `lowercase` is what the database's lower() makes of the characters that it changes, by code point: only where it
    changes each by itself, and only if a table has a column of type citext.
    """

    tables: Mapping[TableName, Table]
    server_version: int
    lowercase: Mapping[int, str] | None = None

    def roots(self) -> tuple[Table, ...]:
        """Every table that is not itself a partition: what a mapping may name."""
        return tuple(table for table in self.tables.values() if table.partition_of is None)
