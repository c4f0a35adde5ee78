"""Connections to Postgres with the pins that every value depends on, and Postgres's errors in our words."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict

from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.source import (
    ConnectionLost,
    ReplicationRefused,
    SourceDatabaseMissing,
    SourceIsPooler,
    SourceLoginRefused,
    SourceRefused,
    SourceTooOld,
    SourceUnreachable,
    WalSendersTaken,
)
from gpm_cdc.pgoutput.session import connection_options

MINIMUM_VERSION = 150_000
CONNECT_TIMEOUT_SECONDS = 10
APPLICATION_NAME = "gpm-cdc"
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_LOGIN_REFUSALS = (" authentication failed", "no pg_hba.conf entry", "no password supplied", "not permitted to log in")

type Row = tuple[object, ...]
type Connection = AsyncConnection[Row]


async def open_connection(conninfo: str, *, replication: bool = False, **settings: str) -> Connection:
    """An autocommit connection with all pins; `settings` are further server settings for it. The caller closes it.

    Raises SourceUnreachable, SourceLoginRefused, SourceDatabaseMissing, SourceTooOld, SourceIsPooler; as a walsender
    also ReplicationRefused and WalSendersTaken.
    """
    given = conninfo_to_dict(conninfo)
    options = " ".join(
        [
            str(given.get("options") or ""),
            connection_options(),
            *(f"-c {name}={value}" for name, value in settings.items()),
        ]
    ).strip()
    parameters: dict[str, object] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        **_TCP,
        **given,
        "options": options,
        "application_name": APPLICATION_NAME,
    }
    if replication:
        parameters["replication"] = "database"
    try:
        connection = await AsyncConnection.connect(
            "",
            autocommit=True,
            prepare_threshold=None,
            **parameters,  # type: ignore[arg-type]
        )
    except psycopg.Error as error:
        raise _connection_error(error) from error
    if connection.info.server_version < MINIMUM_VERSION:
        await connection.close()
        raise SourceTooOld(version=connection.info.parameter_status("server_version"))
    return connection


@asynccontextmanager
async def connect(conninfo: str, *, replication: bool = False, **settings: str) -> AsyncIterator[Connection]:
    """As `open_connection`, closed on leaving; statements inside raise our errors."""
    connection = await open_connection(conninfo, replication=replication, **settings)
    try:
        with translated():
            yield connection
    finally:
        await connection.close()


async def query(
    connection: Connection,
    text: str | sql.SQL | sql.Composed,
    parameters: Sequence[object] | Mapping[str, object] | None = None,
) -> list[Row]:
    """All rows of one statement."""
    cursor = await connection.execute(text, parameters)
    return await cursor.fetchall() if cursor.description is not None else []


async def command(connection: Connection, text: str) -> list[Row]:
    """All rows of one replication command. These take no parameters: `text` must quote its names itself."""
    return await query(connection, text)


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's exceptions into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def translate(error: psycopg.Error) -> GpmCdcError:
    """Our error for one of psycopg's, told apart by SQLSTATE."""
    state = error.sqlstate
    detail = first_line(error)
    if state is None or state.startswith(("08", "57P")):
        return ConnectionLost(detail=detail)
    return SourceRefused(sqlstate=state, detail=detail)


def _connection_error(error: psycopg.Error) -> GpmCdcError:
    """The error of a connection that did not come about: psycopg gives it no SQLSTATE, only its text tells."""
    detail = first_line(error)
    if any(text in detail for text in _LOGIN_REFUSALS) or ("role" in detail and "does not exist" in detail):
        return SourceLoginRefused(detail=detail)
    if "superuser or replication role" in detail or "permission denied to start WAL sender" in detail:
        return ReplicationRefused(role=_role(error))
    if "database" in detail and "does not exist" in detail:
        return SourceDatabaseMissing(detail=detail)
    if "exceeds max_wal_senders" in detail:
        return WalSendersTaken()
    if "unsupported startup parameter" in detail:
        return SourceIsPooler(detail=detail)
    return SourceUnreachable(detail=detail)


def _role(error: psycopg.Error) -> str:
    """Whom the refused connection would have been for, as SQL spells the name."""
    user = error.pgconn.user if error.pgconn is not None else b""
    return sql.Identifier(user.decode(errors="replace")).as_string()


def first_line(error: psycopg.Error) -> str:
    """What the server or libpq says, without the lines after the first, which may quote row values."""
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
