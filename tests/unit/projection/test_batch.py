from typing import Any

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.errors.stream import SelectorValueUnlisted
from gpm_cdc.projection.batch import ROWS_PER_STEP, GraphBatch, Group, Move, Rename, build, building, insertion
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from tests.unit.mapping.tables import INT4, TEXT, column, reference, table
from tests.unit.projection.plans import node, planned, relation, relationship

PERSON = table(
    "person", [column("id"), column("name", TEXT), column("kind", TEXT), column("boss")], reference("boss", "person")
)
CALLS = table(
    "calls",
    [column("id"), column("caller"), column("callee"), column("kind", TEXT), column("note", TEXT)],
    reference("caller", "person"),
    reference("callee", "person"),
)
KNOWS = table(
    "knows",
    [column("note", TEXT), column("b"), column("a")],
    reference("a", "person"),
    reference("b", "person"),
    key="a b",
)
PLAN = planned(
    """
    [[node]]
    table = "public.person"
    label = "Person"
    key = ["id"]
    exclude = ["kind"]
    labels_from = { column = "kind", values = { b = "Boss", c = "Clerk" } }
    [[node.relationship]]
    columns = ["boss"]
    type = "BOSS"
    target = "public.person"
    target_columns = ["id"]
    [[relationship]]
    table = "public.calls"
    type_from = { column = "kind", values = { p = "PHONED", v = "SAW" } }
    key = ["id"]
    start = { columns = ["caller"], target = "public.person", target_columns = ["id"] }
    end = { columns = ["callee"], target = "public.person", target_columns = ["id"] }
    [[relationship]]
    table = "public.knows"
    type = "KNOWS"
    key = ["a", "b"]
    start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
    end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
    """,
    PERSON,
    CALLS,
    KNOWS,
)
P, C, K = PERSON.oid, CALLS.oid, KNOWS.oid


def batch_of(*events: Relation | Change) -> GraphBatch:
    """What a batch of `events` means for the graph."""
    coalescer = Coalescer(Bindings(PLAN))
    coalescer.add([relation(PERSON), relation(CALLS), relation(KNOWS), *events])
    return build(coalescer)


def test_rows_are_in_field_order_and_decoded() -> None:
    """Key first, then the properties in the table's order, then what is read but is no property."""
    assert node(PLAN, "person").columns == ("id", "name", "boss", "kind")
    assert relationship(PLAN, "knows").columns == ("a", "b", "note")
    (people,) = batch_of(Insert(P, ["7", "Ada", "b", None])).nodes
    assert people.inserted == {Group((0, 1, 2, 3), "Boss"): [[7, "Ada", None, "b"]]}


def test_rows_are_grouped_by_known_fields_and_choice() -> None:
    """Rows of one group can share a statement: the same fields are known, and the discriminator chose the same."""
    (people,) = batch_of(
        Update(P, None, None, ["1", "x", "b", "1"]),
        Update(P, None, None, ["2", "y", "b", None]),
        Update(P, None, None, ["3", "z", "other", None]),
        Update(P, None, None, ["4", UNCHANGED, "c", None]),
        Update(P, None, None, ["5", "v", UNCHANGED, "1"]),
        Update(P, None, None, ["6", "w", None, "1"]),
    ).nodes
    assert people.updated == {
        Group((0, 1, 2, 3), "Boss"): [[1, "x", 1, "b"], [2, "y", None, "b"]],
        Group((0, 1, 2, 3), None): [[3, "z", None, "other"], [6, "w", 1, None]],
        Group((0, 2, 3), "Clerk"): [[4, UNCHANGED, None, "c"]],
        Group((0, 1, 2), UNCHANGED): [[5, "v", 1, UNCHANGED]],
    }
    assert not people.inserted
    assert not people.deleted


def test_renamed_rows_bear_their_new_keys() -> None:
    """A node whose key changed is a rename and an update under the new key."""
    (people,) = batch_of(
        Update(P, "K", ["1", None, None, None], ["2", "x", None, None]), Delete(P, "K", ["3", None, None, None])
    ).nodes
    assert people.renamed == [Rename([1], [2])]
    assert people.updated == {Group((0, 1, 2, 3), None): [[2, "x", None, None]]}
    assert people.deleted == [[3]]


