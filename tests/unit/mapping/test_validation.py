from dataclasses import replace

import pytest

from gpm_cdc.domain.catalogue import Catalogue, ForeignKey, UniqueKey
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.mapping import MappingInvalid
from gpm_cdc.mapping.inference import infer
from gpm_cdc.mapping.model import GraphMapping, Properties
from gpm_cdc.mapping.text import parse
from gpm_cdc.mapping.validation import require_valid, validate
from tests.unit.mapping.tables import (
    CHAR_4,
    DATE,
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

ORDERS_CUSTOMER = reference("customer_id", "customers")


def shop(orders_customer: ForeignKey | None = ORDERS_CUSTOMER) -> Catalogue:
    """Customers, orders, products and the lines of orders."""
    customers = table(
        "customers",
        [column("id"), column("name", TEXT), column("kind", MOOD), column("code", VARCHAR, not_null=True)],
        unique=[UniqueKey("code_key", ("code",), immediate=True)],
    )
    orders = table(
        "orders",
        [
            column("id"),
            column("customer_id"),
            column("code", VARCHAR),
            column("kind", TEXT),
            column("total", NUMERIC),
            column("doubled", NUMERIC, generated="s"),
            column("class", REGCLASS),
            column("char", CHAR_4),
        ],
        *(() if orders_customer is None else (orders_customer,)),
    )
    lines = table(
        "lines",
        [column("order_id"), column("product_id"), column("kind", TEXT), column("line", not_null=True)],
        reference("order_id", "orders"),
        reference("product_id", "products"),
        key="order_id product_id",
        unique=[UniqueKey("line_key", ("line",), immediate=True)],
    )
    leaf = table("events_1", partition_of=name("events"))
    events = table("events", kind="p", partitions=(name("events_1"),))
    return catalogue(customers, orders, lines, table("products"), events, leaf, table("audit", key=None))


TEXT_OF_SHOP = """
version = 1
ignore = ["public.audit", "public.events"]
[[node]]
table = "public.customers"
label = "Customer"
key = ["id"]
[[node]]
table = "public.products"
label = "Product"
key = ["id"]
[[node]]
table = "public.orders"
label = "Order"
key = ["id"]
exclude = ["class"]
[[node.relationship]]
columns = ["customer_id"]
type = "CUSTOMER"
target = "public.customers"
target_columns = ["id"]
[[relationship]]
table = "public.lines"
type = "LINE"
key = ["order_id", "product_id"]
start = { columns = ["order_id"], target = "public.orders", target_columns = ["id"] }
end = { columns = ["product_id"], target = "public.products", target_columns = ["id"] }
"""


def mapping(*changes: tuple[str, str]) -> GraphMapping:
    """The shop's mapping with texts replaced; each must be there."""
    text = TEXT_OF_SHOP
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return parse(text, where="gpm-cdc.toml")


def test_valid() -> None:
    """A mapping that fits has no findings and is let through."""
    assert validate(mapping(), shop()) == ()
    require_valid(mapping(), shop())


def test_inferred_is_valid() -> None:
    """What inference makes of the same tables blocks nothing but what it refused."""
    inference = infer(shop())
    assert codes(validate(inference.mapping, shop())) == []


ORDER_KEY = 'label = "Order"\nkey = ["id"]'
ORDER = 'exclude = ["class"]'
RELATIONSHIP = 'type = "CUSTOMER"'
LINE = 'type = "LINE"'
LINE_KEY = 'key = ["order_id", "product_id"]'


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        ('table = "public.customers"', 'table = "public.custmers"', "table_unknown", "public.customers"),
        ('table = "public.products"', 'table = "public.events_1"', "table_is_partition", "public.events"),
        ('table = "public.products"', 'table = "public.customers"', "table_mapped_twice", "2 times"),
        ('"public.events"]', '"public.products"]', "table_mapped_and_ignored", "public.products"),
        ('table = "public.products"', 'table = "public.audit"', "table_without_key", "ADD PRIMARY KEY"),
        (ORDER_KEY, 'label = "Order"\nkey = ["idd"]', "column_unknown", "Did you mean id?"),
        (ORDER_KEY, 'label = "Order"\nkey = []', "key_empty", 'key = ["id"]'),
        (ORDER_KEY, 'label = "Order"\nkey = ["customer_id"]', "key_not_unique", 'key = ["id"]'),
        (ORDER_KEY, 'label = "Order"\nkey = ["id", "doubled"]', "key_generated", "doubled"),
        (ORDER_KEY, 'label = "Order"\nkey = ["id", "code"]', "key_not_in_replica_identity", "REPLICA IDENTITY FULL"),
        ('label = "Order"', 'label = "Customer"', "label_shared", "public.customers, public.orders"),
        ('label = "Order"', 'label = "GpmCdcCheckpoint"', "label_reserved", "checkpoint"),
        ('label = "Order"', 'label = "GpmCdcTouched"', "label_reserved", "journal"),
        (ORDER, f'{ORDER}\nextra_labels = ["Customer"]', "label_shared", "public.customers"),
        (ORDER, f'{ORDER}\nextra_labels = ["Order"]', "label_repeated", "Order"),
        (ORDER, f'{ORDER}\nextra_labels = ["A", "A"]', "label_repeated", "A"),
        (ORDER, f'{ORDER}\nextra_labels = [""]', "label_empty", "Write a name"),
        (ORDER, 'exclude = ["clas", "class"]', "column_unknown", "Did you mean class?"),
        (ORDER, f'{ORDER}\nrename = {{ zzz = "a" }}', "column_unknown", "Its columns are: id"),
        (ORDER, f'{ORDER}\nrename = {{ total = "id" }}', "property_shared", "id, total"),
        (ORDER, f'{ORDER}\nrename = {{ total = "x", code = "x" }}', "property_shared", "code, total"),
        (ORDER, f'{ORDER}\nrename = {{ total = "" }}', "property_empty", "total"),
        (ORDER, f'{ORDER}\ninclude = ["id"]', "include_and_exclude", "public.orders"),
        (ORDER, 'include = ["customer_id"]', "key_left_out", "public.orders.id"),
        (ORDER, 'exclude = ["class", "id"]', "key_left_out", "public.orders.id"),
        (ORDER, 'include = ["id", "customer_id", "doubled"]', "generated_included", "doubled"),
        (ORDER, "", "type_unsupported", "regclass"),
        (ORDER, f'{ORDER}\ntypes = {{ total = "date" }}', "type_choice_refused", "date"),
        (ORDER, f'{ORDER}\nlabels_from = {{ column = "kin", values = {{ a = "A" }} }}', "column_unknown", "kind?"),
        (ORDER, f'{ORDER}\nlabels_from = {{ column = "total", values = {{ a = "A" }} }}', "selector_type", "numeric"),
        (ORDER, f'{ORDER}\nlabels_from = {{ column = "char", values = {{ a = "A" }} }}', "selector_type", "char(4)"),
        (ORDER, f'{ORDER}\nlabels_from = {{ column = "kind", values = {{}} }}', "selector_empty", "values"),
        (ORDER, f'{ORDER}\nlabels_from = {{ column = "kind", values = {{ a = "Order" }} }}', "label_repeated", "Order"),
        ('target = "public.customers"', 'target = "public.customer"', "target_unknown", '"public.customers"'),
        ('target = "public.customers"', 'target = "public.events"', "target_unknown", "[[node]]"),
        ('target = "public.customers"', 'target = "public.events_1"', "target_is_partition", '"public.events"'),
        ('target = "public.customers"', 'target = "public.lines"', "target_is_relationship", "[[node]]"),
        ('columns = ["customer_id"]', 'columns = ["customerid"]', "column_unknown", "customer_id?"),
        ('columns = ["customer_id"]', 'columns = ["customer_id", "id"]', "reference_arity", "2 columns"),
        ('columns = ["customer_id"]', 'columns = ["doubled"]', "reference_generated", "doubled"),
        ('columns = ["customer_id"]', 'columns = ["kind"]', "reference_not_comparable", "(text)"),
        ('columns = ["customer_id"]', 'columns = ["id"]', "reference_not_enforced", "enforced = false"),
        (
            'target = "public.customers"\ntarget_columns = ["id"]',
            'target = "public.customers"\ntarget_columns = ["nam"]',
            "column_unknown",
            "name?",
        ),
        (ORDER, f"{ORDER}\nkeep_foreign_keys = false", "foreign_key_dropped", "ON UPDATE RESTRICT"),
        (ORDER, 'exclude = ["class", "customer_id"]', "foreign_key_dropped", 'Keep ["customer_id"]'),
        (LINE_KEY, 'key = ["line"]', "key_not_in_replica_identity", "DELETE"),
        (LINE, f'{LINE}\nexclude = ["lines"]', "column_unknown", "line?"),
        (LINE, 'type_from = { column = "line", values = { a = "A" } }', "selector_type", "type_from"),
        (
            LINE,
            f'{LINE}\ntype_from = {{ column = "kind", values = {{ a = "A" }} }}',
            "relationship_type_unclear",
            "one",
        ),
        (LINE, 'type_from = { column = "kind", values = { a = "" } }', "type_empty", "CUSTOMER"),
        ('end = { columns = ["product_id"]', 'end = { columns = ["line"]', "endpoint_loose", "as a [[node]]"),
    ],
)
def test_blocking(before: str, after: str, code: str, said: str) -> None:
    """Each way in which a mapping does not fit blocks with its own code and says what to write."""
    changed = mapping((before, after))
    found = [finding for finding in validate(changed, shop()) if finding.code == code and finding.blocks]
    assert found, validate(changed, shop())
    assert said in f"{found[0].subject} {found[0].message} {found[0].remedy}"
    with pytest.raises(MappingInvalid) as refusal:
        require_valid(changed, shop())
    assert found[0].message in str(refusal.value)
    assert (refusal.value.code, refusal.value.exit_code) == ("mapping_invalid", ExitCode.PERSON)


