"""A schema and its mapping as data, with the SQL and the TOML that say them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.exactness.values import TYPES_SQL

type Part = Literal["key", "code", "data", "large", "kind", "reference", "generated"]
"""What a column is for."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `values` are texts of values it may get; empty where something else decides."""

    name: str
    sql: str
    part: Part
    values: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns that name a row of another table, and the relationship that they become.

    `constraint` is the text after REFERENCES with its actions, None where Postgres is told nothing. `loose` says that
    the mapping must not rely on it. `direction` is None for an end of a relationship table.
    """

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    type: str
    constraint: str | None
    loose: bool = False
    direction: Literal["in", "out"] | None = "out"


@dataclass(slots=True)
class Table:
    """A table and what it becomes. `identity` is the table's replica identity, `key` what the mapping takes as key."""

    name: str
    columns: list[Column]
    primary: tuple[str, ...]
    key: tuple[str, ...]
    references: list[Reference] = field(default_factory=list)
    partitioned: str | None = None
    identity: Literal["default", "full", "index"] = "default"
    related: bool = False
    label: str = ""
    extra_labels: tuple[str, ...] = ()
    selector: tuple[str, Mapping[str, str]] | None = None
    rename: dict[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    types: dict[str, str] = field(default_factory=dict)
    keep_foreign_keys: bool = True

    def column(self, name: str) -> Column:
        """The column `name`."""
        return next(column for column in self.columns if column.name == name)

    def of(self, *parts: Part) -> list[Column]:
        """The columns that are for one of these."""
        return [column for column in self.columns if column.part in parts]

    @property
    def code(self) -> Column | None:
        """The unique column that is not the primary key."""
        return next(iter(self.of("code")), None)


@dataclass(slots=True)
class Schema:
    """All tables.

    `careless`: keys of the ends of relationship tables may change hands, which has tables read again. `inferred`: the
    mapping is the default one, if there is one.
    """

    tables: list[Table]
    careless: bool = False
    inferred: bool = False

    def table(self, name: str) -> Table:
        """The table `name`."""
        return next(table for table in self.tables if table.name == name)

    def ends(self) -> dict[str, set[tuple[str, ...]]]:
        """The tables at which relationship tables end, with the columns by which they are named."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for table in self.tables:
            if table.related:
                for reference in table.references:
                    found.setdefault(reference.target, set()).add(reference.target_columns)
        return found

    def referring(self, name: str) -> list[tuple[Table, Reference]]:
        """Who refers to the table `name`."""
        return [
            (table, reference) for table in self.tables for reference in table.references if reference.target == name
        ]


def ddl(schema: Schema) -> Iterator[str]:
    """The statements that make the schema, tables before the foreign keys."""
    yield from TYPES_SQL
    for table in schema.tables:
        yield _create(table)
        if table.partitioned is not None:
            yield from _partitions(table)
        yield from _identity(table)
    for table in schema.tables:
        for number, reference in enumerate(table.references):
            if reference.constraint is not None:
                yield (
                    f"ALTER TABLE {table.name} ADD CONSTRAINT {table.name}_{number}"
                    f" FOREIGN KEY ({', '.join(reference.columns)})"
                    f" REFERENCES {reference.target} ({', '.join(reference.target_columns)}) {reference.constraint}"
                )


def _create(table: Table) -> str:
    parts = [_column(column) for column in table.columns]
    parts.append(f"PRIMARY KEY ({', '.join(table.primary)})")
    parts.extend(f"CONSTRAINT {table.name}_code UNIQUE ({column.name})" for column in table.of("code"))
    tail = "" if table.partitioned is None else f" PARTITION BY HASH ({table.partitioned})"
    return f"CREATE TABLE {table.name} ({', '.join(parts)}){tail}"


def _column(column: Column) -> str:
    if column.part == "generated":
        return f"{column.name} {column.sql}"
    return f"{column.name} {column.sql}{' NOT NULL' if column.required else ''}"


def _partitions(table: Table) -> Iterator[str]:
    for number in range(2):
        yield (
            f"CREATE TABLE {table.name}_part{number} PARTITION OF {table.name}"
            f" FOR VALUES WITH (MODULUS 2, REMAINDER {number})"
        )


def _identity(table: Table) -> Iterator[str]:
    names = [table.name, *(f"{table.name}_part{number}" for number in range(2) if table.partitioned is not None)]
    large = [column.name for column in table.of("large")]
    for name in names:
        for column in large:
            yield f"ALTER TABLE {name} ALTER {column} SET STORAGE EXTERNAL"
        if table.identity == "full":
            yield f"ALTER TABLE {name} REPLICA IDENTITY FULL"
        elif table.identity == "index":
            yield f"ALTER TABLE {name} REPLICA IDENTITY USING INDEX {table.name}_code"


def mapping_text(schema: Schema) -> str:
    """The mapping file of the schema."""
    lines = ["version = 1"]
    for table in schema.tables:
        lines += ["", *(_relationship_table(table) if table.related else _node(table))]
    return "\n".join(lines) + "\n"


def _node(table: Table) -> Iterator[str]:
    yield "[[node]]"
    yield f'table = "public.{table.name}"'
    yield f"label = {json.dumps(table.label)}"
    yield f"key = {_list(table.key)}"
    if table.extra_labels:
        yield f"extra_labels = {_list(table.extra_labels)}"
    if table.selector is not None:
        yield f"labels_from = {_selector(table.selector)}"
    if not table.keep_foreign_keys:
        yield "keep_foreign_keys = false"
    yield from _properties(table)
    for reference in table.references:
        yield "[[node.relationship]]"
        yield f"columns = {_list(reference.columns)}"
        yield f"type = {json.dumps(reference.type)}"
        yield f'target = "public.{reference.target}"'
        yield f"target_columns = {_list(reference.target_columns)}"
        if reference.direction == "in":
            yield 'direction = "in"'
        if reference.loose:
            yield "enforced = false"


def _relationship_table(table: Table) -> Iterator[str]:
    yield "[[relationship]]"
    yield f'table = "public.{table.name}"'
    if table.selector is None:
        yield f"type = {json.dumps(table.label)}"
    else:
        yield f"type_from = {_selector(table.selector)}"
    yield f"key = {_list(table.key)}"
    for name, reference in zip(("start", "end"), table.references, strict=True):
        yield (
            f'{name} = {{ columns = {_list(reference.columns)}, target = "public.{reference.target}",'
            f" target_columns = {_list(reference.target_columns)} }}"
        )
    yield from _properties(table)


def _properties(table: Table) -> Iterator[str]:
    if table.exclude:
        yield f"exclude = {_list(table.exclude)}"
    for name, chosen in (("rename", table.rename), ("types", table.types)):
        if chosen:
            yield f"{name} = {_braces(chosen)}"


def _list(names: tuple[str, ...]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def _braces(chosen: Mapping[str, str]) -> str:
    inner = ", ".join(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in chosen.items())
    return f"{{ {inner} }}"


def _selector(selector: tuple[str, Mapping[str, str]]) -> str:
    column, values = selector
    return f"{{ column = {json.dumps(column)}, values = {_braces(values)} }}"