def test_building_pauses_after_some_rows() -> None:
    """Whoever drives it gets a turn after every ROWS_PER_STEP rows of a table, whatever becomes of them."""
    coalescer = Coalescer(Bindings(PLAN))
    numbers = [str(number) for number in range(2 * ROWS_PER_STEP - 1)]
    coalescer.add([relation(PERSON), relation(CALLS)])
    coalescer.add([Insert(P, [number, "x", None, None]) for number in numbers])
    coalescer.add([Insert(C, [number, "1", "2", "p", None]) for number in numbers])
    assert len(list(building(coalescer))) == 2


def test_moved_relationship_rows() -> None:
    """A relationship row whose key changed moves, with what is known of it; others are updated in place."""
    batch = batch_of(
        Update(K, "K", [None, "2", "1"], [UNCHANGED, "3", "1"]),
        Update(K, None, None, ["n", "5", "4"]),
        Insert(K, [None, "6", "6"]),
        Delete(K, "K", [None, "8", "7"]),
    )
    (knows,) = batch.relationships
    assert knows.moved == [Move([1, 2], Group((0, 1), None), [1, 3, UNCHANGED])]
    assert knows.updated == {Group((0, 1, 2), None): [[4, 5, "n"]]}
    assert knows.inserted == {Group((0, 1, 2), None): [[6, 6, None]]}
    assert knows.deleted == [[7, 8]]
    assert batch.row_count == 4


def test_relationship_type_comes_from_the_discriminator() -> None:
    """Rows of different types are of different groups."""
    (calls,) = batch_of(Insert(C, ["1", "1", "2", "p", None]), Insert(C, ["2", "1", "2", "v", "x"])).relationships
    every = tuple(range(5))
    assert calls.inserted == {
        Group(every, "PHONED"): [[1, "p", None, 1, 2]],
        Group(every, "SAW"): [[2, "v", "x", 1, 2]],
    }


@pytest.mark.parametrize("value", ["x", None])
def test_unlisted_type_is_an_error(value: str | None) -> None:
    """A relationship needs a type: a value that type_from does not list stops the stream."""
    with pytest.raises(SelectorValueUnlisted):
        batch_of(Insert(C, ["1", "1", "2", value, None]))


def test_emptied_tables() -> None:
    """A TRUNCATE empties nodes and relationships; rows inserted after it are new."""
    batch = batch_of(
        Insert(P, ["1", None, None, None]),
        Truncate((P, C), cascade=True, restart_identity=False),
        Insert(P, ["2", None, None, None]),
    )
    (people,), (calls,) = batch.nodes, batch.relationships
    assert people.emptied
    assert calls.emptied
    assert people.inserted == {Group((0, 1, 2, 3), None): [[2, None, None, None]]}
    assert batch.tables == {PERSON.name, CALLS.name}


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([None, "b", "c", "d"])), max_size=30))
def test_insertion_groups_every_row_once(drawn: list[tuple[int, str | None]]) -> None:
    """Rows of a snapshot are grouped like those of the stream, and none is lost."""
    rows: list[Any] = [(str(number), "n", None, kind) for number, kind in drawn]
    groups = insertion(node(PLAN, "person"), rows)
    chosen = {"b": "Boss", "c": "Clerk"}
    back = [(row[0], row[3], group.choice) for group, grouped in groups.items() for row in grouped]
    assert sorted(back, key=repr) == sorted(
        ((number, kind, chosen.get(kind or "")) for number, kind in drawn), key=repr
    )


def test_ends_are_ordered_like_the_key_they_name() -> None:
    """However the mapping pairs the columns of a reference, the end lists them in the order of the target's key."""
    site = table("site", [column("country", TEXT), column("code", INT4)], key="country code")
    visit = table("visit", [column("id"), column("x"), column("y", TEXT)], reference("x y", "site", "code country"))
    plan = planned(
        """
        [[node]]
        table = "public.site"
        label = "Site"
        key = ["country", "code"]
        [[node]]
        table = "public.visit"
        label = "Visit"
        key = ["id"]
        keep_foreign_keys = false
        [[node.relationship]]
        columns = ["x", "y"]
        type = "AT"
        target = "public.site"
        target_columns = ["code", "country"]
        """,
        site,
        visit,
    )
    (edge,) = node(plan, "visit").edges
    assert edge.end.names == ("country", "code")
    assert [node(plan, "visit").columns[index] for index in edge.end.fields] == ["y", "x"]
    assert edge.end.by_key
    assert not edge.kept
    assert plan.incoming[node(plan, "site")] == (edge,)
