"""What a batch touches, as the journal keeps it: keys of rows, apart those whose relationships may move with them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gpm_cdc.cypher.journal import TABLE_SIZE, Note
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.projection.coalesce import Key, Planned, TableChanges
from gpm_cdc.projection.plan import GraphPlan, RowKey
from gpm_cdc.replication.rereading import Rereads

_LOOKS: Final = 4
"""How often the size of a table's pages is looked at until they can be too large."""

_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class Touches:
    """Rows of one table that the stream wrote, by their keys as Postgres prints them.

    `moved` are those among them that came, went, or may be found by other values now: whatever refers to them may have
    a relationship more or less, without an event of its own. `whole` stands for every row there is or was, `many` for
    rows that did not move, and are too many to be told.
    """

    whole: bool = False
    many: bool = False
    keys: set[RowKey] = field(default_factory=set)
    moved: set[RowKey] = field(default_factory=set)


class Journal:
    """Says what is to be noted, and when it may have become too much. The pages are in the graph."""

    def __init__(self, stream: str, plan: GraphPlan) -> None:
        self._stream = stream
        referred = [(edge.end.target, edge.end.by_key) for node in plan.nodes for edge in node.edges]
        referred += [(end.target, end.by_key) for table in plan.relationships for end in (table.start, table.end)]
        self._referred = {target for target, _ in referred}
        self._by_others = {target for target, by_key in referred if not by_key}
        self._sizes: Counter[TableName] = Counter()

    def of_changes(self, changes: Mapping[Planned, TableChanges], position: Lsn) -> list[Note]:
        """What the net changes of a batch up to `position` touch."""
        return [
            [self._stream, *planned.table, position, None if made.emptied else self._text(planned, made)]
            for planned, made in changes.items()
            if made.emptied or made.rows or made.gone
        ]

    def _text(self, planned: Planned, made: TableChanges) -> str | None:
        keys: list[Key]
        moved: list[Key] = []
        if planned in self._by_others:
            keys, moved = [], [*made.rows]
        elif planned in self._referred:
            keys = [key for key, (origin, _) in made.rows.items() if origin == key]
            moved = [key for key, (origin, _) in made.rows.items() if origin != key]
        else:
            keys = [*made.rows]
        left = [origin for key, (origin, _) in made.rows.items() if origin is not None and origin != key]
        (moved if planned in self._referred else keys).extend((*left, *made.gone))
        text = _ENCODE([keys, moved]) + "\n"
        return text if len(text) < TABLE_SIZE else None

    def grown(self, notes: Iterable[Note]) -> list[list[str]]:
        """The tables, for `cypher.journal.bound`, of which so much was noted by now that their size is to be looked at.

        A writer may ask twice for the same notes: then one looks a little earlier.
        """
        due: list[list[str]] = []
        for _, schema, name, _, text in notes:
            table = TableName(schema, name)
            self._sizes[table] += len(text or "")
            if self._sizes[table] > TABLE_SIZE // _LOOKS:
                del self._sizes[table]
                due.append([self._stream, schema, name])
        return due

    def of_rereads(self, rereads: Rereads, position: Lsn) -> list[Note]:
        """As `of_changes`, for what is read again at `position`."""
        return [
            [
                self._stream,
                *table,
                position,
                None if keys is None else _ENCODE([[], sorted(key if len(key) > 1 else key[0] for key in keys)]) + "\n",
            ]
            for table, keys in rereads.items()
        ]


def read(pages: Iterable[tuple[str, str, str | None]], most: int) -> dict[TableName, Touches]:
    """What pages say that were written by `cypher.journal.note`: schema, table and text of keys.

    More than about `most` keys of a table are not kept in memory.
    """
    found: dict[TableName, Touches] = {}
    for schema, name, text in pages:
        touches = found.setdefault(TableName(schema, name), Touches())
        if text is None:
            touches.whole = True
        for line in [] if text is None or touches.whole else text.split("\n")[:-1]:
            keys, moved = json.loads(line)
            touches.keys.update(_row_keys(keys))
            touches.moved.update(_row_keys(moved))
            _limit(touches, most)
    return found


def _limit(touches: Touches, most: int) -> None:
    if touches.many or len(touches.keys) > most:
        touches.many = True
        touches.keys.clear()
    if len(touches.moved) > most:
        touches.whole = True
        touches.moved.clear()


def _row_keys(keys: Iterable[str | list[str]]) -> Iterator[RowKey]:
    return ((key,) if isinstance(key, str) else tuple(key) for key in keys)
