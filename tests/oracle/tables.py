"""Postgres read with plain SQL: one snapshot, values as the types' own output functions write them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg import sql

from tests.oracle.column_type import ColumnType
from tests.oracle.mapping_file import MappingFileError, Reference, TableName

type Row = tuple[str | None, ...]

_SETTINGS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",
}
_SET = f"SELECT {', '.join('pg_catalog.set_config(%s, %s, true)' for _ in _SETTINGS)}".encode()

# Every schema, so that the = of an extension's type is found wherever the extension lives.
_SEARCH_PATH = """
    SELECT pg_catalog.set_config('search_path', pg_catalog.string_agg(pg_catalog.quote_ident(nspname), ','), true)
    FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp)'"""

_TYPES = """
    SELECT t.oid, CASE WHEN n.nspname = 'pg_catalog' OR t.typname IN ('vector', 'halfvec') THEN t.typname
                       ELSE n.nspname || '.' || t.typname END,
           t.typtype, t.typbasetype, t.typtypmod, coalesce(e.oid, 0), coalesce(e.typdelim, ',')
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid"""

_TABLE = """
    SELECT c.oid, c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s"""

_COLUMNS = """
    SELECT a.attname, a.atttypid, a.atttypmod, a.attgenerated <> '', coalesce(n.nspname, ''), coalesce(l.collname, '')
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

_FOREIGN_KEYS = """
    SELECT k.oid, f.attname, t.attname, n.nspname, o.oprname,
           CASE WHEN l.typtype = 'p' THEN '' ELSE pg_catalog.format_type(o.oprleft, -1) END,
           CASE WHEN r.typtype = 'p' THEN '' ELSE pg_catalog.format_type(o.oprright, -1) END
    FROM pg_catalog.pg_constraint k
    CROSS JOIN LATERAL ROWS FROM (unnest(k.conkey), unnest(k.confkey), unnest(k.conpfeqop)) AS pair (own, target, equal)
    JOIN pg_catalog.pg_attribute f ON f.attrelid = k.conrelid AND f.attnum = pair.own
    JOIN pg_catalog.pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = pair.target
    JOIN pg_catalog.pg_operator o ON o.oid = pair.equal
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    JOIN pg_catalog.pg_type l ON l.oid = o.oprleft JOIN pg_catalog.pg_type r ON r.oid = o.oprright
    WHERE k.contype = 'f' AND k.conrelid = %s AND k.confrelid = %s ORDER BY k.oid"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `collation` is its schema and name, empty for a type that has none."""

    name: str
    type: ColumnType
    generated: bool
    collation: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database with its columns in order."""

    name: TableName
    oid: int
    partitioned: bool
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column `name`; MappingFileError when the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        message = f"{self.name} has no column {name}"
        raise MappingFileError(message)

    def rows(self, alias: str) -> sql.Composed:
        """The FROM item: of a partitioned table with every partition, else without the tables that inherit from it."""
        name = sql.Identifier(self.name.schema, self.name.name)
        only = sql.SQL("" if self.partitioned else "ONLY ")
        return sql.SQL("{}{} AS {}").format(only, name, sql.Identifier(alias))


@dataclass(frozen=True, slots=True)
class _EqualPair:
    """How Postgres itself compares a referenced column (left) with a foreign key's column (right)."""

    schema: str
    operator: str
    left_type: str
    right_type: str


def row_handle(alias: str) -> sql.Composed:
    """Where the row lies: unique inside one snapshot, whatever its key is."""
    return sql.SQL("{0}.tableoid::pg_catalog.int8 || ':' || {0}.ctid").format(sql.Identifier(alias))


def column_of(alias: str, column: str) -> sql.Identifier:
    """`alias.column`, quoted."""
    return sql.Identifier(alias, column)


