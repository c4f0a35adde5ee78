import tomllib

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.base import ExitCode, GpmCdcError
from gpm_cdc.errors.mapping import (
    MappingKeyMissing,
    MappingKeyMisspelled,
    MappingKeyUnknown,
    MappingUnreadable,
    MappingValueWrong,
    MappingVersionUnknown,
)
from gpm_cdc.mapping.model import (
    Endpoint,
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    Properties,
    RelationshipTable,
    Selector,
)
from gpm_cdc.mapping.notes import Notes, Remark, reference_place
from gpm_cdc.mapping.text import holds_mapping, merge_into, parse, parse_ignore, render
from tests.unit.mapping.tables import name

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TABLES = st.builds(TableName, NAMES.filter(lambda schema: "." not in schema), NAMES)
COLUMNS = st.lists(ANY_TEXT, max_size=3).map(tuple)
DICTIONARIES = st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3)
SELECTORS = st.builds(Selector, NAMES, DICTIONARIES)
PROPERTIES = st.builds(Properties, st.none() | COLUMNS, COLUMNS, DICTIONARIES, DICTIONARIES)
FOREIGN_KEYS = st.builds(
    ForeignKeyRelationship, COLUMNS, NAMES, TABLES, COLUMNS, st.sampled_from(["out", "in"]), st.booleans()
)
NODES = st.builds(
    NodeTable,
    TABLES,
    NAMES,
    COLUMNS,
    COLUMNS,
    st.none() | SELECTORS,
    PROPERTIES,
    st.booleans(),
    st.lists(FOREIGN_KEYS, max_size=2).map(tuple),
)
ENDS = st.builds(Endpoint, COLUMNS, TABLES, COLUMNS)
RELATIONSHIPS = st.builds(
    RelationshipTable, TABLES, COLUMNS, ENDS, ENDS, NAMES, st.none() | SELECTORS, PROPERTIES
) | st.builds(RelationshipTable, TABLES, COLUMNS, ENDS, ENDS, st.none(), SELECTORS, PROPERTIES)
MAPPINGS = st.builds(
    GraphMapping,
    st.lists(NODES, max_size=3).map(tuple),
    st.lists(RELATIONSHIPS, max_size=2).map(tuple),
    st.lists(TABLES, max_size=2).map(tuple),
)


def notes_for(mapping: GraphMapping, comment: str) -> Notes:
    """`comment` in every place where one may stand."""
    places = ("label", "key", "exclude", "start")
    tables = tuple(mapping.tables())
    beside = {(table, place): comment for table in tables for place in places}
    for node in mapping.nodes:
        for relationship in node.relationships:
            beside[node.table, reference_place(relationship.columns)] = comment
    below = {table: (Remark(comment, (comment,)),) for table in tables}
    return Notes(beside, below, dict.fromkeys(tables, comment))


@given(MAPPINGS, ANY_TEXT)
def test_round_trip(mapping: GraphMapping, comment: str) -> None:
    """Every mapping is read back from its text as it was, whatever its names and comments hold."""
    assert parse(render(mapping), where="gpm-cdc.toml") == mapping
    assert parse(render(mapping, notes_for(mapping, comment)), where="gpm-cdc.toml") == mapping


EXISTING = """# Our shop.
# Ask Ada.

version = 1 # the first
ignore = ["public.audit"]
# Not in the graph: something old

# The servers.
[settings]
stream = "shop" # kept
# a comment within

[settings.more]
deep = [1, 2] # also kept

[[node]]
table = "public.old"
label = "Old"
key = ["id"]
# a comment of the old mapping
[[relationship]]
table = "public.older"
"""


