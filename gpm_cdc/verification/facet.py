"""One kind of element, compared as a whole: the nodes of a table, the relationships of a foreign key or of a table.

Both sides are brought into one form: a flat list of graph values that begins with the key of the row. From the rows it
is made by projection, from the graph by the texts of `cypher.reading`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, cast, override

from gpm_cdc.cypher.reading import Reading, edge_reading, further_labels, node_reading, relationship_reading
from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.digests import ElementKind, limbs
from gpm_cdc.domain.types import Wire
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.ports.verification import ElementRecord
from gpm_cdc.projection.batch import choice_of
from gpm_cdc.projection.plan import EdgePlan, EndPlan, FieldRow, GraphPlan, NodePlan, PlannedTable, RelationshipPlan
from gpm_cdc.verification.directory import Directory, held_as

type Identity = bytes
"""The canonical form of a row's key."""

type Values = list[GraphValue]

LABELS = "labels"
TYPE = "type"


class Element(NamedTuple):
    """One element in flat form. `key` are the parameters by which the graph finds it, None for one read from there."""

    identity: Identity
    values: Values
    key: list[Wire] | None
    element_id: str | None = None
    foreign: tuple[str, ...] = ()


class End(NamedTuple):
    """Where the flat form holds the key of a node that the element touches."""

    target: NodePlan
    start: int
    stop: int


class Facet(ABC):
    """A kind of element.

    `names` tell what stands where in the flat form, the row's key first; `columns` from which columns that is.
    """

    element: ElementKind
    name: str
    source: NodePlan | RelationshipPlan
    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    directories: tuple[EndPlan, ...] = ()
    ends: tuple[End, ...] = ()

    def __init__(self, *, foreign: bool) -> None:
        self.foreign = foreign

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """How the graph is read."""

    @property
    @abstractmethod
    def places(self) -> tuple[int, ...]:
        """The fields of a row that `expected` needs, key first."""

    @abstractmethod
    def expected(self, row: FieldRow, directories: Sequence[Directory]) -> Element | None:
        """What the graph must hold for a row of `places`; None for nothing. One directory for each of `directories`."""

    @property
    def key_size(self) -> int:
        """How many places of the flat form are the key."""
        return self.source.key_size

    @cached_property
    def _prefix(self) -> bytes:
        return canonical([self.element, self.name])

    def hash(self, values: Values) -> int:
        """The hash of an element, to be added to a Digest."""
        return limbs(self._prefix + canonical(values))

    def found(self, records: Sequence[ElementRecord]) -> Iterator[Element]:
        """Elements of the graph in flat form."""
        size, width = self.key_size, len(self.names)
        for record in records:
            values = record[1 : width + 1]
            foreign = tuple(record[-1]) if self.foreign else ()
            yield Element(canonical(values[:size]), values, None, record[0], foreign)

    def end_keys(self, values: Values) -> Iterator[tuple[NodePlan, Identity]]:
        """The key of each node that the element touches."""
        for target, start, stop in self.ends:
            yield target, canonical(values[start:stop])


def stored(table: PlannedTable, places: Sequence[int], wires: Sequence[Wire | None]) -> Values:
    """What reading back gives for parameters of the fields at `places`."""
    fields = table.fields
    return [
        None if wire is None else fields[place].type.stored(wire) for place, wire in zip(places, wires, strict=True)
    ]


def _wires(table: PlannedTable, row: FieldRow) -> list[Wire | None]:
    # A row that was copied leaves nothing out, unlike one of the stream.
    return cast("list[Wire | None]", table.project(row))


def _selecting(table: PlannedTable) -> tuple[str, ...]:
    return () if table.selector is None else (table.selector.column,)


def _end_columns(table: PlannedTable, end: EndPlan) -> list[tuple[str, ...]]:
    """For each key column of the referenced node: the columns of the row that name it."""
    columns = tuple(table.columns[place] for place in end.fields)
    return [(column,) for column in columns] if end.by_key else [columns] * end.target.key_size


class NodeFacet(Facet):
    """The nodes of a table: properties in field order, then the further labels that the mapping gives."""

    element = "node"

    def __init__(self, plan: NodePlan, *, foreign: bool) -> None:
        super().__init__(foreign=foreign)
        self.source = plan
        self._plan = plan
        self.name = plan.label
        self._properties = tuple(place for place, field in enumerate(plan.fields) if field.name is not None)
        self._others = further_labels(plan)
        names = [plan.fields[place].name or "" for place in self._properties]
        columns = [(plan.fields[place].column,) for place in self._properties]
        self.names = (*names, LABELS) if self._others else tuple(names)
        self.columns = (*columns, _selecting(plan)) if self._others else tuple(columns)

    @cached_property
    @override
    def reading(self) -> Reading:
        return node_reading(self._plan, foreign=self.foreign)

    @cached_property
    @override
    def places(self) -> tuple[int, ...]:
        return tuple(range(len(self.source.fields)))

    @override
    def expected(self, row: FieldRow, directories: Sequence[Directory]) -> Element:
        plan = self._plan
        wires = _wires(plan, row)
        values = stored(plan, self._properties, [wires[place] for place in self._properties])
        if self._others:
            choice = choice_of(plan, row)
            borne = {*plan.extra_labels, choice}
            values.append([name for name in self._others if name in borne])
        size = plan.key_size
        return Element(canonical(values[:size]), values, wires[:size])  # type: ignore[arg-type]

    @override
    def found(self, records: Sequence[ElementRecord]) -> Iterator[Element]:
        if self._others:
            place = len(self.names)
            for record in records:
                record[place] = [name for name, borne in zip(self._others, record[place], strict=True) if borne]
        return super().found(records)


