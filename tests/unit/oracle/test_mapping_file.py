"""The mapping file: what it says, and what is refused."""

from pathlib import Path

import pytest

from tests.oracle import MappingFileError
from tests.oracle.mapping_file import ByColumn, TableName, read_mapping

FULL = """
version = 1
ignore = ["public.audit_log"]
[[node]]
table = "public.employees"
label = "Employee"
extra_labels = ["Person"]
labels_from = { column = "kind", values = { manager = "Manager" } }
key = ["employee_id"]
exclude = ["photo"]
rename = { employee_id = "id" }
types = { salary = "float" }
keep_foreign_keys = false
[[node.relationship]]
columns = ["reports_to"]
type = "REPORTS_TO"
target = "public.employees"
target_columns = ["employee_id"]
direction = "in"
enforced = false
[[relationship]]
table = "public.calls"
type_from = { column = "kind", values = { phone = "CALLS" } }
key = ["id"]
start = { columns = ["caller"], target = "public.employees", target_columns = ["employee_id"] }
end = { columns = ["called"], target = "public.employees", target_columns = ["employee_id"] }
"""


def test_every_setting_is_read(tmp_path: Path) -> None:
    """A file and its text give the same mapping, with every setting in its place."""
    file = tmp_path / "gpm-cdc.toml"
    file.write_text(FULL, encoding="utf-8")
    mapping = read_mapping(FULL)
    assert mapping == read_mapping(file) == read_mapping(str(file))
    (node,) = mapping.nodes
    assert node.table == TableName("public", "employees")
    assert (node.label, node.extra_labels, node.key_properties) == ("Employee", ("Person",), ("id",))
    assert node.labels_from == ByColumn("kind", {"manager": "Manager"})
    assert node.columns.exclude == ("photo",)
    assert node.columns.types == {"salary": "float"}
    assert not node.keep_foreign_keys
    (foreign_key,) = node.foreign_keys
    assert (foreign_key.type, foreign_key.direction, foreign_key.reference.columns) == (
        "REPORTS_TO",
        "in",
        ("reports_to",),
    )
    (relationship,) = mapping.relationships
    assert relationship.type == ByColumn("kind", {"phone": "CALLS"})
    assert relationship.end.columns == ("called",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 2", "version must be 1"),
        ('label = "Employee"', "", "needs label"),
        ('key = ["employee_id"]', "", "needs key"),
        ('key = ["employee_id"]', "key = []", "key of .* is empty"),
        ('extra_labels = ["Person"]', 'extra_label = ["Person"]', "unknown keys: extra_label"),
        ("enforced = false", "enforce = false", "unknown keys: enforce"),
        ('direction = "in"', 'direction = "inwards"', "must be in or out"),
        ('exclude = ["photo"]', 'exclude = ["photo"]\ninclude = ["name"]', "both include and exclude"),
        ('types = { salary = "float" }', 'types = { salary = "double" }', "not double"),
        ('table = "public.employees"', 'table = "employees"', "written schema.table"),
        (
            'type = "REPORTS_TO"\ntarget = "public.employees"',
            'type = "R"\ntarget = "public.x"',
            "public.x, which is no",
        ),
        (
            'target_columns = ["employee_id"]\ndirection',
            'target_columns = ["a", "b"]\ndirection',
            "pairs 1 columns with 2",
        ),
    ],
)
def test_what_the_format_does_not_know_is_refused(old: str, new: str, message: str) -> None:
    """Each error says where it is."""
    assert old in FULL
    with pytest.raises(MappingFileError, match=message):
        read_mapping(FULL.replace(old, new, 1))
