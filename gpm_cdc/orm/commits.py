"""Read your own write: the position in Postgres's log that a session's last commit is before.

The position comes with the answer to COMMIT, in the same round trip: both statements travel in one simple query, of
which Postgres ends the transaction before it runs the second. It is the insert position then, hence at or after the end
of the commit's record whatever `synchronous_commit` says, and a graph that includes everything before it includes the
commit.
"""

from collections.abc import Generator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_only

from gpm_cdc.domain.lsn import Lsn, end_of_written, parse
from gpm_cdc.errors.models import CommitAmbiguous, CommitsUntracked

if TYPE_CHECKING:
    # Needs a package that only applications with asynchronous engines have.
    from sqlalchemy.ext.asyncio import AsyncEngine

DRIVER: Final = "psycopg"

_COMMIT: Final = (
    b"COMMIT; SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
    b" THEN pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text END,"
    b" pg_catalog.current_setting('wal_block_size'),"
    b" pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))"
)
_TOLD: Final = "gpm_cdc.commit"
"""In the `info` of a pooled connection: the position of its last commit, until its session has taken it."""
_OPEN: Final = "gpm_cdc.connections"
"""In the `info` of a session: the connections of its transaction."""
_LAST: Final = "gpm_cdc.commits"
"""In the `info` of a session: for each dialect, the position of the last commit."""


class WithInfo(Protocol):
    """A Session, an AsyncSession, or a scoped one."""

    @property
    def info(self) -> dict[Any, Any]:
        """SQLAlchemy's dictionary for whatever belongs to the session."""


def track_commits(engine: "Engine | AsyncEngine") -> None:
    """Have every commit of `engine` tell its position. Once is enough; again changes nothing.

    Raises CommitsUntracked for an engine with another driver than psycopg 3.
    """
    dialect = _engine(engine).dialect
    if dialect.name != "postgresql" or dialect.driver not in {DRIVER, f"{DRIVER}_async"}:
        raise CommitsUntracked(dialect=dialect.name, driver=dialect.driver)
    if "do_commit" in vars(dialect):
        return
    commit = dialect.do_commit

    def do_commit(connection: PoolProxiedConnection) -> None:
        connection.info.pop(_TOLD, None)
        if not _in_transaction(dialect, connection):
            commit(connection)
            return
        connection.info[_TOLD] = _commit(dialect, connection)

    dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]  # the one place where the fate of a COMMIT is known
    if not event.contains(Session, "after_commit", _keep_positions):
        event.listen(Session, "after_begin", _note_connection)
        event.listen(Session, "before_commit", _forget_last)
        event.listen(Session, "after_commit", _keep_positions)
        event.listen(Session, "after_transaction_end", _forget_connections)


def commit_lsn(session: WithInfo, engine: "Engine | AsyncEngine | None" = None) -> Lsn | None:
    """The position of the session's last commit: a graph that includes everything before it includes that commit.

    None where it is not known: nothing was committed, the engine is not tracked, or the commit was none of this
    session's own (autocommit, two phases, a transaction that others end). `engine` says which one is meant where the
    commit was one of several databases; without it CommitAmbiguous is raised then.
    """
    known: dict[Dialect, Lsn | None] = session.info.get(_LAST, {})
    if engine is not None:
        return known.get(_engine(engine).dialect)
    if len(known) > 1:
        raise CommitAmbiguous(count=len(known))
    return next(iter(known.values()), None)


def _engine(engine: "Engine | AsyncEngine") -> Engine:
    return engine if isinstance(engine, Engine) else engine.sync_engine


def _in_transaction(dialect: Dialect, connection: PoolProxiedConnection) -> bool:
    """Whether COMMIT would end a transaction that has not failed, and nothing else is under way on the connection."""
    pgconn = cast("Any", connection.driver_connection).pgconn
    pq = _driver(dialect).pq
    idle = pgconn.pipeline_status == pq.PipelineStatus.OFF
    return bool(idle and pgconn.transaction_status == pq.TransactionStatus.INTRANS)


def _commit(dialect: Dialect, connection: PoolProxiedConnection) -> Lsn | None:
    # As the driver's own commit() does it, with its lock and its way to wait.
    driver_connection: Any = connection.driver_connection
    steps = _committing(_driver(dialect), driver_connection)
    if not dialect.is_async:
        with driver_connection.lock:
            return cast("Lsn | None", driver_connection.wait(steps))

    async def committed() -> Lsn | None:
        async with driver_connection.lock:
            return cast("Lsn | None", await driver_connection.wait(steps))

    return await_only(committed())


def _committing(driver: ModuleType, connection: Any) -> Generator[Any, Any, Lsn | None]:  # noqa: ANN401 - either kind of the driver's
    """Commit; the position, None where the server had committed already but could not tell any more."""
    connection.pgconn.send_query(_COMMIT)
    done, *told = yield from driver.generators.execute(connection.pgconn)
    if done.status != driver.pq.ExecStatus.COMMAND_OK:
        raise driver.errors.error_from_result(done, encoding=connection.info.encoding)
    if not told or told[0].status != driver.pq.ExecStatus.TUPLES_OK:
        return None
    inserted, page, segment = (told[0].get_value(0, place) for place in range(3))
    return None if inserted is None else end_of_written(parse(inserted.decode()), int(page), int(segment))


def _driver(dialect: Dialect) -> ModuleType:
    """The driver's module, which the engine brings."""
    module: Any = dialect.dbapi
    return cast("ModuleType", getattr(module, DRIVER, module))


def _note_connection(session: Session, _: SessionTransaction, connection: Connection) -> None:
    connection.info.pop(_TOLD, None)
    session.info.setdefault(_OPEN, []).append(connection)


def _forget_last(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_LAST, None)


def _keep_positions(session: Session) -> None:
    told = {
        connection.dialect: connection.info.pop(_TOLD)
        for connection in session.info.get(_OPEN, ())
        if _TOLD in connection.info
    }
    if told:
        session.info[_LAST] = told


def _forget_connections(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_OPEN, None)
