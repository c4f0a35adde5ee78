"""The mapping file read plainly: tables, labels, keys and relationships as the file says them, unknown keys refused."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import override

from tests.oracle.scalar import CHOICES


class MappingFileError(Exception):
    """The mapping file says something that the oracle does not understand."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's schema and name."""

    schema: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class ByColumn:
    """A label or a type chosen by a column's Postgres text."""

    column: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Columns:
    """include, exclude, rename and types of a table."""

    include: tuple[str, ...] | None
    exclude: tuple[str, ...]
    rename: Mapping[str, str]
    types: Mapping[str, str]

    def property_of(self, column: str) -> str:
        """The property's name for `column`."""
        return self.rename.get(column, column)


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns of a row that name a row of `target` through its `target_columns`."""

    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A [[node.relationship]]."""

    reference: Reference
    type: str
    direction: str


@dataclass(frozen=True, slots=True)
class NodeTable:
    """A [[node]]."""

    table: TableName
    label: str
    extra_labels: tuple[str, ...]
    labels_from: ByColumn | None
    key: tuple[str, ...]
    columns: Columns
    keep_foreign_keys: bool
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def key_properties(self) -> tuple[str, ...]:
        """The properties that tell the nodes of the label apart."""
        return tuple(self.columns.property_of(column) for column in self.key)


@dataclass(frozen=True, slots=True)
class RelationshipTable:
    """A [[relationship]]; `type` is a name or a column's choice of one."""

    table: TableName
    type: str | ByColumn
    key: tuple[str, ...]
    start: Reference
    end: Reference
    columns: Columns


@dataclass(frozen=True, slots=True)
class MappingFile:
    """The whole file; tables under `ignore` give nothing."""

    nodes: tuple[NodeTable, ...] = ()
    relationships: tuple[RelationshipTable, ...] = ()

    def node(self, table: TableName) -> NodeTable:
        """The [[node]] of `table`; MappingFileError when there is none."""
        for node in self.nodes:
            if node.table == table:
                return node
        message = f"a relationship leads to {table}, which is no [[node]]"
        raise MappingFileError(message)


def read_mapping(source: Path | str) -> MappingFile:
    """The mapping of a file, or of its text when `source` has more than one line. Raises MappingFileError."""
    if isinstance(source, str) and "\n" not in source:
        source = Path(source)
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    top = _Section("the file", tomllib.loads(text))
    if top.take("version", int) != 1:
        message = "version must be 1"
        raise MappingFileError(message)
    top.optional("ignore", list)
    mapping = MappingFile(
        tuple(_node(section) for section in top.sections("node")),
        tuple(_relationship_table(section) for section in top.sections("relationship")),
    )
    top.end()
    for table in mapping.relationships:
        mapping.node(table.start.target), mapping.node(table.end.target)
    for node in mapping.nodes:
        for foreign_key in node.foreign_keys:
            mapping.node(foreign_key.reference.target)
    return mapping


@dataclass(slots=True)
class _Section:
    """A TOML table whose keys are taken one by one; what is left at the end is unknown."""

    where: str
    content: dict[str, object] = field(default_factory=dict)

    def take[T](self, key: str, kind: type[T]) -> T:
        found = self.optional(key, kind)
        if found is None:
            message = f"{self.where} needs {key}"
            raise MappingFileError(message)
        return found

    def optional[T](self, key: str, kind: type[T]) -> T | None:
        found = self.content.pop(key, None)
        if found is not None and not isinstance(found, kind):
            message = f"{key} of {self.where} must be of type {kind.__name__}"
            raise MappingFileError(message)
        return found

    def names(self, key: str) -> tuple[str, ...]:
        names = tuple(str(name) for name in self.take(key, list))
        if not names:
            message = f"{key} of {self.where} is empty"
            raise MappingFileError(message)
        return names

    def optional_names(self, key: str) -> tuple[str, ...] | None:
        found = self.optional(key, list)
        return None if found is None else tuple(str(name) for name in found)

    def words(self, key: str) -> dict[str, str]:
        return {str(name): str(word) for name, word in (self.optional(key, dict) or {}).items()}

    def table(self, key: str) -> TableName:
        schema, dot, name = self.take(key, str).partition(".")
        if not dot:
            message = f"{key} of {self.where} must be written schema.table"
            raise MappingFileError(message)
        return TableName(schema, name)

    def sections(self, key: str) -> list["_Section"]:
        found = self.optional(key, list) or []
        return [_Section(f"[[{key}]] number {number}", dict(content)) for number, content in enumerate(found, start=1)]

    def end(self) -> None:
        if self.content:
            message = f"{self.where} has unknown keys: {', '.join(sorted(self.content))}"
            raise MappingFileError(message)


def _node(section: _Section) -> NodeTable:
    table = section.table("table")
    section.where = f"[[node]] {table}"
    keep = section.optional("keep_foreign_keys", bool)
    node = NodeTable(
        table=table,
        label=section.take("label", str),
        extra_labels=section.optional_names("extra_labels") or (),
        labels_from=_by_column(section, "labels_from"),
        key=section.names("key"),
        columns=_columns(section),
        keep_foreign_keys=keep is not False,
        foreign_keys=tuple(_foreign_key(part) for part in section.sections("relationship")),
    )
    section.end()
    return node


def _foreign_key(section: _Section) -> ForeignKey:
    direction = section.optional("direction", str) or "out"
    if direction not in ("in", "out"):
        message = f"direction of {section.where} must be in or out"
        raise MappingFileError(message)
    section.optional("enforced", bool)
    foreign_key = ForeignKey(_reference(section), section.take("type", str), direction)
    section.end()
    return foreign_key


def _relationship_table(section: _Section) -> RelationshipTable:
    table = section.table("table")
    section.where = f"[[relationship]] {table}"
    by_column = _by_column(section, "type_from")
    relationship = RelationshipTable(
        table=table,
        type=by_column if by_column is not None else section.take("type", str),
        key=section.names("key"),
        start=_end(section, "start"),
        end=_end(section, "end"),
        columns=_columns(section),
    )
    section.end()
    return relationship


def _end(section: _Section, key: str) -> Reference:
    part = _Section(f"{key} of {section.where}", dict(section.take(key, dict)))
    reference = _reference(part)
    part.end()
    return reference


def _reference(section: _Section) -> Reference:
    reference = Reference(section.names("columns"), section.table("target"), section.names("target_columns"))
    if len(reference.columns) != len(reference.target_columns):
        message = f"{section.where} pairs {len(reference.columns)} columns with {len(reference.target_columns)}"
        raise MappingFileError(message)
    return reference


def _by_column(section: _Section, key: str) -> ByColumn | None:
    content = section.optional(key, dict)
    if content is None:
        return None
    part = _Section(f"{key} of {section.where}", dict(content))
    chosen = ByColumn(part.take("column", str), part.words("values"))
    part.end()
    return chosen


def _columns(section: _Section) -> Columns:
    include, exclude = section.optional_names("include"), section.optional_names("exclude")
    if include is not None and exclude is not None:
        message = f"{section.where} has both include and exclude"
        raise MappingFileError(message)
    columns = Columns(include, exclude or (), section.words("rename"), section.words("types"))
    unknown = set(columns.types.values()) - set(CHOICES)
    if unknown:
        message = f"types of {section.where} knows {', '.join(CHOICES)}, not {', '.join(sorted(unknown))}"
        raise MappingFileError(message)
    return columns
