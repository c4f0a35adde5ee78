"""What happens to tables without the stream telling: files that are rewritten, partitions that come and go, enums.

A full look is taken where the catalogue moved; whether it did is asked for much more often, in one short query.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gpm_cdc.domain.catalogue import Catalogue, PgType, Table, TableName
from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.source.session import Connection, query

_TREES = """
WITH named AS (
    SELECT t.schema, t.name, c.oid
    FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS t (schema, name)
    JOIN pg_namespace AS n ON n.nspname = t.schema JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
), tree AS (
    SELECT named.schema, named.name, coalesce(p.relid::oid, named.oid) AS oid, p.parentrelid::oid AS parent
    FROM named LEFT JOIN LATERAL pg_partition_tree(named.oid) AS p ON true
), member AS (
    SELECT tree.schema, tree.name, c.oid, tree.parent, c.relkind, c.xmin::text AS xmin,
           nullif(c.relfilenode, 0)::int8 AS file, i.xmin::text AS since,
           (SELECT string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname)), ',' ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attgenerated <> 'v') AS columns
    FROM tree JOIN pg_class AS c ON c.oid = tree.oid
    LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = tree.parent
)
SELECT schema, name,
       md5(string_agg(concat_ws(' ', oid::text, parent::text, relkind, since, columns), ',' ORDER BY oid)),
       md5(string_agg(concat_ws(' ', oid::text, file::text), ',' ORDER BY oid)),
       CASE WHEN count(DISTINCT xmin) FILTER (WHERE file IS NOT NULL) = 1
            THEN (min(xmin) FILTER (WHERE file IS NOT NULL))::int8 END,
       array_agg(oid::int8)
FROM member GROUP BY schema, name
"""

_ENUMS = "SELECT enumtypid::int8, oid::text, enumlabel FROM pg_enum WHERE enumtypid = ANY (%s::oid[])"

_COMPOSITES = """
SELECT t.oid::int8, t.typrelid::int8,
       md5(string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum))
FROM pg_type AS t JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.oid = ANY (%s::oid[]) GROUP BY t.oid
"""

# The number of a row's writer changes with every change of the row, but for those that say nothing of its meaning
# (statistics, flags of VACUUM). So the same numbers are the same catalogue.
_MARK = """
SELECT md5(concat_ws('|',
    (SELECT string_agg(c.xmin::text || ' ' || c.relfilenode, ',' ORDER BY c.oid)
     FROM pg_class AS c WHERE c.oid = ANY (%(relations)s::oid[])),
    (SELECT string_agg(a.xmin::text, ',' ORDER BY a.attrelid, a.attnum)
     FROM pg_attribute AS a WHERE a.attrelid = ANY (%(relations)s::oid[]) AND a.attnum > 0),
    (SELECT string_agg(k.xmin::text, ',' ORDER BY k.oid)
     FROM pg_constraint AS k WHERE k.conrelid = ANY (%(relations)s::oid[])),
    (SELECT string_agg(i.xmin::text, ',' ORDER BY i.indexrelid)
     FROM pg_index AS i WHERE i.indrelid = ANY (%(relations)s::oid[])),
    (SELECT string_agg(i.xmin::text, ',' ORDER BY i.inhrelid)
     FROM pg_inherits AS i WHERE i.inhparent = ANY (%(relations)s::oid[])),
    (SELECT string_agg(e.xmin::text, ',' ORDER BY e.oid)
     FROM pg_enum AS e WHERE e.enumtypid = ANY (%(enums)s::oid[])),
    (SELECT string_agg(n.xmin::text, ',' ORDER BY n.oid)
     FROM pg_namespace AS n WHERE n.nspname = ANY (%(schemas)s::text[])),
    (SELECT string_agg(concat_ws(' ', p.oid, p.xmin), ',') FROM pg_publication AS p WHERE p.pubname = %(publication)s),
    (SELECT string_agg(concat_ws(' ', m.oid, m.xmin), ',' ORDER BY m.oid)
     FROM pg_publication_rel AS m JOIN pg_publication AS p ON p.oid = m.prpubid WHERE p.pubname = %(publication)s),
    (SELECT string_agg(m.oid::text, ',' ORDER BY m.oid)
     FROM pg_publication_namespace AS m JOIN pg_publication AS p ON p.oid = m.pnpubid
     WHERE p.pubname = %(publication)s)
)), pg_current_wal_insert_lsn()::text
"""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table at one moment. `tree` is a digest of its columns and partitions, `files` of where their rows are stored.

    A column that was dropped and made again is another one, and so is a partition that was detached and put back.
    Virtual columns do not count: no row holds them.

    `filed_by` is the number of the transaction that chose all of those files or changed all of their entries since,
    None where it was not one alone. `enums` are the labels, by their oids, of the enums that its columns use, `labels`
    the same by the oid of the enum; `composites` is a digest of the composite types that they use.
    """

    tree: str
    files: str
    filed_by: int | None
    enums: Mapping[str, str]
    labels: Mapping[int, frozenset[str]]
    composites: str


