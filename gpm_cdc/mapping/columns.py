"""Which columns of a mapped table become properties."""

from gpm_cdc.domain.catalogue import Column, Table
from gpm_cdc.mapping.model import NodeTable, RelationshipTable


def property_columns(mapped: NodeTable | RelationshipTable, table: Table) -> tuple[Column, ...]:
    """The columns of `table` that become properties of `mapped`, in the table's order.

    Of a node: its key always, and the selected columns without dropped foreign keys. Of a relationship table: the
    selected columns without those of its ends, and the key, unless the ends identify the row. Generated columns only
    where `include` names them.
    """
    if isinstance(mapped, NodeTable):
        forced = frozenset(mapped.key)
        dropped = frozenset[str]() if mapped.keep_foreign_keys else foreign_key_columns(mapped)
        dropped -= forced
    else:
        forced = frozenset[str]() if mapped.keyed_by_endpoints else frozenset(mapped.key)
        dropped = endpoint_columns(mapped) - forced
    return tuple(
        column
        for column in table.columns
        if column.name not in dropped and (column.name in forced or _selected(mapped, column))
    )


def foreign_key_columns(node: NodeTable) -> frozenset[str]:
    """The columns of all foreign keys that `node` maps."""
    return frozenset(column for relationship in node.relationships for column in relationship.columns)


def endpoint_columns(relationship: RelationshipTable) -> frozenset[str]:
    """The columns that name the two ends."""
    return frozenset((*relationship.start.columns, *relationship.end.columns))


def _selected(mapped: NodeTable | RelationshipTable, column: Column) -> bool:
    chosen = mapped.properties
    return chosen.selects(column.name) and (column.generated == "" or chosen.include is not None)
