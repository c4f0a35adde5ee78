"""Rows in COPY's text format, written as its documentation says."""

from collections.abc import Iterable

from gpm_cdc.domain.rows import CopiedRow, CopiedRows

_ESCAPES = {
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def encode(value: str | None) -> str:
    r"""A value: \N for NULL, control characters escaped."""
    return "\\N" if value is None else "".join(_ESCAPES.get(character, character) for character in value)


def copied(rows: Iterable[CopiedRow]) -> CopiedRows:
    """Some rows, at least one."""
    return CopiedRows("\n".join("\t".join(map(encode, row)) for row in rows))