@given(MAPPINGS, ANY_TEXT)
def test_merge(mapping: GraphMapping, comment: str) -> None:
    """Merging replaces the mapping and keeps settings, their comments and what stands above the first key."""
    merged = merge_into(EXISTING, mapping, notes_for(mapping, comment))
    assert parse(merged, where="gpm-cdc.toml") == mapping
    assert tomllib.loads(merged)["settings"] == {"stream": "shop", "more": {"deep": [1, 2]}}
    assert merged.startswith("# Our shop.\n# Ask Ada.\n\nversion = 1\n")
    for kept in ('stream = "shop" # kept', "# a comment within", "deep = [1, 2] # also kept"):
        assert kept in merged
    for gone in ("something old", "public.old", "public.audit"):
        assert gone not in merged
    assert merge_into(merged, mapping, notes_for(mapping, comment)) == merged


SETTINGS_LAST = """[[node]]
table = "a"

[settings]
stream = "x"

[[node]]
table = "b"

[settings.more]
deep = 1
"""


@pytest.mark.parametrize(
    "existing", ["", "# only a comment\n", "[settings]\nstream = 'x'\n", SETTINGS_LAST, "settings.stream = 'x'\n"]
)
def test_merge_elsewhere(existing: str) -> None:
    """Settings survive wherever the file has them, also where there was no mapping before."""
    mapping = GraphMapping(nodes=(NodeTable(name("orders"), "Order", ("id",)),))
    merged = merge_into(existing, mapping)
    assert parse(merged, where="gpm-cdc.toml") == mapping
    assert tomllib.loads(merged).get("settings") == tomllib.loads(existing).get("settings")
    assert merge_into(merged, mapping) == merged


def test_rendered() -> None:
    """Defaults are not written, and comments stand beside the lines that they are about."""
    orders = NodeTable(
        name("orders"),
        "Order",
        ("id",),
        relationships=(ForeignKeyRelationship(("customer_id",), "CUSTOMER", name("customers"), ("id",)),),
    )
    mapping = GraphMapping((orders,), ignore=(name("audit"),))
    notes = Notes(
        {(name("orders"), "label"): "why"},
        {name("orders"): (Remark("Prices are texts:", ('types = { price = "float" }',)),)},
        {name("heap"): "It has no key."},
    )
    assert (
        render(mapping, notes)
        == """version = 1
ignore = ["public.audit"]

# Not in the graph: public.heap. It has no key.
# To leave out knowingly what is not in the graph, have this line instead of an ignore above:
# ignore = ["public.audit", "public.heap"]

[[node]]
table = "public.orders"
label = "Order"  # why
key = ["id"]

# Prices are texts:
# types = { price = "float" }

[[node.relationship]]
columns = ["customer_id"]
type = "CUSTOMER"
target = "public.customers"
target_columns = ["id"]
"""
    )


NODE = '[[node]]\ntable = "public.orders"\nlabel = "Order"\nkey = ["id"]\n'
FOREIGN_KEY = (
    '[[node.relationship]]\ncolumns = ["c"]\ntype = "C"\ntarget = "public.customers"\ntarget_columns = ["id"]\n'
)
ENDPOINT = '{ columns = ["a"], target = "public.a", target_columns = ["id"] }'
RELATIONSHIP = (
    f'[[relationship]]\ntable = "public.lines"\ntype = "LINE"\nkey = ["a", "b"]\nstart = {ENDPOINT}\nend = {ENDPOINT}\n'
)
ALL = f"version = 1\n{NODE}{FOREIGN_KEY}{RELATIONSHIP}"


