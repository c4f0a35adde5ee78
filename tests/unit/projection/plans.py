"""Plans and relations for tests, in few words."""

from gpm_cdc.domain.catalogue import Table, TableName
from gpm_cdc.domain.changes import Relation, RelationColumn
from gpm_cdc.mapping.text import parse
from gpm_cdc.projection.plan import GraphPlan, NodePlan, RelationshipPlan, plan
from tests.unit.mapping.tables import catalogue


def planned(mapping: str, *tables: Table) -> GraphPlan:
    """The plan of a mapping, given without its version, over `tables`."""
    return plan(parse(f"version = 1\n{mapping}", where="test"), catalogue(*tables))


def node(of: GraphPlan, name: str) -> NodePlan:
    """The node table called `name`."""
    found = of.tables[TableName.parse(name)]
    assert isinstance(found, NodePlan)
    return found


def relationship(of: GraphPlan, name: str) -> RelationshipPlan:
    """The relationship table called `name`."""
    found = of.tables[TableName.parse(name)]
    assert isinstance(found, RelationshipPlan)
    return found


def relation(table: Table, *, identity: str | None = None) -> Relation:
    """What the stream says about `table`; `identity` are the columns of its replica identity, if not the key."""
    carried = table.identity_columns if identity is None else tuple(identity.split())
    columns = tuple(
        RelationColumn(column.name, column.type.oid, column.type.modifier, column.name in carried)
        for column in table.columns
        if column.generated == ""
    )
    return Relation(table.oid, table.name.schema, table.name.name, table.replica_identity, columns)
