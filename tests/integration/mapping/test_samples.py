from pathlib import Path

import pytest

from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.mapping.inference import infer
from gpm_cdc.mapping.text import parse, render
from gpm_cdc.mapping.validation import require_valid
from tests.integration.mapping.database import Postgres, catalogue_of, load


@pytest.fixture
def northwind(postgres: Postgres, test_data: Path) -> Catalogue:
    """Northwind's tables."""
    load(postgres, test_data / "northwind.sql")
    return catalogue_of(postgres)


@pytest.fixture
def pagila(postgres: Postgres, test_data: Path) -> Catalogue:
    """Pagila's tables."""
    load(postgres, test_data / "pagila.sql")
    return catalogue_of(postgres)


def test_northwind(northwind: Catalogue) -> None:
    """Every table of Northwind is mapped: eleven nodes, three relationship tables, nothing to report."""
    inference = infer(northwind)
    mapping = inference.mapping
    assert inference.findings == ()
    assert inference.notes.refused == {}
    assert set(mapping.tables()) == set(northwind.tables)
    assert {node.label for node in mapping.nodes} == {
        "Category", "Customer", "CustomerDemographic", "Employee", "Order", "Product", "Region", "Shipper", "Supplier",
        "Territory", "UsState",
    }  # fmt: skip
    assert {(node.label, each.type, each.target.name) for node in mapping.nodes for each in node.relationships} == {
        ("Employee", "REPORTS_TO", "employees"),
        ("Order", "CUSTOMER", "customers"),
        ("Order", "EMPLOYEE", "employees"),
        ("Order", "SHIP_VIA", "shippers"),
        ("Product", "CATEGORY", "categories"),
        ("Product", "SUPPLIER", "suppliers"),
        ("Territory", "REGION", "region"),
    }
    assert {(each.type, each.start.target.name, each.end.target.name) for each in mapping.relationships} == {
        ("CUSTOMER_CUSTOMER_DEMO", "customers", "customer_demographics"),
        ("EMPLOYEE_TERRITORY", "employees", "territories"),
        ("ORDER_DETAIL", "orders", "products"),
    }
    assert all(each.keyed_by_endpoints for each in mapping.relationships)
    require_valid(parse(render(mapping, inference.notes), where="gpm-cdc.toml"), northwind)


def test_pagila(pagila: Catalogue) -> None:
    """Every table of Pagila is mapped; the foreign keys that only partitions have are reported, not inferred."""
    inference = infer(pagila)
    mapping = inference.mapping
    assert inference.notes.refused == {}
    assert set(mapping.tables()) == {table.name for table in pagila.roots()}
    assert len(mapping.nodes) == 13
    assert [each.type for each in mapping.relationships] == ["FILM_ACTOR", "FILM_CATEGORY"]
    payment = next(node for node in mapping.nodes if node.label == "Payment")
    assert payment.key == ("payment_date", "payment_id")
    assert payment.relationships == ()
    assert [(finding.code, finding.severity, finding.subject) for finding in inference.findings] == [
        ("reference_of_partitions", "warns", "public.payment.customer_id"),
        ("reference_of_partitions", "warns", "public.payment.rental_id"),
        ("reference_of_partitions", "warns", "public.payment.staff_id"),
    ]
    require_valid(parse(render(mapping, inference.notes), where="gpm-cdc.toml"), pagila)
