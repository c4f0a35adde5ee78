"""What can go wrong while a stream is set up, followed or taken over."""

from collections.abc import Iterable, Mapping
from typing import Any

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class StreamError(GpmCdcError):
    """The parent of this module's errors."""


class RelationChanged(StreamError):
    """A mapped table no longer has the shape that the plan was made for. `run` reads it again by itself."""

    code = "relation_changed"
    message = "table {table} has another shape than before ({details})"
    remedy = (
        "repeat this once 'gpm-cdc run' has read the table again; 'gpm-cdc map --check' says if the mapping still fits"
    )
    exit_code = ExitCode.REPEAT


class TablesMoved(StreamError):
    """Tables changed in a way that only reading them again tells; `run` does so by itself."""

    code = "tables_moved"
    message = "{tables}: {reason}; to be read again"
    remedy = "nothing to do: 'gpm-cdc run' reads them again"
    exit_code = ExitCode.REPEAT

    def __init__(self, tables: Iterable[tuple[str, str]], reason: str) -> None:
        self.tables = frozenset(tables)
        names = ", ".join(f"{schema}.{name}" for schema, name in sorted(self.tables))
        super().__init__(tables=names, reason=reason)


class RepairAsked(StreamError):
    """Somebody asked the stream to read something again; `run` does so by itself. `rereads` says what."""

    code = "repair_asked"
    message = "{tables}: asked to be read again"
    remedy = "nothing to do: 'gpm-cdc run' reads them again"
    exit_code = ExitCode.REPEAT

    def __init__(self, rereads: Mapping[Any, Any]) -> None:
        self.rereads = rereads
        super().__init__(tables=", ".join(f"{schema}.{name}" for schema, name in sorted(rereads)))


class RowFieldUnknown(StreamError):
    """The stream sent rows of a relation that it never described."""

    code = "relation_unknown"
    message = "the stream sent a change of relation {oid} without having described it"
    remedy = "start 'gpm-cdc run' again; report this if it comes back"
    exit_code = ExitCode.REPEAT
    retryable = True


class SelectorValueUnlisted(StreamError):
    """A discriminator column holds a value for which the mapping names no relationship type."""

    code = "selector_value_unlisted"
    message = "table {table}: column {column} holds a value that type_from does not list"
    remedy = (
        "find it with SELECT DISTINCT {column} FROM {table}, add it to type_from.values in the mapping,"
        " then 'gpm-cdc run --remap', which reads {table} again"
    )


class EndpointTakenOver(StreamError):
    """A key of an endpoint changed hands without an event for the relationship rows that name it.

    `run` reads the relationship table again by itself.
    """

    code = "endpoint_taken_over"
    message = (
        "in one batch the key of a {target} node was given to another row, while rows of {table} that name it"
        " sent no change"
    )
    remedy = "nothing to do: 'gpm-cdc run' reads {table} again"
    exit_code = ExitCode.REPEAT


class ValueLeftOut(StreamError):
    """A row got the end it lacked, and the update that says so leaves out a large value that nothing else holds.

    Postgres does not send a large value that an update leaves alone, and the graph has no relationship to keep it on
    while an end is missing. `run` reads the table again by itself.
    """

    code = "value_left_out"
    message = (
        "table {table}: a row without a relationship got both ends in an update that leaves out its large values,"
        " which are not in the graph either"
    )
    remedy = "nothing to do: 'gpm-cdc run' reads {table} again"
    exit_code = ExitCode.REPEAT


class StreamTakenOver(StreamError):
    """Another process has raised the stream's epoch."""

    code = "stream_taken_over"
    message = "stream {stream} was taken over by {owner}; this process wrote nothing after that"
    remedy = "nothing to do if that is intended; otherwise stop the other process and start this one again"
    exit_code = ExitCode.REPEAT


class CheckpointMoved(StreamError):
    """The checkpoint is at a position that neither this process nor another owner wrote."""

    code = "checkpoint_moved"
    message = "the checkpoint of stream {stream} is at {found}, but this process left it at {expected}"
    remedy = (
        "somebody changed the checkpoint node by hand: copy the tables again with 'gpm-cdc reset --yes' and"
        " 'gpm-cdc run --adopt'"
    )


class StreamDisordered(StreamError):
    """The stream sent a row outside of a transaction."""

    code = "stream_disordered"
    message = "the stream sent {message} outside of a transaction"
    remedy = "start 'gpm-cdc run' again; report this if it comes back"
    exit_code = ExitCode.REPEAT
    retryable = True


class ValueNotRead(StreamError):
    """A value is not in the form that the pinned session settings give its type."""

    code = "value_not_read"
    message = "a row of table {table} holds a value that cannot be read as its column's type says (columns {columns})"
    remedy = 'choose types = {{ column = "string" }} for the column at fault, and report the type'
