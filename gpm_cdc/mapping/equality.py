"""Whether two columns that Postgres compares as equal are equal in the graph too, and by what.

A reference is followed in the graph by comparing properties. So the values of both of its columns must have equal
images exactly when Postgres calls them equal. Many have: equal texts are one text, and to Neo4j the integer 5 and the
float 5.0 are equal, in its indexes too. Others are matched by their join forms (`domain.joins`).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gpm_cdc.domain import graphtypes
from gpm_cdc.domain.catalogue import Catalogue, Column, ForeignKey, PgType, Table
from gpm_cdc.domain.joins import JoinForm
from gpm_cdc.domain.types import numeric_size, value_type
from gpm_cdc.errors.values import TypeChoiceRefused, UnsupportedType
from gpm_cdc.mapping.model import Endpoint, ForeignKeyRelationship, GraphMapping, NodeTable, RelationshipTable

type Reference = ForeignKeyRelationship | Endpoint

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
_NUMBERS: Final = _INTEGERS | {"numeric"}
_UNPADDED_TEXTS: Final = frozenset({"text", "varchar"})
_EXACT_FLOAT_DIGITS: Final = 15
_EXACT_INTEGER_DIGITS: Final = 18


class Side(NamedTuple):
    """A column of a reference: its type and what `types` chose for it."""

    type: PgType
    choice: str | None = None


class Join(NamedTuple):
    """By what a column and the one that it refers to are matched: the join form of each, None for its own property."""

    own: JoinForm | None
    target: JoinForm | None


class Pair(NamedTuple):
    """A column of a reference and the one that it refers to. `join` is None where they cannot be matched."""

    column: Column
    target: Column
    own: Side
    other: Side
    join: Join | None


BY_IMAGE: Final = Join(None, None)
"""Both are matched as they are."""


def join_of(own: Side, target: Side, *, declared: bool = True, folds: bool = False) -> Join | None:
    """How `own`, which refers to `target`, is matched with it; None where that is not known.

    `declared`: a foreign key says so, whose operators decide. `folds`: citext can be folded as Postgres does it.
    """
    one, other = own.type.resolved, target.type.resolved
    if _is_built_in(one, _NUMBERS) and _is_built_in(other, _NUMBERS):
        return BY_IMAGE if _same_numbers(own, target) else Join(_number(own), _number(target))
    if _family(one) is not None and _family(one) == _family(other):
        return BY_IMAGE
    if _is_built_in(one, {"interval"}) and _is_built_in(other, {"interval"}):
        return Join("elapsed", "elapsed")
    if _is_built_in(one, {"bpchar"}) and _is_built_in(other, {"bpchar"}):
        return Join("unpadded", "unpadded")
    if _is_citext(one) and _is_citext(other):
        return Join("folded", "folded") if folds else None
    return _mixed_texts(one, other) if declared else None


def _mixed_texts(one: PgType, other: PgType) -> Join | None:
    """The foreign key compares as the referenced column does, to whose type the other is cast.

    Of char(n) that cast takes the blanks at the end away; to char(n) they mean nothing on either side.
    """
    if _is_built_in(one, {"bpchar"}) and _is_built_in(other, _UNPADDED_TEXTS):
        return Join("unpadded", None)
    if _is_built_in(one, _UNPADDED_TEXTS) and _is_built_in(other, {"bpchar"}):
        return Join("unpadded", "unpadded")
    if _is_citext(one) and _is_built_in(other, _UNPADDED_TEXTS):
        return BY_IMAGE
    return None


def remedy(own: PgType, target: PgType) -> str:
    """What to do about a reference that `join_of` knows no way for."""
    one, other = own.resolved, target.resolved
    if _mixed_texts(one, other) is not None:
        return "Add the foreign key to the table: without it nothing says whether blanks and case count."
    if _is_citext(one) and _is_citext(other):
        return (
            "The database folds case by ICU or in another encoding than UTF8, where characters depend on each other. "
            "Use a database whose locale provider is libc, or builtin C.UTF-8; give both columns the type text; or "
            "remove the relationship."
        )
    return (
        "Give both columns one type that this is known of, such as bigint, numeric, text, char, interval or "
        "timestamptz, or remove the relationship."
    )


def pairs_of(
    mapped: NodeTable | RelationshipTable, reference: Reference, mapping: GraphMapping, catalogue: Catalogue
) -> Iterator[Pair]:
    """Each column of `reference` with the one that it refers to. KeyError where one of them does not exist."""
    table, target = catalogue.tables[mapped.table], catalogue.tables[reference.target]
    node = mapping.node(reference.target)
    declared = foreign_key_of(table, reference) is not None
    for name, target_name in zip(reference.columns, reference.target_columns, strict=True):
        column, target_column = table.column(name), target.column(target_name)
        if node is None or column is None or target_column is None:
            raise KeyError(target_name)
        own = Side(column.type, mapped.properties.types.get(name))
        other = Side(target_column.type, node.properties.types.get(target_name))
        join = join_of(own, other, declared=declared, folds=catalogue.lowercase is not None)
        yield Pair(column, target_column, own, other, join)


def foreign_key_of(table: Table, reference: Reference) -> ForeignKey | None:
    """The foreign key of `table` that says what `reference` says; one that Postgres enforces if there are several."""
    pairs = set(zip(reference.columns, reference.target_columns, strict=False))
    found = [
        key
        for key in table.foreign_keys
        if key.target == reference.target and set(zip(key.columns, key.target_columns, strict=True)) == pairs
    ]
    return max(found, key=is_enforced, default=None)


def is_enforced(key: ForeignKey) -> bool:
    """Whether Postgres vouches that every row has its referenced row."""
    return key.enforced and key.validated


def _same_numbers(own: Side, target: Side) -> bool:
    """Whether equal numbers, and no others, have equal images.

    By default those that are an exact INTEGER or FLOAT on both sides. A numeric's NaN is equal to itself in Postgres
    alone; the stream stops at one that others could refer to.
    """
    if own.choice is None and target.choice is None and is_number(own.type) and is_number(target.type):
        return True
    if _is_whole(own) and _is_whole(target):
        return True
    family = _family(own.type.resolved)
    if family is None or family != _family(target.type.resolved) or "float" in {own.choice, target.choice}:
        return False
    return graph_type(own) == graph_type(target)


def _is_whole(side: Side) -> bool:
    """Whether the column holds whole numbers and becomes an INTEGER; one beyond 64 bits is its text."""
    resolved = side.type.resolved
    whole = resolved.name in _INTEGERS or (resolved.modifier >= 0 and numeric_size(resolved.modifier)[1] == 0)
    return whole and graph_type(side) == graphtypes.INTEGER.name


def _number(side: Side) -> JoinForm | None:
    integer = _is_built_in(side.type.resolved, _INTEGERS) and graph_type(side) == graphtypes.INTEGER.name
    return None if integer else "number"


def graph_type(side: Side) -> str | None:
    """What the column becomes; None for nothing."""
    try:
        return value_type(*side).graph_type
    except (UnsupportedType, TypeChoiceRefused):
        # Reported with the table that the column belongs to.
        return None


def is_number(pg_type: PgType) -> bool:
    """Whether every value becomes, by default, an INTEGER or FLOAT that is exactly that number.

    Or, as a decimal fraction, the same FLOAT for the same fraction.
    """
    resolved = pg_type.resolved
    if not _is_built_in(resolved, _NUMBERS):
        return False
    if resolved.name in _INTEGERS:
        return True
    if resolved.modifier < 0:
        return False
    precision, scale = numeric_size(resolved.modifier)
    return scale >= 0 and precision <= (_EXACT_FLOAT_DIGITS if scale else _EXACT_INTEGER_DIGITS)


def _is_built_in(pg_type: PgType, names: frozenset[str] | set[str]) -> bool:
    return pg_type.schema == "pg_catalog" and pg_type.name in names


def _is_citext(pg_type: PgType) -> bool:
    # By name alone: an extension may live in any schema.
    return pg_type.kind == "b" and pg_type.name == "citext" and pg_type.schema != "pg_catalog"


def _family(pg_type: PgType) -> object:
    """What must be the same on both sides for equal values to be printed alike; None for no such equality."""
    if pg_type.kind == "e":
        return ("enum", pg_type.oid)
    if pg_type.schema != "pg_catalog":
        return None
    if pg_type.name in {"numeric", "bpchar"}:
        # With a modifier both sides print with the same scale, respectively padded to the same length.
        return None if pg_type.modifier < 0 else (pg_type.name, pg_type.modifier)
    return _FAMILIES.get(pg_type.name) or (pg_type.name if pg_type.name in _SELF else None)
