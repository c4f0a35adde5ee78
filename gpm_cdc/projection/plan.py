"""A mapping joined with the catalogue it was written for: for each table, which field of a row goes where.

A row in *field order* is what every other part of the projection works on: key columns first, then the other
properties, then hidden fields (columns that are read but do not become properties, such as a foreign key that is not
kept), then the join forms of columns that references are matched by, of which a node keeps those of its properties.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from gpm_cdc.domain.catalogue import Catalogue, Table, TableName
from gpm_cdc.domain.changes import UNCHANGED, Field, Unchanged
from gpm_cdc.domain.joins import JoinForm, join_type
from gpm_cdc.domain.types import ValueType, Wire, value_type
from gpm_cdc.errors.stream import ValueNotRead
from gpm_cdc.mapping.columns import property_columns
from gpm_cdc.mapping.equality import Join, Reference, pairs_of
from gpm_cdc.mapping.model import (
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    RelationshipTable,
    Selector,
)

type FieldRow = tuple[Field, ...]
"""Postgres text in field order."""

type RowKey = tuple[str, ...]
"""A row's key as Postgres prints it, in the order of the plan's key columns."""

type WireRow = list[Wire | Literal[Unchanged.UNCHANGED] | None]
"""Graph values in field order, NULL as None; a value that the stream left out stays UNCHANGED."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One column that is read. `name` is its property, None when it is hidden.

    `form` is set where the field is not the column's value but its join form.
    """

    column: str
    name: str | None
    type: ValueType
    form: JoinForm | None = None

    @property
    def property_name(self) -> str:
        """The property of a field that is not hidden."""
        return self.name or self.column


@dataclass(frozen=True, eq=False)
class PlannedTable:
    """What both kinds of table share: fields, key, discriminator. Compared by identity: one per table and plan."""

    table: TableName
    oid: int
    fields: tuple[FieldPlan, ...]
    key_size: int
    selector: Selector | None
    shape: tuple[tuple[str, int, int], ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns to read, in field order."""
        return tuple(planned.column for planned in self.fields)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The properties that hold the key: of a node, or of a relationship that is not found by its ends."""
        return tuple(planned.property_name for planned in self.fields[: self.key_size])

    @cached_property
    def selector_index(self) -> int | None:
        """Where the discriminator stands in a row."""
        return None if self.selector is None else self.columns.index(self.selector.column)

    @cached_property
    def _decoders(self) -> tuple[Callable[[str], Wire], ...]:
        return tuple(planned.type.decode for planned in self.fields)

    @cached_property
    def _conversions(self) -> tuple[Callable[[str], Wire] | None, ...]:
        """The decoders, None where the text is the value: a call saved for every such value of every row."""
        return tuple(None if decode is str else decode for decode in self._decoders)

    def place(self, column: str, form: JoinForm | None) -> int:
        """The place of `column` in a row, or of its join form."""
        return next(
            place for place, planned in enumerate(self.fields) if (planned.column, planned.form) == (column, form)
        )

    def project(self, row: FieldRow) -> WireRow:
        """The graph values of `row`: decoded, NULL as None; a left-out value stays UNCHANGED in its place."""
        try:
            if UNCHANGED in row:
                return [
                    value if value is None or value is UNCHANGED else decode(value)  # type: ignore[arg-type]
                    for decode, value in zip(self._decoders, row, strict=True)
                ]
            return [
                value if decode is None or value is None else decode(value)  # type: ignore[arg-type]
                for decode, value in zip(self._conversions, row, strict=True)
            ]
        except ValueError:
            # Not chained: the cause quotes the value.
            raise ValueNotRead(table=str(self.table), columns=", ".join(self.columns)) from None

    def project_places(self, places: Sequence[int], row: FieldRow) -> list[Wire]:
        """The graph values of a row that holds only the fields at `places`, none of them NULL or left out."""
        decoders = self._decoders
        return [decoders[place](value) for place, value in zip(places, row, strict=True)]  # type: ignore[arg-type]

    def project_key(self, key: FieldRow) -> list[Wire]:
        """The graph values of a key, given as the first `key_size` fields of a row."""
        return [decode(value) for decode, value in zip(self._decoders, key, strict=False)]  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class NodePlan(PlannedTable):
    """A node table. `edges` are its own foreign keys, in the mapping's order."""

    label: str
    extra_labels: tuple[str, ...]
    edges: tuple["EdgePlan", ...] = field(default=())
    indexed: tuple[tuple[int, ...], ...] = field(default=())
    """Places, other than the key's, that an index holds: referenced by others, or a loose reference themselves."""


@dataclass(frozen=True, eq=False)
class EndPlan:
    """A node found from columns of another row: `fields[i]` of that row equals property `names[i]` of a `target` node.

    `by_key` says that the properties are the target's key, which a rename changes and a uniqueness constraint indexes.
    """

    target: NodePlan
    names: tuple[str, ...]
    target_fields: tuple[int, ...]
    fields: tuple[int, ...]
    by_key: bool

    @property
    def pairs(self) -> tuple[tuple[str, int], ...]:
        """Each of `names` with the one of `fields` that it equals."""
        return tuple(zip(self.names, self.fields, strict=True))


