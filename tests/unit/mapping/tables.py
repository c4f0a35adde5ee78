"""Catalogue values for tests, in few words."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from gpm_cdc.domain.catalogue import Catalogue, Column, ForeignKey, PgType, Table, TableName, UniqueKey
from gpm_cdc.domain.finding import Finding

_OIDS = itertools.count(20_000)

INT4 = PgType(23, "pg_catalog", "int4")
INT8 = PgType(20, "pg_catalog", "int8")
TEXT = PgType(25, "pg_catalog", "text")
VARCHAR = PgType(1043, "pg_catalog", "varchar", modifier=24)
NUMERIC = PgType(1700, "pg_catalog", "numeric")
NUMERIC_12_2 = PgType(1700, "pg_catalog", "numeric", modifier=(12 << 16 | 2) + 4)
CHAR_4 = PgType(1042, "pg_catalog", "bpchar", modifier=8)
FLOAT8 = PgType(701, "pg_catalog", "float8")
DATE = PgType(1082, "pg_catalog", "date")
REGCLASS = PgType(2205, "pg_catalog", "regclass")
MOOD = PgType(30_000, "public", "mood", kind="e")


def name(text: str) -> TableName:
    """A table's name, `public` where it names no schema."""
    return TableName.parse(text)


def column(
    name: str, pg_type: PgType = INT4, *, not_null: bool = False, generated: Literal["", "s", "v"] = ""
) -> Column:
    """A column."""
    return Column(name, pg_type, not_null, 1, generated)


def reference(columns: str, target: str, target_columns: str = "id", **facts: object) -> ForeignKey:
    """A foreign key; columns are separated by blanks."""
    plain = ForeignKey(
        f"{columns}_fkey", tuple(columns.split()), TableName.parse(target), tuple(target_columns.split())
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def table(
    text: str,
    columns: str | Iterable[Column] = "id",
    *references: ForeignKey,
    key: str | None = "id",
    unique: Iterable[UniqueKey] = (),
    **facts: object,
) -> Table:
    """A table whose columns are given or are integers named in `columns`; `key` is its primary key, if any."""
    primary = None if key is None else UniqueKey("pkey", tuple(key.split()), immediate=True, primary=True)
    keyed = frozenset(() if primary is None else primary.columns)
    listed = tuple(map(column, columns.split())) if isinstance(columns, str) else tuple(columns)
    numbered = tuple(
        replace(each, not_null=each.not_null or each.name in keyed, position=position)
        for position, each in enumerate(listed, start=1)
    )
    settings: dict[str, object] = {
        "oid": next(_OIDS),
        "columns": numbered,
        "primary_key": primary,
        "unique_keys": (*(() if primary is None else (primary,)), *unique),
        "foreign_keys": references,
        "identity_columns": () if primary is None else primary.columns,
        **facts,
    }
    return Table(TableName.parse(text), **settings)  # type: ignore[arg-type]


def catalogue(*tables: Table, server_version: int = 180_000) -> Catalogue:
    """A catalogue of `tables`."""
    return Catalogue({each.name: each for each in sorted(tables, key=lambda each: each.name)}, server_version)


def codes(findings: Iterable[Finding], severity: str = "blocks") -> list[str]:
    """The codes of the findings of one severity."""
    return [finding.code for finding in findings if finding.severity == severity]
