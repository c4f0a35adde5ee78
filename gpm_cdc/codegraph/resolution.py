"""Names to definitions, set-wise: after a change, exactly the names whose meaning may have changed are looked at again.

A dotted name stands for the definition of that qualified name; else, if an import binds it, for what the import names;
else, if an import binds all but its last part, for that part of what the import names; and so on, a bounded number of
times. Where several definitions share a qualified name the last one counts, by source and then by line.

So what a name stands for depends on definitions and imports alone, never on the order in which sources were stored.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

from gpm_cdc.codegraph.kinds import CALLS, IMPORTS, INHERITS

LONGEST_CHAIN: Final = 6
"""Imports that are followed from one to the next."""

_EDGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    CALLS: ("code_call", ("class", "function", "method")),
    IMPORTS: ("code_import", ("module",)),
    INHERITS: ("code_inheritance", ("class",)),
}
"""Where the resolved names of each kind are, and which definitions count."""

# Names whose own meaning changed, and every name that leads to one of them through imports.
_TOUCHED: Final = r"""
CREATE TEMPORARY TABLE code_touched ON COMMIT DROP AS
WITH RECURSIVE touched (name) AS (
    SELECT unnest(CAST(:names AS text[]))
    UNION
    SELECT found.name FROM touched CROSS JOIN LATERAL (
        SELECT name FROM code_alias WHERE project = :project AND target = touched.name
        UNION ALL
        SELECT name FROM code_alias WHERE project = :project AND target_head = touched.name
        UNION ALL
        SELECT name || substring(touched.name FROM '\.[^.]+$')
        FROM code_alias WHERE project = :project AND target = substring(touched.name FROM '^(.+)\.[^.]+$')
    ) AS found
)
SELECT name FROM touched
"""

# Whose edges are looked at: those of changed sources, which may use nothing any more, and users of a touched name.
_AFFECTED: Final = """
CREATE TEMPORARY TABLE code_affected ON COMMIT DROP AS
SELECT key AS definition_key, of_edge AS kind
FROM code_definition CROSS JOIN unnest(CAST(:all_kinds AS text[])) AS kinds (of_edge)
WHERE source_key = ANY (CAST(:sources AS text[]))
UNION SELECT definition_key, kind FROM code_reference
WHERE project = :project AND name IN (SELECT name FROM code_touched)
UNION SELECT definition_key, kind FROM code_reference
WHERE project = :project AND head IN (SELECT name FROM code_touched)
"""

# All names of that kind that they use, since several may stand for the same definition.
_OPEN: Final = """
CREATE TEMPORARY TABLE code_open ON COMMIT DROP AS
SELECT definition_key, kind, name, occurrences
FROM code_affected JOIN code_reference USING (definition_key, kind)
"""

_MEANING: Final = r"""
CREATE TEMPORARY TABLE code_meaning ON COMMIT DROP AS
WITH RECURSIVE chain (name, step, at) AS (
    SELECT DISTINCT name, 0, name FROM code_open WHERE name NOT LIKE '.%'
    UNION ALL
    SELECT chain.name, chain.step + 1, following.at
    FROM chain CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT max(alias.target) FROM code_alias AS alias
             WHERE alias.project = :project AND alias.name = chain.at),
            (SELECT max(alias.target) FROM code_alias AS alias
             WHERE alias.project = :project AND alias.name = substring(chain.at FROM '^(.+)\.[^.]+$'))
                || substring(chain.at FROM '\.[^.]+$')
        ) AS at
    ) AS following
    WHERE chain.step < :longest AND following.at IS NOT NULL AND NOT EXISTS (
        SELECT FROM code_definition AS definition
        WHERE definition.project = :project AND definition.qualname = chain.at
    )
)
SELECT DISTINCT ON (chain.name) chain.name, definition.key, definition.kind
FROM chain JOIN code_definition AS definition ON definition.project = :project AND definition.qualname = chain.at
ORDER BY chain.name, chain.step, definition.source_key DESC, definition.lineno DESC, definition.key DESC
"""

_WANTED: Final = """
CREATE TEMPORARY TABLE code_wanted ON COMMIT DROP AS
SELECT code_open.kind, definition_key AS start_key, code_meaning.key AS end_key,
       CAST(sum(occurrences) AS integer) AS occurrences
FROM code_open JOIN code_meaning USING (name)
WHERE (code_open.kind, code_meaning.kind) IN (SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:ends AS text[])))
GROUP BY 1, 2, 3
"""

_DELETE: Final = """
DELETE FROM {table} AS edge
WHERE start_key IN (SELECT definition_key FROM code_affected WHERE kind = :kind) AND NOT EXISTS (
    SELECT FROM code_wanted AS wanted
    WHERE wanted.kind = :kind AND wanted.start_key = edge.start_key AND wanted.end_key = edge.end_key
)
"""

_UPSERT: Final = """
INSERT INTO {table} AS edge (start_key, end_key, occurrences)
SELECT start_key, end_key, occurrences FROM code_wanted WHERE kind = :kind ORDER BY start_key, end_key
ON CONFLICT (start_key, end_key) DO UPDATE SET occurrences = excluded.occurrences
WHERE edge.occurrences <> excluded.occurrences
"""


def resolve(session: Session, project: str, sources: Collection[str], names: Collection[str]) -> int:
    """Bring the resolved names up to date after `sources` (keys) were stored; how many rows changed.

    `names` are the dotted names that a definition or an import got or lost. Once in a transaction.
    """
    pairs = [(kind, end) for kind, (_, ends) in _EDGES.items() for end in ends]
    facts = {
        "project": project,
        "sources": sorted(sources),
        "names": sorted(names),
        "longest": LONGEST_CHAIN,
        "all_kinds": list(_EDGES),
        "kinds": [kind for kind, _ in pairs],
        "ends": [end for _, end in pairs],
    }
    for statement, table in (
        (_TOUCHED, "code_touched"),
        (_AFFECTED, "code_affected"),
        (_OPEN, "code_open"),
        (_MEANING, "code_meaning"),
        (_WANTED, "code_wanted"),
    ):
        session.execute(text(statement), facts)
        session.execute(text(f"ANALYZE {table}"))  # nobody else gathers statistics of temporary tables
    return sum(
        _count(session, template.format(table=table), kind)
        for kind, (table, _) in _EDGES.items()
        for template in (_DELETE, _UPSERT)
    )


def _count(session: Session, statement: str, kind: str) -> int:
    result = session.execute(text(statement), {"kind": kind})
    return result.rowcount if isinstance(result, CursorResult) else 0