@dataclass(frozen=True, eq=False)
class EdgePlan:
    """A foreign key of a node table as a relationship. `outgoing` from the row's node, else towards it.

    `kept` says that the foreign key's columns are properties of the node, so that a change of them can be seen there.
    """

    source: NodePlan
    type: str
    end: EndPlan
    outgoing: bool
    enforced: bool
    kept: bool


@dataclass(frozen=True, eq=False)
class RelationshipPlan(PlannedTable):
    """A relationship table. `types` are all types that a row may become; `by_ends`: its key is its two ends."""

    types: tuple[str, ...]
    start: EndPlan
    end: EndPlan
    by_ends: bool


@dataclass(frozen=True, eq=False)
class GraphPlan:
    """All planned tables."""

    nodes: tuple[NodePlan, ...]
    relationships: tuple[RelationshipPlan, ...]

    @cached_property
    def tables(self) -> Mapping[TableName, NodePlan | RelationshipPlan]:
        """Every planned table by name: nodes first."""
        nodes: dict[TableName, NodePlan | RelationshipPlan] = {planned.table: planned for planned in self.nodes}
        return nodes | {planned.table: planned for planned in self.relationships}

    @cached_property
    def by_oid(self) -> Mapping[int, NodePlan | RelationshipPlan]:
        """Every planned table by the oid that the stream names."""
        return {planned.oid: planned for planned in self.tables.values()}

    @cached_property
    def incoming(self) -> Mapping[NodePlan, tuple[EdgePlan, ...]]:
        """For each node table, the foreign keys of any table that refer to it."""
        edges = [edge for node in self.nodes for edge in node.edges]
        return {node: tuple(edge for edge in edges if edge.end.target is node) for node in self.nodes}

    def without(self, tables: Collection[TableName]) -> "GraphPlan":
        """The plan but for `tables`. Foreign keys of the others may still end at one of them."""
        return GraphPlan(
            tuple(node for node in self.nodes if node.table not in tables),
            tuple(each for each in self.relationships if each.table not in tables),
        )


def plan(mapping: GraphMapping, catalogue: Catalogue) -> GraphPlan:
    """Join a validated `mapping` with its `catalogue`.

    The mapping must have passed `mapping.validation.require_valid`; a missing table or column is a KeyError here.
    Raises UnsupportedType for a column whose type has no graph value.
    """
    nodes: dict[TableName, NodePlan] = {}
    planning = _Planning(mapping, catalogue, nodes)
    for declared in mapping.nodes:
        nodes[declared.table] = planning.node(declared)
    for declared in mapping.nodes:
        source = nodes[declared.table]
        edges = tuple(planning.edge(source, declared, relationship) for relationship in declared.relationships)
        object.__setattr__(source, "edges", edges)
    relationships = tuple(map(planning.relationship, mapping.relationships))
    for node, places in _indexed(tuple(nodes.values()), relationships).items():
        object.__setattr__(node, "indexed", tuple(places))
    return GraphPlan(tuple(nodes.values()), relationships)


def _indexed(
    nodes: Sequence[NodePlan], relationships: Sequence[RelationshipPlan]
) -> Mapping[NodePlan, Mapping[tuple[int, ...], None]]:
    indexed: dict[NodePlan, dict[tuple[int, ...], None]] = {node: {} for node in nodes}
    ends = [edge.end for node in nodes for edge in node.edges]
    ends += [end for table in relationships for end in (table.start, table.end)]
    for end in ends:
        if not end.by_key:
            indexed[end.target][end.target_fields] = None
    for node in nodes:
        for edge in node.edges:
            if not edge.enforced:
                indexed[node][edge.end.fields] = None
    return indexed


def _fields(
    declared: NodeTable | RelationshipTable, table: Table, key: Sequence[str], hidden: Iterable[str]
) -> tuple[FieldPlan, ...]:
    properties = {column.name for column in property_columns(declared, table)}
    wanted = [*key, *(column.name for column in table.columns if column.name in properties), *hidden]
    planned = []
    for name in dict.fromkeys(wanted):
        column = next(column for column in table.columns if column.name == name)
        kind = value_type(column.type, declared.properties.types.get(name))
        planned.append(FieldPlan(name, declared.properties.name_of(name) if name in properties else None, kind))
    return tuple(planned)


def _shape(table: Table) -> tuple[tuple[str, int, int], ...]:
    return tuple(
        (column.name, column.type.oid, column.type.modifier) for column in table.columns if column.generated == ""
    )


