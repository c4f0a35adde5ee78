from gpm_cdc.mapping.columns import property_columns
from gpm_cdc.mapping.model import Endpoint, ForeignKeyRelationship, NodeTable, Properties, RelationshipTable
from tests.unit.mapping.tables import column, name, table

ORDERS = table("orders", [column("note"), column("id"), column("customer_id"), column("total", generated="s")])
CUSTOMER = ForeignKeyRelationship(("customer_id",), "CUSTOMER", name("customers"), ("id",))


def node(key: tuple[str, ...] = ("id",), *, keep: bool = True, **properties: object) -> NodeTable:
    """Orders as nodes."""
    return NodeTable(
        name("orders"),
        "Order",
        key,
        properties=Properties(**properties),  # type: ignore[arg-type]
        keep_foreign_keys=keep,
        relationships=(CUSTOMER,),
    )


def chosen(mapped: NodeTable | RelationshipTable) -> list[str]:
    """The names of the columns that become properties."""
    return [each.name for each in property_columns(mapped, ORDERS)]


def test_all() -> None:
    """By default every column but generated ones becomes a property, in the table's order."""
    assert chosen(node()) == ["note", "id", "customer_id"]


def test_key_stays() -> None:
    """The key is a property whatever include and exclude say."""
    assert chosen(node(include=("note",))) == ["note", "id"]
    assert chosen(node(exclude=("id", "customer_id"))) == ["note", "id"]


def test_generated() -> None:
    """A generated column is a property only where include names it."""
    assert chosen(node(include=("id", "total"))) == ["id", "total"]


def test_dropped_foreign_keys() -> None:
    """keep_foreign_keys = false leaves out the foreign keys' columns, but never a key column."""
    assert chosen(node(keep=False)) == ["note", "id"]
    assert chosen(node(("customer_id",), keep=False)) == ["note", "id", "customer_id"]


def test_relationship_table() -> None:
    """A relationship has its key, unless its ends identify it, and no other column of its ends."""
    start = Endpoint(("customer_id",), name("customers"), ("id",))
    end = Endpoint(("note",), name("notes"), ("id",))
    by_ends = RelationshipTable(name("orders"), ("note", "customer_id"), start, end, type="T")
    assert chosen(by_ends) == ["id"]
    own_key = RelationshipTable(name("orders"), ("id",), start, end, type="T", properties=Properties(include=()))
    assert chosen(own_key) == ["id"]
    overlapping = RelationshipTable(
        name("orders"), ("id", "note"), start, end, type="T", properties=Properties(exclude=("id",))
    )
    assert chosen(overlapping) == ["note", "id"]
