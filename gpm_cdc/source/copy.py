"""Rows of whole tables under an exported snapshot, as Postgres prints them: the same text that the stream carries."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.projection.plan import FieldRow
from gpm_cdc.source.session import Connection, connect, query

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


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


async def copy_rows(
    connection: Connection, table: TableName, columns: Sequence[str], *, partitioned: bool
) -> AsyncIterator[list[FieldRow]]:
    """The rows of `table` in blocks, each row's `columns` in that order, None for NULL.

    A table that merely has inheritance children is read without them; a partitioned one with its partitions.
    """
    text = sql.SQL("COPY (SELECT {columns} FROM {only}{table}) TO STDOUT").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        only=sql.SQL("" if partitioned else "ONLY "),
        table=sql.Identifier(*table),
    )
    async with connection.cursor() as cursor, cursor.copy(text) as copy:
        rest = b""
        async for block in copy:
            whole, newline, tail = bytes(block).rpartition(b"\n")
            if not newline:
                rest += tail
                continue
            rows = parse_lines((rest + whole).decode())
            rest = tail
            if rows:
                yield rows


def parse_lines(text: str) -> list[FieldRow]:
    r"""Rows of COPY's text format. A newline or tab inside a value is escaped there, so a raw one always separates."""
    if "\\" not in text:
        return [tuple(line.split("\t")) for line in text.split("\n")]
    return [
        tuple(line.split("\t")) if "\\" not in line else tuple(map(_unescape, line.split("\t")))
        for line in text.split("\n")
    ]


def _unescape(value: str) -> str | None:
    if "\\" not in value:
        return value
    if value == r"\N":
        return None
    first, *parts = value.split("\\")
    text = [first]
    literal = False
    for part in parts:
        if literal:
            text.append(part)
            literal = False
        elif part == "":
            text.append("\\")
            literal = True
        else:
            text.append(_ESCAPES.get(part[0], part[0]) + part[1:])
    return "".join(text)


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
