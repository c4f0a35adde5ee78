"""The default mapping: what tables, keys and foreign keys mean as a graph when nobody says anything."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gpm_cdc.domain.catalogue import Catalogue, Column, ForeignKey, Table, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.domain.types import value_type
from gpm_cdc.mapping import naming
from gpm_cdc.mapping.classification import Ends, default_refusal, distinct, ends_of, is_followable, is_supported
from gpm_cdc.mapping.equality import is_enforced
from gpm_cdc.mapping.identity import default_key
from gpm_cdc.mapping.model import (
    Endpoint,
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    Properties,
    RelationshipTable,
)
from gpm_cdc.mapping.notes import Notes, Remark, reference_place
from gpm_cdc.mapping.spelling import listed, toml_key, toml_list, toml_string, type_name
from gpm_cdc.mapping.validation import validate
from gpm_cdc.wording import say


@dataclass(frozen=True, slots=True)
class Inference:
    """A default mapping, comments for its file, and what a person should know or decide.

    Where labels or relationships are ambiguous, `mapping` holds all of them and a finding blocks: somebody has to
    choose. Tables and foreign keys that cannot be mapped are left out and reported.
    """

    mapping: GraphMapping
    notes: Notes
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Remarks:
    """What inference has to say, collected while it goes on."""

    findings: list[Finding] = field(default_factory=list)
    beside: dict[tuple[TableName, str], str] = field(default_factory=dict)
    below: defaultdict[TableName, list[Remark]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[TableName, str] = field(default_factory=dict)

    def refuse(self, table: Table, finding: Finding) -> None:
        self.findings.append(finding)
        self.refused[table.name] = f"{finding.message} {finding.remedy}"

    def report(self, table: Table, finding: Finding, *lines: str) -> None:
        """A finding that is also said below the entry of `table`, with lines of TOML that would settle it."""
        self.findings.append(finding)
        self.below[table.name].append(Remark(f"{finding.message} {finding.remedy}", lines))

    def notes(self) -> Notes:
        return Notes(self.beside, {table: tuple(remarks) for table, remarks in self.below.items()}, self.refused)


def infer(
    catalogue: Catalogue,
    ignore: Collection[TableName] = (),
    *,
    kinds: Mapping[TableName, Ends | None] = MappingProxyType({}),
    revise: Callable[[GraphMapping], GraphMapping] = lambda mapping: mapping,
) -> Inference:
    """The default mapping of every table of `catalogue` but those of `ignore`, which it repeats.

    `kinds` settles for some tables what they are: relationships with these ends, or nodes (None). `revise` changes the
    mapping before it is examined; the notes are about what it was before.
    """
    remarks = _Remarks()
    tables = _usable(catalogue, ignore, remarks)
    names = frozenset(table.name for table in tables)
    found = {table.name: kinds.get(table.name, ends_of(table, names, catalogue)) for table in tables}
    ends = {name: pair for name, pair in found.items() if pair is not None}
    nodes = [table for table in tables if table.name not in ends]
    labels, types = _labels(nodes, remarks), _with_schema(ends, naming.relationship_type)
    proposed = GraphMapping(
        nodes=tuple(_node(table, labels, catalogue, remarks) for table in nodes),
        relationships=tuple(
            _relationship(table, types[table.name], ends[table.name], remarks) for table in tables if table.name in ends
        ),
        ignore=tuple(sorted(set(ignore))),
    )
    mapping = revise(proposed)
    told = set(map(str, remarks.refused))
    for finding in validate(mapping, catalogue):
        if finding.subject in told:
            continue
        table = catalogue.tables.get(TableName.parse(finding.subject))
        if table is not None and finding.blocks:
            remarks.report(table, finding)
        else:
            remarks.findings.append(finding)
    return Inference(mapping, remarks.notes(), tuple(dict.fromkeys(remarks.findings)))


def _usable(catalogue: Catalogue, ignore: Collection[TableName], remarks: _Remarks) -> list[Table]:
    usable = []
    for table in catalogue.tables.values():
        if table.name in ignore:
            continue
        finding = default_refusal(table, catalogue)
        if finding is not None:
            remarks.refuse(table, finding)
        elif table.partition_of is None:
            usable.append(table)
    return usable


def _labels(nodes: Iterable[Table], remarks: _Remarks) -> Mapping[TableName, str]:
    names = [table.name for table in nodes]
    labels = _with_schema(names, naming.label)
    for name in names:
        if labels[name] != naming.label(name.name):
            remarks.beside[name, "label"] = say("with the schema: another one has this label too")
        elif naming.is_irregular(name.name):
            remarks.beside[name, "label"] = say("taken as the singular of {name}", name=name.name)
    return labels


def _with_schema(tables: Collection[TableName], name_of: Callable[[str, str], str]) -> Mapping[TableName, str]:
    """A name for each table from its name and schema; the schema is empty but where schemas would share a name."""
    schemas: defaultdict[str, set[str]] = defaultdict(set)
    for table in tables:
        schemas[name_of(table.name, "")].add(table.schema)
    return {
        table: name_of(table.name, table.schema if len(schemas[name_of(table.name, "")]) > 1 else "")
        for table in tables
    }


def _node(table: Table, labels: Mapping[TableName, str], catalogue: Catalogue, remarks: _Remarks) -> NodeTable:
    # First, so that the remarks on properties stand above those that propose relationships: in TOML the order matters.
    key_columns, properties = _key(table, remarks), _properties(table, remarks)
    relationships = []
    for key in distinct(table.foreign_keys):
        problem = _reference_problem(table, key, labels, catalogue)
        if problem is not None:
            remarks.report(table, problem)
            continue
        relationships.append(_foreign_key(key))
        if not is_enforced(key):
            remarks.beside[table.name, reference_place(key.columns)] = say(
                "a loose reference: {name} is NOT VALID or NOT ENFORCED", name=key.name
            )
    _report_partition_references(table, remarks)
    return NodeTable(
        table=table.name,
        label=labels[table.name],
        key=key_columns,
        properties=properties,
        relationships=tuple(relationships),
    )


def _relationship(table: Table, kind: str, ends: Ends, remarks: _Remarks) -> RelationshipTable:
    start, end = (Endpoint(key.columns, key.target, key.target_columns) for key in ends)
    remarks.beside[table.name, "start"] = say("exchange start and end to turn it round")
    _report_partition_references(table, remarks)
    return RelationshipTable(
        table=table.name,
        key=_key(table, remarks),
        start=start,
        end=end,
        type=kind,
        properties=_properties(table, remarks),
    )


def _key(table: Table, remarks: _Remarks) -> tuple[str, ...]:
    key = default_key(table) or ()
    if table.primary_key is not None and key != table.primary_key.columns:
        remarks.beside[table.name, "key"] = say(
            "the replica identity, since a DELETE does not carry the primary key ({columns})",
            columns=listed(table.primary_key.columns),
        )
    return key


def _properties(table: Table, remarks: _Remarks) -> Properties:
    supported, unsupported = [], []
    for column in table.columns:
        if column.generated != "":
            remarks.findings.append(_generated(table, column))
            remarks.below[table.name].append(
                Remark(say("{column} is a generated column, which does not arrive in the stream.", column=column.name))
            )
        elif is_supported(table, column.name):
            supported.append(column)
        else:
            unsupported.append(column.name)
            remarks.findings.append(_unsupported(table, column))
    remarks.below[table.name] += _type_remarks(supported)
    if unsupported:
        remarks.beside[table.name, "exclude"] = say("their types are not supported")
    return Properties(exclude=tuple(unsupported))


def _type_remarks(columns: Sequence[Column]) -> Iterator[Remark]:
    """What is said about supported columns that become strings and that one might expect as numbers."""
    numerics = []
    for column in columns:
        resolved = column.type.resolved
        if resolved.name == "money":
            yield Remark(say("{column} (money) becomes a string, as Postgres prints it.", column=column.name))
        elif resolved.name == "numeric" and value_type(column.type).name == "string":
            numerics.append(column)
    if numerics:
        named = listed(f"{column.name} ({type_name(column.type.resolved)})" for column in numerics)
        choices = ", ".join(f'{toml_key(column.name)} = "float"' for column in numerics)
        yield Remark(
            say("As strings, which keep every digit: {columns}. To make numbers of them:", columns=named),
            (f"types = {{ {choices} }}",),
        )


def _generated(table: Table, column: Column) -> Finding:
    return Finding.worded(
        "column_generated",
        "notes",
        f"{table.name}.{column.name}",
        "{subject} is a generated column: it does not arrive in the stream, so it becomes no property.",
    )


def _unsupported(table: Table, column: Column) -> Finding:
    return Finding.worded(
        "type_unsupported",
        "warns",
        f"{table.name}.{column.name}",
        "{subject} has the type {type}, which is not supported, so it becomes no property.",
        'Keep its text by removing it from exclude and adding types = {{ {key} = "string" }}.',
        type=type_name(column.type),
        key=toml_key(column.name),
    )


def _reference_problem(
    table: Table, key: ForeignKey, nodes: Collection[TableName], catalogue: Catalogue
) -> Finding | None:
    """Why `key` makes no relationship."""
    facts = {"name": key.name, "columns": listed(key.columns), "table": table.name, "target": key.target}
    if key.target not in nodes:
        return Finding.worded(
            "reference_target_unmapped",
            "warns",
            _reference_subject(table, key),
            "The foreign key {name} ({columns}) of {table} makes no relationship, since {target} is not mapped as a "
            "node.",
            "Map {target} too; if it is in another schema, add that with --schema.",
            **facts,
        )
    if not is_followable(table, key, catalogue):
        return Finding.worded(
            "reference_not_comparable",
            "warns",
            _reference_subject(table, key),
            "The foreign key {name} ({columns}) of {table} to {target} makes no relationship: values of its columns "
            "can be "
            "equal in Postgres and differ in the graph, or one of them is a generated column.",
            "Use ordinary columns of one type on both sides, such as bigint, numeric, text, char, interval or "
            "timestamptz.",
            **facts,
        )
    return None


def _foreign_key(key: ForeignKey) -> ForeignKeyRelationship:
    kind = naming.reference_type(key.columns[0]) if len(key.columns) == 1 else ""
    return ForeignKeyRelationship(
        columns=key.columns,
        type=kind or naming.relationship_type(key.target.name),
        target=key.target,
        target_columns=key.target_columns,
        enforced=is_enforced(key),
    )


def _report_partition_references(table: Table, remarks: _Remarks) -> None:
    """Report foreign keys that partitions have and the root has not; they make no relationship by themselves."""
    partitions: defaultdict[ForeignKey, list[TableName]] = defaultdict(list)
    for name, keys in sorted(table.partition_foreign_keys.items()):
        for key in keys:
            partitions[ForeignKey("", key.columns, key.target, key.target_columns)].append(name)
    for key, names in partitions.items():
        finding = Finding.worded(
            "reference_of_partitions",
            "warns",
            _reference_subject(table, key),
            "The foreign key ({columns}) to {target} is one of {count} of {all} partitions of {table} (such as "
            "{example}), "
            "not of {table} itself, so it makes no relationship.",
            "Add the foreign key to {table}, or map it as a loose reference.",
            table=table.name,
            columns=listed(key.columns),
            target=key.target,
            count=len(names),
            all=len(table.partitions),
            example=names[0],
        )
        remarks.report(
            table,
            finding,
            "[[node.relationship]]",
            f"columns = {toml_list(key.columns)}",
            f"type = {toml_string(_foreign_key(key).type)}",
            f"target = {toml_string(str(key.target))}",
            f"target_columns = {toml_list(key.target_columns)}",
            "enforced = false",
        )


def _reference_subject(table: Table, key: ForeignKey) -> str:
    return f"{table.name}.{key.columns[0]}" if len(key.columns) == 1 else f"{table.name} ({listed(key.columns)})"
