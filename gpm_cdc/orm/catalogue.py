"""SQLAlchemy's tables as the catalogue that Postgres would show once they are created."""

from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import Column as ModelColumn, ForeignKeyConstraint, MetaData, Table as ModelTable, UniqueConstraint
from sqlalchemy.exc import CompileError, InvalidRequestError
from sqlalchemy.schema import Index

from gpm_cdc.domain.catalogue import Catalogue, Column, ForeignKey, Table, TableName, UniqueKey
from gpm_cdc.errors.models import AnnotationRefused
from gpm_cdc.orm.types import pg_type
from gpm_cdc.wording import say

_SERVER_VERSION = 180_000
_ACTIONS: dict[str, Any] = {
    action: action for action in ("no action", "restrict", "cascade", "set null", "set default")
}


def table_name(table: ModelTable) -> TableName:
    """The qualified name; a table without a schema is in `public`."""
    return TableName(table.schema or "public", table.name)


def catalogue_of(metadata: MetaData) -> Catalogue:
    """Every table of `metadata`. What only a server knows has its default: identifiers, collations, replica identity.

    Case counts as one that can be folded; where it cannot, the mapping is refused once it is held against the database.

    Raises AnnotationRefused for a foreign key to a table or column that `metadata` does not hold.
    """
    tables = [_table(table, number) for number, table in enumerate(metadata.tables.values(), start=1)]
    named = {table.name: table for table in sorted(tables, key=lambda table: table.name)}
    return Catalogue(named, _SERVER_VERSION, lowercase={})


def _table(table: ModelTable, oid: int) -> Table:
    key = tuple(column.name for column in table.primary_key.columns)
    primary = UniqueKey(str(table.primary_key.name or f"{table.name}_pkey"), key, immediate=True, primary=True)
    # First: a column without a type of its own gets that of the column it refers to.
    foreign_keys = sorted((_foreign_key(table, each) for each in table.foreign_key_constraints), key=_by_name)
    return Table(
        name=table_name(table),
        oid=oid,
        columns=tuple(_column(table, column, position) for position, column in enumerate(table.columns, start=1)),
        kind="p" if table.dialect_options["postgresql"]["partition_by"] else "r",
        persistence=_persistence(table),
        primary_key=primary if key else None,
        unique_keys=tuple(sorted(_unique_keys(table), key=lambda unique: unique.name)),
        foreign_keys=tuple(foreign_keys),
        identity_columns=tuple(column.name for column in table.columns if column.name in key),
    )


def _by_name(key: ForeignKey) -> str:
    return key.name


def _persistence(table: ModelTable) -> Literal["p", "u", "t"]:
    prefixes = {prefix.upper() for prefix in table._prefixes}  # noqa: SLF001 - Table(prefixes=...) has no other reader
    return "u" if "UNLOGGED" in prefixes else "t" if prefixes & {"TEMP", "TEMPORARY"} else "p"


def _column(table: ModelTable, column: ModelColumn[Any], position: int) -> Column:
    generated: Literal["", "s", "v"] = ""
    if column.computed is not None:
        generated = "s" if column.computed.persisted else "v"
    try:
        kind = pg_type(column.type)
    except CompileError as error:
        raise AnnotationRefused(
            where=f"{table_name(table)}.{column.name}",
            detail=say("Postgres has no type for it: {reason}", reason=error),
            advice=say("give the column a type that SQLAlchemy's dialect for Postgres knows"),
        ) from error
    return Column(column.name, kind, not column.nullable, position, generated)


def _unique_keys(table: ModelTable) -> Iterable[UniqueKey]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            columns = tuple(column.name for column in constraint.columns)
            name = str(constraint.name or f"{table.name}_{'_'.join(columns)}_key")
            yield UniqueKey(name, columns, immediate=not constraint.deferrable)
    for index in table.indexes:
        if index.unique and _plain(index):
            yield UniqueKey(str(index.name), tuple(column.name for column in index.columns), immediate=True)


def _plain(index: Index) -> bool:
    """Whether the index is over columns as they are, and over every row."""
    whole = index.dialect_options["postgresql"]["where"] is None
    return whole and all(isinstance(expression, ModelColumn) for expression in index.expressions)


def _foreign_key(table: ModelTable, constraint: ForeignKeyConstraint) -> ForeignKey:
    columns = tuple(column.name for column in constraint.columns)
    try:
        target = constraint.referred_table
        target_columns = tuple(element.column.name for element in constraint.elements)
    except InvalidRequestError as error:  # NoReferencedTableError and NoReferencedColumnError are such
        raise AnnotationRefused(
            where=f"{table_name(table)}.{', '.join(columns)}",
            detail=say("its foreign key refers to what the models do not hold: {reason}", reason=error),
            advice=say("import the module that holds the referenced model as well"),
        ) from error
    return ForeignKey(
        name=str(constraint.name or f"{table.name}_{'_'.join(columns)}_fkey"),
        columns=columns,
        target=table_name(target),
        target_columns=target_columns,
        deferrable=bool(constraint.deferrable),
        validated=not constraint.dialect_options["postgresql"].get("not_valid", False),
        on_update=_ACTIONS.get((constraint.onupdate or "no action").lower(), "no action"),
        on_delete=_ACTIONS.get((constraint.ondelete or "no action").lower(), "no action"),
    )
