"""The graph that should exist: every row of every mapped table taken through the rules, one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from tests.oracle.graph import Claim, Graph, Node, Relationship
from tests.oracle.joins import Shared, shared_of
from tests.oracle.mapping_file import (
    ByColumn,
    Columns,
    ForeignKey,
    MappingFile,
    MappingFileError,
    NodeTable,
    RelationshipTable,
    read_mapping,
)
from tests.oracle.scalar import graph_value
from tests.oracle.tables import Column, Row, Snapshot, Table, column_of, row_handle
from tests.oracle.value import Properties


def expected_graph(dsn: str, mapping: Path | str) -> Graph:
    """The graph that the tables under `dsn` give, read in one snapshot; `mapping` is the file, or its text.

    Raises MappingFileError when file and tables do not fit together.
    """
    with Tables.of(dsn) as tables:
        return tables.graph(mapping)


class Tables:
    """The tables under a DSN for whoever asks often: a new connection costs more than a reading."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def of(cls, dsn: str) -> Iterator[Self]:
        """Open the connection, and close it on leaving."""
        # Prepared, a text would fail once its tables had been made anew with other columns.
        with psycopg.connect(dsn, prepare_threshold=None) as connection:
            yield cls(connection)

    def graph(self, mapping: Path | str) -> Graph:
        """As `expected_graph`."""
        described = read_mapping(mapping)
        with Snapshot.of(self._connection) as snapshot:
            return _Projection(snapshot, described).graph()


class _Projection:
    """The rules applied to one snapshot."""

    def __init__(self, snapshot: Snapshot, mapping: MappingFile) -> None:
        self._snapshot = snapshot
        self._mapping = mapping

    def graph(self) -> Graph:
        """Nodes table by table, relationships after them."""
        claim = self._claim()
        nodes = [node for table in self._mapping.nodes for node in self._nodes(table)]
        relationships = [
            relationship
            for node in self._mapping.nodes
            for foreign_key in node.foreign_keys
            for relationship in self._foreign_key_relationships(node, foreign_key)
        ]
        for table in self._mapping.relationships:
            relationships.extend(self._table_relationships(table))
        return Graph(tuple(nodes), tuple(relationships), claim)

    def _nodes(self, node: NodeTable) -> Iterator[Node]:
        table = self._snapshot.table(node.table)
        columns = _node_columns(node, table)
        discriminator = node.labels_from
        fixed = frozenset((node.label, *node.extra_labels))
        shared = self._shared(node, columns)
        for handle, chosen, *texts in self._snapshot.rows(_select(table, discriminator, columns, shared)):
            labels = fixed
            if discriminator is not None and chosen is not None and chosen in discriminator.values:
                labels = fixed | {discriminator.values[chosen]}
            properties = _properties(columns, node.columns, tuple(texts[: len(columns)]))
            forms = zip(shared, texts[len(columns) :], strict=True)
            properties |= {form.property_of(node.columns): form.value(text) for form, text in forms if text is not None}
            yield Node(str(handle), labels, properties, node.label)

    def _shared(self, node: NodeTable, columns: tuple[Column, ...]) -> tuple[Shared, ...]:
        """What nodes bear for references, of columns that are properties."""
        shared = shared_of(node, self._mapping, self._snapshot)
        return tuple(form for form in shared if form.column in columns)

    def _foreign_key_relationships(self, node: NodeTable, foreign_key: ForeignKey) -> Iterator[Relationship]:
        own = self._snapshot.table(node.table)
        target = self._snapshot.table(foreign_key.reference.target)
        query = sql.SQL("SELECT {}, {} FROM {} JOIN {} ON {}").format(
            row_handle("own"),
            row_handle("target"),
            own.rows("own"),
            target.rows("target"),
            self._snapshot.matches(own, "own", foreign_key.reference, "target"),
        )
        for row, referenced in self._snapshot.rows(query):
            ends = (str(row), str(referenced)) if foreign_key.direction == "out" else (str(referenced), str(row))
            yield Relationship(ends[0], foreign_key.type, ends[1], {})

    def _table_relationships(self, relationship: RelationshipTable) -> Iterator[Relationship]:
        table = self._snapshot.table(relationship.table)
        columns = _relationship_columns(relationship, table)
        chooser = relationship.type if isinstance(relationship.type, ByColumn) else None
        query = sql.SQL("{}, {}, {} FROM {} JOIN {} ON {} JOIN {} ON {}").format(
            _selected(chooser, columns),
            row_handle("start"),
            row_handle("end"),
            table.rows("own"),
            self._snapshot.table(relationship.start.target).rows("start"),
            self._snapshot.matches(table, "own", relationship.start, "start"),
            self._snapshot.table(relationship.end.target).rows("end"),
            self._snapshot.matches(table, "own", relationship.end, "end"),
        )
        for _, chosen, *texts, start, end in self._snapshot.rows(query):
            properties = _properties(columns, relationship.columns, tuple(texts))
            yield Relationship(str(start), _type_of(relationship, chosen), str(end), properties)

    def _claim(self) -> Claim:
        """What the mapping names; MappingFileError when it names a label twice."""
        keys: dict[str, tuple[str, ...]] = {}
        node_properties: dict[str, frozenset[str]] = {}
        labels: set[str] = set()
        related: dict[tuple[str, str, str], frozenset[str]] = {}
        for node in self._mapping.nodes:
            if node.label in keys:
                message = f"the label {node.label} belongs to two tables"
                raise MappingFileError(message)
            keys[node.label] = node.key_properties
            columns = _node_columns(node, self._snapshot.table(node.table))
            own = {node.columns.property_of(column.name) for column in columns}
            own |= {form.property_of(node.columns) for form in self._shared(node, columns)}
            node_properties[node.label] = frozenset(own)
            labels |= {node.label, *node.extra_labels, *(node.labels_from.values.values() if node.labels_from else ())}
            for foreign_key in node.foreign_keys:
                target = self._mapping.node(foreign_key.reference.target).label
                ends = (node.label, target) if foreign_key.direction == "out" else (target, node.label)
                _claim_type(related, (foreign_key.type, *ends), frozenset())
        for table in self._mapping.relationships:
            start, end = (self._mapping.node(part.target).label for part in (table.start, table.end))
            columns = _relationship_columns(table, self._snapshot.table(table.table))
            names = frozenset(table.columns.property_of(column.name) for column in columns)
            for name in table.type.values.values() if isinstance(table.type, ByColumn) else (table.type,):
                _claim_type(related, (name, start, end), names)
        return Claim(keys, frozenset(labels), node_properties, related)


