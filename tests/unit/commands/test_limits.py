from gpm_cdc.domain.catalogue import Catalogue, Column, PgType, Table, TableName
from gpm_cdc.mapping.model import GraphMapping, NodeTable
from gpm_cdc.projection.plan import plan
from gpm_cdc.runtime.limits import limit_findings
from tests.unit.mapping.tables import NUMERIC, column, reference, table
from tests.unit.projection.plans import planned

NAME = TableName("public", "days")


def found(**types: str) -> dict[str, str]:
    """The notes about a table whose first column is the key: messages by code."""
    columns = tuple(
        Column(name, PgType(1000 + place, "pg_catalog", kind), not_null=True, position=place)
        for place, (name, kind) in enumerate(types.items(), 1)
    )
    catalogue = Catalogue({NAME: Table(NAME, 1, columns)}, 180_000)
    mapping = GraphMapping(nodes=(NodeTable(NAME, "Day", (columns[0].name,)),))
    return {finding.code: finding.message for finding in limit_findings(plan(mapping, catalogue))}


def test_whole_numbers_have_no_limits_worth_a_note() -> None:
    """Nothing to say about a table of integers and texts under an integer key."""
    assert found(id="int4", note="text") == {}


def test_columns_that_are_stored_as_text_now_and_then_are_named() -> None:
    """Infinity is a value of a date, and no date of Neo4j."""
    notes = found(id="int4", born="date", seen="timestamptz", name="text")
    assert set(notes) == {"values_as_text"}
    assert "public.days.born, public.days.seen" in notes["values_as_text"]


def test_keys_that_may_be_too_long_are_named() -> None:
    """A text may be longer than an index entry; a number may not."""
    notes = found(code="text", note="text")
    assert set(notes) == {"key_length"}
    assert "public.days.code" in notes["key_length"]
    assert "note" not in notes["key_length"].replace("notes", "")


def test_join_forms_are_named() -> None:
    """A property that only references need is ours, so it is told."""
    shop = planned(
        """
        [[node]]
        table = "public.days"
        label = "Day"
        key = ["id"]
        rename = { id = "number" }
        [[node.relationship]]
        columns = ["next"]
        type = "NEXT"
        target = "public.days"
        target_columns = ["id"]
        """,
        table("days", [column("id", NUMERIC), column("next")], reference("next", "days")),
    )
    notes = {finding.code: finding.message for finding in limit_findings(shop)}
    assert "beside yours: (:Day)._number_number." in notes["join_forms"]
    assert "join_forms" not in found(id="numeric")


def test_long_lists_are_cut() -> None:
    """Six columns are named, the rest is counted."""
    notes = found(id="int4", **{f"d{number}": "date" for number in range(9)})
    assert notes["values_as_text"].endswith("public.days.d5 and 3 more.")
