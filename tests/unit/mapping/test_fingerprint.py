from dataclasses import replace

import pytest

from gpm_cdc.mapping.fingerprint import mapping_hash
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.text import parse

TEXT = """
version = 1
ignore = ["public.audit_log"]
[[node]]
table = "public.employees"
label = "Employee"
extra_labels = ["Person", "Human"]
labels_from = { column = "kind", values = { manager = "Manager", sales = "SalesRep" } }
key = ["employee_id"]
exclude = ["photo", "notes"]
rename = { birth_date = "born" }
types = { salary = "float" }
[[node.relationship]]
columns = ["reports_to"]
type = "REPORTS_TO"
target = "public.employees"
target_columns = ["employee_id"]
[[node.relationship]]
columns = ["site_country", "site_code"]
type = "SITE"
target = "public.sites"
target_columns = ["country", "code"]
direction = "in"
enforced = false
[[node]]
table = "public.sites"
label = "Site"
key = ["country", "code"]
[[relationship]]
table = "public.visits"
type = "VISIT"
key = ["visit_id"]
include = ["at"]
start = { columns = ["employee_id"], target = "public.employees", target_columns = ["employee_id"] }
end = { columns = ["country", "code"], target = "public.sites", target_columns = ["country", "code"] }
"""

GOLDEN = "09ae01ee5c76a6defb8f41c61385efb62a0311713aa5140283348e06e48ad054"


@pytest.fixture
def mapping() -> GraphMapping:
    """The mapping of the text above."""
    return parse(TEXT, where="gpm-cdc.toml")


def test_golden(mapping: GraphMapping) -> None:
    """The hash of a mapping never changes: graphs in the field are tied to it."""
    assert mapping_hash(mapping) == GOLDEN


def test_order(mapping: GraphMapping) -> None:
    """The order of tables, labels, relationships, columns and pairs of columns does not count."""
    employees, sites = mapping.nodes
    reports, site = employees.relationships
    turned = GraphMapping(
        nodes=(
            replace(sites, key=("code", "country")),
            replace(
                employees,
                extra_labels=("Human", "Person"),
                properties=replace(employees.properties, exclude=("notes", "photo")),
                relationships=(
                    replace(site, columns=("site_code", "site_country"), target_columns=("code", "country")),
                    reports,
                ),
            ),
        ),
        relationships=mapping.relationships,
    )
    assert turned != mapping
    assert mapping_hash(turned) == GOLDEN


def test_defaults() -> None:
    """A default that is written out counts as absent, as does a column renamed to its own name."""
    written = TEXT.replace('type = "REPORTS_TO"', 'type = "REPORTS_TO"\ndirection = "out"\nenforced = true')
    written = written.replace('birth_date = "born"', 'birth_date = "born", phone = "phone"')
    written = written.replace('label = "Site"', 'label = "Site"\nexclude = []\nkeep_foreign_keys = true')
    assert written != TEXT
    assert mapping_hash(parse(written, where="gpm-cdc.toml")) == GOLDEN


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('label = "Site"', 'label = "Place"'),
        ('"Human"', '"Humans"'),
        ('sales = "SalesRep"', 'sale = "SalesRep"'),
        ('key = ["country", "code"]', 'key = ["country"]'),
        ('"photo", ', ""),
        ('"born"', '"birth"'),
        ('"float"', '"string"'),
        ('"REPORTS_TO"', '"BOSS"'),
        ('direction = "in"', 'direction = "out"'),
        ("enforced = false", "enforced = true"),
        ('target_columns = ["country", "code"]\ndirection', 'target_columns = ["code", "country"]\ndirection'),
        ('include = ["at"]', "include = []"),
        ('include = ["at"]', ""),
        ('table = "public.sites"', 'table = "other.sites"\nkeep_foreign_keys = false'),
        ('type = "VISIT"', 'type_from = { column = "kind", values = { a = "VISIT" } }'),
        ("start = { columns", "end = { columns"),
    ],
)
def test_meaning(before: str, after: str) -> None:
    """Everything that changes what a row becomes changes the hash."""
    assert before in TEXT
    changed = TEXT.replace(before, after)
    if after.startswith("end"):
        changed = changed.replace('end = { columns = ["country"', 'start = { columns = ["country"')
    assert mapping_hash(parse(changed, where="gpm-cdc.toml")) != GOLDEN


def test_ignore(mapping: GraphMapping) -> None:
    """Ignoring another table changes nothing in the graph."""
    assert mapping_hash(replace(mapping, ignore=())) == GOLDEN