class Glance(NamedTuple):
    """A digest of the catalogue's entries of some tables, and a position after every change that it shows."""

    mark: str
    end: Lsn


@dataclass(frozen=True, slots=True)
class Watched:
    """The oids whose entries in the catalogue tell whether anything about some tables changed."""

    relations: tuple[int, ...]
    enums: tuple[int, ...]
    schemas: tuple[str, ...]
    publication: str


async def look(
    connection: Connection, catalogue: Catalogue, tables: Sequence[TableName], publication: str
) -> tuple[dict[TableName, TableFacts], Watched]:
    """The facts of each of `tables` that exists, and what to glance at to learn that they may have changed."""
    parameters = {"schemas": [table.schema for table in tables], "names": [table.name for table in tables]}
    trees = await query(connection, _TREES, parameters)
    known = [catalogue.tables[table] for table in tables if table in catalogue.tables]
    enum_oids = sorted({kind.oid for table in known for kind in _types(table, "e")})
    composite_oids = sorted({kind.oid for table in known for kind in _types(table, "c")})
    labels: dict[int, dict[str, str]] = {}
    for kind, oid, label in await query(connection, _ENUMS, [enum_oids]):
        labels.setdefault(int(str(kind)), {})[str(oid)] = str(label)
    composites = {int(str(row[0])): row for row in await query(connection, _COMPOSITES, [composite_oids])}
    facts: dict[TableName, TableFacts] = {}
    relations: list[int] = [int(str(row[1])) for row in composites.values()]
    for schema, name, tree, files, filed_by, oids in trees:
        table = TableName(str(schema), str(name))
        relations += oids  # type: ignore[arg-type]
        used = catalogue.tables.get(table)
        kinds = [] if used is None else list(_types(used, "e"))
        inner = [] if used is None else [str(composites[kind.oid][2]) for kind in _types(used, "c")]
        facts[table] = TableFacts(
            tree=str(tree),
            files=str(files),
            filed_by=None if filed_by is None else int(str(filed_by)),
            enums={oid: label for kind in kinds for oid, label in labels.get(kind.oid, {}).items()},
            labels={kind.oid: frozenset(labels.get(kind.oid, {}).values()) for kind in kinds},
            composites=" ".join(inner),
        )
    schemas = tuple(sorted({table.schema for table in tables}))
    return facts, Watched(tuple(sorted(relations)), tuple(enum_oids), schemas, publication)


def _types(table: Table, kind: str) -> Iterator[PgType]:
    """The types of `kind` that columns use, through domains and arrays."""
    for column in table.columns:
        used: PgType | None = column.type.resolved
        while used is not None:
            if used.kind == kind:
                yield used
            used = used.element.resolved if used.element is not None else None


async def glance(connection: Connection, watched: Watched) -> Glance:
    """What the catalogue says of `watched` now."""
    parameters = {
        "relations": list(watched.relations),
        "enums": list(watched.enums),
        "schemas": list(watched.schemas),
        "publication": watched.publication,
    }
    mark, end = (await query(connection, _MARK, parameters))[0]
    return Glance(str(mark), parse(str(end)))
