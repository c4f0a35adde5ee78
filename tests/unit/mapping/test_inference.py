import pytest

from gpm_cdc.domain.catalogue import Catalogue, ForeignKey, PgType, Table, TableName, UniqueKey
from gpm_cdc.mapping.inference import Inference, infer
from gpm_cdc.mapping.model import NodeTable
from gpm_cdc.mapping.text import parse, render
from gpm_cdc.mapping.validation import validate
from tests.unit.mapping.tables import (
    CHAR_4,
    FLOAT8,
    INT4,
    MOOD,
    NUMERIC,
    REGCLASS,
    TEXT,
    VARCHAR,
    catalogue,
    codes,
    column,
    name,
    reference,
    table,
)

CUSTOMERS = table("customers")


def node(inference: Inference, text: str) -> NodeTable:
    """The entry of a node table."""
    found = inference.mapping.node(name(text))
    assert found is not None
    return found


def types(inference: Inference, text: str) -> list[str]:
    """The relationship types of a node table."""
    return [relationship.type for relationship in node(inference, text).relationships]


def refused(inference: Inference) -> list[str]:
    """The tables without an entry."""
    return [str(each) for each in inference.notes.refused]


def test_foreign_key() -> None:
    """A foreign key becomes an outgoing relationship to the referenced table, named after its column."""
    inference = infer(catalogue(CUSTOMERS, table("orders", "id customer_id", reference("customer_id", "customers"))))
    assert [each.label for each in inference.mapping.nodes] == ["Customer", "Order"]
    relationship = node(inference, "orders").relationships[0]
    assert (relationship.type, relationship.target) == ("CUSTOMER", name("customers"))
    assert (relationship.direction, relationship.enforced) == ("out", True)
    assert inference.findings == ()


def test_composite_and_shared_key() -> None:
    """A composite foreign key, and one that is the bare primary key, are named after the referenced table."""
    places = table("places", "country code", key="country code")
    composite = table("visits", "id c p", reference("c p", "places", "country code"))
    shared = table("customer_details", "id", reference("id", "customers"))
    inference = infer(catalogue(places, composite, shared, CUSTOMERS))
    assert types(inference, "visits") == ["PLACE"]
    assert types(inference, "customer_details") == ["CUSTOMER"]


def test_not_valid_is_loose() -> None:
    """A foreign key that is not validated or not enforced becomes a loose reference."""
    orders = table(
        "orders",
        "id a_id b_id",
        reference("a_id", "customers", validated=False),
        reference("b_id", "customers", enforced=False),
    )
    inference = infer(catalogue(CUSTOMERS, orders))
    assert [each.enforced for each in node(inference, "orders").relationships] == [False, False]
    assert "NOT VALID" in render(inference.mapping, inference.notes)
    assert codes(inference.findings) == []


def test_repeated_foreign_key() -> None:
    """Two constraints that say the same make one relationship, enforced if either is."""
    orders = table("orders", "id a_id", reference("a_id", "customers", validated=False), reference("a_id", "customers"))
    relationships = node(infer(catalogue(CUSTOMERS, orders)), "orders").relationships
    assert [each.enforced for each in relationships] == [True]


JOIN = (reference("customer_id", "customers"), reference("product_id", "products"))
PRODUCTS = table("products")


def test_relationship_table() -> None:
    """A table whose primary key is exactly two foreign keys is a relationship, in the order of the key."""
    joined = table("favourite_products", "product_id customer_id rank", *JOIN, key="product_id customer_id")
    inference = infer(catalogue(CUSTOMERS, PRODUCTS, joined))
    (relationship,) = inference.mapping.relationships
    assert relationship.type == "FAVOURITE_PRODUCT"
    assert (relationship.start.target, relationship.end.target) == (name("products"), name("customers"))
    assert relationship.key == ("product_id", "customer_id")
    assert relationship.keyed_by_endpoints
    assert codes(inference.findings) == []


def test_overlapping_ends() -> None:
    """Two composite foreign keys that share the tenant's column still make a relationship table."""
    users, roles = table("users", "tenant id", key="tenant id"), table("roles", "tenant id", key="tenant id")
    granted = table(
        "grants",
        "tenant u r",
        reference("tenant u", "users", "tenant id"),
        reference("tenant r", "roles", "tenant id"),
        key="tenant u r",
    )
    assert [each.type for each in infer(catalogue(users, roles, granted)).mapping.relationships] == ["GRANT"]


