"""The journal: which rows the stream has written since the graph was last proved, kept in the graph itself.

It grows in the transaction that writes the rows, so it never lacks one of them. Pages of one table are nodes; when they
hold more than is worth looking up row by row, one node without keys says that all of the table may have changed.
"""

from collections.abc import Sequence
from typing import Any, Final

from gpm_cdc.cypher.statement import Statement, Statements

PAGE_LABEL: Final = "GpmCdcTouched"

PAGE_SIZE: Final = 4_096
"""Characters of a page that is full. Every batch rewrites the open one: this is little beside a transaction."""

TABLE_SIZE: Final = 1_000_000
"""Characters of all pages of a table: more than 20,000 keys. Beyond that reading the table whole is as quick."""

FORMER_PAGES: Final = 500
"""Pages of a table that were closed: twice as many as hold TABLE_SIZE when they are full."""

type Note = Sequence[Any]
"""Stream, schema, table, position of the batch, text of keys (None: the whole table)."""

NOTE: Final = (
    "FOREACH (r IN {notes} |"
    f" MERGE (open:{PAGE_LABEL} {{{{stream: r[0], schema: r[1], table: r[2], state: 'open'}}}})"
    " ON CREATE SET open.keys = '' SET open.upto = r[3], open.keys = open.keys + r[4]"
    f" SET open.state = CASE WHEN size(open.keys) > {PAGE_SIZE} THEN 'full' ELSE 'open' END)"
)
"""A clause that adds `{notes}` to the pages. Where the keys are null they stay so: such a page is never full."""

_COLLAPSE: Final = """\
FOREACH (page IN tail(pages) | DELETE page)
WITH head(pages) AS whole, upto SET whole.upto = upto"""

_BOUND: Final = f"""\
UNWIND $rows AS r
MATCH (page:{PAGE_LABEL} {{stream: r[0], schema: r[1], table: r[2]}}) WHERE page.state IN ['open', 'full']
WITH r, collect(page) AS pages, sum(size(page.keys)) AS size, max(page.upto) AS upto WHERE size > {TABLE_SIZE}
{_COLLAPSE}, whole.state = 'open' REMOVE whole.keys"""

CLOSE: Final = f"""\
MATCH (page:{PAGE_LABEL} {{stream: $stream}}) SET page.state = 'former'
WITH page.schema AS schema, page.table AS name,
     collect(page) AS pages, sum(size(page.keys)) AS size, max(page.upto) AS upto
WHERE size > {TABLE_SIZE} OR size(pages) > {FORMER_PAGES}
{_COLLAPSE} REMOVE whole.keys"""
"""What comes after this goes into new pages, so that those of before can be told from them: those are bounded, too."""

PRUNE: Final = (
    f"MATCH (page:{PAGE_LABEL} {{stream: $stream}}) WHERE page.state = 'former' AND page.upto <= $upto DELETE page"
)

READ: Final = (
    f"MATCH (page:{PAGE_LABEL} {{stream: $stream}}) WHERE page.upto > $after RETURN page.schema, page.table, page.keys"
)

_FORGET: Final = f"UNWIND $rows AS r MATCH (page:{PAGE_LABEL} {{stream: r}}) DELETE page"


def note(notes: Sequence[Note]) -> Statements:
    """Add `notes` to the pages, where that is not done by the statement that moves the checkpoint."""
    if notes:
        yield Statement(NOTE.format(notes="$rows"), notes)


def bound(tables: Sequence[Sequence[str]]) -> Statements:
    """Give up the keys of each of `tables`, given with its stream before it, whose pages hold more than TABLE_SIZE."""
    if tables:
        yield Statement(_BOUND, tables)


def forget(stream: str) -> Statements:
    """Take every page of `stream` away."""
    yield Statement(_FORGET, [stream])
