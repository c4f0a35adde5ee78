"""The differ sees each kind of damage and names it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.oracle import Claim, Graph, Node, Relationship, Value, differences
from tests.oracle.value import float_value, list_value

ONE = Value("INTEGER", 1)
TWO = Value("INTEGER", 2)

EXPECTED = Graph(
    nodes=(
        Node("row a", frozenset({"Person", "Human"}), {"id": ONE, "name": Value("STRING", "Ada")}, "Person"),
        Node("row b", frozenset({"Person"}), {"id": TWO}, "Person"),
        Node("row c", frozenset({"City"}), {"code": ONE}, "City"),
    ),
    relationships=(
        Relationship("row a", "LIVES_IN", "row c", {"since": ONE}),
        Relationship("row b", "KNOWS", "row a", {}),
    ),
    claim=Claim(
        keys={"Person": ("id",), "City": ("code",)},
        labels=frozenset({"Person", "Human", "City"}),
        node_properties={"Person": frozenset({"id", "name", "born"}), "City": frozenset({"code"})},
        relationship_properties={
            ("LIVES_IN", "Person", "City"): frozenset({"since"}),
            ("KNOWS", "Person", "Person"): frozenset(),
        },
    ),
)
ACTUAL = Graph(
    nodes=tuple(replace(node, handle=f"4:{node.handle}", key_label="") for node in EXPECTED.nodes),
    relationships=tuple(
        replace(relationship, start=f"4:{relationship.start}", end=f"4:{relationship.end}")
        for relationship in EXPECTED.relationships
    ),
)


def with_node(number: int, change: Callable[[Node], Node]) -> Graph:
    """The actual graph with one node changed."""
    nodes = list(ACTUAL.nodes)
    nodes[number] = change(nodes[number])
    return replace(ACTUAL, nodes=tuple(nodes))


def with_property(number: int, name: str, value: Value) -> Graph:
    """The actual graph with one property of one node set."""
    return with_node(number, lambda node: replace(node, properties={**node.properties, name: value}))


def with_relationships(*relationships: Relationship) -> Graph:
    """The actual graph with other relationships."""
    return replace(ACTUAL, relationships=relationships)


LIVES_IN, KNOWS = ACTUAL.relationships


def test_equal_graphs_have_no_difference() -> None:
    """Handles say nothing; everything else is equal."""
    assert differences(EXPECTED, ACTUAL) == []
    assert differences(EXPECTED, ACTUAL, ignore_foreign=True) == []


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (
            with_property(0, "name", Value("STRING", "Bob")),
            ["node (:Person {id: INTEGER 1}): property name: expected STRING 'Ada', actual STRING 'Bob'"],
        ),
        (
            with_property(1, "name", Value("STRING", "")),
            ["node (:Person {id: INTEGER 2}): property name: expected absent, actual STRING ''"],
        ),
        (
            with_node(0, lambda node: replace(node, properties={"id": ONE})),
            ["node (:Person {id: INTEGER 1}): property name: expected STRING 'Ada', actual absent"],
        ),
        (
            with_node(0, lambda node: replace(node, labels=frozenset({"Person"}))),
            ["node (:Person {id: INTEGER 1}): label Human is missing"],
        ),
        (
            with_node(1, lambda node: replace(node, labels=frozenset({"Person", "Human"}))),
            ["node (:Person {id: INTEGER 2}): label Human is extra"],
        ),
        (
            replace(ACTUAL, nodes=(*ACTUAL.nodes, replace(ACTUAL.nodes[1], handle="twin"))),
            ["node (:Person {id: INTEGER 2}) is there 2 times"],
        ),
        (
            replace(ACTUAL, nodes=(*ACTUAL.nodes, Node("x", frozenset({"City"}), {}))),
            ["node (:City {code: absent}) is extra; its labels: City, its properties {}"],
        ),
        (
            with_relationships(LIVES_IN),
            [
                (
                    "relationship (:Person {id: INTEGER 2})-[:KNOWS]->(:Person {id: INTEGER 1}) is missing;"
                    " expected properties {}"
                )
            ],
        ),
        (
            with_relationships(LIVES_IN, KNOWS, KNOWS),
            ["relationship (:Person {id: INTEGER 2})-[:KNOWS]->(:Person {id: INTEGER 1}) is extra; its properties {}"],
        ),
        (
            with_relationships(LIVES_IN, replace(KNOWS, start=KNOWS.end, end=KNOWS.start)),
            [
                (
                    "relationship (:Person {id: INTEGER 2})-[:KNOWS]->(:Person {id: INTEGER 1}) is missing;"
                    " expected properties {}"
                ),
                (
                    "relationship (:Person {id: INTEGER 1})-[:KNOWS]->(:Person {id: INTEGER 2}) is extra;"
                    " its properties {}"
                ),
            ],
        ),
        (
            with_relationships(replace(LIVES_IN, properties={"since": TWO}), KNOWS),
            [
                (
                    "relationship (:Person {id: INTEGER 1})-[:LIVES_IN]->(:City {code: INTEGER 1}):"
                    " property since: expected INTEGER 1, actual INTEGER 2"
                )
            ],
        ),
    ],
)
def test_each_damage_is_one_difference(actual: Graph, expected: list[str]) -> None:
    """The sentence names the element, the property and both values with their types; strict or not."""
    assert differences(EXPECTED, actual) == expected
    assert differences(EXPECTED, actual, ignore_foreign=True) == expected


def test_a_missing_node_takes_its_relationships_along() -> None:
    """The node and each of its relationships are reported."""
    gone = replace(ACTUAL, nodes=ACTUAL.nodes[:2], relationships=(KNOWS,))
    assert differences(EXPECTED, gone) == [
        "node (:City {code: INTEGER 1}) is missing; expected properties {code: INTEGER 1}",
        (
            "relationship (:Person {id: INTEGER 1})-[:LIVES_IN]->(:City {code: INTEGER 1}) is missing;"
            " expected properties {since: INTEGER 1}"
        ),
    ]


def test_a_key_of_another_type_is_another_node() -> None:
    """1 and 1.0 as keys are a missing and an extra node."""
    changed = replace(with_property(1, "id", float_value(2.0)), relationships=())
    found = [line for line in differences(EXPECTED, changed) if line.startswith("node")]
    assert [line.split(";")[0] for line in found] == [
        "node (:Person {id: INTEGER 2}) is missing",
        "node (:Person {id: FLOAT 2.0}) is extra",
    ]


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        (ONE, float_value(1.0)),
        (ONE, Value("STRING", "1")),
        (ONE, Value("BOOLEAN", content=True)),
        (float_value(0.0), float_value(-0.0)),
        (float_value(0.1), float_value(0.10000000149011612)),
        (Value("DATE", 1), ONE),
        (Value("DATE", 0), Value("STRING", "1970-01-01")),
        (Value("LOCAL DATETIME", (0, 0)), Value("ZONED DATETIME", (0, 0, 0))),
        (Value("ZONED DATETIME", (0, 0, 0)), Value("ZONED DATETIME", (0, 0, 3600))),
        (Value("ZONED TIME", (0, 0)), Value("ZONED TIME", (0, 1))),
        (Value("DURATION", (1, 0, 0)), Value("DURATION", (0, 30, 0))),
        (Value("BYTES", b"\x01"), list_value([ONE])),
        (Value("POINT", (7203, "1.0", "2.0")), Value("POINT", (4326, "1.0", "2.0"))),
        (list_value([ONE, TWO]), list_value([TWO, ONE])),
        (list_value([ONE]), list_value([float_value(1.0)])),
        (list_value([]), Value("STRING", "[]")),
    ],
)
def test_values_that_look_alike_differ(wanted: Value, other: Value) -> None:
    """Type and content both count."""
    wanted_node = Node("row", frozenset({"Person"}), {"id": ONE, "born": wanted}, "Person")
    expected = Graph((wanted_node,), (), EXPECTED.claim)
    assert differences(expected, Graph((replace(wanted_node, handle="4:0"),))) == []
    changed = replace(wanted_node, properties={"id": ONE, "born": other})
    assert differences(expected, Graph((changed,))) == [
        f"node (:Person {{id: INTEGER 1}}): property born: expected {wanted}, actual {other}"
    ]


def test_nan_equals_nan() -> None:
    """Two graphs that both hold NaN are equal."""
    node = Node("row", frozenset({"Person"}), {"id": ONE, "born": float_value(float("nan"))}, "Person")
    assert differences(Graph((node,), (), EXPECTED.claim), Graph((node,))) == []


def test_parallel_relationships_are_counted_and_paired() -> None:
    """Two relationships between the same ends are a multiset, and a changed one is told by its nearest partner."""
    doubled = replace(
        EXPECTED,
        relationships=(
            EXPECTED.relationships[0],
            replace(EXPECTED.relationships[0], properties={"since": TWO, "until": TWO}),
        ),
    )
    same_multiset = with_relationships(replace(LIVES_IN, properties={"since": TWO, "until": TWO}), LIVES_IN)
    assert differences(doubled, same_multiset) == []
    changed = with_relationships(replace(LIVES_IN, properties={"since": TWO, "until": ONE}), LIVES_IN)
    assert differences(doubled, changed) == [
        (
            "relationship (:Person {id: INTEGER 1})-[:LIVES_IN]->(:City {code: INTEGER 1}):"
            " property until: expected INTEGER 2, actual INTEGER 1"
        )
    ]


def test_what_the_mapping_does_not_name_is_ignored_on_request_only() -> None:
    """Foreign nodes, labels, properties and relationships are differences, unless they are to be left alone."""
    first = ACTUAL.nodes[0]
    foreign = Graph(
        nodes=(
            replace(first, labels=first.labels | {"Vip"}, properties={**first.properties, "score": ONE}),
            *ACTUAL.nodes[1:],
            Node("4:note", frozenset({"Note"}), {"text": Value("STRING", "hello")}),
        ),
        relationships=(
            replace(LIVES_IN, properties={**LIVES_IN.properties, "weight": ONE}),
            KNOWS,
            Relationship("4:note", "ABOUT", first.handle, {}),
            Relationship(first.handle, "KNOWS", "4:row c", {}),
        ),
    )
    assert differences(EXPECTED, foreign, ignore_foreign=True) == []
    assert [line.split(" is extra")[0] for line in differences(EXPECTED, foreign)] == [
        "node (:Person {id: INTEGER 1}): label Vip",
        "node (:Person {id: INTEGER 1}): property score: expected absent, actual INTEGER 1",
        "node (element id '4:note')",
        (
            "relationship (:Person {id: INTEGER 1})-[:LIVES_IN]->(:City {code: INTEGER 1}):"
            " property weight: expected absent, actual INTEGER 1"
        ),
        "relationship (element id '4:note')-[:ABOUT]->(:Person {id: INTEGER 1})",
        "relationship (:Person {id: INTEGER 1})-[:KNOWS]->(:City {code: INTEGER 1})",
    ]


def test_two_rows_that_give_one_node_are_refused() -> None:
    """The expected graph itself must be sound."""
    twice = replace(EXPECTED, nodes=(*EXPECTED.nodes, replace(EXPECTED.nodes[0], handle="row d")))
    with pytest.raises(ValueError, match="same label and key"):
        differences(twice, ACTUAL)
