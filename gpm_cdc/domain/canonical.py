"""One byte form for every value that the graph can hold, so that equal bytes mean equal values and nothing else.

Each value starts with the letter of its type, and whatever varies in length states it, so that no two values and no two
sequences of values share a form. 1, 1.0, "1" and true differ; 0.0 and -0.0 differ; every NaN is the same NaN.
Floats are their eight bytes, never text, which differs between Java versions.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.msgpack import Encoder

from gpm_cdc.domain.values import GraphValue

_DOUBLE = struct.Struct(">cd").pack
_INTEGER = struct.Struct(">cq").pack
_LENGTH = struct.Struct(">cI").pack
_NAN = _DOUBLE(b"f", float("nan"))


def canonical(value: GraphValue) -> bytes:
    """The canonical form of `value`. TypeError for an object that is no GraphValue, such as a driver's temporal one."""
    try:
        return _ENCODERS[type(value)](value)
    except KeyError as error:
        msg = f"no canonical form for {error.args[0].__qualname__}"
        raise TypeError(msg) from None


pack: Final[Callable[[Sequence[GraphValue]], bytes]] = Encoder().encode
"""MessagePack: quicker than `canonical` by far, with the same promise, but it knows several NaNs and has no form for
text with lone surrogates and for numbers beyond 64 bits, which the graph does not hold."""


def with_one_nan(values: list[GraphValue]) -> list[GraphValue]:
    """`values` with the NaN that `float("nan")` gives in place of any other, so that `pack` keeps its promise."""
    return [_one_nan(value) for value in values]


def _one_nan(value: GraphValue) -> GraphValue:
    if type(value) is list:
        return with_one_nan(value)
    return float("nan") if value != value else value  # noqa: PLR0124 - the quickest test for NaN


def _integer(value: int) -> bytes:
    try:
        return _INTEGER(b"i", value)
    except struct.error:
        return b"j%d;" % value


def _float(value: float) -> bytes:
    return _DOUBLE(b"f", value) if value == value else _NAN  # noqa: PLR0124 - the quickest test for NaN


def _string(value: str) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        encoded = value.encode("utf-8", "surrogatepass")
    return _LENGTH(b"s", len(encoded)) + encoded


def _boolean(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    return b"t" if value else b"u"


def _binary(value: bytes) -> bytes:
    return _LENGTH(b"b", len(value)) + value


def _sequence(value: list[GraphValue]) -> bytes:
    return _LENGTH(b"l", len(value)) + b"".join([_ENCODERS[type(part)](part) for part in value])


def _nothing(_value: None) -> bytes:
    return b"n"


# The value of each entry takes what its key says; a dictionary's type cannot express that.
_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    int: _integer,
    float: _float,
    str: _string,
    bool: _boolean,
    bytes: _binary,
    list: _sequence,
    type(None): _nothing,
}
