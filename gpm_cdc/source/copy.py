"""Rows of whole tables under an exported snapshot, as Postgres prints them: the same text that the stream carries."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import pq, sql
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.waiting import Wait

from gpm_cdc.domain.catalogue import Catalogue, TableName
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.errors.source import SourceRefused
from gpm_cdc.errors.verify import ConditionRefused
from gpm_cdc.projection.plan import FieldRow, PlannedTable
from gpm_cdc.source.session import Connection, connect, first_line, query, translate

BLOCK_ROWS = 4_000
"""Rows in a block: enough that what is done once per block costs nothing per row."""


@asynccontextmanager
async def snapshot_session(conninfo: str, snapshot: str | None) -> AsyncIterator[Connection]:
    """A read-only session that sees exactly what `snapshot` shows (the present, if None) until it is left."""
    async with connect(
        conninfo, row_security="off", statement_timeout="0", idle_in_transaction_session_timeout="0"
    ) as connection:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot is not None:
            await connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        yield connection


def _whole(table: TableName, *, partitioned: bool) -> sql.Composed:
    return sql.SQL("{only}{table}").format(only=sql.SQL("" if partitioned else "ONLY "), table=sql.Identifier(*table))


def _listed(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _copied(connection: Connection, selection: sql.Composed) -> AsyncIterator[CopiedRows]:
    return copied(connection, sql.SQL("COPY ({selection}) TO STDOUT").format(selection=selection))


async def copied(connection: Connection, text: sql.Composed) -> AsyncIterator[CopiedRows]:
    """The rows of a COPY TO STDOUT in blocks of at most BLOCK_ROWS."""
    async with connection.cursor() as cursor, cursor.copy(text):
        ended = False
        while not ended:
            lines, ended = await connection.wait(_lines(connection.pgconn))
            if lines:
                yield CopiedRows(lines[:-1].decode())


def _lines(connection: pq.abc.PGconn) -> PQGen[tuple[bytes, bool]]:
    """Whole lines of a COPY that runs, at most BLOCK_ROWS, and whether these were the last.

    `Copy.read` gives a line at a time, and waits for each with the event loop: that is most of the time of a reading.
    """
    lines: list[memoryview] = []
    while len(lines) < BLOCK_ROWS:
        size, line = connection.get_copy_data(1)
        if size > 0:
            lines.append(line)
        elif size < 0:
            (result,) = yield from fetch_many(connection)
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise error_from_result(result)
            return b"".join(lines), True
        else:
            while not (yield Wait.R):
                pass
            connection.consume_input()
    return b"".join(lines), False


class KeyColumn(NamedTuple):
    """A column of a key and its type, by which the text of a value becomes the value."""

    name: str
    type: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Keyed:
    """The rows of a table with some keys, as a condition for a query."""

    table: TableName
    partitioned: bool
    key: Sequence[KeyColumn]
    keys: Sequence[tuple[str, ...]]

    def selected(self, columns: Sequence[str]) -> sql.Composed:
        """A query for `columns` of these rows."""
        return sql.SQL("SELECT {columns} FROM {table} WHERE {keyed}").format(
            columns=_listed(columns),
            table=_whole(self.table, partitioned=self.partitioned),
            keyed=self.condition(self.table.name),
        )

    def condition(self, alias: str) -> sql.Composed:
        """That a row of `alias`, which stands for the table, is one of them."""
        kinds = [sql.Identifier(*column.type) for column in self.key]
        rows = (
            sql.SQL("({})").format(
                sql.SQL(", ").join(
                    sql.SQL("CAST({} AS {})").format(sql.Literal(text), kind)
                    for text, kind in zip(key, kinds, strict=True)
                )
            )
            for key in self.keys
        )
        return sql.SQL("({key}) IN (VALUES {rows})").format(
            key=sql.SQL(", ").join(sql.Identifier(alias, column.name) for column in self.key),
            rows=sql.SQL(", ").join(rows),
        )


def with_keys(catalogue: Catalogue, table: PlannedTable, keys: Sequence[tuple[str, ...]]) -> Keyed:
    """The rows of a mapped table with some keys, which may be of before."""
    found = catalogue.tables[table.table]
    # Of a domain the type beneath: a key of before may be one that it does not allow any more.
    types = {column.name: column.type.resolved for column in found.columns}
    named = [KeyColumn(name, (types[name].schema, types[name].name)) for name in table.columns[: table.key_size]]
    return Keyed(table.table, found.kind == "p", named, keys)


async def copy_keyed(connection: Connection, keyed: Keyed, columns: Sequence[str]) -> list[FieldRow]:
    """The rows of `keyed`, each row's `columns` in that order. Leaves the transaction usable where Postgres refuses."""
    async with connection.transaction():
        return [row async for rows in _copied(connection, keyed.selected(columns)) for row in rows]


async def copy_referring(
    connection: Connection,
    child: tuple[TableName, bool],
    columns: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    parents: Keyed,
    most: int | None = None,
) -> list[FieldRow]:
    """The rows of `child` (and whether it is partitioned) that refer to `parents`, at most `most` of them.

    `pairs` are the foreign key's columns, each with the column that it refers to.
    """
    selection = sql.SQL("SELECT {columns} FROM {table} WHERE ({own}) IN ({parents}) LIMIT {most}").format(
        most=sql.Literal(most),
        columns=_listed(columns),
        table=_whole(child[0], partitioned=child[1]),
        own=sql.SQL(", ").join(sql.Identifier(own) for own, _ in pairs),
        parents=parents.selected([other for _, other in pairs]),
    )
    async with connection.transaction():
        return [row async for rows in _copied(connection, selection) for row in rows]


async def copy_where(
    session: Connection, table: tuple[TableName, bool], columns: Sequence[str], condition: str, most: int
) -> list[FieldRow]:
    """The rows of `table` (and whether it is partitioned) that a condition in SQL holds for, at most `most` of them.

    Each is its `columns` in that order. `session` is a `snapshot_session`, so that what the condition calls writes
    nothing. ConditionRefused if Postgres does not take it.
    """
    name, partitioned = table
    selection = sql.SQL("SELECT {columns} FROM {table} WHERE ({condition}\n) LIMIT {most}").format(
        columns=_listed(columns),
        table=_whole(name, partitioned=partitioned),
        condition=sql.SQL(condition),  # the text is the user's own, run with the user's rights
        most=sql.Literal(most),
    )
    try:
        return [row async for rows in _copied(session, selection) for row in rows]
    except psycopg.Error as error:
        if isinstance(translate(error), SourceRefused):
            raise ConditionRefused(table=name, condition=condition, detail=first_line(error)) from error
        raise


async def count_estimate(connection: Connection, table: TableName) -> int:
    """About how many rows `table` and its partitions have, from the planner's statistics; 0 when it has none."""
    name = sql.Identifier(*table).as_string(connection)
    rows = await query(
        connection,
        "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE relkind = 'r'"
        " AND (oid = %(name)s::regclass OR oid IN (SELECT relid FROM pg_partition_tree(%(name)s::regclass)))",
        {"name": name},
    )
    return int(str(rows[0][0]))
