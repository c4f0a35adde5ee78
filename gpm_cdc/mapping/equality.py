"""Whether two columns that Postgres compares as equal are equal in the graph too.

A reference is followed in the graph by comparing properties. So the values of both of its columns must have equal
images exactly when Postgres calls them equal. Numbers have: to Neo4j the integer 5 and the float 5.0 are equal, in its
indexes too.
"""

from typing import Final

from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.types import numeric_size

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


_INTEGERS: Final = frozenset({"int2", "int4", "int8"})
_EXACT_FLOAT_DIGITS: Final = 15
_EXACT_INTEGER_DIGITS: Final = 18


def comparable(one: PgType, other: PgType) -> bool:
    """Whether equality of values of `one` and `other` is equality of what they become in the graph by default."""
    return alike(one, other) or (is_number(one) and is_number(other))


def alike(one: PgType, other: PgType) -> bool:
    """As `comparable`, and because equal values are printed alike: whatever both become, if it is the same."""
    left, right = _family(one.resolved), _family(other.resolved)
    return left is not None and left == right


def is_number(pg_type: PgType) -> bool:
    """Whether every value becomes, by default, an INTEGER or FLOAT that is exactly that number.

    Or, as a decimal fraction, the same FLOAT for the same fraction. A numeric's NaN is equal to itself in Postgres
    alone; the stream stops at one that others could refer to.
    """
    resolved = pg_type.resolved
    if resolved.schema != "pg_catalog":
        return False
    if resolved.name in _INTEGERS:
        return True
    if resolved.name != "numeric" or resolved.modifier < 0:
        return False
    precision, scale = numeric_size(resolved.modifier)
    return scale >= 0 and precision <= (_EXACT_FLOAT_DIGITS if scale else _EXACT_INTEGER_DIGITS)


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
