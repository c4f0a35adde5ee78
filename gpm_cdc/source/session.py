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
    SourceLoginRefused,
    SourceRefused,
    SourceTooOld,
    SourceUnreachable,
    WalLevelTooLow,
)
from gpm_cdc.pgoutput.session import connection_options

MINIMUM_VERSION = 150_000
CONNECT_TIMEOUT_SECONDS = 10
APPLICATION_NAME = "gpm-cdc"
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

type Row = tuple[object, ...]
type Connection = AsyncConnection[Row]


async def open_connection(conninfo: str, *, replication: bool = False, **settings: str) -> Connection:
    """An autocommit connection with all pins; `settings` are further server settings for it. The caller closes it.

    Raises SourceUnreachable, SourceLoginRefused, SourceDatabaseMissing, SourceTooOld, ReplicationRefused.
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
    with translated():
        connection = await AsyncConnection.connect(
            "",
            autocommit=True,
            prepare_threshold=None,
            **parameters,  # type: ignore[arg-type]
        )
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
    if state is None or state.startswith("28") or state == "3D000":
        return _refused_connection(error, detail)
    if state.startswith(("08", "57P")):
        return ConnectionLost(detail=detail)
    if state == "55000" and "wal_level" in detail:
        return WalLevelTooLow(level="below logical")
    return SourceRefused(sqlstate=state, detail=detail)


def _refused_connection(error: psycopg.Error, detail: str) -> GpmCdcError:
    """The connection errors of libpq carry no SQLSTATE in psycopg; only their text tells a refusal from silence."""
    if (
        "password authentication failed" in detail
        or "no pg_hba.conf entry" in detail
        or "no password supplied" in detail
    ):
        return SourceLoginRefused(detail=detail)
    if "must be superuser or replication role" in detail or "permission denied to start WAL sender" in detail:
        return ReplicationRefused(role="the connecting role")
    if "does not exist" in detail and "database" in detail:
        return SourceDatabaseMissing(detail=detail)
    if "does not exist" in detail and "role" in detail:
        return SourceLoginRefused(detail=detail)
    if isinstance(error, psycopg.OperationalError) and getattr(error, "pgconn", None) is None:
        return SourceUnreachable(detail=detail)
    return ConnectionLost(detail=detail)


def first_line(error: psycopg.Error) -> str:
    """What the server or libpq says, without the lines after the first, which may quote row values."""
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
