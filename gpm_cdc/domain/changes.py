"""What a committed transaction did to rows, as the stream tells it.

Values are Postgres's text (`str`), NULL (`None`), or `UNCHANGED`: a large value that was stored out of line and that
the change did not touch, which pgoutput leaves out. Unchanged is not NULL and not absent. The classes are named tuples
since one is made per row, and a named tuple costs a third of a frozen dataclass.
"""

import enum
from typing import Final, Literal, NamedTuple


class Unchanged(enum.Enum):
    """The type of `UNCHANGED`, so that type checkers tell it from a value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

type Field = str | bytes | Literal[Unchanged.UNCHANGED] | None
"""One column's value. `bytes` only where the binary format was asked for, which the pipeline never does."""

type Row = list[Field]
"""Values in the order of the relation's columns."""


class RelationColumn(NamedTuple):
    """A column as a Relation message describes it. `in_identity` is true for the columns of the replica identity."""

    name: str
    type_oid: int
    type_modifier: int
    in_identity: bool


class Relation(NamedTuple):
    """The shape of a table from this point of the stream on, until the next Relation of the same oid.

    `replica_identity` is Postgres's letter: d default, n nothing, f full, i index. With `f` every column is flagged, so
    the flags never tell the primary key.
    """

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


class Insert(NamedTuple):
    """A row that came to be."""

    relation: int
    new: Row


class Update(NamedTuple):
    """A row that changed.

    `old_kind` is `K` (old key columns only, the others None), `O` (the whole old row, replica identity full) or None
    when neither was sent, which means that the identity did not change. With `K` the key may also be the same as
    before: it is sent whenever a key column is stored out of line.
    """

    relation: int
    old_kind: Literal["K", "O"] | None
    old: Row | None
    new: Row


class Delete(NamedTuple):
    """A row that ceased to be; `old` as in Update, always sent."""

    relation: int
    old_kind: Literal["K", "O"]
    old: Row


class Truncate(NamedTuple):
    """Tables emptied at once, cascaded ones included."""

    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


type Change = Insert | Update | Delete | Truncate
