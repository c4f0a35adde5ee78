"""One kind of element, compared as a whole: the nodes of a table, the relationships of a foreign key or of a table.

Both sides are brought into one form: a flat list of graph values that begins with the key of the row. From the rows it
is made by projection, from the graph by the texts of `cypher.reading`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, cast, override

from gpm_cdc.cypher.reading import Reading, edge_reading, further_labels, node_reading, relationship_reading
from gpm_cdc.domain.canonical import canonical, with_one_nan
from gpm_cdc.domain.digests import ElementKind, element_hashes, seed_of
from gpm_cdc.domain.types import ValueType, Wire
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.errors.stream import ValueNotRead
from gpm_cdc.ports.verification import ElementRecord
from gpm_cdc.projection.batch import choice_of
from gpm_cdc.projection.plan import (
    EdgePlan,
    EndPlan,
    FieldRow,
    GraphPlan,
    NodePlan,
    PlannedTable,
    RelationshipPlan,
    RowKey,
)
from gpm_cdc.verification.directory import Directory, held_key
from gpm_cdc.verification.touched import Key

type Identity = bytes
"""The canonical form of a row's key."""

type Values = list[GraphValue]

type Columns = Sequence[Sequence[str | None]]
"""A block of rows, turned: every field of them in field order, then for each joined end `t` or `f`."""

LABELS = "labels"
TYPE = "type"


class Element(NamedTuple):
    """One element in flat form.

    `key` are the parameters by which the graph finds it, and `text` is the row's key; None for one read from there.
    """

    identity: Identity
    values: Values
    key: list[Wire] | None
    element_id: str | None = None
    foreign: tuple[str, ...] = ()
    text: RowKey | None = None


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
    def _seed(self) -> int:
        return seed_of(self.element, self.name)

    def hash(self, values: Values, foreign: Sequence[str] = ()) -> int:
        """The hash of an element, to be added to a Digest."""
        told: Values = [*values, list(foreign)] if self.foreign else values
        return element_hashes(self._seed, [with_one_nan(told)])[0]

    def hashes_expected(self, columns: Columns, directories: Sequence[Directory]) -> list[int]:
        """The hashes of the elements that whole rows make, in no order."""
        rows = zip(*(columns[place] for place in self.places), *columns[len(self.source.fields) :], strict=True)
        elements = (self.expected(row, directories) for row in rows)
        return self._hashes([element.values for element in elements if element is not None])

    def hashes_found(self, records: Sequence[ElementRecord]) -> list[int]:
        """The hash of each record, which has no element id."""
        return self._hashes(records, told=True)

    def _hashes(self, flat: Iterable[Sequence[GraphValue]], *, told: bool = False) -> list[int]:
        if self.foreign and not told:
            flat = [[*values, []] for values in flat]
        return element_hashes(self._seed, flat)

    def identities(self, columns: Columns) -> Iterator[Identity]:
        """The identity of each row's element, whether the row makes one or not."""
        key = self._columns(columns, range(self.key_size))
        return map(canonical, map(list, zip(*key, strict=True)))

    def key_of(self, text: RowKey) -> Key:
        """The key that the element of a row has in the graph; ValueNotRead for what is no key of the table."""
        try:
            parameters = self.source.project_key(text)
        except ValueError:
            raise ValueNotRead(table=str(self.source.table), columns=", ".join(self.source.columns)) from None
        return Key(held_key(self.source, stored(self.source, range(self.key_size), parameters)), parameters, text)

    def end_identities(
        self, columns: Columns, directories: Sequence[Directory]
    ) -> tuple[NodePlan, Iterator[Identity]] | None:
        """The node at which each row's element ends, should the row make one; None: not to be had so simply."""
        del columns, directories
        return None

    def _columns(self, columns: Columns, places: Sequence[int]) -> list[Sequence[GraphValue]]:
        """What reading back gives for the fields at `places`, for all rows at once."""
        fields = self.source.fields
        try:
            return [_stored_column(fields[place].type, columns[place]) for place in places]
        except ValueError:
            # Not chained: the cause quotes the value.
            raise ValueNotRead(table=str(self.source.table), columns=", ".join(self.source.columns)) from None

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