class Snapshot:
    """One REPEATABLE READ transaction: everything that it reads is of one moment."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._types = {
            int(oid): (name, kind, int(base), int(modifier), int(element), delimiter)
            for oid, name, kind, base, modifier, element, delimiter in self._texts(_TYPES)
        }
        self._tables: dict[TableName, Table] = {}
        self._foreign_keys: dict[tuple[int, int], list[dict[tuple[str, str], _EqualPair]]] = {}

    @classmethod
    @contextmanager
    def of(cls, connection: psycopg.Connection) -> Iterator[Self]:
        """The database as it is now, the settings that shape texts pinned. The connection must be idle."""
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            connection.execute(_SET, [part for setting in _SETTINGS.items() for part in setting])
            connection.execute(_SEARCH_PATH)
            yield cls(connection)

    def table(self, name: TableName) -> Table:
        """The table `name` of the catalogue; MappingFileError when it is not there or has no rows of its own."""
        if name not in self._tables:
            self._tables[name] = self._find(name)
        return self._tables[name]

    def rows(self, query: sql.Composed) -> Iterator[Row]:
        """The rows of a query, each value as the type's output function writes it, None for NULL."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            result = cursor.pgresult
            if result is None:
                return
            columns = range(result.nfields)
            for number in range(result.ntuples):
                values = (result.get_value(number, column) for column in columns)
                yield tuple(None if value is None else str(value, "utf-8") for value in values)

    def matches(self, own: Table, alias: str, reference: Reference, target_alias: str) -> sql.Composed:
        """When a row of `own` refers to a row of the target: by the foreign key's own operators where there is one."""
        target = self.table(reference.target)
        equal = self._equality(own, target, reference)
        conditions: list[sql.Composable] = []
        for name, target_name in zip(reference.columns, reference.target_columns, strict=True):
            column, target_column = own.column(name), target.column(target_name)
            left: sql.Composable = column_of(target_alias, target_name)
            right: sql.Composable = column_of(alias, name)
            operator: sql.Composable = sql.SQL("=")
            if (pair := equal.get((name, target_name))) is not None:
                left, right = _cast(left, pair.left_type), _cast(right, pair.right_type)
                operator = sql.SQL("OPERATOR({}.{})").format(sql.Identifier(pair.schema), sql.SQL(pair.operator))
            if all((*column.collation, *target_column.collation)) and column.collation != target_column.collation:
                right = sql.SQL("{} COLLATE {}").format(right, sql.Identifier(*target_column.collation))
            conditions.append(sql.SQL("{} {} {}").format(left, operator, right))
        return sql.SQL(" AND ").join(conditions)

    def declares(self, own: Table, target: Table, reference: Reference) -> bool:
        """Whether a foreign key says what `reference` says."""
        return bool(self._equality(own, target, reference))

    def _texts(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[str, ...]]:
        rows = self._connection.execute(query, parameters).fetchall()
        return [tuple(str(value) for value in row) for row in rows]

    def _find(self, name: TableName) -> Table:
        found = self._texts(_TABLE, (name.schema, name.name))
        if not found or found[0][1] not in ("r", "p"):
            message = f"{name} is no table"
            raise MappingFileError(message)
        oid, kind = int(found[0][0]), found[0][1]
        columns = tuple(
            Column(column, self._type(int(type_oid), int(modifier)), generated == "True", (schema, collation))
            for column, type_oid, modifier, generated, schema, collation in self._texts(_COLUMNS, (oid,))
        )
        return Table(name, oid, kind == "p", columns)

    def _type(self, oid: int, modifier: int) -> ColumnType:
        """The type `oid`, its domains taken off: the outermost modifier that is set holds."""
        name, kind, base, own_modifier, element, delimiter = self._types[oid]
        if kind == "d":
            return self._type(base, own_modifier if modifier == -1 else modifier)
        inner = self._type(element, modifier) if element else None
        return ColumnType(name, kind, modifier, inner, delimiter)

    def _equality(self, own: Table, target: Table, reference: Reference) -> dict[tuple[str, str], _EqualPair]:
        """The operators of the foreign key over exactly these pairs of columns; empty when none is declared."""
        wanted = set(zip(reference.columns, reference.target_columns, strict=True))
        return next((pairs for pairs in self._constraints(own, target) if pairs.keys() == wanted), {})

    def _constraints(self, own: Table, target: Table) -> list[dict[tuple[str, str], _EqualPair]]:
        """The foreign keys from `own` to `target`."""
        if (own.oid, target.oid) not in self._foreign_keys:
            found: dict[str, dict[tuple[str, str], _EqualPair]] = {}
            for constraint, column, target_column, *pair in self._texts(_FOREIGN_KEYS, (own.oid, target.oid)):
                found.setdefault(constraint, {})[column, target_column] = _EqualPair(*pair)
            self._foreign_keys[own.oid, target.oid] = list(found.values())
        return self._foreign_keys[own.oid, target.oid]


def _cast(value: sql.Composable, type_name: str) -> sql.Composable:
    """`value` as the operator wants it; a polymorphic operator (no type name) takes it as it is."""
    return sql.SQL("({})::{}").format(value, sql.SQL(type_name)) if type_name else value
