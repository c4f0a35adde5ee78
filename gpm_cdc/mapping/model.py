"""The mapping: which table becomes which nodes and relationships. One validated model behind TOML, inference and ORM.

Every default is the absence of a setting, so that a later version with more settings gives an old mapping the same
hash.
"""

from collections.abc import Iterator, Mapping as Dictionary
from dataclasses import dataclass, field
from typing import Literal

from gpm_cdc.domain.catalogue import TableName

type Direction = Literal["out", "in"]


@dataclass(frozen=True, slots=True)
class Selector:
    """A discriminator column: `values` maps its Postgres text to a label (`labels_from`) or a type (`type_from`).

    A value that is not listed gives no further label, respectively an error that names the value.
    """

    column: str
    values: Dictionary[str, str]


@dataclass(frozen=True, slots=True)
class Properties:
    """Which columns become properties, under which names and types.

    `include` None means every column that is not in `exclude`; at most one of the two is set. `rename` maps columns to
    property names, `types` columns to type choices (`string`, `float`, `integer`; domain.types lists them).
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    rename: Dictionary[str, str] = field(default_factory=dict)
    types: Dictionary[str, str] = field(default_factory=dict)

    def name_of(self, column: str) -> str:
        """The property that `column` becomes."""
        return self.rename.get(column, column)

    @property
    def named(self) -> frozenset[str]:
        """Every column that is mentioned."""
        return frozenset((*(self.include or ()), *self.exclude, *self.rename, *self.types))

    def selects(self, column: str) -> bool:
        """Whether `column` becomes a property as include and exclude say (`mapping.columns` keeps keys anyway)."""
        return column in self.include if self.include is not None else column not in self.exclude


@dataclass(frozen=True, slots=True)
class ForeignKeyRelationship:
    """A foreign key of a node table as a relationship from the row's node (`out`) or towards it (`in`).

    `enforced` false is a loose reference: nothing in Postgres guarantees that the referenced row exists.
    """

    columns: tuple[str, ...]
    type: str
    target: TableName
    target_columns: tuple[str, ...]
    direction: Direction = "out"
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class NodeTable:
    """One node per row. `label` carries the uniqueness constraint on the properties of `key`."""

    table: TableName
    label: str
    key: tuple[str, ...]
    extra_labels: tuple[str, ...] = ()
    labels_from: Selector | None = None
    properties: Properties = field(default_factory=Properties)
    keep_foreign_keys: bool = True
    relationships: tuple[ForeignKeyRelationship, ...] = ()

    @property
    def references(self) -> tuple[ForeignKeyRelationship, ...]:
        """Where columns of a row name other nodes."""
        return self.relationships


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a relationship table: `columns` of the row name a node of `target` with equal `target_columns`."""

    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelationshipTable:
    """One relationship per row. Exactly one of `type` and `type_from` is set."""

    table: TableName
    key: tuple[str, ...]
    start: Endpoint
    end: Endpoint
    type: str | None = None
    type_from: Selector | None = None
    properties: Properties = field(default_factory=Properties)

    @property
    def references(self) -> tuple[Endpoint, ...]:
        """Where columns of a row name other nodes."""
        return self.start, self.end

    @property
    def types(self) -> tuple[str, ...]:
        """Every relationship type that a row may become, in a fixed order."""
        if self.type_from is None:
            return (self.type or "",)
        return tuple(sorted(set(self.type_from.values.values())))

    @property
    def keyed_by_endpoints(self) -> bool:
        """Whether the key is exactly the endpoint columns: then it is found by its ends and needs no key properties."""
        return set(self.key) == set(self.start.columns) | set(self.end.columns)


@dataclass(frozen=True, slots=True)
class GraphMapping:
    """Every mapped table; `ignore` are tables that are on purpose not in the graph."""

    nodes: tuple[NodeTable, ...] = ()
    relationships: tuple[RelationshipTable, ...] = ()
    ignore: tuple[TableName, ...] = ()

    def node(self, table: TableName) -> NodeTable | None:
        """The node table called `table`."""
        return next((node for node in self.nodes if node.table == table), None)

    def tables(self) -> Iterator[TableName]:
        """The name of every mapped table: node tables first, each in the mapping's order."""
        yield from (node.table for node in self.nodes)
        yield from (relationship.table for relationship in self.relationships)

    def columns_named(self, table: TableName) -> frozenset[str]:
        """The columns of `table` that an entry mentions, that of another table which refers to it included."""
        named: set[str] = set()
        entries: tuple[NodeTable | RelationshipTable, ...] = (*self.nodes, *self.relationships)
        for mapped in entries:
            for reference in mapped.references:
                if reference.target == table:
                    named.update(reference.target_columns)
                if mapped.table == table:
                    named.update(reference.columns)
            if mapped.table == table:
                selector = mapped.labels_from if isinstance(mapped, NodeTable) else mapped.type_from
                named.update(mapped.key, mapped.properties.named, () if selector is None else (selector.column,))
        return frozenset(named)