def test_every_finding_at_once() -> None:
    """All blocking findings are told together."""
    changed = mapping((ORDER_KEY, 'label = "Order"\nkey = ["idd"]'), ('label = "Product"', 'label = "Customer"'))
    with pytest.raises(MappingInvalid, match=r"findings \(2\)") as refusal:
        require_valid(changed, shop())
    assert str(refusal.value).count("\n- ") == 2


def test_unmapped_table() -> None:
    """A table that is neither mapped nor ignored warns and stops nothing, with its reason where it has one."""
    changed = mapping(('["public.audit", "public.events"]', "[]"))
    findings = validate(changed, shop())
    assert codes(findings) == []
    assert codes(findings, "warns") == ["table_without_key", "table_unmapped"]
    require_valid(changed, shop())


def test_ambiguous() -> None:
    """Two relationships of one type between the same tables block, whichever way they are written."""
    second = """
[[node.relationship]]
columns = ["id"]
type = "CUSTOMER"
target = "public.customers"
target_columns = ["id"]
enforced = false
[[relationship]]"""
    findings = validate(mapping(("\n[[relationship]]", second)), shop())
    assert codes(findings) == ["relationship_ambiguous"]
    reverse = """
[[node.relationship]]
columns = ["id"]
type = "LINE"
target = "public.products"
target_columns = ["id"]
direction = "in"
enforced = false
[[relationship]]"""
    assert codes(validate(mapping(("\n[[relationship]]", reverse)), shop())) == []
    forward = reverse.replace('"in"', '"out"')
    assert codes(validate(mapping(("\n[[relationship]]", forward)), shop())) == ["relationship_ambiguous"]
    chosen = 'type_from = { column = "kind", values = { a = "A", b = "LINE" } }'
    by_column = mapping(("\n[[relationship]]", forward), ('"LINE"\nkey', f'"LINE"\n{chosen}\nkey'))
    by_column = replace(by_column, relationships=(replace(by_column.relationships[0], type=None),))
    assert codes(validate(by_column, shop())) == ["relationship_ambiguous"]


