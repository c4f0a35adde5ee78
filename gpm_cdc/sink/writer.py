"""The fenced writer: a batch and the checkpoint in one transaction, exactly once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import stamina
from neo4j import AsyncDriver, AsyncSession, AsyncTransaction, Query
from neo4j.exceptions import DriverError, Neo4jError, ServiceUnavailable, SessionExpired, TransientError

from gpm_cdc.cypher.baseline import UNLESS_KEPT
from gpm_cdc.cypher.journal import NOTE, Note
from gpm_cdc.cypher.quoting import quote
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL, CONSTRAINTS, INDEXES, PREFIX, schema, structured_names
from gpm_cdc.cypher.statement import Record, Statements
from gpm_cdc.domain.lsn import render
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import GraphTransactionTooLarge
from gpm_cdc.errors.stream import CheckpointMoved, StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.sink.checkpoint import from_node, moved
from gpm_cdc.sink.driver import ENDED_BY_SERVER, OUT_OF_MEMORY, TIMED_OUT, connect, translate, translated
from gpm_cdc.sink.parameter import Rows

_LOCKED = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) SET s._lock = 1 REMOVE s._lock"
"""Takes the node's lock. A test in the same clause would run before the lock is had, and let an old writer through."""

_FENCE = (
    f"{_LOCKED} WITH s WHERE s.epoch = $epoch AND s.lsn = $lsn AND s.ordinal = $ordinal"
    f" SET s += $after {NOTE.format(notes='$notes')} RETURN s.epoch AS epoch"
)
_READ = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) RETURN properties(s)"
_READ_LOCKED = f"{_LOCKED} RETURN properties(s)"
_FIRST = {
    "lsn": 0,
    "ordinal": 0,
    "epoch": 0,
    "phase": "snapshot",
    "system_identifier": "",
    "timeline": 0,
    "mapping_hash": "",
    "tables": "",
    "rereading": "",
    "filled": 0,
}
_TAKE_OVER = (
    f"MERGE (s:{CHECKPOINT_LABEL} {{stream: $stream}}) ON CREATE SET s += $first"
    f" SET s._lock = 1 REMOVE s._lock WITH s {UNLESS_KEPT} SET s.epoch = s.epoch + 1, s.owner = $owner"
    " SET s.journal_epoch = s.epoch RETURN properties(s)"
)
_PASSING = (ServiceUnavailable, SessionExpired, TransientError)
_LONGEST_TIMES = 16
"""How many times as long as usual a batch may take that was ended for its time: a slow server must get it done, too."""
_AWAIT_INDEXES_SECONDS = 3_600

type Notice = Callable[[GpmCdcError], None]
"""Told of trouble that is being retried."""

type Moved = Callable[[Checkpoint], None]
"""Told where the checkpoint is, each time that this writer moved it or took it over."""


def _untold(_: Checkpoint) -> None:
    """Nobody asked to be told."""


