"""The hash that ties a stream's graph to the mapping it was made with."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.mapping.model import (
    Endpoint,
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    Properties,
    RelationshipTable,
    Selector,
)

type _Canonical = str | bool | list["_Canonical"] | dict[str, "_Canonical"]


def mapping_hash(mapping: GraphMapping) -> str:
    """SHA-256, in hexadecimal, of what `mapping` makes of rows.

    Two mappings that give every row the same elements by the same settings have the same hash: defaults count as
    absent, the order of tables, labels, columns and key columns does not count, and neither does `ignore`. The hash is
    stored in graphs: a new setting must be absent from the canonical form at its default.
    """
    canonical: _Canonical = {
        "nodes": _sorted(_node(node) for node in mapping.nodes),
        "relationships": _sorted(_relationship(relationship) for relationship in mapping.relationships),
    }
    return _digest(canonical)


def entry_hashes(mapping: GraphMapping) -> dict[TableName, str]:
    """As `mapping_hash`, for the part of each table alone."""
    nodes = {node.table: _digest(_node(node)) for node in mapping.nodes}
    return nodes | {each.table: _digest(_relationship(each)) for each in mapping.relationships}


def _digest(canonical: _Canonical) -> str:
    return hashlib.sha256(_text(canonical).encode()).hexdigest()


def _text(canonical: _Canonical) -> str:
    return json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _sorted(parts: Iterable[_Canonical]) -> list[_Canonical]:
    return sorted(parts, key=_text)


def _present(**settings: _Canonical | None) -> dict[str, _Canonical]:
    """`settings` without those at their default, which callers give as None, an empty list or an empty dictionary."""
    return {name: value for name, value in settings.items() if value is not None and value not in ([], {})}


def _table(name: TableName) -> list[_Canonical]:
    return [name.schema, name.name]


def _node(node: NodeTable) -> dict[str, _Canonical]:
    return _present(
        table=_table(node.table),
        label=node.label,
        key=_sorted(node.key),
        extra_labels=_sorted(node.extra_labels),
        labels_from=_selector(node.labels_from),
        keep_foreign_keys=None if node.keep_foreign_keys else False,
        relationships=_sorted(map(_foreign_key, node.relationships)),
        **_properties(node.properties),
    )


def _foreign_key(relationship: ForeignKeyRelationship) -> dict[str, _Canonical]:
    return _present(
        type=relationship.type,
        direction=None if relationship.direction == "out" else relationship.direction,
        enforced=None if relationship.enforced else False,
        **_reference(relationship),
    )


def _relationship(relationship: RelationshipTable) -> dict[str, _Canonical]:
    return _present(
        table=_table(relationship.table),
        key=_sorted(relationship.key),
        start=_reference(relationship.start),
        end=_reference(relationship.end),
        type=relationship.type,
        type_from=_selector(relationship.type_from),
        **_properties(relationship.properties),
    )


def _reference(reference: ForeignKeyRelationship | Endpoint) -> dict[str, _Canonical]:
    pairs = zip(reference.columns, reference.target_columns, strict=False)
    return {"target": _table(reference.target), "columns": _sorted([column, target] for column, target in pairs)}


def _properties(properties: Properties) -> dict[str, _Canonical]:
    # An empty include is no default: it leaves only the key.
    include: _Canonical | None = None if properties.include is None else {"only": _sorted(properties.include)}
    renamed = {column: name for column, name in properties.rename.items() if column != name}
    return _present(
        include=include,
        exclude=_sorted(properties.exclude),
        rename=_strings(renamed),
        types=_strings(properties.types),
    )


def _selector(selector: Selector | None) -> dict[str, _Canonical] | None:
    return None if selector is None else {"column": selector.column, "values": _strings(selector.values)}


def _strings(texts: Mapping[str, str]) -> dict[str, _Canonical]:
    return dict(texts)
