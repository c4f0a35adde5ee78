"""Names that would mean two things: labels of two tables, relationships that nothing in the graph tells apart."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, override

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.mapping import naming
from gpm_cdc.mapping.model import ForeignKeyRelationship, GraphMapping, NodeTable, RelationshipTable
from gpm_cdc.mapping.spelling import listed, toml_string

RESERVED_LABELS: Final = ("GpmCdcCheckpoint", "GpmCdcTouched")
"""The labels of the checkpoint nodes, and of those that say what a stream has written."""


def label_findings(mapping: GraphMapping) -> Iterator[Finding]:
    """Labels that are empty, reserved, or taken by another table or by the same node's own label."""
    owners: defaultdict[str, list[TableName]] = defaultdict(list)
    for node in mapping.nodes:
        owners[node.label].append(node.table)
    for label, tables in owners.items():
        if len(tables) > 1:
            yield Finding.worded(
                "label_shared",
                "blocks",
                tables[0],
                "The tables {tables} have the same label {label}, so their keys would collide.",
                "Give all but one another, for example {example} for {other}.",
                tables=listed(tables),
                label=label,
                example=f"label = {toml_string(distinct_label(tables[-1]))}",
                other=tables[-1],
            )
    for node in mapping.nodes:
        for label in _labels(node):
            yield from _label_problem(node, label)
        for label in dict.fromkeys(_further_labels(node)):
            yield from _further_label_problem(node, label, owners)


def distinct_label(table: TableName) -> str:
    """A label for `table` that holds its schema."""
    return naming.label(table.name, table.schema)


def _labels(node: NodeTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys((node.label, *_further_labels(node))))


def _further_labels(node: NodeTable) -> tuple[str, ...]:
    chosen = () if node.labels_from is None else tuple(node.labels_from.values.values())
    return (*node.extra_labels, *chosen)


def _label_problem(node: NodeTable, label: str) -> Iterator[Finding]:
    if not label:
        yield Finding.worded(
            "label_empty", "blocks", node.table, "{subject} has an empty label.", 'Write a name, as in label = "Order".'
        )
    elif label in RESERVED_LABELS:
        yield Finding.worded(
            "label_reserved",
            "blocks",
            node.table,
            "{subject} has the label {label}, which is that of a stream's checkpoint or of its journal.",
            "Choose another label.",
            label=label,
        )


def _further_label_problem(node: NodeTable, label: str, owners: Mapping[str, list[TableName]]) -> Iterator[Finding]:
    chosen = frozenset[str]() if node.labels_from is None else frozenset(node.labels_from.values.values())
    repeated = label == node.label or (label in node.extra_labels and label in chosen)
    if repeated or Counter(node.extra_labels)[label] > 1:
        yield Finding.worded(
            "label_repeated",
            "blocks",
            node.table,
            "{subject} names the label {label} in two places, and one would take away what the other gives.",
            "Keep it in one of label, extra_labels and labels_from.",
            label=label,
        )
    elif label in owners:
        yield Finding.worded(
            "label_shared",
            "blocks",
            node.table,
            "The further label {label} of {subject} is the label of {owner}, whose keys must be unique under it.",
            "Rename one of the two.",
            label=label,
            owner=owners[label][0],
        )


@dataclass(frozen=True, slots=True)
class _Claim:
    """A relationship type between two tables, and who makes such relationships."""

    table: TableName
    columns: tuple[str, ...]
    example: str

    @override
    def __str__(self) -> str:
        return f"{self.table} ({listed(self.columns)})"


type _Ends = tuple[str, TableName, TableName]


def relationship_findings(mapping: GraphMapping) -> Iterator[Finding]:
    """Relationships of one type between the same two tables that come from different columns or tables."""
    claims: defaultdict[_Ends, list[_Claim]] = defaultdict(list)
    for node in mapping.nodes:
        for relationship in node.relationships:
            claims[_ends(node, relationship)].append(
                _Claim(node.table, relationship.columns, _distinct_type(relationship, node))
            )
    for table in mapping.relationships:
        columns = (*table.start.columns, *table.end.columns)
        claim = _Claim(table.table, columns, _distinct_table_type(table))
        for kind in table.types:
            claims[(kind, table.start.target, table.end.target)].append(claim)
    for (kind, start, end), claimants in claims.items():
        if len(claimants) > 1:
            last = claimants[-1]
            yield Finding.worded(
                "relationship_ambiguous",
                "blocks",
                claimants[0].table,
                "{claimants} would all be relationships of type {type} from {start} to {end}, "
                "and nothing in the graph tells them apart.",
                "Give all but one another type; for {last} write type = {example}",
                claimants=listed(claimants),
                type=kind,
                start=start,
                end=end,
                last=last,
                example=toml_string(last.example),
            )


def _ends(node: NodeTable, relationship: ForeignKeyRelationship) -> _Ends:
    if relationship.direction == "out":
        return (relationship.type, node.table, relationship.target)
    return (relationship.type, relationship.target, node.table)


def _distinct_type(relationship: ForeignKeyRelationship, node: NodeTable) -> str:
    taken = {other.type for other in node.relationships}
    columns = "_".join(relationship.columns)
    return _first_free(taken, naming.reference_type(columns), naming.reference_type(f"{columns}_reference"))


def _distinct_table_type(table: RelationshipTable) -> str:
    name = table.table
    taken = set(table.types)
    return _first_free(taken, naming.relationship_type(name.name), naming.relationship_type(name.name, name.schema))


def _first_free(taken: set[str], *candidates: str) -> str:
    numbered = (f"{candidates[-1]}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain(candidates, numbered) if name and name not in taken)
