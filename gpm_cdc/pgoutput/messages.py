"""The messages of pgoutput's protocol version 1.

Those about rows and tables are the domain's own classes; here are the others. Names and order of fields follow the
chapter "Logical Replication Message Formats" of the Postgres documentation. Times are microseconds since
2000-01-01 00:00 UTC, as Postgres counts them.
"""

from typing import Final, NamedTuple

from gpm_cdc.domain.changes import Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.lsn import Lsn

POSTGRES_EPOCH_UNIX_US: Final = 946_684_800_000_000
"""Postgres's zero of time, in microseconds since 1970-01-01 00:00 UTC."""


class Begin(NamedTuple):
    """The start of a committed transaction. `final_lsn` is its Commit's `commit_lsn`. `xid` is the low 32 bits."""

    final_lsn: Lsn
    commit_time_us: int
    xid: int


class Commit(NamedTuple):
    """The end of a transaction. `end_lsn` is the position to confirm: confirming `commit_lsn` brings it once more."""

    commit_lsn: Lsn
    end_lsn: Lsn
    commit_time_us: int


class Origin(NamedTuple):
    """The transaction was replicated from elsewhere; comes after its Begin and before its changes.

    `commit_lsn` counts in the log of that other server.
    """

    commit_lsn: Lsn
    name: str


class Type(NamedTuple):
    """A type that is not built in, sent before the Relation that uses it.

    For a domain, `schema` and `name` are those of its base type while `oid` is the domain's own.
    """

    oid: int
    schema: str
    name: str


class LogicalMessage(NamedTuple):
    """What pg_logical_emit_message wrote. `content` is passed on as it was given, in no certain encoding.

    A transactional one comes inside its transaction; another one outside of any, before the Begin of the transaction
    that was open when it was written. Every role that can log in may write one.
    """

    transactional: bool
    lsn: Lsn
    prefix: str
    content: bytes


type Message = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | LogicalMessage
