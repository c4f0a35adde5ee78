"""Reads the graph back for comparison."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import neo4j
import stamina
from neo4j import AsyncDriver, AsyncTransaction
from neo4j.exceptions import ServiceUnavailable, SessionExpired, TransientError

from gpm_cdc.cypher.baseline import BASELINE, PROVE
from gpm_cdc.cypher.journal import CLOSE, PRUNE, READ
from gpm_cdc.cypher.reading import CHECKPOINT, LOCKED_CHECKPOINT, PAGE, Reading
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.values import Wire
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import Baseline, ElementRecord, Journaled, LockedRead
from gpm_cdc.sink.checkpoint import from_node
from gpm_cdc.sink.driver import connect, translated
from gpm_cdc.sink.parameter import Rows

PATIENCE_SECONDS = 20.0
"""How long passing trouble is waited out before the reading is given up."""

_PAGES_AHEAD = 4
"""Lists that the server makes without being asked for each, so that it works while we do."""

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

    async def every(self, reading: Reading, *, with_ids: bool) -> AsyncIterator[list[ElementRecord]]:
        """As the port says.

        One statement, whose transaction is bounded by nothing but the reading: it holds no lock.
        """
        text = reading.every_with_id if with_ids else reading.every
        with translated(self._uri, self._user, self._database):
            async with (
                self._driver.session(
                    database=self._database, default_access_mode=neo4j.WRITE_ACCESS, fetch_size=_PAGES_AHEAD
                ) as session,
                await session.begin_transaction(timeout=0) as transaction,
            ):
                async for record in await transaction.run(text):
                    yield record[0]

    async def some(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> list[ElementRecord]:
        """As the port says."""
        return await self._transact(lambda transaction: _read(transaction, reading, keys, element_ids))

    async def at_end(self, text: str, keys: Sequence[Sequence[Wire]]) -> list[str]:
        """As the port says."""

        async def read(transaction: AsyncTransaction) -> list[str]:
            ids: dict[str, None] = {}
            for part in _parts(keys):
                result = await transaction.run(text, rows=Rows(part))
                ids.update(dict.fromkeys((await result.values())[0][0]))
            return list(ids)

        return await self._transact(read)

    async def some_locked(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> LockedRead:
        """As the port says."""

        async def read(transaction: AsyncTransaction) -> LockedRead:
            return LockedRead(await self._lock(transaction), await _read(transaction, reading, keys, element_ids))

        return await self._transact(read)

    async def begin_proof(self) -> None:
        """Keep apart what the stream has written so far, so that `prove` can take it away.

        StreamUnknown when the checkpoint is gone, as in all of these.
        """

        async def close(transaction: AsyncTransaction) -> None:
            await self._lock(transaction)
            await (await transaction.run(CLOSE, stream=self._stream)).consume()

        await self._transact(close)

    async def prove(self, position: Lsn) -> None:
        """A full comparison, whose first reading was at `position`, after `begin_proof`, found everything right."""

        async def note(transaction: AsyncTransaction) -> None:
            await self._lock(transaction)
            for text in (PROVE, PRUNE):
                await (await transaction.run(text, stream=self._stream, upto=position)).consume()

        await self._transact(note)

    async def journaled(self) -> Journaled:
        """The baseline, and what the stream has written since."""

        async def read(transaction: AsyncTransaction) -> Journaled:
            checkpoint = await self._lock(transaction)
            baseline = await self._baseline(transaction)
            after = 0 if baseline is None else baseline.position
            pages = await (await transaction.run(READ, stream=self._stream, after=after)).values()
            return Journaled(checkpoint, baseline, [(schema, name, keys) for schema, name, keys in pages])

        return await self._transact(read)

    async def baseline(self) -> Baseline | None:
        """What was proved last; None when nothing was since the stream began."""
        return await self._transact(self._baseline)

    async def _baseline(self, transaction: AsyncTransaction) -> Baseline | None:
        found = await (await transaction.run(BASELINE, stream=self._stream)).values()
        if not found:
            return None
        position, ended, age = found[0]
        return Baseline(Lsn(position), datetime.fromtimestamp(ended / 1000, UTC), age / 1000)

    async def _lock(self, transaction: AsyncTransaction) -> Checkpoint:
        records = await (await transaction.run(LOCKED_CHECKPOINT, stream=self._stream)).values()
        if not records:
            raise StreamUnknown(stream=self._stream)
        return from_node(records[0][0])

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