@pytest.mark.parametrize(
    "others",
    [
        (table("j", "id customer_id product_id", *JOIN),),
        (table("j", "customer_id product_id n", *JOIN, key="customer_id product_id n"),),
        (table("j", "customer_id product_id n", *JOIN, reference("n", "products"), key="customer_id product_id"),),
        (
            table("j", "customer_id product_id", *JOIN, key="customer_id product_id"),
            table("k", "id c p", reference("c p", "j", "customer_id product_id")),
        ),
        (
            table(
                "j",
                "customer_id product_id",
                JOIN[0],
                reference("product_id", "products", validated=False),
                key="customer_id product_id",
            ),
        ),
        (
            table(
                "j", "customer_id product_id", JOIN[0], reference("product_id", "gone"), key="customer_id product_id"
            ),
            table("gone", key=None),
        ),
        (
            table(
                "j",
                "customer_id product_id",
                reference("customer_id product_id", "pairs", "a b"),
                JOIN[0],
                key="customer_id product_id",
            ),
            table("pairs", "a b", key="a b"),
        ),
    ],
    ids=["own key", "wider key", "third", "referenced", "not valid", "target refused", "one within the other"],
)
def test_not_a_relationship_table(others: tuple[Table, ...]) -> None:
    """Anything less than two whole enforced foreign keys, or anything more, makes a node table."""
    inference = infer(catalogue(CUSTOMERS, PRODUCTS, *others))
    assert inference.mapping.relationships == ()
    assert node(inference, "j").label == "J"
    assert not any(finding.blocks for finding in validate(inference.mapping, catalogue(CUSTOMERS, PRODUCTS, *others)))


def test_schemas() -> None:
    """Tables of one name in different schemas get the schema as a prefix; a lone table of another schema does not."""
    inference = infer(catalogue(table("sales.orders"), table("orders"), table("sales.items")))
    assert [each.label for each in inference.mapping.nodes] == ["PublicOrder", "Item", "SalesOrder"]


def test_shared_label() -> None:
    """Two tables of one schema that would share a label block, both are named, and the line to write is shown."""
    inference = infer(catalogue(table("order"), table("orders")))
    (finding,) = inference.findings
    assert (finding.code, finding.severity) == ("label_shared", "blocks")
    assert "public.order, public.orders" in finding.message
    assert 'label = "PublicOrder"' in finding.remedy
    assert "label_shared" not in render(inference.mapping, inference.notes)
    assert finding.message[:40] in render(inference.mapping, inference.notes)


def test_ambiguous_relationships() -> None:
    """Two foreign keys that would share type and ends block, both are named, and the line to write is shown."""
    places = table("places", "country code", key="country code")
    trips = table(
        "trips",
        "id from_country from_code to_country to_code",
        reference("from_country from_code", "places", "country code"),
        reference("to_country to_code", "places", "country code"),
    )
    inference = infer(catalogue(places, trips))
    (finding,) = inference.findings
    assert (finding.code, finding.severity) == ("relationship_ambiguous", "blocks")
    assert "public.trips (from_country, from_code), public.trips (to_country, to_code)" in finding.message
    assert 'type = "TO_COUNTRY_TO_CODE"' in finding.remedy
    assert 'type = "TO_COUNTRY_TO_CODE"' in render(inference.mapping, inference.notes).replace("\n# ", " ")


def test_ambiguous_with_relationship_table() -> None:
    """A foreign key and a relationship table of the same type and ends are ambiguous too."""
    orders = table("orders", "id product_id", reference("product_id", "products"))
    joined = table("product", "o p", reference("o", "orders"), reference("p", "products"), key="o p")
    inference = infer(catalogue(orders, PRODUCTS, joined))
    assert codes(inference.findings) == ["relationship_ambiguous"]
    assert "public.orders (product_id), public.product (o, p)" in inference.findings[0].message


def test_same_type_other_ends() -> None:
    """Foreign keys of one type to different tables are told apart by their ends."""
    orders = table("orders", "id owner_id", reference("owner_id", "customers"), reference("owner_id", "products"))
    inference = infer(catalogue(CUSTOMERS, PRODUCTS, orders))
    assert types(inference, "orders") == ["OWNER", "OWNER"]
    assert inference.findings == ()


DEFERRABLE = UniqueKey("pkey", ("id",), immediate=False, primary=True)


