import pytest

from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.mapping.equality import comparable
from tests.unit.mapping.tables import CHAR_4, INT4, INT8, MOOD, NUMERIC, NUMERIC_12_2, TEXT, VARCHAR

CITEXT = PgType(40_000, "public", "citext")
JSONB = PgType(3802, "pg_catalog", "jsonb")
INTERVAL = PgType(1186, "pg_catalog", "interval")
UUID = PgType(2950, "pg_catalog", "uuid")
OTHER_MOOD = PgType(30_001, "public", "mood2", kind="e")
YEAR = PgType(30_002, "public", "year", kind="d", base=INT4)
FLOAT8 = PgType(701, "pg_catalog", "float8")
NUMERIC_15_4, NUMERIC_16_2, NUMERIC_18_0, NUMERIC_3_MINUS_2 = (
    PgType(1700, "pg_catalog", "numeric", modifier=((precision << 16) | (scale & 0x7FF)) + 4)
    for precision, scale in ((15, 4), (16, 2), (18, 0), (3, -2))
)
CHAR_8 = PgType(1042, "pg_catalog", "bpchar", modifier=12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (INT4, INT8),
        (YEAR, INT8),
        (TEXT, VARCHAR),
        (UUID, UUID),
        (MOOD, MOOD),
        (NUMERIC_12_2, NUMERIC_12_2),
        (CHAR_4, CHAR_4),
        (NUMERIC_12_2, INT4),
        (NUMERIC_12_2, NUMERIC_15_4),
        (NUMERIC_18_0, INT8),
        (NUMERIC_18_0, NUMERIC_15_4),
    ],
)
def test_equal_image(one: PgType, other: PgType) -> None:
    """Types whose equal values are written alike can be compared in the graph."""
    assert comparable(one, other)
    assert comparable(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NUMERIC, NUMERIC),
        (NUMERIC, INT4),
        (NUMERIC_12_2, NUMERIC),
        (NUMERIC_12_2, NUMERIC_16_2),
        (NUMERIC_16_2, INT8),
        (NUMERIC_3_MINUS_2, INT4),
        (NUMERIC_12_2, FLOAT8),
        (CHAR_4, VARCHAR),
        (CHAR_4, CHAR_8),
        (CITEXT, CITEXT),
        (CITEXT, TEXT),
        (JSONB, JSONB),
        (INTERVAL, INTERVAL),
        (MOOD, OTHER_MOOD),
        (MOOD, TEXT),
        (UUID, TEXT),
    ],
)
def test_other_image(one: PgType, other: PgType) -> None:
    """Types with equal values that are written differently cannot, in either order."""
    assert not comparable(one, other)
    assert not comparable(other, one)
