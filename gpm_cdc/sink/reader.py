"""Reads the graph back for comparison."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import neo4j
import stamina
from neo4j import AsyncDriver, AsyncTransaction
from neo4j.exceptions import ServiceUnavailable, SessionExpired, TransientError

from gpm_cdc.cypher.reading import CHECKPOINT, LOCKED_CHECKPOINT, PAGE, Reading
from gpm_cdc.domain.values import Wire
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import ElementRecord, LockedRead
from gpm_cdc.sink.checkpoint import from_node
from gpm_cdc.sink.driver import connect, translated
from gpm_cdc.sink.parameter import Rows

PATIENCE_SECONDS = 20.0
"""How long passing trouble is waited out before the reading is given up."""

_PASSING = (ServiceUnavailable, SessionExpired, TransientError)


class Neo4jReader:
    """A GraphReader on one database. The driver stays the caller's."""

    def __init__(
        self, driver: AsyncDriver, stream: str, *, uri: str, user: str, database: str | None, transaction_timeout: float
    ) -> None:
        """`transaction_timeout` in seconds bounds every transaction: some hold the checkpoint's lock."""
        self._driver = driver
        self._stream = stream
        self._uri = uri
        self._user = user
        self._database = database
        self._timeout = transaction_timeout

    async def checkpoint(self, *, locked: bool) -> Checkpoint | None:
        """As the port says."""

        async def read(transaction: AsyncTransaction) -> Checkpoint | None:
            result = await transaction.run(LOCKED_CHECKPOINT if locked else CHECKPOINT, stream=self._stream)
            records = await result.values()
            return from_node(records[0][0]) if records else None

        return await self._transact(read)

    async def every(self, reading: Reading) -> AsyncIterator[list[ElementRecord]]:
        """As the port says."""

        async def find(transaction: AsyncTransaction) -> list[list[str]]:
            result = await transaction.run(reading.every)
            return [record[0] for record in await result.values()]

        for ids in await self._transact(find):
            yield await self.some(reading, (), ids)

    async def some(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> list[ElementRecord]:
        """As the port says."""
        return await self._transact(lambda transaction: _read(transaction, reading, keys, element_ids))

    async def some_locked(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> LockedRead:
        """As the port says."""

        async def read(transaction: AsyncTransaction) -> LockedRead:
            result = await transaction.run(LOCKED_CHECKPOINT, stream=self._stream)
            records = await result.values()
            if not records:
                raise StreamUnknown(stream=self._stream)
            return LockedRead(from_node(records[0][0]), await _read(transaction, reading, keys, element_ids))

        return await self._transact(read)

    async def _transact[Result](self, work: Callable[[AsyncTransaction], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction, again after passing trouble: it changes nothing."""
        retrying = stamina.retry_context(
            on=_PASSING, attempts=None, timeout=PATIENCE_SECONDS, wait_initial=0.1, wait_max=2.0, wait_jitter=0.2
        )
        with translated(self._uri, self._user, self._database):
            async for attempt in retrying:
                with attempt:
                    # Write access also for plain reading: in a cluster a follower may not have the latest batch yet.
                    async with (
                        self._driver.session(
                            database=self._database, default_access_mode=neo4j.WRITE_ACCESS
                        ) as session,
                        await session.begin_transaction(timeout=self._timeout) as transaction,
                    ):
                        result = await work(transaction)
                        await transaction.commit()
                        return result
        message = "stamina ended without a result"
        raise AssertionError(message)


async def _read(
    transaction: AsyncTransaction, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
) -> list[ElementRecord]:
    ids = dict.fromkeys(element_ids)
    for text in reading.by_key if keys else ():
        for part in _parts(keys):
            result = await transaction.run(text, rows=Rows(part))
            ids.update(dict.fromkeys((await result.values())[0][0]))
    records: list[ElementRecord] = []
    for found in _parts(list(ids)):
        result = await transaction.run(reading.by_id, rows=Rows(found))
        records += (await result.values())[0][0]
    return records


def _parts[Item](rows: Sequence[Item]) -> list[Sequence[Item]]:
    return [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]


@asynccontextmanager
async def open_reader(
    uri: str, user: str, password: str | None, database: str, *, stream: str, transaction_timeout: float
) -> AsyncIterator[Neo4jReader]:
    """A reader with a driver of its own, closed on leaving; raises what `sink.driver.connect` raises."""
    async with connect(uri, user, password, database) as driver:
        yield Neo4jReader(
            driver, stream, uri=uri, user=user, database=database, transaction_timeout=transaction_timeout
        )
