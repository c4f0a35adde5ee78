"""The classes behind tables: their names, their inheritance, and where an attribute of one is said."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.orm import Mapper, registry

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.models import AnnotationRefused
from gpm_cdc.mapping.model import Selector
from gpm_cdc.orm.catalogue import table_name
from gpm_cdc.orm.types import DIALECT
from gpm_cdc.wording import say


@dataclass(frozen=True, slots=True)
class Model:
    """A table and the class that it belongs to: of those mapped to it, the one that inherits from no other of them."""

    table: Table
    mapper: Mapper[Any] | None

    @property
    def name(self) -> TableName:
        """The table's name."""
        return table_name(self.table)

    @property
    def label(self) -> str | None:
        """The class's name; None for a table without a class."""
        return None if self.mapper is None else self.mapper.class_.__name__

    @property
    def where(self) -> str:
        """The class with its module, or the table where there is no class: what messages begin with."""
        if self.mapper is None:
            return str(self.name)
        return f"{self.mapper.class_.__module__}.{self.mapper.class_.__qualname__}"

    def attribute(self, column: str) -> str:
        """The class and the attribute that holds `column`."""
        if self.mapper is None or column not in self.table.columns:
            return f"{self.where}.{column}"
        return f"{self.where}.{_attribute(self.mapper, self.table.columns[column])}"

    def selector(self) -> Selector | None:
        """The labels that single-table inheritance gives: of every subclass in the same table, by its identity.

        Subclasses with a table of their own give none: there they are nodes with that label as key label.
        """
        mapper = self.mapper
        if mapper is None or mapper.polymorphic_on is None:
            return None
        sharing = [
            each for each in mapper.self_and_descendants if each is not mapper and each.local_table is self.table
        ]
        if not sharing:
            return None
        column = mapper.polymorphic_on
        if not isinstance(column, Column) or column.table is not self.table:
            raise AnnotationRefused(
                where=self.where,
                detail=say("its discriminator is an expression, not a column of its table"),
                advice=say("let polymorphic_on name a column"),
            )
        values = {}
        for each in sharing:
            if each.polymorphic_identity is not None:
                values[_stored(column, each.polymorphic_identity)] = each.class_.__name__
        return Selector(column.name, dict(sorted(values.items()))) if values else None

    def parent_key(self) -> tuple[tuple[str, ...], TableName] | None:
        """Joined-table inheritance: the columns that refer to the parent's row, and the parent's table."""
        mapper = self.mapper
        if mapper is None or mapper.inherits is None or mapper.concrete:
            return None
        parent = mapper.inherits.local_table
        if not isinstance(parent, Table) or parent is self.table:
            return None
        key = {column.name for column in self.table.primary_key.columns}
        for constraint in self.table.foreign_key_constraints:
            columns = tuple(column.name for column in constraint.columns)
            if constraint.referred_table is parent and set(columns) <= key:
                return columns, table_name(parent)
        return None


def _attribute(mapper: Mapper[Any], column: Column[Any]) -> str:
    for each in mapper.self_and_descendants:
        for attribute in each.column_attrs:
            if column in attribute.columns:
                return str(attribute.key)
    return str(column.name)


def _stored(column: Column[Any], identity: object) -> str:
    """The text that Postgres prints for a discriminator's value."""
    process = column.type.dialect_impl(DIALECT).bind_processor(DIALECT)
    return str(identity if process is None else process(identity))


def models_of(metadata: MetaData, registries: Iterable[registry]) -> Mapping[TableName, Model]:
    """Every table of `metadata` with its class, in the order of the tables."""
    mappers: defaultdict[Table, list[Mapper[Any]]] = defaultdict(list)
    for mapper in _mappers(registries):
        if isinstance(mapper.local_table, Table):
            mappers[mapper.local_table].append(mapper)
    models = {}
    for table in metadata.tables.values():
        found = [each for each in mappers[table] if each.inherits is None or each.inherits not in mappers[table]]
        models[table_name(table)] = Model(table, min(found, key=_class_name, default=None))
    return models


def _mappers(registries: Iterable[registry]) -> Iterator[Mapper[Any]]:
    for each in registries:
        each.configure()
        yield from each.mappers


def _class_name(mapper: Mapper[Any]) -> tuple[str, str]:
    return mapper.class_.__module__, mapper.class_.__qualname__
