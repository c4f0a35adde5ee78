"""Whether two columns that Postgres compares as equal are equal in the graph too.

A reference is followed in the graph by comparing properties. So the values of both of its columns must have equal
images exactly when Postgres calls them equal.
"""

from typing import Final

from gpm_cdc.domain.catalogue import PgType

_FAMILIES: Final = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "text": "text",
    "varchar": "text",
    "name": "text",
}

_SELF: Final = frozenset(
    (
        *("bool", "bytea", "uuid", "oid", "float4", "float8", "bit", "varbit", "money", "pg_lsn"),
        *("date", "time", "timetz", "timestamp", "timestamptz"),
        *("inet", "cidr", "macaddr", "macaddr8"),
    )
)
"""Built-in types whose values have one image each: equal in Postgres means equal text.

Not here: interval (a month equals 30 days), json and jsonb, ranges, arrays, numeric without a fixed scale (1.0 equals
1.00), citext (a equals A).
"""


def comparable(one: PgType, other: PgType) -> bool:
    """Whether equality of values of `one` and `other` is equality of what they become in the graph."""
    left, right = _family(one.resolved), _family(other.resolved)
    return left is not None and left == right


def _family(pg_type: PgType) -> object:
    """What must be the same on both sides; None for a type that has no such equality."""
    if pg_type.kind == "e":
        return ("enum", pg_type.oid)
    if pg_type.schema != "pg_catalog":
        return None
    if pg_type.name in {"numeric", "bpchar"}:
        # With a modifier both sides print with the same scale, respectively padded to the same length.
        return None if pg_type.modifier < 0 else (pg_type.name, pg_type.modifier)
    return _FAMILIES.get(pg_type.name) or (pg_type.name if pg_type.name in _SELF else None)
