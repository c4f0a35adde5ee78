"""What is said beside an inferred mapping: comments for the person who reads the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpm_cdc.domain.catalogue import TableName


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence, and lines of TOML that do what it proposes."""

    text: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notes:
    """Comments in the user's language.

    `beside` belongs to one line of a table's entry: its key is `label`, `key`, `exclude`, `start`, or for a
    relationship `reference_place(columns)`. `below` follows the entry's own keys; the relationships of a node come
    after it. `refused` says for a table without an entry why it has none.
    """

    beside: Mapping[tuple[TableName, str], str] = field(default_factory=dict)
    below: Mapping[TableName, tuple[Remark, ...]] = field(default_factory=dict)
    refused: Mapping[TableName, str] = field(default_factory=dict)


def reference_place(columns: tuple[str, ...]) -> str:
    """Where a comment about the relationship from `columns` stands."""
    return f"relationship {' '.join(columns)}"
