"""The type of a column as the rules need it: the name of the base type, its modifiers, and whether it is an array."""

from dataclasses import dataclass

_HEADER = 4
_SCALE_BITS = 0x7FF
_SCALE_SIGN = 0x400


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type with its domains taken off.

    `name` is the base type's name in pg_type, `kind` its typtype (`b`ase, `e`num, `c`omposite, `r`ange, `m`ultirange),
    `modifier` the atttypmod that holds (-1: none). Of an array, `element` is the element's type and `delimiter` what
    stands between two elements.
    """

    name: str
    kind: str = "b"
    modifier: int = -1
    element: "ColumnType | None" = None
    delimiter: str = ","


def numeric(precision: int | None = None, scale: int = 0) -> ColumnType:
    """The type numeric, without brackets when no precision is given; the modifier is packed as Postgres packs it."""
    if precision is None:
        return ColumnType("numeric")
    return ColumnType("numeric", modifier=((precision << 16) | (scale & _SCALE_BITS)) + _HEADER)


def precision_and_scale(column_type: ColumnType) -> tuple[int, int] | None:
    """Of a numeric column: what stands in the brackets, None where there are none."""
    if column_type.modifier < _HEADER:
        return None
    packed = column_type.modifier - _HEADER
    return packed >> 16 & 0xFFFF, ((packed & _SCALE_BITS) ^ _SCALE_SIGN) - _SCALE_SIGN


def array_of(element: ColumnType, delimiter: str = ",") -> ColumnType:
    """The array type of `element`."""
    return ColumnType(f"_{element.name}", element=element, delimiter=delimiter)
