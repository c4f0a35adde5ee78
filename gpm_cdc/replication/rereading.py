"""What has to be read again: whole tables or rows by their keys, and who may ask for it.

It stands in the checkpoint from the moment it is known until it is done, so a crash in between loses nothing of it.
"""

import json
from collections.abc import Mapping, Sequence

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.stream import RepairAsked
from gpm_cdc.pgoutput.messages import LogicalMessage
from gpm_cdc.projection.plan import RowKey
from gpm_cdc.replication.assembly import MESSAGE_PREFIX

type Rereads = Mapping[TableName, frozenset[RowKey] | None]
"""The keys to read again, by table; None for every row."""


def whole(tables: Sequence[TableName]) -> Rereads:
    """Every row of `tables`."""
    return dict.fromkeys(tables)


def together(one: Rereads, other: Rereads) -> Rereads:
    """What either asks for."""
    both = dict(one)
    for table, keys in other.items():
        known = both.get(table, frozenset())
        both[table] = None if keys is None or known is None else known | keys
    return both


def beyond(asked: Rereads, covered: Rereads) -> Rereads:
    """What of `asked` is not in `covered`."""
    left: dict[TableName, frozenset[RowKey] | None] = {}
    for table, keys in asked.items():
        known = covered.get(table, frozenset())
        if known is None:
            continue
        if keys is None:
            left[table] = None
        elif keys - known:
            left[table] = keys - known
    return left


def write(rereads: Rereads) -> str:
    """`rereads` as a text of JSON, in a fixed order; empty for nothing."""
    if not rereads:
        return ""
    facts = [[*table, None if keys is None else sorted(map(list, keys))] for table, keys in sorted(rereads.items())]
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> Rereads:
    """What `write` wrote. ValueError for anything else."""
    if not text:
        return {}
    found: dict[TableName, frozenset[RowKey] | None] = {}
    for fact in _facts(text):
        match fact:
            case [str(schema), str(name), None]:
                found[TableName(schema, name)] = None
            case [str(schema), str(name), list(keys)] if all(map(_is_key, keys)):
                found[TableName(schema, name)] = frozenset(tuple(key) for key in keys)
            case _:
                raise ValueError(_FORM)
    return found


def _facts(text: str) -> list[object]:
    facts = json.loads(text)
    return facts if isinstance(facts, list) else [facts]


_FORM = "expected a list of [schema, table, null or list of keys]"


def _is_key(key: object) -> bool:
    return isinstance(key, list) and all(isinstance(part, str) for part in key)


def prefix_of(stream: str) -> str:
    """The prefix of the messages that ask `stream` to read something again."""
    return f"{MESSAGE_PREFIX}reread.{stream}"


class Requests:
    """Hears what is asked of one stream, and leaves out what is being done already.

    `covered` is what is being done. Where more rows can join it, as those of a later position are read, `joining` says
    so: then requests for rows by their keys are added, and a thousand of them take no longer than one.
    """

    def __init__(self, stream: str, covered: Rereads, *, joining: bool = False) -> None:
        self._prefix = prefix_of(stream)
        self._joining = joining
        self.covered = covered

    def heed(self, messages: Sequence[LogicalMessage]) -> None:
        """RepairAsked if one of `messages` asks for more than is covered and can join.

        What cannot be read is left alone: every role that can log in may write messages.
        """
        asked: Rereads = {}
        for message in messages:
            if message.prefix != self._prefix:
                continue
            try:
                asked = together(asked, read(message.content.decode()))
            except ValueError:
                continue
        left = beyond(asked, self.covered)
        if left and not (self._joining and all(keys is not None for keys in left.values())):
            raise RepairAsked(left)
        self.covered = together(self.covered, left)