@pytest.mark.parametrize(
    ("key", "safe"),
    [
        (reference("customer_id", "customers", on_update="restrict"), True),
        (reference("customer_id", "customers", on_update="restrict", deferrable=True), False),
        (reference("customer_id", "customers"), False),
        (reference("customer_id", "customers", on_update="cascade"), False),
    ],
)
def test_dropped_foreign_key(key: ForeignKey, safe: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """A foreign key's columns may be dropped only where the referenced key cannot move behind the child's back."""
    changed = mapping((ORDER, f"{ORDER}\nkeep_foreign_keys = false"))
    assert codes(validate(changed, shop(key))) == ([] if safe else ["foreign_key_dropped"])


def test_dropped_loose_reference() -> None:
    """A loose reference keeps its columns, whatever the foreign key says."""
    changed = mapping(
        (ORDER, f"{ORDER}\nkeep_foreign_keys = false"), (RELATIONSHIP, f"{RELATIONSHIP}\nenforced = false")
    )
    key = reference("customer_id", "customers", on_update="restrict")
    assert codes(validate(changed, shop(key))) == ["foreign_key_dropped"]


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        (None, "add the foreign key"),
        (reference("customer_id", "customers", validated=False), "VALIDATE CONSTRAINT"),
        (reference("customer_id", "customers", enforced=False), "ENFORCED"),
    ],
)
def test_enforced_must_be(key: ForeignKey | None, remedy: str) -> None:
    """A reference that Postgres does not vouch for must be declared loose."""
    (finding,) = validate(mapping(), shop(key))
    assert finding.code == "reference_not_enforced"
    assert remedy in finding.remedy
    assert validate(mapping((RELATIONSHIP, f"{RELATIONSHIP}\nenforced = false")), shop(key)) == ()


