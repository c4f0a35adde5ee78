"""Runs a history: tables, stream and oracle side by side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import psycopg

from gpm_cdc.cypher import statement as cypher_statement
from gpm_cdc.mapping.inference import infer
from gpm_cdc.mapping.text import render
from gpm_cdc.runtime import reader
from gpm_cdc.runtime.daemon import Orders
from gpm_cdc.runtime.reset import reset
from gpm_cdc.source.catalogue import read_catalogue
from tests.exactness.script import Compare, Crash, Finish, Hold, Recopy, Script, Step, Transaction, Woven, end_of
from tests.integration.core.pipeline import Moment, Pipeline, following, settings_for
from tests.servers import Database, Neo4jServer

type Connection = psycopg.AsyncConnection[Any]

SESSIONS = 2
_LOCK_TIMEOUT = "20ms"
"""A session that waits for another one waits for nothing: both are moved on by one hand."""

_GLANCES = 0.05
"""Seconds between two questions whether somebody waits for a prepared transaction."""

_AWAITED = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"


@dataclass(slots=True)
class Outcome:
    """What happened in a history. `refused` are statements that Postgres did not take."""

    transactions: int = 0
    refused: int = 0
    comparisons: int = 0
    crashes: int = 0
    copies: int = 0


class Session:
    """A connection that runs transactions statement by statement."""

    def __init__(self, connection: Connection, mend: tuple[str, ...]) -> None:
        self._connection = connection
        self._mend = mend
        self.changed = False

    async def begin(self) -> None:
        """Begin a transaction."""
        self.changed = False
        await self._connection.execute("BEGIN")

    async def run(self, statement: str, *, guarded: bool) -> bool:
        """Run a statement; whether Postgres took it. Unguarded, a refusal ends the transaction."""
        try:
            if statement.startswith("COPY"):
                await self._copy(statement, guarded=guarded)
            elif guarded:
                await self._execute(f"SAVEPOINT guard; {statement}; RELEASE guard")
            else:
                await self._execute(statement)
        except psycopg.Error:
            if self._failed and guarded:
                await self._connection.execute("ROLLBACK TO guard")
            return False
        return True

    @property
    def _failed(self) -> bool:
        return self._connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR

    async def _execute(self, statement: str) -> None:
        cursor = await self._connection.execute(statement.encode())
        more: bool | None = True
        while more:
            self.changed |= cursor.rowcount > 0 or (cursor.statusmessage or "").startswith("TRUNCATE")
            more = cursor.nextset()

    async def _copy(self, statement: str, *, guarded: bool) -> None:
        command, _, data = statement.partition(";\n")
        if guarded:
            await self._connection.execute("SAVEPOINT guard")
        async with self._connection.cursor() as cursor, cursor.copy(command.encode()) as copy:
            await copy.write(data.removesuffix("\\."))
        self.changed = True
        if guarded:
            await self._connection.execute("RELEASE guard")

    async def end(self, transaction: Transaction) -> bool:
        """End the transaction; whether Postgres did as asked, after mending what a deferred constraint objects to."""
        if transaction.end != "ROLLBACK" and not self._failed:
            for statement in ("SET CONSTRAINTS ALL IMMEDIATE", *self._mend):
                if await self.run(statement, guarded=True) and statement.startswith("SET"):
                    break
        try:
            cursor = await self._connection.execute(end_of(transaction).encode())
        except psycopg.Error:
            await self._connection.rollback()
            return False
        return cursor.statusmessage != "ROLLBACK"


class Machine:
    """Runs scripts, one after the other, in one database and one graph.

    Constraints and indexes stay for the next script if it has the same schema: Neo4j forgets its plans with them.
    """

    def __init__(self, database: Database, graph: Neo4jServer) -> None:
        self._database = database
        self._graph = graph
        self._prepared_for: tuple[object, ...] | None = None

    async def run(self, script: Script) -> Outcome:
        """Run `script` from an empty schema and an empty graph; AssertionError, or the stream's error, if it fails."""
        await self._empty_graph(script)
        async with AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(await self._database.connect()) for _ in range(SESSIONS + 1)]
            await _make_schema(connections[-1], script)
            for connection in connections:
                await connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
            mapping = script.mapping
            if script.inferred:
                mapping = await _inferred(connections[-1]) or mapping
            stack.enter_context(patch.object(cypher_statement, "ROWS_PER_STATEMENT", script.statement_rows))
            # Tables of a few rows, too, have several places from which a copy can go on.
            stack.enter_context(patch.object(reader, "BLOCKS_AT_ONCE", 1))
            outcome = await _History(self._database, self._graph, script, mapping, connections).run()
        self._prepared_for = _shape(script)
        return outcome

    async def _empty_graph(self, script: Script) -> None:
        """What a failed history left behind, open transactions included, goes whole."""
        same, self._prepared_for = self._prepared_for == _shape(script), None
        if same:
            await self._graph.query("MATCH (n) DETACH DELETE n")
        else:
            await asyncio.to_thread(self._graph.wipe)


def _shape(script: Script) -> tuple[object, ...]:
    """What decides which constraints and indexes the graph gets."""
    return script.schema, script.mapping, script.inferred


