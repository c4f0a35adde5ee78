"""Rows of a table by stretches of its file, so that nothing has to be sorted and no snapshot held for all of it.

A row keeps its place until it is changed or its table gets another file, both of which are noticed otherwise.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.source.copy import Keyed, copied
from gpm_cdc.source.session import Connection, query

_LEAVES = """
SELECT n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r'
      AND (c.oid = {name}::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree({name}::regclass)))
ORDER BY c.oid
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows of `table`, which has no partitions, in the blocks from `first` to before `stop`; None: to its end."""

    table: TableName
    first: int
    stop: int | None


@dataclass(frozen=True, slots=True)
class Join:
    """A row of `target`, found by its unique columns: (the column that refers, that of `target`).

    `partitioned` tells of `target`; `text` says which pairs are compared byte by byte.
    """

    target: TableName
    partitioned: bool
    pairs: tuple[tuple[str, str], ...]
    text: tuple[bool, ...]


async def leaves(connection: Connection, table: TableName) -> list[tuple[TableName, int]]:
    """`table` itself or the partitions that hold its rows, each with its size in blocks."""
    name = sql.Literal(sql.Identifier(*table).as_string(connection))
    rows = await query(connection, sql.SQL(_LEAVES).format(name=name))
    return [(TableName(str(schema), str(leaf)), int(str(blocks))) for schema, leaf, blocks in rows]


def stretches(found: Sequence[tuple[TableName, int]], blocks: int) -> Iterator[tuple[int, Stretch]]:
    """What `leaves` found in stretches of `blocks`, each with the number of its leaf; the last of a leaf has no end."""
    for number, (leaf, size) in enumerate(found):
        for first in range(0, max(size, 1), blocks):
            stop = first + blocks
            yield number, Stretch(leaf, first, stop if stop < size else None)


async def copy_stretch(
    connection: Connection, stretch: Stretch, columns: Sequence[str], joins: Sequence[Join]
) -> AsyncIterator[CopiedRows]:
    """Blocks of rows: `columns` in that order, None for NULL, then per join `t` if there is such a row, or `f`."""
    bounds = [sql.SQL("r.ctid >= {}::tid").format(sql.Literal(f"({stretch.first},0)"))]
    if stretch.stop is not None:
        bounds.append(sql.SQL("r.ctid < {}::tid").format(sql.Literal(f"({stretch.stop},0)")))
    only = sql.SQL("ONLY {}").format(sql.Identifier(*stretch.table))
    async for block in copied(connection, _selected(only, columns, joins, sql.SQL(" AND ").join(bounds))):
        yield block


async def copy_keyed(
    connection: Connection, keyed: Keyed, columns: Sequence[str], joins: Sequence[Join]
) -> AsyncIterator[CopiedRows]:
    """As `copy_stretch`, for the rows of `keyed`."""
    table = sql.SQL("" if keyed.partitioned else "ONLY ") + sql.Identifier(*keyed.table)
    async for block in copied(connection, _selected(table, columns, joins, keyed.condition("r"))):
        yield block


def _selected(
    table: sql.Composed, columns: Sequence[str], joins: Sequence[Join], condition: sql.Composed
) -> sql.Composed:
    chosen = [sql.Identifier("r", column) for column in columns]
    told = [
        sql.SQL("{} IS NOT NULL").format(sql.Identifier(f"t{at}", join.pairs[0][1])) for at, join in enumerate(joins)
    ]
    return sql.SQL("COPY (SELECT {chosen} FROM {table} AS r {joins} WHERE {condition}) TO STDOUT").format(
        chosen=sql.SQL(", ").join([*chosen, *told]),
        table=table,
        joins=sql.SQL(" ").join(_joined(join, f"t{at}") for at, join in enumerate(joins)),
        condition=condition,
    )


def _joined(join: Join, alias: str) -> sql.Composed:
    conditions = [
        sql.SQL("{} {bytes} = {} {bytes}").format(
            sql.Identifier(alias, target),
            sql.Identifier("r", column),
            bytes=sql.SQL('COLLATE "C"' if text else ""),
        )
        for (column, target), text in zip(join.pairs, join.text, strict=True)
    ]
    return sql.SQL("LEFT JOIN {only} {target} AS {alias} ON {conditions}").format(
        only=sql.SQL("" if join.partitioned else "ONLY"),
        target=sql.Identifier(*join.target),
        alias=sql.Identifier(alias),
        conditions=sql.SQL(" AND ").join(conditions),
    )
