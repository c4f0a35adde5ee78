"""The publication of a stream: made before the slot, checked before every start.

A slot can only decode changes that were written while the publication existed: made in the other order,
Postgres 18 drops changes without a word, and earlier versions get stuck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.source import PublicationUnfit
from gpm_cdc.source.session import Connection, query
from gpm_cdc.wording import say

_READ = """
SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot, p.oid::int8, p.xmin::text,
       coalesce(to_jsonb(p) ->> 'pubgencols', 'n') <> 'n'
FROM pg_publication AS p WHERE p.pubname = %s
"""
_MEMBERS = """
SELECT n.nspname, c.relname, string_agg(m.oid::text, ' ' ORDER BY m.oid)
FROM pg_publication AS p
JOIN LATERAL (
    SELECT r.oid, r.prrelid AS relation FROM pg_publication_rel AS r WHERE r.prpubid = p.oid
    UNION ALL
    SELECT s.oid, t.oid FROM pg_publication_namespace AS s
    JOIN pg_class AS t ON t.relnamespace = s.pnnspid AND t.relkind IN ('r', 'p') WHERE s.pnpubid = p.oid
) AS m ON true
JOIN pg_class AS c ON c.oid = m.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.pubname = %s GROUP BY n.nspname, c.relname
"""
# The view and the catalogue may be of different moments: a table that is renamed just then has no oid by the name it
# had, and one that loses a column seems to have more than are published. Only a column list can leave out columns.
_TABLES = """
SELECT t.schemaname, t.tablename, t.rowfilter IS NOT NULL,
       coalesce(array_length(t.attnames, 1), 0) < (
           SELECT count(*) FROM pg_attribute AS a
           WHERE a.attrelid = to_regclass(format('%%I.%%I', t.schemaname, t.tablename))
             AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
       AND EXISTS (
           SELECT FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
           WHERE p.pubname = t.pubname AND r.prattrs IS NOT NULL
             AND r.prrelid = to_regclass(format('%%I.%%I', t.schemaname, t.tablename)))
FROM pg_publication_tables AS t WHERE t.pubname = %s
"""


@dataclass(frozen=True, slots=True)
class PublicationState:
    """A publication as it is. `filtered` have a row filter, `partial` a column list that leaves columns out.

    `oid` and the `memberships` of its tables are new numbers whenever it, or a table in it, was dropped and made again,
    `version` is another one whenever its options were altered.
    """

    oid: int
    version: str
    memberships: Mapping[TableName, str]
    every_operation: bool
    generated: bool
    via_root: bool
    tables: frozenset[TableName]
    filtered: frozenset[TableName]
    partial: frozenset[TableName]


async def read_publication(connection: Connection, name: str) -> PublicationState | None:
    """The publication called `name`, None if there is none."""
    found = await query(connection, _READ, [name])
    if not found:
        return None
    rows = [
        (TableName(str(schema), str(table)), bool(filtered), bool(partial))
        for schema, table, filtered, partial in await query(connection, _TABLES, [name])
    ]
    members = await query(connection, _MEMBERS, [name])
    return PublicationState(
        oid=int(str(found[0][2])),
        version=str(found[0][3]),
        memberships={TableName(str(schema), str(table)): str(oids) for schema, table, oids in members},
        every_operation=bool(found[0][0]),
        generated=bool(found[0][4]),
        via_root=bool(found[0][1]),
        tables=frozenset(table for table, _, _ in rows),
        filtered=frozenset(table for table, filtered, _ in rows if filtered),
        partial=frozenset(table for table, _, partial in rows if partial),
    )


def identity(state: PublicationState, table: TableName) -> str:
    """What stays the same as long as the publication has published `table` without a gap."""
    return f"{state.oid} {state.version} {state.memberships.get(table, '')}"


async def create_publication(connection: Connection, name: str, tables: Sequence[TableName]) -> None:
    """Publish exactly `tables`, partitions as their root."""
    await connection.execute(
        sql.SQL("CREATE PUBLICATION {name} FOR TABLE {tables} WITH (publish_via_partition_root = true)").format(
            name=sql.Identifier(name),
            tables=_listed(tables),
        )
    )


async def publish_further(connection: Connection, name: str, tables: Sequence[TableName]) -> None:
    """Add those of `tables` to the publication that it lacks; a publication that is not there stays so."""
    state = await read_publication(connection, name)
    missing = [] if state is None else [table for table in tables if table not in state.tables]
    if missing:
        await connection.execute(
            sql.SQL("ALTER PUBLICATION {name} ADD TABLE {tables}").format(
                name=sql.Identifier(name), tables=_listed(missing)
            )
        )


def _listed(tables: Sequence[TableName]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("ONLY {}").format(sql.Identifier(*table)) for table in tables)


async def drop_publication(connection: Connection, name: str) -> None:
    """Remove the publication if it exists."""
    await connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(name)))


def require_fit(state: PublicationState, name: str, tables: Sequence[TableName]) -> None:
    """PublicationUnfit unless every one of `tables` is published whole; further tables do no harm."""
    missing = sorted(str(table) for table in tables if table not in state.tables)
    filtered = sorted(str(table) for table in tables if table in state.filtered)
    partial = sorted(str(table) for table in tables if table in state.partial)
    if missing:
        detail = say("it lacks {tables}", tables=", ".join(missing))
    elif not state.every_operation:
        detail = say("it leaves out some of insert, update, delete and truncate")
    elif not state.via_root:
        detail = say("publish_via_partition_root is off")
    elif state.generated:
        detail = say("it publishes generated columns")
    elif filtered:
        detail = say("it filters rows of {tables}", tables=", ".join(filtered))
    elif partial:
        detail = say("it leaves out columns of {tables}", tables=", ".join(partial))
    else:
        return
    raise PublicationUnfit(publication=name, detail=detail)
