"""Which tables can be in the graph by default, and which of them are relationships rather than nodes."""

from collections.abc import Collection, Iterable

from gpm_cdc.domain.catalogue import Catalogue, ForeignKey, Table, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.domain.types import value_type
from gpm_cdc.errors.values import UnsupportedType
from gpm_cdc.mapping.equality import Side, is_enforced, join_of
from gpm_cdc.mapping.identity import default_key, refusal
from gpm_cdc.mapping.spelling import toml_list, type_name

type Ends = tuple[ForeignKey, ForeignKey]
"""The two foreign keys that make a relationship table: its start and its end."""

_ENDS = 2


def default_refusal(table: Table, catalogue: Catalogue) -> Finding | None:
    """Why `table` gets no entry in a default mapping.

    None where it gets one, and for partitions below a root of the catalogue, which are in the root's entry.
    """
    if table.partition_of is None:
        return refusal(table, catalogue) or _key_type_refusal(table)
    if table.partition_of in catalogue.tables:
        return None
    return Finding.worded(
        "table_is_partition",
        "blocks",
        table.name,
        "{subject} is a partition of {root}, which is in a schema that was not looked at.",
        "Add that schema with --schema, or leave the partition out: ignore = {ignore}",
        root=table.partition_of,
        ignore=toml_list((table.name,)),
    )


def is_supported(table: Table, name: str) -> bool:
    """Whether column `name` of `table` has a type with a default in the graph."""
    column = table.column(name)
    if column is None:
        return False
    try:
        value_type(column.type)
    except UnsupportedType:
        return False
    return True


def distinct(keys: Iterable[ForeignKey]) -> tuple[ForeignKey, ...]:
    """`keys` without those that repeat the columns and target of another; of repeated ones, one that is enforced."""
    chosen: dict[object, ForeignKey] = {}
    for key in keys:
        same = (key.target, frozenset(zip(key.columns, key.target_columns, strict=True)))
        if same not in chosen or (is_enforced(key) and not is_enforced(chosen[same])):
            chosen[same] = key
    return tuple(chosen.values())


def is_followable(table: Table, key: ForeignKey, catalogue: Catalogue) -> bool:
    """Whether `key` of `table`, to a table of the catalogue, can be followed by comparing properties."""
    target = catalogue.tables[key.target]
    folds = catalogue.lowercase is not None
    for name, target_name in zip(key.columns, key.target_columns, strict=True):
        column, target_column = table.column(name), target.column(target_name)
        if column is None or target_column is None or column.generated != "" or target_column.generated != "":
            return False
        if join_of(Side(column.type), Side(target_column.type), folds=folds) is None or not is_supported(table, name):
            return False
    return True


def ends_of(table: Table, usable: Collection[TableName], catalogue: Catalogue) -> Ends | None:
    """The ends of a relationship table, in the order of its primary key; None for a node table.

    A relationship table has a primary key that is made of exactly two enforced foreign keys to tables of `usable`, has
    no third one, and is referenced by nobody.
    """
    primary = table.primary_key
    keys = distinct(table.foreign_keys)
    if primary is None or len(keys) != _ENDS or _is_referenced(table, catalogue):
        return None
    first, second = (frozenset(key.columns) for key in keys)
    if first | second != set(primary.columns) or first <= second or second <= first:
        return None
    if not all(is_enforced(key) and key.target in usable and is_followable(table, key, catalogue) for key in keys):
        return None
    start, end = sorted(keys, key=lambda key: sorted(map(primary.columns.index, key.columns)))
    return start, end


def _is_referenced(table: Table, catalogue: Catalogue) -> bool:
    targets = {table.name, *table.partitions}
    return any(key.target in targets for other in catalogue.tables.values() for key in other.foreign_keys)


def _key_type_refusal(table: Table) -> Finding | None:
    for name in default_key(table) or ():
        column = table.column(name)
        if column is not None and not is_supported(table, name):
            return Finding.worded(
                "key_type_unsupported",
                "blocks",
                table.name,
                "The key column {column} of {subject} has the type {type}, which is not supported.",
                "Give the table a key of another type, or leave it out: ignore = {ignore}",
                column=name,
                type=type_name(column.type),
                ignore=toml_list((table.name,)),
            )
    return None