async def _make_schema(connection: Connection, script: Script) -> None:
    """Drop what the history before left, slot and prepared transactions included, and make the script's schema."""
    prepared = await connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
    for (gid,) in await prepared.fetchall():
        await connection.execute(f"ROLLBACK PREPARED '{gid}'".encode())
    await connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        " WHERE database = current_database() AND NOT active"
    )
    found = await connection.execute("SELECT pubname FROM pg_publication")
    for (name,) in await found.fetchall():
        await connection.execute(f'DROP PUBLICATION "{name}"'.encode())
    await connection.execute("SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.execute("; ".join(script.schema).encode())


async def _inferred(connection: Connection) -> str | None:
    """The default mapping of the schema, None where somebody would have to decide."""
    inference = infer(await read_catalogue(connection, tables=()))
    if any(finding.blocks for finding in inference.findings) or not inference.mapping.nodes:
        return None
    return render(inference.mapping)


class _History:
    """One script under way."""

    def __init__(
        self, database: Database, graph: Neo4jServer, script: Script, mapping: str, connections: list[Connection]
    ) -> None:
        self._database = database
        self._graph = graph
        self._script = script
        self._mapping = mapping
        self._control = connections[-1]
        self._sessions = [Session(connection, script.mend) for connection in connections[:-1]]
        self._prepared: set[str] = set()
        self._stack = AsyncExitStack()
        self._stream: Pipeline | None = None
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """The whole script, with a comparison at its end."""
        try:
            for step in (*self._script.steps, Compare()):
                await self._step(step)
            await self._finish_all()
            await self._step(Compare())
        finally:
            await self._stop()
            for name in self._prepared:
                await self._control.execute(f"ROLLBACK PREPARED '{name}'".encode())
        return self.outcome

    @asynccontextmanager
    async def _following(self, orders: Orders, recopy: Recopy | None = None) -> AsyncIterator[Pipeline]:
        settings: dict[str, Any] = {"keepalive_interval": 0.005, **self._script.settings}
        cut: tuple[int, Moment] | None = None
        meanwhile: list[Transaction] = []
        if recopy is not None and recopy.crash:
            cut = recopy.crash, "inside"
            meanwhile += recopy.meanwhile

        async def happen() -> None:
            while meanwhile:
                await self._transaction(meanwhile.pop(0))

        async with following(
            self._database, self._graph, self._mapping, orders, cut=cut, meanwhile=happen, **settings
        ) as stream:
            yield stream

    async def _running(self) -> Pipeline:
        """The stream, begun at the first use."""
        if self._stream is None:
            self._stream = await self._stack.enter_async_context(self._following(Orders()))
        return self._stream

    async def _stop(self) -> None:
        if self._stream is not None:
            self.outcome.crashes += self._stream.crashes
            self._stream = None
        await self._stack.aclose()

    async def _step(self, step: Step) -> None:
        match step:
            case Transaction():
                await self._transaction(step)
            case Woven():
                await self._woven(step)
            case Finish():
                await self._finish(step.name, commit=step.commit)
            case Hold():
                (await self._running()).gate.clear()
            case Crash():
                (await self._running()).crash_at(step.writes, step.moment)
            case Recopy():
                await self._recopy(step)
            case Compare():
                await self._compare()

    async def _transaction(self, step: Transaction) -> None:
        session = self._sessions[0]
        await session.begin()
        for statement in step.statements:
            if not await session.run(statement, guarded=step.guarded):
                self.outcome.refused += 1
        await self._end(session, step)

    async def _woven(self, step: Woven) -> None:
        parts = (step.first, step.second)
        waiting = [list(part.statements) for part in parts]
        for session in self._sessions:
            await session.begin()
        for turn in step.order:
            if waiting[turn]:
                statement = waiting[turn].pop(0)
                if not await self._sessions[turn].run(statement, guarded=parts[turn].guarded):
                    self.outcome.refused += 1
        for session, part in zip(self._sessions, parts, strict=True):
            await self._end(session, part)

    async def _end(self, session: Session, step: Transaction) -> None:
        done = await session.end(step)
        if not done:
            return
        if step.end == "PREPARE":
            self._prepared.add(step.name)
        elif step.end == "COMMIT" and session.changed:
            self.outcome.transactions += 1

    async def _finish(self, name: str, *, commit: bool) -> None:
        if name not in self._prepared:
            return
        self._prepared.discard(name)
        await self._control.execute(f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED '{name}'".encode())
        if commit:
            self.outcome.transactions += 1

    async def _finish_all(self) -> None:
        for name in sorted(self._prepared):
            await self._finish(name, commit=True)

    async def _compare(self) -> None:
        stream = await self._running()
        stream.gate.set()
        await self._checked(stream)
        self.outcome.comparisons += 1

    async def _checked(self, stream: Pipeline) -> None:
        """Compare. A table that is read again waits for prepared transactions, so these end when somebody does."""
        checking = asyncio.ensure_future(stream.check())
        try:
            while self._prepared and not checking.done():
                await asyncio.wait({checking}, timeout=_GLANCES)
                if (await self._control.execute(_AWAITED)).rowcount:
                    await self._finish_all()
            await checking
        finally:
            checking.cancel()

    async def _recopy(self, step: Recopy) -> None:
        """End the stream and begin a new one over its graph; slots wait for open transactions, so these end first."""
        await self._stop()
        await self._finish_all()
        await reset(settings_for(self._database, self._graph))
        self._stack = AsyncExitStack()
        self._stream = await self._stack.enter_async_context(self._following(Orders(adopt=True), step))
        self.outcome.copies += 1
