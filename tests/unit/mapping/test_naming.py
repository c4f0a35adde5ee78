import pytest

from gpm_cdc.mapping import naming


@pytest.mark.parametrize(
    ("table", "label", "kind"),
    [
        ("order_details", "OrderDetail", "ORDER_DETAIL"),
        ("customerNotes", "CustomerNote", "CUSTOMER_NOTE"),
        ("bus", "Bus", "BUS"),
        ("buses", "Bus", "BUS"),
        ("lens", "Lens", "LENS"),
        ("lenses", "Lens", "LENS"),
        ("news", "News", "NEWS"),
        ("data", "Data", "DATA"),
        ("address", "Address", "ADDRESS"),
        ("addresses", "Address", "ADDRESS"),
        ("status", "Status", "STATUS"),
        ("statuses", "Status", "STATUS"),
        ("series", "Series", "SERIES"),
        ("analysis", "Analysis", "ANALYSIS"),
        ("analyses", "Analysis", "ANALYSIS"),
        ("categories", "Category", "CATEGORY"),
        ("people", "Person", "PERSON"),
        ("menus", "Menu", "MENU"),
        ("indices", "Index", "INDEX"),
        ("caches", "Cache", "CACHE"),
        ("us_states", "UsState", "US_STATE"),
        ("news_items", "NewsItem", "NEWS_ITEM"),
        ("ORDER_DETAILS", "OrderDetail", "ORDER_DETAIL"),
        ("HTTPServers", "HttpServer", "HTTP_SERVER"),
        ("userIDs", "UserId", "USER_ID"),
        ("oauth2_tokens", "Oauth2Token", "OAUTH2_TOKEN"),
        ("order details", "OrderDetail", "ORDER_DETAIL"),
        ("größen", "Größen", "GRÖSSEN"),
        ("注文", "注文", "注文"),
        ("!!!", "!!!", "!!!"),
    ],
)
def test_tables(table: str, label: str, kind: str) -> None:
    """A table's last word becomes singular, CamelCase for its label and upper snake for its type."""
    assert naming.label(table) == label
    assert naming.relationship_type(table) == kind


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("customer_id", "CUSTOMER"),
        ("customerId", "CUSTOMER"),
        ("CustomerID", "CUSTOMER"),
        ("reports_to", "REPORTS_TO"),
        ("shipVia", "SHIP_VIA"),
        ("manager_staff_id", "MANAGER_STAFF"),
        ("parent", "PARENT"),
        ("id", ""),
        ("_", "_"),
    ],
)
def test_columns(column: str, kind: str) -> None:
    """A foreign key's column gives its type without the `_id` or `Id` at the end."""
    assert naming.reference_type(column) == kind


@pytest.mark.parametrize(
    ("table", "irregular"), [("people", True), ("analyses", True), ("orders", False), ("_", False)]
)
def test_irregular(table: str, irregular: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Singulars that are more than an ending taken off are told apart, so that they can be pointed out."""
    assert naming.is_irregular(table) is irregular
