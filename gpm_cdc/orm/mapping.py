"""The mapping that models declare: what their tables mean by default, with their annotations laid over it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, MetaData
from sqlalchemy.orm import DeclarativeBase, registry

from gpm_cdc.domain.catalogue import Catalogue, ForeignKey, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.errors.models import AnnotationRefused, ModelsNotFound
from gpm_cdc.mapping.classification import Ends
from gpm_cdc.mapping.inference import infer
from gpm_cdc.mapping.model import (
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    Properties,
    RelationshipTable,
    Selector,
)
from gpm_cdc.mapping.notes import Notes
from gpm_cdc.mapping.spelling import listed
from gpm_cdc.orm.annotations import (
    KEY,
    Choice,
    Ignored,
    NodeAnnotation,
    PropertyAnnotation,
    ReferenceAnnotation,
    RelationshipAnnotation,
)
from gpm_cdc.orm.catalogue import catalogue_of
from gpm_cdc.orm.models import Model, models_of
from gpm_cdc.wording import say

PARENT_TYPE = "IS_A"
"""From the node of a subclass with a table of its own to the node of its parent (docs/adr/0007)."""

_ENDS = 2


@dataclass(frozen=True, slots=True)
class ModelMapping:
    """The mapping of models. `findings` name classes and attributes; where one blocks, the mapping cannot be used."""

    mapping: GraphMapping
    notes: Notes
    findings: tuple[Finding, ...]


def mapping(models: type[DeclarativeBase] | registry | MetaData, ignore: Collection[TableName] = ()) -> ModelMapping:
    """Read models: a declarative base, a registry, or the metadata of tables without classes.

    Tables in `ignore` are left out like those that the models say are ignored. No database is asked. Raises
    AnnotationRefused for an annotation that says what cannot be, ModelsNotFound for an object of another kind.
    """
    metadata, registries = _parts(models)
    known = models_of(metadata, registries)
    catalogue = catalogue_of(metadata)
    annotated = _Annotated(known, catalogue)
    inference = infer(catalogue, {*annotated.ignore, *ignore}, kinds=annotated.kinds, revise=annotated.revise)
    findings = tuple(_placed(finding, known) for finding in inference.findings)
    return ModelMapping(inference.mapping, _notes(inference.notes, inference.mapping, known), findings)


def _notes(notes: Notes, mapping: GraphMapping, models: Mapping[TableName, Model]) -> Notes:
    """`notes` without those about names and types that the models say themselves."""
    mapped: tuple[NodeTable | RelationshipTable, ...] = (*mapping.nodes, *mapping.relationships)
    typed = {each.table for each in mapped if each.properties.types}
    return Notes(
        beside={
            place: text for place, text in notes.beside.items() if place[1] != "label" or models[place[0]].label is None
        },
        below={
            table: tuple(remark for remark in remarks if table not in typed or not remark.lines)
            for table, remarks in notes.below.items()
        },
        refused=notes.refused,
    )


def _parts(models: object) -> tuple[MetaData, tuple[registry, ...]]:
    if isinstance(models, MetaData):
        return models, ()
    if isinstance(models, registry):
        return models.metadata, (models,)
    found = getattr(models, "registry", None)
    if isinstance(models, type) and isinstance(found, registry):
        metadata = getattr(models, "metadata", None)
        return metadata if isinstance(metadata, MetaData) else found.metadata, (found,)
    detail = say("it is {kind}, not a declarative base, a registry or a MetaData", kind=type(models).__name__)
    raise ModelsNotFound(name=getattr(models, "__qualname__", repr(models)), detail=detail)


def _placed(finding: Finding, models: Mapping[TableName, Model]) -> Finding:
    """`finding` with the class and the attribute that it is about before its message."""
    subject = TableName.parse(finding.subject)
    model = models.get(subject)
    if model is not None:
        where = model.where
    else:
        table, _, column = subject.name.rpartition(".")
        model = models.get(TableName(subject.schema, table))
        if model is None:
            return finding
        where = model.attribute(column)
    return replace(finding, message=f"{where}: {finding.message}")


class _Annotated:
    """What the annotations of all models say."""

    def __init__(self, models: Mapping[TableName, Model], catalogue: Catalogue) -> None:
        self._models = models
        self._catalogue = catalogue
        self._tables = {name: _table_annotation(model) for name, model in models.items()}
        self.ignore = tuple(name for name, said in self._tables.items() if isinstance(said, Ignored))
        self.kinds = {
            name: None if isinstance(said, NodeAnnotation) else self._ends(models[name], said)
            for name, said in self._tables.items()
            if isinstance(said, NodeAnnotation | RelationshipAnnotation)
        }

    def revise(self, proposed: GraphMapping) -> GraphMapping:
        """`proposed` with everything that models say otherwise."""
        return replace(
            proposed,
            nodes=tuple(self._node(node) for node in proposed.nodes),
            relationships=tuple(self._relationship(table) for table in proposed.relationships),
        )

    def _ends(self, model: Model, said: RelationshipAnnotation) -> Ends:
        keys = list(self._catalogue.tables[model.name].foreign_keys)
        primary = [column.name for column in model.table.primary_key.columns]
        if said.start is None and said.end is None:
            within = sorted(
                (key for key in keys if set(key.columns) <= set(primary)),
                key=lambda key: sorted(map(primary.index, key.columns)),
            )
            found = within if len(within) == _ENDS else keys
            if len(found) != _ENDS:
                raise _refused(
                    model.where,
                    say("it has {count} foreign keys, so its ends have to be named", count=len(keys)),
                    say("write as_relationship(start=..., end=...) with the columns of two foreign keys"),
                )
            return found[0], found[1]
        return self._end(model, keys, "start", said.start), self._end(model, keys, "end", said.end)

    @staticmethod
    def _end(model: Model, keys: list[ForeignKey], which: str, columns: tuple[str, ...] | None) -> ForeignKey:
        found = next((key for key in keys if columns is not None and set(key.columns) == set(columns)), None)
        if found is None:
            known = "; ".join(listed(key.columns) for key in keys)
            raise _refused(
                model.where,
                say("{which} names {columns}, which are not the columns of a foreign key", which=which,
                    columns=listed(columns or ())),
                say("its foreign keys are: {known}", known=known),
            )  # fmt: skip
        return found

    def _node(self, node: NodeTable) -> NodeTable:
        model = self._models[node.table]
        said = self._tables[node.table]
        said = said if isinstance(said, NodeAnnotation) else NodeAnnotation()
        selector = _selector(model, said.labels_from) if said.labels_from is not None else model.selector()
        parent = model.parent_key()
        return replace(
            node,
            label=said.label or model.label or node.label,
            extra_labels=said.extra_labels,
            labels_from=selector,
            keep_foreign_keys=said.keep_foreign_keys,
            properties=_properties(model, node.properties),
            relationships=tuple(self._reference(model, each, parent) for each in node.relationships),
        )

    @staticmethod
    def _reference(
        model: Model, proposed: ForeignKeyRelationship, parent: tuple[tuple[str, ...], TableName] | None
    ) -> ForeignKeyRelationship:
        if parent == (proposed.columns, proposed.target):
            proposed = replace(proposed, type=PARENT_TYPE)
        said = _reference_annotation(model, proposed.columns, proposed.target)
        if said is None:
            return proposed
        return replace(
            proposed,
            type=said.type or proposed.type,
            direction=said.direction,
            enforced=proposed.enforced if said.enforced is None else said.enforced,
        )

    def _relationship(self, table: RelationshipTable) -> RelationshipTable:
        model = self._models[table.table]
        said = self._tables[table.table]
        said = said if isinstance(said, RelationshipAnnotation) else RelationshipAnnotation()
        if said.type is not None and said.type_from is not None:
            raise _refused(model.where, say("it has both type and type_from"), say("write one of the two"))
        chosen = None if said.type_from is None else _selector(model, said.type_from)
        return replace(
            table,
            type=None if chosen is not None else said.type or table.type,
            type_from=chosen,
            properties=_properties(model, table.properties),
        )


def _refused(where: str, detail: str, advice: str) -> AnnotationRefused:
    return AnnotationRefused(where=where, detail=detail, advice=advice)


def _said(where: str, info: Mapping[Any, Any], *kinds: type) -> object:
    """The annotation in `info`, None if there is none; one of another kind than `kinds` is refused."""
    found = info.get(KEY)
    if found is None or isinstance(found, kinds):
        return found
    raise _refused(
        where,
        say("its info holds {found} under {key}, which means nothing there", found=repr(found), key=KEY),
        say("use the functions of gpm_cdc.orm: as_node, as_relationship and ignored for tables, reference for foreign"
            " keys, as_property and hidden for columns"),
    )  # fmt: skip


def _table_annotation(model: Model) -> object:
    return _said(model.where, model.table.info, NodeAnnotation, RelationshipAnnotation, Ignored)


def _reference_annotation(model: Model, columns: tuple[str, ...], target: TableName) -> ReferenceAnnotation | None:
    for constraint in model.table.foreign_key_constraints:
        if {column.name for column in constraint.columns} != set(columns):
            continue
        if TableName(constraint.referred_table.schema or "public", constraint.referred_table.name) != target:
            continue
        where = model.attribute(columns[0])
        for info in _infos(constraint):
            said = _said(where, info, ReferenceAnnotation)
            if isinstance(said, ReferenceAnnotation):
                if said.direction not in {"out", "in"}:
                    raise _refused(
                        where,
                        say("direction is {found!r}", found=said.direction),
                        say('write direction="out" (from this row\'s node) or direction="in" (towards it)'),
                    )
                return said
    return None


def _infos(constraint: ForeignKeyConstraint) -> Iterator[Mapping[Any, Any]]:
    yield constraint.info
    for element in constraint.elements:
        yield element.info


def _selector(model: Model, choice: Choice) -> Selector:
    column, values = choice
    if column not in model.table.columns:
        raise _refused(
            model.where,
            say("it has no column {column}", column=column),
            say("its columns are: {columns}", columns=listed(each.name for each in model.table.columns)),
        )
    return Selector(column, dict(values))


def _properties(model: Model, proposed: Properties) -> Properties:
    said = {column.name: _property(model, column) for column in model.table.columns}
    annotated = {name: annotation for name, annotation in said.items() if annotation is not None}
    hidden = [name for name, annotation in annotated.items() if annotation.hidden]
    typed = {name: annotation.type for name, annotation in annotated.items() if annotation.type is not None}
    excluded = [name for name in proposed.exclude if name not in typed]
    return replace(
        proposed,
        exclude=tuple(dict.fromkeys((*excluded, *hidden))),
        rename={name: annotation.name for name, annotation in annotated.items() if annotation.name is not None},
        types=typed,
    )


def _property(model: Model, column: Column[Any]) -> PropertyAnnotation | None:
    said = _said(model.attribute(column.name), column.info, PropertyAnnotation)
    return said if isinstance(said, PropertyAnnotation) else None
