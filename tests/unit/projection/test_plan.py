"""What a plan says of tables beside their columns: join forms, what an index holds, which tables there are."""

import pytest

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.projection.plan import FieldPlan
from tests.unit.mapping.tables import CHAR_4, NUMERIC, TEXT, column, reference, table
from tests.unit.projection.plans import node, planned

PLACE = """
[[node]]
table = "public.place"
label = "Place"
key = ["id"]
"""
VISIT = """
[[node]]
table = "public.visit"
label = "Visit"
key = ["id"]
keep_foreign_keys = {kept}
[[node.relationship]]
columns = ["place"]
type = "AT"
target = "public.place"
target_columns = ["id"]
[[node.relationship]]
columns = ["sign"]
type = "SIGN"
target = "public.place"
target_columns = ["sign"]
"""
ROAD_AS_NODE = """
[[node]]
table = "public.road"
label = "Road"
key = ["id"]
[[node.relationship]]
columns = ["sign"]
type = "SIGN"
target = "public.place"
target_columns = ["sign"]
"""
ROAD_AS_RELATIONSHIP = """
[[relationship]]
table = "public.road"
type = "ROAD"
key = ["id"]
start = { columns = ["start"], target = "public.place", target_columns = ["id"] }
end = { columns = ["sign"], target = "public.place", target_columns = ["sign"] }
"""
ROADS = (
    table("place", [column("id"), column("name", TEXT), column("sign", TEXT, not_null=True)]),
    table(
        "road",
        [column("id"), column("start", not_null=True), column("sign", TEXT, not_null=True)],
        reference("start", "place"),
        reference("sign", "place", "sign"),
    ),
)


def forms(kept: str, *further: str) -> list[tuple[str, str | None]]:
    """The columns of a visit whose join forms it has, with their properties; `further` are columns that it has, too."""
    place = table("place", [column("id"), column("sign", TEXT, not_null=True)])
    visit = table(
        "visit",
        [column("id"), column("place", NUMERIC), column("sign", CHAR_4), *(column(name, TEXT) for name in further)],
        reference("place", "place", on_update="r"),
        reference("sign", "place", "sign", on_update="r"),
    )
    fields = node(planned(PLACE + VISIT.format(kept=kept), place, visit), "visit").fields
    return [(field.column, field.name) for field in fields if field.form is not None]


def test_join_forms_are_properties_beside_their_columns() -> None:
    """Named after the form and the property."""
    assert forms("true") == [("place", "_number_place"), ("sign", "_unpadded_sign")]


@pytest.mark.parametrize(
    ("further", "name"),
    [
        (("_number_place",), "__number_place"),
        (("_number_place", "__number_place"), "___number_place"),
        (("__number_place",), "_number_place"),
    ],
)
def test_a_join_form_takes_no_property_of_a_column(further: tuple[str, ...], name: str) -> None:
    """It gives way to columns that are called so already."""
    assert forms("true", *further)[0] == ("place", name)


@pytest.mark.parametrize("declared", [ROAD_AS_NODE, ROAD_AS_RELATIONSHIP], ids=["node", "relationship"])
def test_what_others_find_a_node_by_is_indexed(declared: str) -> None:
    """By rows of a table of nodes, and by those of a table of relationships alone; the key has an index anyway."""
    found = node(planned(PLACE + declared, *ROADS), "place")
    assert [[found.columns[index] for index in places] for places in found.indexed] == [["sign"]]


def test_the_join_form_of_a_hidden_column_is_hidden() -> None:
    """A foreign key that is no property has no form that is one."""
    assert forms("false") == [("place", None), ("sign", None)]


@pytest.mark.parametrize("gone", ["place", "road"])
def test_a_plan_without_a_table_has_all_others(gone: str) -> None:
    """Of either kind."""
    whole = planned(PLACE + ROAD_AS_RELATIONSHIP, *ROADS)
    assert {each.name for each in whole.without({TableName("public", gone)}).tables} == {"place", "road"} - {gone}


def test_a_property_is_called_like_its_column_unless_it_is_named() -> None:
    """Also for a key, which a field may hold without being told a name."""
    assert FieldPlan("a", "b", None).property_name == "b"  # type: ignore[arg-type]
    assert FieldPlan("a", None, None).property_name == "a"  # type: ignore[arg-type]
