"""What the graph cannot hold of the values that a mapping's columns may have, as far as their types tell."""

from collections.abc import Iterator, Sequence
from typing import Final

from gpm_cdc.domain.finding import Finding
from gpm_cdc.domain.keys import KEY_BYTES
from gpm_cdc.projection.plan import FieldPlan, GraphPlan
from gpm_cdc.wording import say

_NAMED: Final = 6
_VARIABLE: Final = frozenset({"STRING", "BYTES"})


def limit_findings(plan: GraphPlan) -> Iterator[Finding]:
    """Notes: for columns that are stored as text now and then, for keys that could be too long, for join forms."""
    replaced = [
        f"{table}.{planned.column}"
        for table, mapped in plan.tables.items()
        for planned in mapped.fields
        if planned.name is not None and planned.type.fallback
    ]
    if replaced:
        yield Finding.worded(
            "values_as_text",
            "notes",
            say("the mapping"),
            "Values that their graph type cannot hold (infinity, 24:00, NaN as a whole number) are stored "
            "as the text that Postgres prints: {columns}.",
            columns=_some(replaced),
        )
    long = [
        f"{table}.{planned.column}"
        for table, mapped in plan.tables.items()
        for planned in mapped.fields[: mapped.key_size]
        if _may_be_long(planned)
    ]
    if long:
        yield Finding.worded(
            "key_length",
            "notes",
            say("the mapping"),
            "Neo4j holds keys of at most {limit} bytes; a row with a longer one stops the stream: {columns}.",
            "Nothing to do if such keys do not occur.",
            limit=KEY_BYTES,
            columns=_some(long),
        )

    joined = [
        f"(:{mapped.label}).{planned.name}"
        for mapped in plan.nodes
        for planned in mapped.fields
        if planned.name is not None and planned.form is not None
    ]
    if joined:
        yield Finding.worded(
            "join_forms",
            "notes",
            say("the mapping"),
            "Foreign keys join columns that can write equal values differently (numeric, char, citext, interval). "
            "For these, nodes bear properties of gpm-cdc beside yours: {properties}.",
            "Nothing to do. Whole numbers need none as bigint, or as numeric(n,0) with types = {{ column = "
            '"integer" }}.',
            properties=_some(joined),
        )


def _may_be_long(planned: FieldPlan) -> bool:
    return planned.type.graph_type in _VARIABLE or planned.type.graph_type.startswith("LIST")


def _some(columns: Sequence[str]) -> str:
    named = ", ".join(columns[:_NAMED])
    more = len(columns) - _NAMED
    return say("{named} and {more} more", named=named, more=more) if more > 0 else named
