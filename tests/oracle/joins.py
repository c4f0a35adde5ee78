"""What a node bears beside its columns: of a column whose equal values may be written differently, what they share.

Postgres makes it here, with functions of its own: the form that `=` would compare.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from psycopg import sql

from tests.oracle.column_type import ColumnType, precision_and_scale
from tests.oracle.mapping_file import Columns, MappingFile, MappingFileError, NodeTable, Reference, TableName
from tests.oracle.tables import Column, Snapshot, column_of
from tests.oracle.value import Value

_WHOLE = ("int2", "int4", "int8")
_NUMBERS = (*_WHOLE, "numeric")
_TEXTS = ("text", "varchar")
_MOST_FLOAT_DIGITS, _MOST_INTEGER_DIGITS = 15, 18

_SQL = {
    "number": "pg_catalog.trim_scale({}::pg_catalog.numeric)",
    "unpadded": "pg_catalog.rtrim({}::pg_catalog.text, ' ')",
    "folded": 'pg_catalog.lower({}::pg_catalog.text COLLATE "default")',
    "elapsed": """CASE WHEN NOT pg_catalog.isfinite({0}) THEN {0}::pg_catalog.text ELSE pg_catalog.trim_scale(
        ((extract(year FROM {0}) * 12 + extract(month FROM {0})) * 30 + extract(day FROM {0})) * 86400000000
        + extract(hour FROM {0}) * 3600000000 + extract(minute FROM {0}) * 60000000
        + extract(microseconds FROM {0}))::pg_catalog.text END""",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """A property that only references need: the form `kind` of a column."""

    column: Column
    kind: str

    def property_of(self, columns: Columns) -> str:
        """The property's name."""
        return f"_{self.kind}_{columns.property_of(self.column.name)}"

    def value(self, text: str) -> Value:
        """What the graph should hold for the form as `selected` gives it."""
        if self.kind in {"number", "elapsed"} and text.lstrip("-").isdecimal():
            number = Decimal(text)
            if Decimal(-(2**63)) <= number < Decimal(2**63):
                return Value("INTEGER", int(number))
        return Value("STRING", text)

    def selected(self, alias: str) -> sql.Composed:
        """The SQL that makes the form."""
        return sql.SQL(_SQL[self.kind]).format(column_of(alias, self.column.name))


def shared_of(node: NodeTable, mapping: MappingFile, snapshot: Snapshot) -> tuple[Shared, ...]:
    """What the nodes of a table bear beside their columns, for their own references and for those to them."""
    found: dict[Shared, None] = {}
    for owner, columns, reference in _references(mapping):
        own, target = snapshot.table(owner), snapshot.table(reference.target)
        declared = snapshot.declares(own, target, reference)
        targeted = mapping.node(reference.target).columns
        for name, target_name in zip(reference.columns, reference.target_columns, strict=True):
            one, other = own.column(name), target.column(target_name)
            kinds = _kinds(
                one.type, columns.types.get(name), other.type, targeted.types.get(target_name), declared=declared
            )
            if owner == node.table and kinds[0]:
                found[Shared(one, kinds[0])] = None
            if reference.target == node.table and kinds[1]:
                found[Shared(other, kinds[1])] = None
    return tuple(found)


def _references(mapping: MappingFile) -> Iterator[tuple[TableName, Columns, Reference]]:
    for node in mapping.nodes:
        for foreign_key in node.foreign_keys:
            yield node.table, node.columns, foreign_key.reference
    for table in mapping.relationships:
        yield table.table, table.columns, table.start
        yield table.table, table.columns, table.end


def _kinds(
    one: ColumnType, one_choice: str | None, other: ColumnType, other_choice: str | None, *, declared: bool
) -> tuple[str, str]:
    """Which form each side of a pair of columns needs; empty for a side whose property already is one."""
    names = one.name, other.name
    if all(name in _NUMBERS for name in names):
        if _numbers_suffice(one, one_choice, other, other_choice):
            return "", ""
        return _number_kind(one, one_choice), _number_kind(other, other_choice)
    if names == ("bpchar", "bpchar"):
        return ("", "") if one.modifier == other.modifier >= 0 else ("unpadded", "unpadded")
    if "bpchar" in names:
        if not declared or not set(names) <= {"bpchar", *_TEXTS}:
            message = f"nobody knows how {one.name} could refer to {other.name}"
            raise MappingFileError(message)
        return "unpadded", "unpadded" if other.name == "bpchar" else ""
    if names == ("interval", "interval"):
        return "elapsed", "elapsed"
    return ("folded", "folded") if all(name.endswith(".citext") for name in names) else ("", "")


def _number_kind(column: ColumnType, choice: str | None) -> str:
    return "" if column.name in _WHOLE and choice in {None, "integer"} else "number"


def _numbers_suffice(one: ColumnType, one_choice: str | None, other: ColumnType, other_choice: str | None) -> bool:
    """Whether what the columns become by themselves is equal exactly for equal numbers."""
    if one_choice is None and other_choice is None and _is_exact(one) and _is_exact(other):
        return True
    if _is_whole(one, one_choice) and _is_whole(other, other_choice):
        return True
    if "float" in {one_choice, other_choice}:
        return False
    if one.name in _WHOLE and other.name in _WHOLE:
        return (one_choice == "string") == (other_choice == "string")
    same_scale = one.name == other.name == "numeric" and one.modifier == other.modifier >= 0
    return same_scale and one_choice == other_choice


def _is_whole(column: ColumnType, choice: str | None) -> bool:
    """Whether a column without fractions becomes integers."""
    if column.name in _WHOLE:
        return choice in {None, "integer"}
    brackets = precision_and_scale(column)
    if brackets is None or brackets[1] != 0:
        return False
    return choice == "integer" or (choice is None and brackets[0] <= _MOST_INTEGER_DIGITS)


def _is_exact(column: ColumnType) -> bool:
    if column.name in _WHOLE:
        return True
    brackets = precision_and_scale(column)
    if brackets is None:
        return False
    precision, scale = brackets
    return scale >= 0 and precision <= (_MOST_FLOAT_DIGITS if scale else _MOST_INTEGER_DIGITS)