def test_other_unique_key() -> None:
    """A reference to a unique key that is not the primary key is ordinary; the target must keep it as a property."""
    loose = '\ntarget_columns = ["code"]\nenforced = false'
    changes = (
        ('columns = ["customer_id"]', 'columns = ["code"]'),
        ('target = "public.customers"\ntarget_columns = ["id"]', f'target = "public.customers"{loose}'),
    )
    assert validate(mapping(*changes), shop()) == ()
    hidden = mapping(*changes, ('label = "Customer"', 'label = "Customer"\nexclude = ["code"]'))
    assert codes(validate(hidden, shop())) == ["target_not_property"]
    many = mapping((changes[0][0], 'columns = ["kind"]'), (changes[1][0], changes[1][1].replace('"code"', '"name"')))
    assert codes(validate(many, shop())) == ["target_not_unique"]


def test_relationship_key_of_its_own() -> None:
    """A relationship table may be keyed by other columns if a DELETE carries them."""
    lines = shop().tables[name("lines")]
    full = replace(lines, replica_identity="f", identity_columns=tuple(each.name for each in lines.columns))
    tables = catalogue(*(full if each.name == full.name else each for each in shop().tables.values()))
    assert validate(mapping((LINE_KEY, 'key = ["line"]')), tables) == ()
    without = mapping((LINE_KEY, 'key = ["line"]\nexclude = ["line"]'))
    assert codes(validate(without, tables)) == ["key_left_out"]


def test_deferrable_key() -> None:
    """A key that only a deferrable constraint makes unique blocks, even where every column is carried."""
    orders = shop().tables[name("orders")]
    code = UniqueKey("late", ("id",), immediate=False)
    own = UniqueKey("pkey", ("customer_id",), immediate=True, primary=True)
    columns = tuple(replace(each, not_null=True) for each in orders.columns if each.generated == "")
    changed = replace(
        orders,
        columns=columns,
        primary_key=own,
        unique_keys=(own, code),
        replica_identity="f",
        identity_columns=tuple(each.name for each in columns),
    )
    tables = catalogue(*(changed if each.name == orders.name else each for each in shop().tables.values()))
    findings = validate(mapping(), tables)
    assert "key_deferrable" in codes(findings)
    assert "DROP CONSTRAINT late, ADD UNIQUE (id)" in next(
        each.remedy for each in findings if each.code == "key_deferrable"
    )


def test_types_of_a_reference() -> None:
    """Columns that are matched as they are must become the same; numbers are matched whatever they become."""
    types = ('exclude = ["class"]', 'exclude = ["class"]\ntypes = { customer_id = "float", total = "string" }')
    assert codes(validate(mapping(types), shop())) == []
    parent = table("parents", [column("day", DATE)], key="day")
    child = table("children", [column("id"), column("day", DATE)], reference("day", "parents", "day"))
    found = catalogue(parent, child)
    inferred = infer(found).mapping
    nodes = tuple(
        replace(each, properties=Properties(types={"day": "string"})) if each.table == child.name else each
        for each in inferred.nodes
    )
    differing = validate(replace(inferred, nodes=nodes), found)
    assert codes(differing) == ["reference_types_differ"]
    assert "becomes STRING" in differing[0].message


def test_undeclared_text_reference() -> None:
    """Between kinds of text the foreign key says what counts: without one the reference is refused."""
    parent = table("parents", [column("code", CHAR_4)], key="code")
    child = table("children", [column("id"), column("code", TEXT)], reference("code", "public.parents", "code"))
    declared = infer(catalogue(parent, child)).mapping
    assert codes(validate(declared, catalogue(parent, child))) == []
    findings = validate(declared, catalogue(parent, replace(child, foreign_keys=())))
    assert codes(findings) == ["reference_not_comparable"]
    assert findings[0].remedy.startswith("Add the foreign key")


def test_nondeterministic_reference() -> None:
    """A reference between texts of which different bytes can be equal is refused by the name of its column."""
    folded = replace(column("code", TEXT), deterministic=False)
    parent = table("parents", [column("code", TEXT)], key="code")
    child = table("children", [column("id"), folded], reference("code", "public.parents", "code"), key="id")
    found = catalogue(parent, child)
    assert "reference_not_comparable" in codes(validate(infer(found).mapping, found))
    plain = replace(child, columns=tuple(replace(column, deterministic=True) for column in child.columns))
    same = catalogue(parent, plain)
    assert codes(validate(infer(same).mapping, same)) == []
