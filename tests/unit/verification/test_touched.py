from dataclasses import replace

import pytest

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.changes import UNCHANGED
from gpm_cdc.errors.stream import RelationChanged
from gpm_cdc.verification.touched import Touched
from tests.unit.mapping.tables import NUMERIC, TEXT, column, reference, table
from tests.unit.projection.plans import node, planned, relation, relationship
from tests.unit.verification.sides import PLAN, changes, deleted, inserted, updated

PEOPLE = node(PLAN, "people")


def _keys(touched: Touched) -> list[list[object]]:
    return sorted([*key.values] for key in touched.keys(PEOPLE).values())


def test_every_change_touches_its_key() -> None:
    """Insert, update, delete; old and new key of a change of key."""
    touched = Touched(PLAN)
    touched.add(changes("people", inserted("1", "a", None), updated(["2", "b", None]), deleted("3", None, None)))
    touched.add(changes("people", updated(["5", "b", None], ["4", None, None])))
    assert _keys(touched) == [[1], [2], [3], [4], [5]]
    assert touched.has(PEOPLE, canonical([4]))
    assert not touched.has(PEOPLE, canonical([6]))


def test_keys_are_followed_through_chains_and_circles() -> None:
    """1 to 2 to 3 and back to 1: every key that the row bore, none twice, no end missing."""
    touched = Touched(PLAN)
    for old, new in (("1", "2"), ("2", "3"), ("3", "1")):
        touched.add(changes("people", updated([new, "b", None], [old, None, None])))
    assert sorted(key.values for key in touched.followed(PEOPLE, [canonical([1])]).values()) == [[1], [2], [3]]
    assert touched.followed(PEOPLE, [canonical([9])]) == {}


def test_a_large_key_that_an_update_left_out_is_the_old_one() -> None:
    """A key stored out of line comes with the old key only."""
    slugs = table("slugs", [column("slug", TEXT), column("n")], key="slug")
    plan = planned('[[node]]\ntable = "slugs"\nlabel = "Slug"\nkey = ["slug"]', slugs)
    touched = Touched(plan)
    shaped = relation(slugs)
    touched.add([shaped, updated([UNCHANGED, "2"], ["long", None])(shaped.oid)])
    assert [key.values for key in touched.keys(node(plan, "slugs")).values()] == [["long"]]


def test_a_key_that_the_ends_hold_is_told_as_they_hold_it() -> None:
    """An integer column that refers to a key of decimals, which are floats in the graph: its relationship has 1.0."""
    likes = table("likes", "a b", reference("a", "people"), reference("b", "rates"), key="a b")
    rates = table("rates", [column("id", replace(NUMERIC, modifier=(10 << 16) + 2 + 4))])
    plan = planned(
        """
        [[node]]
        table = "people"
        label = "Person"
        key = ["id"]
        [[node]]
        table = "rates"
        label = "Rate"
        key = ["id"]
        [[relationship]]
        table = "likes"
        type = "LIKES"
        key = ["a", "b"]
        start = { columns = ["a"], target = "people", target_columns = ["id"] }
        end = { columns = ["b"], target = "rates", target_columns = ["id"] }
        """,
        table("people", "id name"),
        rates,
        likes,
    )
    touched = Touched(plan)
    shaped = relation(likes)
    touched.add([shaped, inserted("1", "2")(shaped.oid)])
    (key,) = touched.keys(relationship(plan, "likes")).values()
    assert [(type(value), value) for value in key.values] == [(int, 1), (float, 2.0)]


def test_a_table_that_changed_its_shape_ends_it() -> None:
    """Rows of another shape cannot be told by their keys."""
    with pytest.raises(RelationChanged):
        Touched(PLAN).add([relation(table("people", "id name", oid=PEOPLE.oid))])
