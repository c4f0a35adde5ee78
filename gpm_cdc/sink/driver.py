"""Connecting to Neo4j, and its errors in our words."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import neo4j
from neo4j import AsyncDriver, AsyncGraphDatabase
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConstraintError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    TransientError,
)

from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import (
    GraphDatabaseMissing,
    GraphKeyTaken,
    GraphLoginRefused,
    GraphRefused,
    GraphTooOld,
    GraphTransactionEnded,
    GraphTransactionTooLarge,
    GraphUnreachable,
)

MINIMUM_VERSION = (5, 26)
"""The first release with the Cypher used here: `IS ::` predicates, `elementId`, quantified reads."""

OUT_OF_MEMORY = "Neo.TransientError.General.MemoryPoolOutOfMemoryError"
TIMED_OUT = frozenset(
    {
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
    }
)
ENDED_BY_SERVER = TIMED_OUT | {
    "Neo.ClientError.Transaction.LockClientStopped",
    "Neo.ClientError.Transaction.Terminated",
}
"""A transaction whose time was up, or that a person ended: the codes blame the client, but trying again helps."""
CONNECTION_TIMEOUT = 10.0
LIVENESS_CHECK = 5.0


@asynccontextmanager
async def connect(uri: str, user: str, password: str | None, database: str | None) -> AsyncIterator[AsyncDriver]:
    """A driver whose server answered, accepted the login and is new enough; closed on leaving.

    Raises GraphUnreachable, GraphLoginRefused, GraphDatabaseMissing or GraphTooOld.
    """
    with translated(uri, user, database):
        driver = AsyncGraphDatabase.driver(
            uri,
            auth=None if password is None else (user, password),
            connection_timeout=CONNECTION_TIMEOUT,
            liveness_check_timeout=LIVENESS_CHECK,
            telemetry_disabled=True,
            notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
        )
    async with driver:
        with translated(uri, user, database):
            await _require_version(driver, uri, database)
        yield driver


async def _require_version(driver: AsyncDriver, uri: str, database: str | None) -> None:
    # Not the driver's own retrying call: that would keep an unreachable server to itself for half a minute.
    async with driver.session(database=database) as session:
        result = await session.run(
            "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions[0]"
        )
        records = await result.values()
    require_version(uri, str(records[0][0]) if records else "unknown")


def require_version(uri: str, version: str) -> None:
    """GraphTooOld for a version before MINIMUM_VERSION; a version that does not begin with two numbers passes."""
    numbers = version.partition("-")[0].split(".")
    try:
        found = (int(numbers[0]), int(numbers[1]))
    except (ValueError, IndexError):
        return
    if found < MINIMUM_VERSION:
        raise GraphTooOld(uri=uri, version=version, minimum=".".join(map(str, MINIMUM_VERSION)))


@contextmanager
def translated(uri: str, user: str, database: str | None) -> Iterator[None]:
    """Turn the driver's exceptions into ours."""
    try:
        yield
    except (Neo4jError, DriverError, ConfigurationError) as error:
        raise translate(error, uri, user, database) from error


def translate(error: Exception, uri: str, user: str, database: str | None) -> GpmCdcError:
    """Our error for one of the driver's."""
    if isinstance(error, AuthError):
        return GraphLoginRefused(uri=uri, user=user)
    if isinstance(error, Neo4jError) and not isinstance(error, TransientError):
        return _refused(error, uri, database)
    if isinstance(error, Neo4jError) and error.code == OUT_OF_MEMORY:
        return GraphTransactionTooLarge()
    if isinstance(error, ServiceUnavailable):
        # Its lines go from the general to the reason, and speak of connections only.
        return GraphUnreachable(uri=uri, detail=" ".join(str(error).split()))
    return GraphUnreachable(uri=uri, detail=_first_line(error))


def _refused(error: Neo4jError, uri: str, database: str | None) -> GpmCdcError:
    if error.code == "Neo.ClientError.Database.DatabaseNotFound":
        return GraphDatabaseMissing(uri=uri, database=database)
    if error.code in ENDED_BY_SERVER:
        return GraphTransactionEnded(uri=uri)
    if isinstance(error, ConstraintError):
        return GraphKeyTaken(detail=_constraint(error))
    return GraphRefused(status=error.code or "?", detail=_first_line(error))


def _constraint(error: ConstraintError) -> str:
    """What the server says up to the value that it quotes."""
    return _first_line(error).partition(" and propert")[0]


def _first_line(error: Exception) -> str:
    """The driver's own words, without what follows the first line: later lines may quote parameters."""
    text = str(getattr(error, "message", None) or error)
    return text.splitlines()[0] if text else type(error).__name__