@pytest.mark.parametrize(
    ("bad", "code", "remedy"),
    [
        (table("bad", key=None), "table_without_key", "ALTER TABLE public.bad ADD PRIMARY KEY"),
        (
            table("bad", replica_identity="n", identity_columns=()),
            "replica_identity_nothing",
            "REPLICA IDENTITY DEFAULT",
        ),
        (
            table("bad", replica_identity="i", identity_columns=()),
            "replica_identity_missing",
            "REPLICA IDENTITY DEFAULT",
        ),
        (
            table("bad", [column("id", not_null=True)], key=None, primary_key=DEFERRABLE, unique_keys=(DEFERRABLE,)),
            "key_deferrable",
            "DROP CONSTRAINT pkey, ADD PRIMARY KEY (id)",
        ),
        (
            table(
                "bad",
                [column("id", not_null=True)],
                key=None,
                primary_key=DEFERRABLE,
                unique_keys=(DEFERRABLE,),
                replica_identity="f",
                identity_columns=("id",),
            ),
            "key_deferrable",
            "DROP CONSTRAINT pkey, ADD PRIMARY KEY (id)",
        ),
        (table("bad", persistence="u"), "table_unlogged", "SET LOGGED"),
        (
            table("bad", key=None, replica_identity="f", identity_columns=("id",)),
            "table_without_key",
            "ADD PRIMARY KEY",
        ),
        (table("Bad Table", key=None), "table_without_key", 'ALTER TABLE public."Bad Table" ADD'),
        (table("bad", [column("id", REGCLASS)]), "key_type_unsupported", "another type"),
        (
            table(
                "bad", [column("id"), column("g", generated="s")], replica_identity="f", identity_columns=("id", "g")
            ),
            "replica_identity_full_generated",
            "REPLICA IDENTITY DEFAULT",
        ),
        (table("bad", kind="p", partitions=(name("leaf"),)), "partition_not_streamed", "ignore"),
        (table("bad", partition_of=name("elsewhere.root")), "table_is_partition", "--schema"),
    ],
)
def test_refused(bad: Table, code: str, remedy: str) -> None:
    """A table that cannot be followed is left out by name, with the remedy and the `ignore` line that settles it."""
    good = catalogue(bad, CUSTOMERS)
    inference = infer(good)
    assert [each.table for each in inference.mapping.nodes] == [name("customers")]
    assert refused(inference) == [str(bad.name)]
    (finding,) = inference.findings
    assert (finding.code, finding.severity, finding.subject) == (code, "blocks", str(bad.name))
    assert remedy in finding.remedy
    written = render(inference.mapping, inference.notes)
    assert f'# ignore = ["{bad.name}"]' in written
    assert parse(written, where="x") == inference.mapping
    assert infer(good, [bad.name]).findings == ()
    assert infer(good, [bad.name]).mapping.ignore == (bad.name,)


@pytest.mark.parametrize(
    "leaf",
    [
        table("leaf", partition_of=name("root"), replica_identity="n", identity_columns=()),
        table("leaf", partition_of=name("root"), persistence="u"),
    ],
)
def test_partition_that_is_not_streamed(leaf: Table) -> None:
    """One partition without the key in its replica identity, or unlogged, refuses the whole table by its name."""
    inference = infer(catalogue(table("root", kind="p", partitions=(name("leaf"),)), leaf))
    assert refused(inference) == ["public.root"]
    assert "public.leaf" in inference.findings[0].message


def test_partitions() -> None:
    """Partitions are part of their root; foreign keys that only some have are reported and proposed, not inferred."""
    some: dict[TableName, tuple[ForeignKey, ...]] = {name("leaf1"): (reference("customer_id", "customers"),)}
    root = table(
        "root", "id customer_id", kind="p", partitions=(name("leaf1"), name("leaf2")), partition_foreign_keys=some
    )
    leaves = [
        table("leaf1", "id customer_id", reference("customer_id", "customers"), partition_of=name("root")),
        table("leaf2", "id customer_id", partition_of=name("root")),
    ]
    tables = catalogue(root, *leaves, CUSTOMERS)
    inference = infer(tables)
    assert [each.label for each in inference.mapping.nodes] == ["Customer", "Root"]
    assert types(inference, "root") == []
    (finding,) = inference.findings
    assert (finding.code, finding.severity) == ("reference_of_partitions", "warns")
    assert "1 of 2 partitions of public.root (such as public.leaf1)" in finding.message
    uncommented = render(inference.mapping, inference.notes).replace("# [[", "[[")
    for key in ("columns", "type", "target", "target_columns", "enforced"):
        uncommented = uncommented.replace(f"# {key} =", f"{key} =")
    proposed = parse(uncommented, where="x")
    assert [each.type for node in proposed.nodes for each in node.relationships] == ["CUSTOMER"]
    assert [finding for finding in validate(proposed, tables) if finding.blocks] == []


def test_key_of_replica_identity_index() -> None:
    """A replica identity index that lacks the primary key gives the key; one that contains it does not."""
    code = UniqueKey("u", ("code",), immediate=True)
    columns = [column("id"), column("code", not_null=True)]
    inference = infer(catalogue(table("t", columns, unique=[code], replica_identity="i", identity_columns=("code",))))
    assert node(inference, "t").key == ("code",)
    assert "DELETE does not carry the primary key (id)" in render(inference.mapping, inference.notes)
    wide = table("t", columns, unique=[code], replica_identity="i", identity_columns=("id", "code"))
    assert node(infer(catalogue(wide)), "t").key == ("id",)