def _claim_type(
    related: dict[tuple[str, str, str], frozenset[str]], key: tuple[str, str, str], names: frozenset[str]
) -> None:
    related[key] = related.get(key, frozenset()) | names


def _type_of(relationship: RelationshipTable, chosen: str | None) -> str:
    if not isinstance(relationship.type, ByColumn):
        return relationship.type
    if chosen is None or chosen not in relationship.type.values:
        message = f"{relationship.type.column} of {relationship.table} holds a value without a type: {chosen}"
        raise MappingFileError(message)
    return relationship.type.values[chosen]


def _node_columns(node: NodeTable, table: Table) -> tuple[Column, ...]:
    """The columns that become properties of a node: its key in any case, foreign keys unless they are dropped."""
    referring = {name for foreign_key in node.foreign_keys for name in foreign_key.reference.columns}
    _require(table, node.columns, {*node.key, *referring})

    def selected(column: Column) -> bool:
        if column.name in node.key:
            return True
        if column.name in referring and not node.keep_foreign_keys:
            return False
        return _selects(node.columns, column)

    return tuple(column for column in table.columns if selected(column))


def _relationship_columns(relationship: RelationshipTable, table: Table) -> tuple[Column, ...]:
    """The columns that become properties of a relationship: those of its ends only if they are part of a longer key."""
    ends = {*relationship.start.columns, *relationship.end.columns}
    _require(table, relationship.columns, {*relationship.key, *ends})
    if set(relationship.key) != ends:
        ends -= set(relationship.key)
    return tuple(
        column
        for column in table.columns
        if column.name not in ends and (column.name in relationship.key or _selects(relationship.columns, column))
    )


def _selects(columns: Columns, column: Column) -> bool:
    """Whether include and exclude let a column through; a generated one only when it is named."""
    if columns.include is not None:
        return column.name in columns.include
    return column.name not in columns.exclude and not column.generated


def _require(table: Table, columns: Columns, further: set[str]) -> None:
    """MappingFileError when the mapping names a column that the table does not have."""
    for name in {*(columns.include or ()), *columns.exclude, *columns.rename, *columns.types, *further}:
        table.column(name)


def _selected(chooser: ByColumn | None, columns: tuple[Column, ...]) -> sql.Composed:
    """SELECT the row's handle, the discriminator (NULL when there is none) and the columns."""
    wanted: list[sql.Composable] = [row_handle("own")]
    wanted.append(sql.NULL if chooser is None else column_of("own", chooser.column))
    wanted.extend(column_of("own", column.name) for column in columns)
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(wanted))


def _select(
    table: Table, chooser: ByColumn | None, columns: tuple[Column, ...], shared: tuple[Shared, ...]
) -> sql.Composed:
    forms = sql.SQL("").join(sql.SQL(", {}").format(form.selected("own")) for form in shared)
    return sql.SQL("{}{} FROM {}").format(_selected(chooser, columns), forms, table.rows("own"))


def _properties(columns: tuple[Column, ...], described: Columns, texts: Row) -> Properties:
    """NULL gives no property."""
    return {
        described.property_of(column.name): graph_value(text, column.type, described.types.get(column.name))
        for column, text in zip(columns, texts, strict=True)
        if text is not None
    }