class Neo4jWriter:
    """A GraphWriter on one database. The driver stays the caller's."""

    def __init__(
        self,
        driver: AsyncDriver,
        *,
        uri: str,
        user: str,
        database: str | None,
        transaction_timeout: float,
        notice: Notice,
    ) -> None:
        """`transaction_timeout` in seconds bounds every transaction: a paused owner must not hold the checkpoint.

        A batch that does not get done in it has twice the time at each further attempt, up to 16 times.
        """
        self._driver = driver
        self._uri = uri
        self._user = user
        self._database = database
        self._timeout = transaction_timeout
        self._notice = notice
        self.moved: Moved = _untold
        self._session: AsyncSession | None = None

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def prepare(self, plan: GraphPlan, retired: Collection[str] = ()) -> None:
        """As the port says."""
        structures = list(schema(plan))
        await self.drop_structures(structured_names(plan).union(retired), keeping=[each.name for each in structures])
        with translated(self._uri, self._user, self._database):
            for each in structures:
                await self._execute(each.text)
            await self._execute(f"CALL db.awaitIndexes({_AWAIT_INDEXES_SECONDS})")

    async def drop_structures(self, names: Collection[str], *, keeping: Collection[str]) -> int:
        """Drop our constraints and indexes on these labels and types but for those called `keeping`; how many."""
        asked = {"prefix": PREFIX, "names": sorted(names)}
        constraints = [name for (name,) in await self.ask(CONSTRAINTS, **asked) if name not in keeping]
        indexes = [name for (name,) in await self.ask(INDEXES, **asked) if name not in keeping]
        for name in constraints:
            await self.ask(f"DROP CONSTRAINT {quote(name)} IF EXISTS")
        for name in indexes:
            await self.ask(f"DROP INDEX {quote(name)} IF EXISTS")
        return len(constraints) + len(indexes)

    async def checkpoint(self, stream: str, *, locked: bool = False) -> Checkpoint | None:
        """As the port says."""

        async def read() -> Checkpoint | None:
            records = await self._execute(_READ_LOCKED if locked else _READ, stream=stream)
            return from_node(records[0][0]) if records else None

        return await self._persist(read)

    async def take_over(self, stream: str, owner: str) -> Checkpoint:
        """As the port says."""

        async def take() -> Checkpoint:
            records = await self._execute(_TAKE_OVER, stream=stream, owner=owner, first=_FIRST)
            return from_node(records[0][0])

        taken = await self._persist(take)
        self.moved(taken)
        return taken

    async def write(
        self, steps: Callable[[], Statements], before: Checkpoint, after: Checkpoint, notes: Sequence[Note] = ()
    ) -> None:
        """As the port says."""
        timeout = self._timeout

        async def attempt() -> None:
            nonlocal timeout
            try:
                while not await self._transact(steps(), before, after, notes, timeout):
                    if await self._settle(before, after):
                        return
            except Neo4jError as error:
                if error.code in TIMED_OUT:
                    timeout = min(timeout * 2, self._timeout * _LONGEST_TIMES)
                raise

        await self._persist(attempt)
        self.moved(after)

    async def ask(self, text: str, **parameters: object) -> list[Record]:
        """The records of one statement of our own making, in a transaction of its own."""

        async def run() -> list[Record]:
            return await self._execute(text, **parameters)

        return await self._persist(run)

    async def _settle(self, before: Checkpoint, after: Checkpoint) -> bool:
        """Whether a batch is in the graph; reading under the lock makes the answer final."""
        found = await self.checkpoint(before.stream, locked=True)
        if found is None or found.epoch != before.epoch:
            raise StreamTakenOver(stream=before.stream, owner="?" if found is None else found.owner)
        if not moved(found, after):
            return True
        if not moved(found, before):
            return False
        raise CheckpointMoved(
            stream=before.stream, found=render(found.position.lsn), expected=render(before.position.lsn)
        )

    async def _transact(
        self, steps: Statements, before: Checkpoint, after: Checkpoint, notes: Sequence[Note], seconds: float
    ) -> bool:
        """One attempt of at most `seconds`; False when the fence let nothing through."""
        session = self._open_session()
        transaction = await session.begin_transaction(timeout=seconds)
        try:
            fence = await transaction.run(
                _FENCE,
                stream=before.stream,
                epoch=before.epoch,
                lsn=before.position.lsn,
                ordinal=before.position.ordinal,
                after=moved(before, after),
                notes=Rows(notes),
            )
            admitted = await fence.single() is not None
            if admitted:
                await _run(transaction, steps)
                await transaction.commit()
        finally:
            steps.close()
            await transaction.close()
        return admitted

    async def _persist[Result](self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat `action` through passing trouble; a commit whose answer was lost is settled by the next fence."""
        retrying = stamina.retry_context(
            on=_passing, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0, wait_jitter=0.2
        )
        with translated(self._uri, self._user, self._database):
            async for attempt in retrying:
                with attempt:
                    try:
                        return await action()
                    except (Neo4jError, DriverError) as error:
                        if not _passing(error):
                            raise
                        await self._drop_session()
                        if isinstance(error, Neo4jError) and error.code == OUT_OF_MEMORY:
                            # It calls itself transient, but the same batch would fail again.
                            raise GraphTransactionTooLarge from error
                        self._notice(translate(error, self._uri, self._user, self._database))
                        raise
        message = "stamina ended without a result"
        raise AssertionError(message)

    def _open_session(self) -> AsyncSession:
        if self._session is None:
            self._session = self._driver.session(database=self._database)
        return self._session

    async def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                await session.close()
            except (Neo4jError, DriverError) as error:
                self._notice(translate(error, self._uri, self._user, self._database))

    async def _execute(self, text: str, **parameters: object) -> list[Record]:
        query = Query(text, timeout=self._timeout * 2)
        async with self._driver.session(database=self._database) as session:
            result = await session.run(query, parameters)
            return [list(record.values()) async for record in result]


def _passing(error: Exception) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    return isinstance(error, _PASSING) or (isinstance(error, Neo4jError) and error.code in ENDED_BY_SERVER)


async def _run(transaction: AsyncTransaction, steps: Statements) -> None:
    records: list[Record] | None = None
    while True:
        try:
            statement = next(steps) if records is None else steps.send(records)
        except StopIteration:
            return
        result = await transaction.run(statement.text, rows=Rows(statement.rows))
        records = []
        if statement.returns:
            records = await result.values()
        else:
            await result.consume()


@asynccontextmanager
async def open_neo4j(
    uri: str, user: str, password: str | None, database: str, *, transaction_timeout: float, notice: Notice
) -> AsyncIterator[Neo4jWriter]:
    """A writer with a driver of its own, both closed on leaving; raises what `sink.driver.connect` raises."""
    async with connect(uri, user, password, database) as driver:
        writer = Neo4jWriter(
            driver, uri=uri, user=user, database=database, transaction_timeout=transaction_timeout, notice=notice
        )
        try:
            yield writer
        finally:
            await writer.close()
