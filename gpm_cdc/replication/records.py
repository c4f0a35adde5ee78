"""What the graph of a stream was made of, table by table: kept in the checkpoint, and held against what tables are now.

The stream tells what happens to rows. It does not tell that a table was rewritten, that a partition with rows was
attached, that a column's name or type is another one, or that the mapping makes something else of it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.projection.plan import EdgePlan, GraphPlan, NodePlan, RelationshipPlan

type Shape = tuple[tuple[str, int, int], ...]
"""Name, type and modifier of each column that the stream sends."""


class Path(NamedTuple):
    """Relationships by the label they start at, their types, and the label they end at."""

    start: str
    types: tuple[str, ...]
    end: str


@dataclass(frozen=True, slots=True)
class Owned:
    """What the mapping makes of a table: nodes of `label` (None for a relationship table), and relationships."""

    label: str | None
    key: tuple[str, ...]
    labels: tuple[str, ...]
    properties: tuple[str, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class TableRecord:
    """One table. `entry` is a digest of its part of the mapping.

    `published` stays the same as long as the publication has had the table without a gap. The rest is as
    `source.tables.TableFacts` has it.
    """

    entry: str
    oid: int
    shape: Shape
    tree: str
    files: str
    enums: Mapping[str, str]
    composites: str
    published: str
    owned: Owned

    def like(self, later: "TableRecord") -> bool:
        """Whether `later` is the same table, made into the same elements, its rows in the same files.

        A label that an enum has got since does no harm; one that is called otherwise does.
        """
        kept = all(later.enums.get(oid) == label for oid, label in self.enums.items())
        return kept and replace(self, enums=later.enums) == later

    def differs_in_files_alone(self, later: "TableRecord") -> bool:
        """Whether `later` is the same but for where its rows are stored."""
        return self.files != later.files and replace(self, files=later.files).like(later)


type Records = Mapping[TableName, TableRecord]


def owned(planned: NodePlan | RelationshipPlan) -> Owned:
    """What `planned` makes of its table."""
    properties = tuple(field.name for field in planned.fields if field.name is not None)
    if isinstance(planned, NodePlan):
        chosen = () if planned.selector is None else planned.selector.values.values()
        labels = tuple(sorted({*planned.extra_labels, *chosen}))
        return Owned(planned.label, planned.key_names, labels, properties, tuple(map(path_of, planned.edges)))
    path = Path(planned.start.target.label, planned.types, planned.end.target.label)
    return Owned(None, (), (), properties, (path,))


def path_of(edge: EdgePlan) -> Path:
    """The relationships of a foreign key."""
    source, target = edge.source.label, edge.end.target.label
    return Path(source, (edge.type,), target) if edge.outgoing else Path(target, (edge.type,), source)


def write(records: Records) -> str:
    """`records` as a text of JSON, in a fixed order."""
    return json.dumps([_written(table, records[table]) for table in sorted(records)], separators=(",", ":"))


def _written(table: TableName, record: TableRecord) -> dict[str, Any]:
    made = record.owned
    return {
        "table": list(table),
        "entry": record.entry,
        "oid": record.oid,
        "shape": [list(column) for column in record.shape],
        "tree": record.tree,
        "files": record.files,
        "enums": dict(sorted(record.enums.items())),
        "composites": record.composites,
        "published": record.published,
        "label": made.label,
        "key": list(made.key),
        "labels": list(made.labels),
        "properties": list(made.properties),
        "paths": [[path.start, list(path.types), path.end] for path in made.paths],
    }


def read(text: str) -> dict[TableName, TableRecord]:
    """What `write` wrote; nothing for an empty text."""
    return dict(_read(fact) for fact in json.loads(text)) if text else {}


def _read(fact: Mapping[str, Any]) -> tuple[TableName, TableRecord]:
    made = Owned(
        label=fact["label"],
        key=tuple(fact["key"]),
        labels=tuple(fact["labels"]),
        properties=tuple(fact["properties"]),
        paths=tuple(Path(start, tuple(types), end) for start, types, end in fact["paths"]),
    )
    return TableName(*fact["table"]), TableRecord(
        entry=fact["entry"],
        oid=fact["oid"],
        shape=tuple((name, oid, modifier) for name, oid, modifier in fact["shape"]),
        tree=fact["tree"],
        files=fact["files"],
        enums=fact["enums"],
        composites=fact["composites"],
        published=fact["published"],
        owned=made,
    )


def moved(before: Records, after: Records) -> Iterator[TableName]:
    """The tables whose rows may be other ones than the graph was made of, or become something else."""
    for table in sorted({*before, *after}):
        known, now = before.get(table), after.get(table)
        if known is None or now is None or not known.like(now):
            yield table


def spread(plan: GraphPlan, tables: set[TableName]) -> set[TableName]:
    """`tables`, with the relationship tables that end at one of them: what those hold goes with its nodes."""
    nodes = {table for table in tables if isinstance(plan.tables.get(table), NodePlan)}
    around = {each.table for each in plan.relationships if {each.start.target.table, each.end.target.table} & nodes}
    return tables | around