class _Planning:
    """What the plan of a table needs to know of the others."""

    def __init__(self, mapping: GraphMapping, catalogue: Catalogue, nodes: Mapping[TableName, NodePlan]) -> None:
        self._mapping = mapping
        self._catalogue = catalogue
        self._nodes = nodes
        self._forms: dict[TableName, dict[tuple[str, JoinForm], None]] = {}
        every: tuple[NodeTable | RelationshipTable, ...] = (*mapping.nodes, *mapping.relationships)
        for declared in every:
            for reference in _references(declared):
                for column, target_column, join in self._pairs(declared, reference):
                    self._need(declared.table, column, join.own)
                    self._need(reference.target, target_column, join.target)

    def _need(self, table: TableName, column: str, form: JoinForm | None) -> None:
        forms = self._forms.setdefault(table, {})
        if form is not None:
            forms[column, form] = None

    def _pairs(self, declared: NodeTable | RelationshipTable, reference: Reference) -> Iterator[tuple[str, str, Join]]:
        for pair in pairs_of(declared, reference, self._mapping, self._catalogue):
            if pair.join is None:
                raise KeyError(pair.column.name)
            yield pair.column.name, pair.target.name, pair.join

    def _join_fields(self, table: TableName, fields: Sequence[FieldPlan]) -> Iterator[FieldPlan]:
        """The join forms that `table` is matched by; properties where `fields`, its columns, are.

        Their names differ from one another as those of the columns do: no form's name is the beginning of another's.
        """
        names = {planned.column: planned.name for planned in fields}
        taken = {planned.name for planned in fields}
        for column, form in self._forms.get(table, ()):
            base = names[column]
            name = None if base is None else f"_{form}_{base}"
            while name is not None and name in taken:
                name = f"_{name}"
            yield FieldPlan(column, name, join_type(form, self._catalogue.lowercase), form)

    def node(self, declared: NodeTable) -> NodePlan:
        table = self._catalogue.tables[declared.table]
        hidden = [column for relationship in declared.relationships for column in relationship.columns]
        if declared.labels_from is not None:
            hidden.append(declared.labels_from.column)
        fields = _fields(declared, table, declared.key, hidden)
        return NodePlan(
            table=declared.table,
            oid=table.oid,
            fields=(*fields, *self._join_fields(declared.table, fields)),
            key_size=len(declared.key),
            selector=declared.labels_from,
            shape=_shape(table),
            label=declared.label,
            extra_labels=declared.extra_labels,
        )

    def edge(self, source: NodePlan, declared: NodeTable, relationship: ForeignKeyRelationship) -> EdgePlan:
        end = self._end(source, declared, relationship)
        return EdgePlan(
            source=source,
            type=relationship.type,
            end=end,
            outgoing=relationship.direction == "out",
            enforced=relationship.enforced,
            kept=all(source.fields[index].name is not None for index in end.fields),
        )

    def _end(self, planned: PlannedTable, declared: NodeTable | RelationshipTable, reference: Reference) -> EndPlan:
        target = self._nodes[reference.target]
        pairs = {
            target.place(target_column, join.target): planned.place(column, join.own)
            for column, target_column, join in self._pairs(declared, reference)
        }
        key = range(target.key_size)
        by_key = set(pairs) == set(key)
        ordered = tuple(key) if by_key else tuple(pairs)
        return EndPlan(
            target=target,
            names=tuple(target.fields[place].property_name for place in ordered),
            target_fields=ordered,
            fields=tuple(pairs[place] for place in ordered),
            by_key=by_key,
        )

    def relationship(self, declared: RelationshipTable) -> RelationshipPlan:
        table = self._catalogue.tables[declared.table]
        hidden = [*declared.start.columns, *declared.end.columns]
        if declared.type_from is not None:
            hidden.append(declared.type_from.column)
        fields = _fields(declared, table, declared.key, hidden)
        size = len(declared.key)
        key, rest = fields[:size], fields[size:]
        forms = [replace(planned, name=None) for planned in self._join_fields(declared.table, fields)]
        if declared.keyed_by_endpoints:
            key = self._end_key(declared, (*key, *forms))
        else:
            rest = (*rest, *forms)
        base = PlannedTable(
            table=declared.table,
            oid=table.oid,
            fields=(*key, *rest),
            key_size=len(key),
            selector=declared.type_from,
            shape=_shape(table),
        )
        return RelationshipPlan(
            table=base.table,
            oid=base.oid,
            fields=base.fields,
            key_size=base.key_size,
            selector=base.selector,
            shape=base.shape,
            types=declared.types,
            start=self._end(base, declared, declared.start),
            end=self._end(base, declared, declared.end),
            by_ends=declared.keyed_by_endpoints,
        )

    def _end_key(self, declared: RelationshipTable, fields: Sequence[FieldPlan]) -> tuple[FieldPlan, ...]:
        """Those of `fields` by which the ends are found: of a row that is found by them all that a DELETE tells."""
        used = {
            (column, join.own)
            for reference in (declared.start, declared.end)
            for column, _, join in self._pairs(declared, reference)
        }
        found = [planned for planned in fields if (planned.column, planned.form) in used]
        return tuple(sorted(found, key=lambda planned: declared.key.index(planned.column)))


def _references(declared: NodeTable | RelationshipTable) -> tuple[Reference, ...]:
    if isinstance(declared, NodeTable):
        return declared.relationships
    return declared.start, declared.end