def _stored_column(kind: ValueType, column: Sequence[str | None]) -> Sequence[GraphValue]:
    if kind.decode is str:
        return column
    read = kind.read
    if None in column:
        return [None if text is None else read(text) for text in column]
    return list(map(read, column))  # type: ignore[arg-type]


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
        row = row[: len(plan.fields)]
        wires = _wires(plan, row)
        values = stored(plan, self._properties, [wires[place] for place in self._properties])
        if self._others:
            choice = choice_of(plan, row)
            borne = {*plan.extra_labels, choice}
            values.append([name for name in self._others if name in borne])
        size = plan.key_size
        return Element(canonical(values[:size]), values, wires[:size], text=row[:size])  # type: ignore[arg-type]

    @override
    def hashes_expected(self, columns: Columns, directories: Sequence[Directory]) -> list[int]:
        if self._others:
            return super().hashes_expected(columns, directories)
        values = self._columns(columns, self._properties)
        return self._hashes(zip(*values, strict=True))

    @override
    def hashes_found(self, records: Sequence[ElementRecord]) -> list[int]:
        self._name_labels(records, len(self.names) - 1)
        return super().hashes_found(records)

    @override
    def found(self, records: Sequence[ElementRecord]) -> Iterator[Element]:
        self._name_labels(records, len(self.names))
        return super().found(records)

    def _name_labels(self, records: Sequence[ElementRecord], place: int) -> None:
        if self._others:
            for record in records:
                record[place] = [name for name, borne in zip(self._others, record[place], strict=True) if borne]


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
        row, joined = row[: len(self.places)], row[len(self.places) :]
        if None in row[size:]:
            return None
        wires = self.source.project_places(self.places, row)
        values = stored(self.source, self.places, wires)
        target = directories[0].resolve(values[size:], joined)
        if target is None:
            return None
        key = values[:size]
        return Element(canonical(key), [*key, *target], wires[:size], text=row[:size])  # type: ignore[arg-type]

    @override
    def hashes_expected(self, columns: Columns, directories: Sequence[Directory]) -> list[int]:
        joined = directories[0].joined
        if joined is None:
            return super().hashes_expected(columns, directories)
        chosen = [columns[place] for place in self.places]
        there = columns[len(self.source.fields) + joined]
        if "f" in there:
            rows = [row for row, flag in zip(zip(*chosen, strict=True), there, strict=True) if flag == "t"]
            chosen = list(zip(*rows, strict=True))
        if not chosen:
            return []
        types = [self.source.fields[place].type for place in self.places]
        values = [_stored_column(kind, column) for kind, column in zip(types, chosen, strict=True)]
        return self._hashes(zip(*values, strict=True))

    @override
    def end_identities(
        self, columns: Columns, directories: Sequence[Directory]
    ) -> tuple[NodePlan, Iterator[Identity]] | None:
        if directories[0].joined is None:
            return None
        reference = self._columns(columns, self.places[self.key_size :])
        return self._edge.end.target, map(canonical, map(list, zip(*reference, strict=True)))


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
    def identities(self, columns: Columns) -> Iterator[Identity]:
        if not self._plan.by_ends:
            return super().identities(columns)
        keys = zip(*self._columns(columns, range(self.key_size)), strict=True)
        return (canonical(held_key(self._plan, key)) for key in keys)

    @override
    def expected(self, row: FieldRow, directories: Sequence[Directory]) -> Element | None:
        plan = self._plan
        row, joined = row[: len(plan.fields)], row[len(plan.fields) :]
        wires = _wires(plan, row)
        values = stored(plan, self.places, wires)
        ends = [
            directory.resolve([values[place] for place in end.fields], joined)
            for end, directory in zip(self.directories, directories, strict=True)
        ]
        if ends[0] is None or ends[1] is None:
            return None
        choice = choice_of(plan, row)
        size = plan.key_size
        kind = choice if isinstance(choice, str) else plan.types[0]
        key = held_key(plan, values[:size])
        flat = [*key, kind, *ends[0], *ends[1], *(values[place] for place in self._rest)]
        return Element(canonical(key), flat, wires[:size], text=row[:size])  # type: ignore[arg-type]


def facets(plan: GraphPlan, *, foreign: bool) -> Iterator[Facet]:
    """Every kind of element that `plan` owns: nodes, then relationships of foreign keys, then those of tables."""
    for node in plan.nodes:
        yield NodeFacet(node, foreign=foreign)
    for node in plan.nodes:
        for edge in node.edges:
            yield EdgeFacet(edge, foreign=foreign)
    for table in plan.relationships:
        yield RelationshipFacet(table, foreign=foreign)
