"""What a snapshot does not cover: the shape and the files of tables, the publication, and who is in a slot's way.

A snapshot that is older than a rewriting ALTER TABLE, a TRUNCATE or the DETACH of a partition sees too few rows or
none, and the stream says nothing of most of these. Nor does it tell what happens to a table that is not published for a
moment. So the fingerprint is taken before and after whatever has to be exact.
"""

from collections.abc import Iterable, Sequence

from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.source.session import Connection, query

_FINGERPRINT = """
WITH named AS (
    SELECT t.schema, t.name, c.oid FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS t (schema, name)
    JOIN pg_namespace AS n ON n.nspname = t.schema JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
), tree AS (
    SELECT named.schema, named.name, coalesce(p.relid::oid, named.oid) AS oid, p.parentrelid::oid AS parent
    FROM named LEFT JOIN LATERAL pg_partition_tree(named.oid) AS p ON true
)
SELECT tree.schema, tree.name, tree.oid::bigint, tree.parent::bigint, c.relkind, pg_relation_filenode(c.oid)::bigint,
       (SELECT string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod, a.attgenerated), ','
                          ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT concat_ws(' ', pt.attnames::text, pt.rowfilter) FROM pg_publication_tables AS pt
        JOIN pg_namespace AS n ON n.nspname = pt.schemaname
        WHERE pt.pubname = %(publication)s AND n.oid = c.relnamespace AND pt.tablename = c.relname),
       (SELECT concat_ws(' ', p.oid, p.xmin, (
            SELECT string_agg(m.oid::text, ' ' ORDER BY m.oid) FROM (
                SELECT r.oid FROM pg_publication_rel AS r
                WHERE r.prpubid = p.oid
                  AND (r.prrelid = c.oid OR r.prrelid IN (SELECT relid FROM pg_partition_ancestors(c.oid)))
                UNION ALL SELECT s.oid FROM pg_publication_namespace AS s WHERE s.pnpubid = p.oid
            ) AS m))
        FROM pg_publication AS p WHERE p.pubname = %(publication)s)
FROM tree JOIN pg_class AS c ON c.oid = tree.oid
ORDER BY 1, 2, 3
"""

type Fingerprint = dict[TableName, list[tuple[object, ...]]]
"""By root table: oid, parent, kind, file, columns and publication of it and of each partition.

The publication is told by what it publishes and by numbers that are others when it was made, or the table added, again.
"""


async def fingerprint(connection: Connection, tables: Sequence[TableName], publication: str) -> Fingerprint:
    """What `tables` are at this moment; a table that is gone is absent."""
    parameters = {
        "schemas": [table.schema for table in tables],
        "names": [table.name for table in tables],
        "publication": publication,
    }
    found: Fingerprint = {}
    for schema, name, *facts in await query(connection, _FINGERPRINT, parameters):
        found.setdefault(TableName(str(schema), str(name)), []).append(tuple(facts))
    return found


def changed(before: Fingerprint, after: Fingerprint, among: Iterable[TableName] | None = None) -> list[TableName]:
    """The tables that are not what they were; `among` some, or all."""
    tables = {*before, *after} if among is None else set(among)
    return sorted(table for table in tables if before.get(table) != after.get(table))


async def lock_tables(connection: Connection, tables: Sequence[TableName], *, seconds: float) -> None:
    """Keep `tables`, with their partitions, from being altered or truncated until the transaction ends.

    SourceRefused after `seconds` of waiting for somebody who is doing just that.
    """
    await query(connection, "SELECT set_config('lock_timeout', %s, true)", [f"{int(seconds * 1000)}"])
    names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
    await query(connection, sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


async def open_writers(connection: Connection) -> list[str]:
    """Whom the making of a slot waits for: processes with an open writing transaction, and prepared transactions."""
    rows = await query(
        connection,
        "SELECT pid::text FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        " UNION ALL SELECT gid FROM pg_prepared_xacts ORDER BY 1",
    )
    return [str(row[0]) for row in rows]
