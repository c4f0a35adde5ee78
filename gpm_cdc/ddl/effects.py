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
from gpm_cdc.errors.source import PublicationChanged, PublicationMissing, PublicationUnfit
from gpm_cdc.errors.stream import RelationChanged

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

type Outcome = Literal["unaffected", "follows", "depends", "refused", "stops", "misses"]
"""What comes of it, from harmless to harmful.

unaffected: the stream need not do anything. follows: it applies the change. depends: on what the file does not say.
refused: Postgres refuses the statement while the stream is there. stops: the stream stops before it would apply
anything wrong, and goes on only after a person acted. misses: it goes on, and the graph no longer equals the tables.
"""

OUTCOMES: Final[tuple[Outcome, ...]] = ("unaffected", "follows", "depends", "refused", "stops", "misses")
BLOCKING: Final[frozenset[Outcome]] = frozenset(("refused", "stops", "misses"))


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a statement does. `code` names a row of EFFECTS.

    `table` is None where no table is named; `subject` names what else it is about: a schema, a publication, a slot.
    `parent` is the table that a partition belongs to.
    """

    code: str
    table: TableName | None = None
    subject: str = ""
    parent: TableName | None = None


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


_COPY = (
    "Look after the mapping ('gpm-cdc map --check'), then 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt' copy again."
)
_AGAIN = "After the migration 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt' copy the tables again."
_PUBLISH = "Leave the publication to the stream, or copy again: 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt'."
_NEXT = "The stream stops at the next change of the table, or when it is started again; what came before is applied."
_SOON = "The stream stops within seconds."


def _stops(nature: Nature, message: str, error: str, remedy: str = _COPY) -> Consequence:
    return Consequence(nature, "stops", message, remedy, error)


def _nothing(message: str, nature: Nature = "none", remedy: str = "") -> Consequence:
    return Consequence(nature, "unaffected", message, remedy)


def _depends(nature: Nature, message: str, remedy: str = "") -> Consequence:
    return Consequence(nature, "depends", message, remedy)


def _misses(nature: Nature, message: str) -> Consequence:
    return Consequence(nature, "misses", message, _AGAIN)


_ROWS: Final[Mapping[str, Consequence]] = {
    "rows_written": Consequence(
        "rows", "follows", "The rows of {subject} that it writes are followed, a transaction at a time."
    ),
    "table_truncated": Consequence("rows", "follows", "Every row of {subject} leaves the graph."),
    "transaction_prepared": Consequence(
        "rows", "follows", "The transaction is applied at COMMIT PREPARED; until then Postgres retains its log."
    ),
    "partition_created": Consequence(
        "membership", "follows", "Rows in the new partition are followed as rows of {subject}."
    ),
}

_SHAPES: Final[Mapping[str, Consequence]] = {
    "column_added": _stops("shape", f"{{subject}} gets a column. {_NEXT}", RelationChanged.code),
    "column_dropped": _stops(
        "shape", f"{{subject}} loses a column. Unless it was a generated one: {_NEXT}", RelationChanged.code
    ),
    "column_renamed": _stops(
        "shape",
        f"A column of {{subject}} gets another name. Unless it is a generated one: {_NEXT}",
        RelationChanged.code,
    ),
    "column_retyped": _stops(
        "rewrite", f"A column of {{subject}} changes its type or length. {_NEXT}", RelationChanged.code
    ),
    "column_recomputed": _misses(
        "rewrite",
        "Postgres rewrites the rows of {subject} without telling. If the column's type changes, the stream stops at "
        "the next change of the table; if the type stays, it goes on and the graph keeps the old values.",
    ),
    "column_ungenerated": _stops(
        "shape", f"A generated column of {{subject}} becomes an ordinary one. {_NEXT}", RelationChanged.code
    ),
    "column_generated_added": _nothing("Generated columns are not streamed."),
    "enum_value_renamed": _depends(
        "rewrite",
        "Rows that hold the value print it anew, without an event: where a mapped table has a column of type "
        "{subject}, the graph keeps the old name.",
        _AGAIN,
    ),
    "composite_changed": _depends(
        "rewrite",
        "Rows that hold values of type {subject} print them anew, without an event: where a mapped table has such a "
        "column, the graph keeps the old texts.",
        _AGAIN,
    ),
}

_CONTENTS: Final[Mapping[str, Consequence]] = {
    "partition_attached": _misses("content", "The rows that the partition brings into {subject} are not sent."),
    "partition_detached": _misses("content", "The rows that the partition takes out of {subject} stay in the graph."),
    "partition_dropped": _misses("content", "The partition's rows of {subject} stay in the graph."),
    "partition_truncated": _misses(
        "content",
        "The partition's rows of {subject} stay in the graph: only a TRUNCATE of the partitioned table itself is sent.",
    ),
    "unmapped_content": _depends(
        "content",
        "{subject} is not mapped. Should it be a partition of a mapped table: rows that come or go so are not sent.",
        _AGAIN,
    ),
}

_MEMBERSHIPS: Final[Mapping[str, Consequence]] = {
    "table_created": _nothing("{subject} is new: it is not followed before it is mapped and copied.", "membership"),
    "table_of_file": _nothing("{subject} is made in this file, so no stream follows it yet."),
    "table_dropped": _stops("membership", f"{{subject}} leaves the publication. {_SOON}", PublicationChanged.code),
    "table_renamed": _stops(
        "membership", f"{{subject}} is no longer there by this name. {_SOON}", PublicationChanged.code
    ),
    "publication_table_added": _nothing("A further table in the publication does no harm.", "membership"),
    "publication_table_dropped": _stops(
        "membership", f"{{subject}} leaves the publication. {_SOON}", PublicationChanged.code, _PUBLISH
    ),
    "publication_replaced": _depends(
        "membership",
        "The stream stops within seconds if {subject} then lacks a mapped table, or leaves out rows or columns of one.",
        _PUBLISH,
    ),
    "publication_narrowed": _stops(
        "membership",
        f"{{subject}} no longer publishes every change under the table's own name. {_SOON}",
        PublicationUnfit.code,
        _PUBLISH,
    ),
    "publication_gone": _stops(
        "membership", f"The stream's publication {{subject}} is gone. {_SOON}", PublicationMissing.code, _PUBLISH
    ),
    "publication_other": _nothing("It is not the stream's publication."),
}

_IDENTITIES: Final[Mapping[str, Consequence]] = {
    "identity_full": _nothing("With the whole row as identity the stream goes on as before.", "identity"),
    "identity_chosen": _depends(
        "identity",
        "The stream stops at the next change of {subject}, unless this identity has the mapped key's columns.",
    ),
    "identity_removed": _stops(
        "identity",
        f"Postgres then refuses UPDATE and DELETE of {{subject}}. {_NEXT}",
        RelationChanged.code,
        "Keep a replica identity that has the mapped key's columns.",
    ),
    "primary_key_dropped": _stops(
        "identity",
        f"By its name it is the primary key, without which Postgres refuses UPDATE and DELETE of {{subject}}. Unless "
        f"the same transaction makes it again, or another replica identity is set: {_NEXT}",
        RelationChanged.code,
    ),
    "constraint_dropped": _depends(
        "identity",
        "If it is the primary key of {subject} the stream stops at the next change of the table; if it is a foreign "
        "key that the mapping calls enforced, the next start is refused; any other constraint does not matter.",
    ),
    "index_dropped": _depends(
        "identity",
        "It matters only if {subject} is the replica identity of a mapped table, whose next change then stops "
        "the stream.",
    ),
}

_REFERENCES: Final[Mapping[str, Consequence]] = {
    "foreign_key_added": _nothing(
        "No relationship comes of it before the mapping names it.",
        "reference",
        "To have the relationship, add it to the mapping and copy again: 'gpm-cdc reset --yes', 'gpm-cdc run --adopt'.",
    ),
    "foreign_key_dropped": _stops(
        "reference",
        "By its name it is a foreign key. If the mapping calls its reference enforced, the running stream goes on but "
        "can miss relationships, and its next start is refused.",
        MappingInvalid.code,
        "Say enforced = false in the mapping, then copy again: 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt'.",
    ),
    "foreign_key_loosened": _stops(
        "reference",
        "If the mapping calls this reference enforced, the running stream goes on but can miss relationships, and its "
        "next start is refused.",
        MappingInvalid.code,
        "Say enforced = false in the mapping, then copy again: 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt'.",
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
        "Let the stream's role have BYPASSRLS, or later copies and verify see fewer rows.",
    ),
    "rights_revoked": _nothing(
        "The stream needs no right to a table, but later copies and verify need SELECT.", "none"
    ),
    "schema_touched": _nothing("No mapped table is in schema {subject}.", "membership"),
    "dependents_dropped": _depends(
        "unknown",
        "It takes along what depends on {subject} or belongs there. Should that be a column of a mapped table: "
        + _NEXT,
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
    "psql_runs": _depends("unknown", "psql runs what this file does not hold: {subject} is not judged here."),
    "not_known": _depends("unknown", "gpm-cdc does not know what this statement does to the stream."),
}

EFFECTS: Final[Mapping[str, Consequence]] = MappingProxyType(
    {**_ROWS, **_SHAPES, **_CONTENTS, **_MEMBERSHIPS, **_IDENTITIES, **_REFERENCES, **_SERVERS, **_REST}
)
"""Every effect by its code."""
