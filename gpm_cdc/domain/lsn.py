"""Log sequence numbers: byte positions in Postgres's write-ahead log.

Kept as plain integers, since the hot path compares and stores millions of them; `NewType` keeps them from mixing with
other integers. Postgres prints them as two hexadecimal halves, `16/B374D848`.
"""

import re
from typing import NewType

Lsn = NewType("Lsn", int)

ZERO = Lsn(0)
_PAGE_HEADER = 24
_SEGMENT_HEADER = 40
_HALF_BITS = 32
_HALF_MASK = 0xFFFF_FFFF
_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def parse(text: str) -> Lsn:
    """The LSN that Postgres prints as `text`; ValueError when it is not one."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        msg = f"not an LSN: {text!r}"
        raise ValueError(msg)
    return Lsn(int(match[1], 16) << _HALF_BITS | int(match[2], 16))


def render(lsn: Lsn) -> str:
    """`lsn` as Postgres prints it."""
    return f"{lsn >> _HALF_BITS:X}/{lsn & _HALF_MASK:X}"


def end_of_written(inserted: Lsn, page: int, segment: int) -> Lsn:
    """The position that the log has to reach to hold everything before the insert position `inserted`.

    Where the last record ends with its page, the insert position counts the header of the next page, which is written
    only together with a record behind it; then it is that page's start. `page` and `segment` are the server's
    wal_block_size and wal_segment_size in bytes. The headers are those of xlog_internal.h: 24 bytes, 40 for the first
    page of a segment.
    """
    within = inserted % page
    header = _SEGMENT_HEADER if (inserted - within) % segment == 0 else _PAGE_HEADER
    return Lsn(inserted - within) if within == header else inserted