def test_unique_key_under_full() -> None:
    """Without a primary key, replica identity FULL and a unique NOT NULL key will do; a nullable one will not."""
    code = UniqueKey("u", ("code",), immediate=True)
    full = {"key": None, "unique": [code], "replica_identity": "f", "identity_columns": ("code",)}
    strict = table("t", [column("code", not_null=True)], **full)  # type: ignore[arg-type]
    assert node(infer(catalogue(strict)), "t").key == ("code",)
    nullable = table("t", [column("code")], **full)  # type: ignore[arg-type]
    assert refused(infer(catalogue(nullable))) == ["public.t"]


def test_generated_columns() -> None:
    """A generated column becomes no property and is noted; a foreign key on one is reported."""
    orders = table("orders", [column("id"), column("c", generated="s")], reference("c", "customers"))
    inference = infer(catalogue(CUSTOMERS, orders))
    assert codes(inference.findings, "notes") == ["column_generated"]
    assert codes(inference.findings, "warns") == ["reference_not_comparable"]
    assert "c is a generated column" in render(inference.mapping, inference.notes)


def test_unsupported_type() -> None:
    """A column of a type without a counterpart is excluded by name, and the result is valid."""
    odd = catalogue(table("odd", [column("id"), column("kind", REGCLASS)]))
    inference = infer(odd)
    assert node(inference, "odd").properties.exclude == ("kind",)
    assert codes(inference.findings, "warns") == ["type_unsupported"]
    assert validate(inference.mapping, odd) == ()


def test_types_that_surprise() -> None:
    """Numerics that become strings are pointed out with the line that makes them numbers, ready to be uncommented."""
    columns = [column("id"), column("net", NUMERIC), column("a.b", NUMERIC), column("kind", TEXT), column("c")]
    prices = catalogue(CUSTOMERS, table("prices", columns, reference("c", "customers")))
    inference = infer(prices)
    written = render(inference.mapping, inference.notes)
    assert "# As strings, which keep every digit: net (numeric), a.b (numeric)." in written
    assert "kind (" not in written
    chosen = parse(written.replace("# types =", "types ="), where="x")
    assert [dict(each.properties.types) for each in chosen.nodes] == [{}, {"net": "float", "a.b": "float"}]
    assert validate(chosen, prices) == ()


@pytest.mark.parametrize("pair", [(MOOD, VARCHAR), (FLOAT8, NUMERIC)])
def test_incomparable_reference(pair: tuple[PgType, PgType]) -> None:
    """A foreign key between types of which nothing is known is reported and left out."""
    parents = table("parents", [column("id", pair[1])])
    children = table("children", [column("id"), column("p", pair[0])], reference("p", "parents"))
    inference = infer(catalogue(parents, children))
    assert types(inference, "children") == []
    assert codes(inference.findings, "warns") == ["reference_not_comparable"]


def test_target_out_of_scope() -> None:
    """A foreign key to a table that is not mapped is reported with what would bring it in."""
    orders = table("orders", "id customer_id", reference("customer_id", "crm.customers"))
    inference = infer(catalogue(orders))
    assert types(inference, "orders") == []
    (finding,) = inference.findings
    assert (finding.code, finding.severity) == ("reference_target_unmapped", "warns")
    assert "crm.customers" in finding.message
    assert "--schema" in finding.remedy


def test_float_key_warns() -> None:
    """A floating-point key is mapped with a warning."""
    inference = infer(catalogue(table("t", [column("id", FLOAT8)])))
    assert codes(inference.findings, "warns") == ["key_float"]


def test_irregular_singular() -> None:
    """A singular that is more than an ending taken off has a comment beside it."""
    inference = infer(catalogue(table("people")))
    assert 'label = "Person"  # taken as the singular of people' in render(inference.mapping, inference.notes)


def test_empty() -> None:
    """No tables make an empty mapping."""
    assert infer(Catalogue({}, 180_000)).mapping.nodes == ()


@pytest.mark.parametrize("pair", [(CHAR_4, VARCHAR), (VARCHAR, CHAR_4), (INT4, NUMERIC), (NUMERIC, NUMERIC)])
def test_joined_reference(pair: tuple[PgType, PgType]) -> None:
    """A foreign key between types whose equal values are written differently is a relationship."""
    parents = table("parents", [column("id", pair[1])])
    children = table("children", [column("id"), column("p", pair[0])], reference("p", "parents"))
    inference = infer(catalogue(parents, children))
    assert types(inference, "children") == ["P"]
    assert codes(validate(inference.mapping, catalogue(parents, children))) == []