@pytest.mark.parametrize(
    ("before", "after", "error", "said"),
    [
        ("version = 1", "version = ", MappingUnreadable, "line 1"),
        ("version = 1", "", MappingKeyMissing, "version = 1"),
        ("version = 1", "version = 2", MappingVersionUnknown, "version = 2"),
        ("version = 1", "version = true", MappingVersionUnknown, "True"),
        ("version = 1", "version = 1\nignored = []", MappingKeyMisspelled, "Write ignore"),
        ("version = 1", "version = 1\nzzz = []", MappingKeyUnknown, "version, ignore, node, relationship, settings"),
        ("version = 1", 'version = 1\nignore = "public.a"', MappingValueWrong, "a list of texts"),
        (NODE, '[node]\ntable = "public.orders"\n', MappingValueWrong, "[[node]]"),
        ('label = "Order"', 'lable = "Order"', MappingKeyMisspelled, "[[node]] 1 (public.orders): there is no setting"),
        ('label = "Order"', 'label = "Order"\nzzz = 1', MappingKeyUnknown, "zzz"),
        ('label = "Order"', "label = 1", MappingValueWrong, "a text in quotes"),
        ('label = "Order"', 'label = ""', MappingValueWrong, 'label = "Order"'),
        ('label = "Order"', "", MappingKeyMissing, 'Add it, for example: label = "Order"'),
        ('table = "public.orders"', 'table = "public."', MappingValueWrong, "a table with its schema"),
        ('table = "public.orders"', "", MappingKeyMissing, "[[node]] 1: table is missing"),
        ('key = ["id"]', "key = [1]", MappingValueWrong, "a list of texts"),
        ('key = ["id"]', "", MappingKeyMissing, "key is missing"),
        ('key = ["id"]', 'key = ["id"]\nkeep_foreign_keys = "no"', MappingValueWrong, "true or false"),
        ('key = ["id"]', 'key = ["id"]\nrename = { a = 1 }', MappingValueWrong, "a table of texts"),
        ('key = ["id"]', 'key = ["id"]\ntypes = "float"', MappingValueWrong, 'types = { price = "float" }'),
        ('key = ["id"]', 'key = ["id"]\nlabels_from = "kind"', MappingValueWrong, "labels_from"),
        ('key = ["id"]', 'key = ["id"]\nlabels_from = { column = "kind" }', MappingKeyMissing, "values"),
        (
            'key = ["id"]',
            'key = ["id"]\nlabels_from = { column = "kind", value = {} }',
            MappingKeyMisspelled,
            "[[node]] 1 (public.orders).labels_from",
        ),
        ('type = "C"', 'type = "C"\ndirection = "sideways"', MappingValueWrong, '"out" or "in"'),
        ('type = "C"', 'type = "C"\nenforce = true', MappingKeyMisspelled, "(public.orders), [[relationship]] 1"),
        ('type = "C"', "", MappingKeyMissing, 'type = "CUSTOMER"'),
        ('type = "LINE"', "", MappingKeyMissing, "[[relationship]] 1 (public.lines): type is missing"),
        (f"start = {ENDPOINT}", "", MappingKeyMissing, "start = { columns"),
        (f"start = {ENDPOINT}", "start = []", MappingValueWrong, "a table in braces"),
        (f"end = {ENDPOINT}", 'end = { colums = ["a"] }', MappingKeyMisspelled, "(public.lines).end"),
    ],
)
def test_refused(before: str, after: str, error: type[GpmCdcError], said: str) -> None:
    """Whatever the file says wrongly is refused with its place and what to write instead."""
    assert before in ALL
    with pytest.raises(error) as refusal:
        parse(ALL.replace(before, after), where="gpm-cdc.toml")
    assert said in f"{refusal.value} {refusal.value.advice}"
    assert str(refusal.value).startswith("gpm-cdc.toml")
    assert refusal.value.exit_code is ExitCode.PERSON


def test_settings_only() -> None:
    """A file with settings alone states an empty mapping and needs no version."""
    text = '[settings]\nstream = "shop"\n'
    assert parse(text, where="gpm-cdc.toml") == GraphMapping()
    assert not holds_mapping(text, where="gpm-cdc.toml")
    assert holds_mapping(ALL, where="gpm-cdc.toml")


def test_ignore_alone() -> None:
    """The ignore list can be read from a file whose mapping is wrong."""
    text = f'ignore = ["a.b", "c"]\n{NODE}nonsense = 1\n'
    assert parse_ignore(text, where="gpm-cdc.toml") == (TableName("a", "b"), TableName("public", "c"))


def test_bare_table() -> None:
    """A table without a schema is in public."""
    assert parse(ALL.replace('"public.orders"', '"orders"'), where="x").nodes[0].table == TableName("public", "orders")
