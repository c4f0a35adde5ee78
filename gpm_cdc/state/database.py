"""Transactions on the database that holds schema `gpm_cdc`, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Dialect, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from gpm_cdc.errors.state import (
    StateBusy,
    StateError,
    StateLoginRefused,
    StateNotWritable,
    StateRefused,
    StateUnreachable,
)

CONNECT_TIMEOUT_SECONDS: Final = 10
STATEMENT_TIMEOUT_SECONDS: Final = 10
"""What a statement may take, waiting for locks included: these tables are small, and nobody may wait for them long."""

_CONNECTION_CLASS = "08"
_LOGIN_CLASS = "28"
_DATABASE_MISSING = "3D000"
_NOT_WRITABLE = ("42501", "25006")
_BUSY = ("55P03", "57014", "40P01")
_SHUTDOWN = "57P"


@contextmanager
def transaction(conninfo: str) -> Iterator[Connection]:
    """A connection inside a transaction of its own, committed on leaving. `conninfo` is libpq's. Raises StateError."""
    engine = create_engine(
        "postgresql+psycopg://",
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": "gpm-cdc"},
        poolclass=NullPool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _name_server(_dialect: Dialect, _record: ConnectionPoolEntry, arguments: list[str], _options: object) -> None:
        # SQLAlchemy's URLs cannot say all that libpq's strings can.
        arguments[:] = [conninfo]

    with translated(), engine.begin() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'"))
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of SQLAlchemy's connections into ours."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error) from error


def _translate(error: DBAPIError) -> StateError:
    state = getattr(error.orig, "sqlstate", None)
    detail = _first_line(error)
    if state is None:
        # Errors of the connection carry no SQLSTATE; only the text tells a refusal from silence.
        refused = "password" in detail or "pg_hba.conf" in detail or "does not exist" in detail
        return StateLoginRefused(detail=detail) if refused else StateUnreachable(detail=detail)
    if state.startswith(_LOGIN_CLASS) or state == _DATABASE_MISSING:
        return StateLoginRefused(detail=detail)
    if state.startswith((_CONNECTION_CLASS, _SHUTDOWN)):
        return StateUnreachable(detail=detail)
    if state in _NOT_WRITABLE:
        return StateNotWritable(detail=detail)
    if state in _BUSY:
        return StateBusy(detail=detail)
    return StateRefused(sqlstate=state, detail=detail)


def _first_line(error: DBAPIError) -> str:
    """What the server or libpq says, without the lines after the first, which may quote values."""
    said = str(error.orig).strip()
    return said.splitlines()[0] if said else type(error.orig).__name__
