import pytest

from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.mapping.equality import BY_IMAGE, Join, Side, join_of
from tests.unit.mapping.tables import CHAR_4, INT4, INT8, MOOD, NUMERIC, NUMERIC_12_2, TEXT, VARCHAR

CITEXT = PgType(40_000, "public", "citext")
JSONB = PgType(3802, "pg_catalog", "jsonb")
INTERVAL = PgType(1186, "pg_catalog", "interval")
UUID = PgType(2950, "pg_catalog", "uuid")
OTHER_MOOD = PgType(30_001, "public", "mood2", kind="e")
YEAR = PgType(30_002, "public", "year", kind="d", base=INT4)
FLOAT8 = PgType(701, "pg_catalog", "float8")
NUMERIC_15_4, NUMERIC_16_2, NUMERIC_18_0, NUMERIC_38_0, NUMERIC_3_MINUS_2 = (
    PgType(1700, "pg_catalog", "numeric", modifier=((precision << 16) | (scale & 0x7FF)) + 4)
    for precision, scale in ((15, 4), (16, 2), (18, 0), (38, 0), (3, -2))
)
CHAR_8 = PgType(1042, "pg_catalog", "bpchar", modifier=12)
BPCHAR = PgType(1042, "pg_catalog", "bpchar")
NAME = PgType(19, "pg_catalog", "name")
OWN_INT = PgType(40_001, "public", "int4")
NUMBERS = Join("number", "number")
UNPADDED = Join("unpadded", "unpadded")


def joined(one: PgType, other: PgType, *, declared: bool = True, folds: bool = True) -> Join | None:
    """How two columns as they become by default are matched."""
    return join_of(Side(one), Side(other), declared=declared, folds=folds)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (INT4, INT8),
        (YEAR, INT8),
        (TEXT, VARCHAR),
        (TEXT, NAME),
        (UUID, UUID),
        (MOOD, MOOD),
        (NUMERIC_12_2, NUMERIC_12_2),
        (NUMERIC_16_2, NUMERIC_16_2),
        (CHAR_4, CHAR_4),
        (NUMERIC_12_2, INT4),
        (NUMERIC_12_2, NUMERIC_15_4),
        (NUMERIC_18_0, INT8),
        (NUMERIC_18_0, NUMERIC_15_4),
    ],
)
def test_equal_image(one: PgType, other: PgType) -> None:
    """Types whose equal values have equal images need no join form, foreign key or not."""
    assert joined(one, other, declared=False) == BY_IMAGE
    assert joined(other, one) == BY_IMAGE


@pytest.mark.parametrize(
    ("one", "other", "join"),
    [
        (NUMERIC, NUMERIC, NUMBERS),
        (NUMERIC, INT4, Join("number", None)),
        (INT4, NUMERIC, Join(None, "number")),
        (YEAR, NUMERIC, Join(None, "number")),
        (NUMERIC_12_2, NUMERIC, NUMBERS),
        (NUMERIC_12_2, NUMERIC_16_2, NUMBERS),
        (INT8, NUMERIC_16_2, Join(None, "number")),
        (NUMERIC_3_MINUS_2, NUMERIC_12_2, NUMBERS),
        (CHAR_4, CHAR_8, UNPADDED),
        (BPCHAR, BPCHAR, UNPADDED),
        (INTERVAL, INTERVAL, Join("elapsed", "elapsed")),
        (CITEXT, CITEXT, Join("folded", "folded")),
    ],
)
def test_join_form(one: PgType, other: PgType, join: Join) -> None:
    """Types whose equal values are written differently are matched by a join form, foreign key or not."""
    assert joined(one, other) == joined(one, other, declared=False) == join


@pytest.mark.parametrize(
    ("one", "other", "join"),
    [
        (CHAR_4, VARCHAR, Join("unpadded", None)),
        (CHAR_4, TEXT, Join("unpadded", None)),
        (VARCHAR, CHAR_4, UNPADDED),
        (TEXT, BPCHAR, UNPADDED),
        (CITEXT, TEXT, BY_IMAGE),
    ],
)
def test_direction(one: PgType, other: PgType, join: Join) -> None:
    """Between kinds of text the foreign key decides, which compares as the referenced column does."""
    assert joined(one, other) == join
    assert joined(one, other, declared=False) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NUMERIC_12_2, FLOAT8),
        (INT4, FLOAT8),
        (INT4, OWN_INT),
        (CHAR_4, NAME),
        (CHAR_4, CITEXT),
        (JSONB, JSONB),
        (MOOD, OTHER_MOOD),
        (MOOD, TEXT),
        (UUID, TEXT),
    ],
)
def test_unknown(one: PgType, other: PgType) -> None:
    """Of other types nothing is known, in either order."""
    assert joined(one, other) is None
    assert joined(other, one) is None


def test_text_to_citext() -> None:
    """Postgres makes no such foreign key, since text does not become citext by itself."""
    assert joined(TEXT, CITEXT) is None


def test_unfoldable() -> None:
    """Citext needs to know how the database folds."""
    assert joined(CITEXT, CITEXT, folds=False) is None
    assert joined(CITEXT, TEXT, folds=False) == BY_IMAGE


@pytest.mark.parametrize(
    ("own", "target", "join"),
    [
        (Side(INT4, "string"), Side(INT4), NUMBERS._replace(target=None)),
        (Side(INT4, "string"), Side(INT4, "string"), BY_IMAGE),
        (Side(INT8, "float"), Side(INT8, "float"), NUMBERS),
        (Side(NUMERIC_16_2, "float"), Side(NUMERIC_16_2, "float"), NUMBERS),
        (Side(NUMERIC_12_2, "string"), Side(NUMERIC_12_2, "string"), BY_IMAGE),
        (Side(NUMERIC_12_2, "string"), Side(NUMERIC_12_2), NUMBERS),
        (Side(NUMERIC, "float"), Side(NUMERIC, "string"), NUMBERS),
        (Side(NUMERIC_38_0, "integer"), Side(NUMERIC_38_0, "integer"), BY_IMAGE),
        (Side(INT8), Side(NUMERIC_38_0, "integer"), BY_IMAGE),
        (Side(NUMERIC_38_0, "integer"), Side(NUMERIC_38_0), NUMBERS),
        (Side(NUMERIC_38_0, "integer"), Side(NUMERIC_12_2), NUMBERS),
        (Side(NUMERIC, "integer"), Side(NUMERIC, "integer"), NUMBERS),
        (Side(INTERVAL, "string"), Side(INTERVAL), Join("elapsed", "elapsed")),
    ],
)
def test_choices(own: Side, target: Side, join: Join) -> None:
    """A choice that loses digits, or that differs from the other side's, is matched by the join form."""
    assert join_of(own, target) == join
