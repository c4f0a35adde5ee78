"""What a statement does to what the stream depends on, and what the stream of today does about it: one table.

`EFFECTS` is that table. `classification` says which of its rows a statement is an instance of; `judgement` and the
tests, which run every statement against a running stream, take from it what to expect. Whoever makes the stream follow
more changes a row here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.mapping import MappingInvalid
from gpm_cdc.errors.source import PublicationMissing, PublicationUnfit

type Nature = Literal[
    "none", "rows", "shape", "rewrite", "content", "membership", "identity", "reference", "stream", "unknown"
]
"""What is touched.

none: nothing that the stream depends on. rows: rows, each with an event. shape: the columns of a table, their types or
their order. rewrite: values of rows that stay, without events. content: rows that come or go without events.
membership: which tables there are, by name, and which are published. identity: by which columns the stream names a row.
reference: whether Postgres vouches that referenced rows exist. stream: the slot or the server's settings for it.
unknown: the text does not tell.
"""

type Outcome = Literal["unaffected", "follows", "rereads", "depends", "refused", "stops"]
"""What comes of it, from harmless to harmful.

unaffected: the stream need not do anything. follows: it applies the change. rereads: it reads the table again:
harmless, but it takes as long as a copy of that table, during which the checkpoint promises nothing. depends: on what
the file does not say. refused: Postgres refuses the statement while the stream is there. stops: the stream stops before
it would apply anything wrong, and goes on only after a person acted.
"""

OUTCOMES: Final[tuple[Outcome, ...]] = ("unaffected", "follows", "rereads", "depends", "refused", "stops")
BLOCKING: Final[frozenset[Outcome]] = frozenset(("refused", "stops"))


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a statement does. `code` names a row of EFFECTS.

    `table` is None where no table is named, which for `table_rewritten` means every one; `subject` names what else it
    is about: a schema, a publication, a slot.
    `column` is the one of the table that its name is taken from.
    """

    code: str
    table: TableName | None = None
    subject: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What the stream does about an effect. Texts are templates that may hold {subject}.

    `error` is the code of the error that stops the stream, where one does.
    """

    nature: Nature
    outcome: Outcome
    message: str
    remedy: str = ""
    error: str = ""


_REMAP = "Edit the mapping ('gpm-cdc map --check' says what does not fit); then 'gpm-cdc run --remap' goes on."
_REPUBLISH = "Put it back; 'gpm-cdc run' then reads again what was out of it and goes on."
_IF_STOPPED = (
    "If it stops, edit the mapping ('gpm-cdc map --check' says what does not fit); then 'gpm-cdc run --remap' goes on."
)
_BEFORE = "the stream stops before it writes anything that comes after."
_LOOSEN = "Say enforced = false in the mapping; then 'gpm-cdc run --remap' goes on."


def _stops(nature: Nature, message: str, error: str, remedy: str = _REMAP) -> Consequence:
    return Consequence(nature, "stops", message, remedy, error)


def _rereads(nature: Nature, message: str, remedy: str = "") -> Consequence:
    return Consequence(nature, "rereads", message, remedy)


def _nothing(message: str, nature: Nature = "none", remedy: str = "") -> Consequence:
    return Consequence(nature, "unaffected", message, remedy)


def _depends(nature: Nature, message: str, remedy: str = "") -> Consequence:
    return Consequence(nature, "depends", message, remedy)


_ROWS: Final[Mapping[str, Consequence]] = {
    "rows_written": Consequence(
        "rows", "follows", "The rows of {subject} that it writes are followed, a transaction at a time."
    ),
    "table_truncated": Consequence("rows", "follows", "Every row of {subject} leaves the graph."),
    "transaction_prepared": Consequence(
        "rows", "follows", "The transaction is applied at COMMIT PREPARED; until then Postgres retains its log."
    ),
}

_SHAPES: Final[Mapping[str, Consequence]] = {
    "column_added": _rereads(
        "shape",
        "{subject} gets a column and is read again. The stream stops instead if the column would become a property of "
        "a type that gpm-cdc does not support.",
        "If it stops, add the column to exclude, or choose types = string for it; then 'gpm-cdc run --remap' goes on.",
    ),
    "column_dropped": _rereads(
        "shape",
        "{subject} loses a column and is read again, unless it was a generated one. The stream stops instead if the "
        "mapping names the column.",
        _IF_STOPPED,
    ),
    "column_renamed": _rereads(
        "shape",
        "A column of {subject} gets another name, so its property does, and the table is read again. The stream stops "
        "instead if the mapping names the column.",
        _IF_STOPPED,
    ),
    "mapped_column_gone": _stops(
        "shape", f"The mapping names this column of {{subject}}, so {_BEFORE}", MappingInvalid.code
    ),
    "column_retyped": _rereads(
        "rewrite",
        "A column of {subject} changes its type or length, and the table is read again. The stream stops instead if "
        "the mapping does not fit the new type.",
        _IF_STOPPED,
    ),
    "column_recomputed": _rereads(
        "rewrite",
        "Values of a column of {subject} are computed anew, and the table is read again. The stream stops instead if "
        "the mapping does not fit the new type.",
        _IF_STOPPED,
    ),
    "column_ungenerated": _rereads(
        "shape", "A generated column of {subject} becomes an ordinary one, and the table is read again."
    ),
    "column_generated_added": _nothing("Columns that are computed when they are read are not streamed."),
    "table_rewritten": _rereads(
        "rewrite", "Postgres stores the rows of {subject} anew without telling why, so the table is read again."
    ),
    "enum_value_added": _nothing(
        "A new label does no harm. Only a mapped table that has arrays of {subject} is read again.", "shape"
    ),
    "enum_value_renamed": _rereads(
        "rewrite",
        "Rows that hold the value print it anew, so every mapped table that has a column of type {subject} is read "
        "again.",
    ),
    "composite_changed": _rereads(
        "rewrite",
        "Rows that hold values of type {subject} print them anew, so every mapped table that has such a column is read "
        "again.",
    ),
}

_CONTENTS: Final[Mapping[str, Consequence]] = {
    "partition_created": _rereads(
        "content", "{subject} gets a partition, which may bring rows without telling, so the table is read again."
    ),
    "partition_attached": _rereads(
        "content", "The rows that the partition brings into {subject} are not sent, so the table is read again."
    ),
    "partition_detached": _rereads(
        "content", "The rows that the partition takes out of {subject} are not sent, so the table is read again."
    ),
    "partition_dropped": _rereads(
        "content", "The rows that {subject} loses with the partition are not sent, so the table is read again."
    ),
    "partition_truncated": _rereads(
        "content",
        "{subject} is read again: only a TRUNCATE of the partitioned table itself is sent.",
    ),
    "unmapped_content": _depends(
        "content",
        "{subject} is not mapped. Should it be a partition of a mapped table, that table is read again.",
    ),
}

_MEMBERSHIPS: Final[Mapping[str, Consequence]] = {
    "table_created": _nothing("{subject} is new: it is not followed before it is mapped.", "membership"),
    "table_of_file": _nothing("{subject} is made in this file, so no stream follows it yet."),
    "table_dropped": _stops(
        "membership",
        f"{{subject}} is gone. Unless the same transaction makes it again and puts it into the publication, {_BEFORE}",
        MappingInvalid.code,
    ),
    "table_renamed": _stops(
        "membership", f"{{subject}} is no longer there by this name, so {_BEFORE}", MappingInvalid.code
    ),
    "publication_table_added": _nothing("A further table in the publication does no harm.", "membership"),
    "publication_table_dropped": _stops(
        "membership",
        f"{{subject}} leaves the publication, so {_BEFORE}",
        PublicationUnfit.code,
        "Put it back; 'gpm-cdc run' then reads it again and goes on. Or take it out of the mapping first: then "
        "'gpm-cdc run --remap' goes on without it.",
    ),
    "publication_replaced": _depends(
        "membership",
        f"Every mapped table that was out of {{subject}} for a moment is read again. If one is missing afterwards, or "
        f"published in part, {_BEFORE}",
        _REPUBLISH,
    ),
    "publication_altered": _rereads(
        "membership",
        "What {subject} published before cannot be known, so every mapped table is read again.",
    ),
    "publication_narrowed": _stops(
        "membership",
        f"{{subject}} no longer publishes every change under the table's own name, so {_BEFORE}",
        PublicationUnfit.code,
        _REPUBLISH,
    ),
    "publication_gone": _stops(
        "membership",
        f"The stream's publication {{subject}} is gone, so {_BEFORE}",
        PublicationMissing.code,
        "Make it again (sql/publication.sql); 'gpm-cdc run' then reads every mapped table again and goes on.",
    ),
    "publication_other": _nothing("It is not the stream's publication."),
}

_IDENTITIES: Final[Mapping[str, Consequence]] = {
    "identity_full": _depends(
        "identity",
        "With the whole row as identity the stream goes on as before. But if {subject} has a generated column, "
        f"Postgres 18 refuses every UPDATE and DELETE of it, and {_BEFORE}",
        "Keep another replica identity there.",
    ),
    "identity_chosen": _depends(
        "identity",
        f"Unless this identity of {{subject}} has the mapped key's columns, {_BEFORE}",
        "Set one that has them; then 'gpm-cdc run' goes on.",
    ),
    "identity_removed": _stops(
        "identity",
        f"Postgres then refuses UPDATE and DELETE of {{subject}}, and {_BEFORE}",
        MappingInvalid.code,
        "Set a replica identity that has the mapped key's columns; then 'gpm-cdc run' goes on.",
    ),
    "unmapped_identity": _depends(
        "identity",
        "{subject} is not mapped. Should it be a partition of a mapped table whose key this takes out of its "
        f"identity, {_BEFORE}",
        "Let the identity have them; then 'gpm-cdc run' goes on.",
    ),
    "primary_key_dropped": _stops(
        "identity",
        f"By its name it is the primary key, without which Postgres refuses UPDATE and DELETE of {{subject}}. Unless "
        f"the same transaction makes it again, or another replica identity is set, {_BEFORE}",
        MappingInvalid.code,
        "Make it again, or edit the mapping's key; then 'gpm-cdc run', with --remap if the mapping changed, goes on.",
    ),
    "constraint_dropped": _depends(
        "identity",
        f"If it is the primary key of {{subject}}, a key that others refer to, or a foreign key that the mapping calls "
        f"enforced, {_BEFORE} Any other constraint does not matter.",
        "Make it again, and 'gpm-cdc run' goes on; or edit the mapping, and 'gpm-cdc run --remap' does.",
    ),
    "index_dropped": _depends(
        "identity",
        f"If {{subject}} is the replica identity of a mapped table, or the key by which the mapping finds the end of a "
        f"relationship, {_BEFORE} Any other index does not matter.",
        "Make it again; then 'gpm-cdc run' goes on.",
    ),
}

_REFERENCES: Final[Mapping[str, Consequence]] = {
    "foreign_key_added": _nothing(
        "No relationship comes of it before the mapping names it.",
        "reference",
        "To have the relationship, add it to the mapping; then 'gpm-cdc run --remap' reads the table again.",
    ),
    "foreign_key_dropped": _stops(
        "reference",
        f"By its name it is a foreign key. If the mapping calls its reference enforced, {_BEFORE}",
        MappingInvalid.code,
        _LOOSEN,
    ),
    "foreign_key_loosened": _stops(
        "reference",
        f"If the mapping calls this reference enforced, {_BEFORE}",
        MappingInvalid.code,
        _LOOSEN,
    ),
    "checks_suspended": _depends(
        "reference",
        "Rows written without their foreign keys being checked are followed. A relationship is missing where its "
        "target comes later.",
        "Run 'gpm-cdc verify' afterwards.",
    ),
}

_SERVERS: Final[Mapping[str, Consequence]] = {
    "table_unlogged": Consequence("stream", "refused", "Postgres refuses it, because {subject} is published."),
    "slot_touched": Consequence(
        "stream",
        "refused",
        "Postgres refuses it while the stream runs. Done while the stream is down, the stream cannot go on.",
        "Leave the slot to the stream; 'gpm-cdc reset' ends a stream.",
    ),
    "setting_of_stream": _depends(
        "stream", "{subject} may end every slot at the next start of the server.", "Keep wal_level = logical."
    ),
    "role_altered": _depends(
        "stream", "If {subject} is the role of the stream, what it loses here stops the stream when it connects again."
    ),
    "row_security": _nothing(
        "The stream sees every row all the same.",
        "none",
        "Let the stream's role have BYPASSRLS: what is read again or verified would lack rows otherwise.",
    ),
    "rights_revoked": _nothing(
        "The stream itself needs no right to a table; reading it again and verify need SELECT.", "none"
    ),
    "schema_touched": _nothing("No mapped table is in schema {subject}.", "membership"),
    "dependents_dropped": _depends(
        "unknown",
        "It takes along what depends on {subject} or belongs there. A mapped table that loses a column so is read "
        "again; if the mapping names the column, the stream stops.",
        _IF_STOPPED,
    ),
}

_REST: Final[Mapping[str, Consequence]] = {
    "nothing": _nothing("The stream does not depend on it."),
    "table_unmapped": _nothing("{subject} is not mapped."),
    "code_run": _depends(
        "unknown",
        "It runs code that this file does not show. Rows that it writes are followed; what else it does is not "
        "judged here.",
    ),
    "tables_moved": _depends(
        "rewrite", "Every mapped table whose files it moves to tablespace {subject} is read again."
    ),
    "psql_runs": _depends("unknown", "psql runs what this file does not hold: {subject} is not judged here."),
    "not_known": _depends("unknown", "gpm-cdc does not know what this statement does to the stream."),
}

EFFECTS: Final[Mapping[str, Consequence]] = MappingProxyType(
    {**_ROWS, **_SHAPES, **_CONTENTS, **_MEMBERSHIPS, **_IDENTITIES, **_REFERENCES, **_SERVERS, **_REST}
)
"""Every effect by its code."""