class EdgeFacet(Facet):
    """The relationships of a foreign key: the key of the row's node, then the key of the referenced one."""

    element = "relationship"

    def __init__(self, edge: EdgePlan, *, foreign: bool) -> None:
        super().__init__(foreign=foreign)
        self._edge = edge
        self.source = edge.source
        self.name = edge.type
        target, size = edge.end.target, edge.source.key_size
        role = "end" if edge.outgoing else "start"
        self.names = (*edge.source.key_names, *(f"{role}.{name}" for name in target.key_names))
        self.columns = (*((column,) for column in self.source.columns[:size]), *_end_columns(self.source, edge.end))
        self.directories = (edge.end,)
        self.ends = (End(target, size, size + target.key_size),)

    @cached_property
    @override
    def reading(self) -> Reading:
        return edge_reading(self._edge, foreign=self.foreign)

    @cached_property
    @override
    def places(self) -> tuple[int, ...]:
        return (*range(self.source.key_size), *self._edge.end.fields)

    @override
    def expected(self, row: FieldRow, directories: Sequence[Directory]) -> Element | None:
        size = self.key_size
        if None in row[size:]:
            return None
        wires = self.source.project_places(self.places, row)
        values = stored(self.source, self.places, wires)
        target = directories[0].resolve(values[size:])
        if target is None:
            return None
        key = values[:size]
        return Element(canonical(key), [*key, *target], wires[:size])


class RelationshipFacet(Facet):
    """The relationships of a table: the row's key, the type, the keys of both ends, further properties."""

    element = "relationship"

    def __init__(self, plan: RelationshipPlan, *, foreign: bool) -> None:
        super().__init__(foreign=foreign)
        self.source = plan
        self._plan = plan
        self.name = "|".join(plan.types)
        size = plan.key_size
        first, second = plan.start.target, plan.end.target
        middle = size + 1 + first.key_size
        self._rest = tuple(place for place, field in enumerate(plan.fields) if place >= size and field.name is not None)
        self.names = (
            *(field.name or field.column for field in plan.fields[:size]),
            TYPE,
            *(f"start.{name}" for name in first.key_names),
            *(f"end.{name}" for name in second.key_names),
            *(plan.fields[place].name or "" for place in self._rest),
        )
        self.columns = (
            *((column,) for column in plan.columns[:size]),
            _selecting(plan),
            *_end_columns(plan, plan.start),
            *_end_columns(plan, plan.end),
            *((plan.columns[place],) for place in self._rest),
        )
        self.directories = (plan.start, plan.end)
        # What the ends hold of the row, should its key be read from them.
        self._held = {
            place: end.target.fields[target].type
            for end in self.directories
            for place, target in zip(end.fields, end.target_fields, strict=True)
        }
        self.ends = (End(first, size + 1, middle), End(second, middle, middle + second.key_size))

    @cached_property
    @override
    def reading(self) -> Reading:
        return relationship_reading(self._plan, foreign=self.foreign)

    @cached_property
    @override
    def places(self) -> tuple[int, ...]:
        return tuple(range(len(self.source.fields)))

    @override
    def expected(self, row: FieldRow, directories: Sequence[Directory]) -> Element | None:
        plan = self._plan
        wires = _wires(plan, row)
        values = stored(plan, self.places, wires)
        ends = [
            directory.resolve([values[place] for place in end.fields])
            for end, directory in zip(self.directories, directories, strict=True)
        ]
        if ends[0] is None or ends[1] is None:
            return None
        choice = choice_of(plan, row)
        size = plan.key_size
        kind = choice if isinstance(choice, str) else plan.types[0]
        key = [held_as(self._held[place], values[place]) for place in range(size)] if plan.by_ends else values[:size]
        flat = [*key, kind, *ends[0], *ends[1], *(values[place] for place in self._rest)]
        return Element(canonical(key), flat, wires[:size])  # type: ignore[arg-type]


def facets(plan: GraphPlan, *, foreign: bool) -> Iterator[Facet]:
    """Every kind of element that `plan` owns: nodes, then relationships of foreign keys, then those of tables."""
    for node in plan.nodes:
        yield NodeFacet(node, foreign=foreign)
    for node in plan.nodes:
        for edge in node.edges:
            yield EdgeFacet(edge, foreign=foreign)
    for table in plan.relationships:
        yield RelationshipFacet(table, foreign=foreign)
