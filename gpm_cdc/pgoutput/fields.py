"""Reading the fields that messages are made of, each with a check that the bytes are there.

Every function takes the whole message and a position in it. Numbers are big-endian.
"""

import struct
from itertools import accumulate
from typing import Any, Final

from gpm_cdc.domain.changes import UNCHANGED, Row
from gpm_cdc.errors.protocol import InvalidText, MessageTruncated, UnexpectedByte

_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")
_TEXT: Final = ord("t")
_BINARY: Final = ord("b")
_COUNT_SIZE: Final = 2
_LENGTH_SIZE: Final = 4
_VALUE_AT: Final = 1 + _LENGTH_SIZE
"""Where a value begins in its column: after the kind and the length."""

_read_count: Final = struct.Struct(">H").unpack_from
_read_length: Final = struct.Struct(">I").unpack_from


class Layout:
    """Numbers of fixed size that follow one another, each with its name and its code of the `struct` module."""

    __slots__ = ("_ends", "_message", "_unpack", "size")

    def __init__(self, message: str, **fields: str) -> None:
        layout = struct.Struct(">" + "".join(fields.values()))
        self.size = layout.size
        self._unpack = layout.unpack_from
        self._message = message
        sizes = (struct.calcsize(">" + code) for code in fields.values())
        self._ends = dict(zip(fields, accumulate(sizes), strict=True))

    def read(self, data: bytes | memoryview, at: int) -> tuple[Any, ...]:
        """The numbers from `at` on; they end at `at + size`. Raises MessageTruncated."""
        try:
            return self._unpack(data, at)
        except struct.error:
            raise self._truncated(len(data), at) from None

    def _truncated(self, size: int, at: int) -> MessageTruncated:
        field = next(field for field, end in self._ends.items() if at + end > size)
        return MessageTruncated(message=self._message, field=field, offset=size)


def read_text(data: bytes, at: int, message: str, field: str) -> tuple[str, int]:
    """The zero-terminated string at `at`, and where it ends. Raises MessageTruncated and InvalidText."""
    end = data.find(0, at)
    if end < 0:
        raise MessageTruncated(message=message, field=field, offset=len(data))
    try:
        return data[at:end].decode(), end + 1
    except UnicodeDecodeError:
        raise InvalidText(message=message, field=field, offset=at) from None


def read_bytes(data: bytes, at: int, message: str, field: str) -> tuple[bytes, int]:
    """The bytes that a 32-bit length at `at` announces, and where they end. Raises MessageTruncated."""
    begin = at + _LENGTH_SIZE
    end = begin + int.from_bytes(data[at:begin])
    if end > len(data):
        raise MessageTruncated(message=message, field=field, offset=len(data))
    return data[begin:end], end


def read_row(data: bytes, at: int, message: str, field: str) -> tuple[Row, int]:
    """The row at `at`, and where it ends. Raises MessageTruncated, InvalidText and UnexpectedByte.

    Most of a stream's processor time is spent in this loop: it holds no call that it can do without.
    """
    row: Row = []
    size = len(data)
    columns_at = at + _COUNT_SIZE
    try:
        (count,) = _read_count(data, at)
        at = columns_at
        for _ in range(count):
            kind = data[at]
            if kind == _TEXT:
                begin = at + _VALUE_AT
                (length,) = _read_length(data, at + 1)
                end = begin + length
                if end > size:
                    raise IndexError  # noqa: TRY301 - a slice that is too short is not an error to Python
                row.append(data[begin:end].decode())
                at = end
            elif kind == _NULL:
                row.append(None)
                at += 1
            elif kind == _UNCHANGED:
                row.append(UNCHANGED)
                at += 1
            elif kind == _BINARY:
                value, at = read_bytes(data, at + 1, message, f"{field}[{len(row)}]")
                row.append(value)
            else:
                raise UnexpectedByte(message=message, field=f"{field}[{len(row)}]", offset=at, expected="n, u, t, b")
    except (IndexError, struct.error):
        cut = field if at < columns_at else f"{field}[{len(row)}]"
        raise MessageTruncated(message=message, field=cut, offset=size) from None
    except UnicodeDecodeError:
        raise InvalidText(message=message, field=f"{field}[{len(row)}]", offset=at + _VALUE_AT) from None
    return row, at
