"""What a pass of `verify` has settled, kept in schema `gpm_cdc` at once, so that a later one can go on with it.

Like the history, keeping is never a reason to wait or to fail. Going on with an earlier pass is, where that cannot be.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

from gpm_cdc import __version__
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.state import NothingToResume, ResumeDiffers, ResumeOutdated, StateNotWritable
from gpm_cdc.observability import keys, logs
from gpm_cdc.runtime.history import LEAVE_SECONDS, Entry
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.system import try_lock
from gpm_cdc.state import passes
from gpm_cdc.state.database import transaction
from gpm_cdc.state.migration import require_current
from gpm_cdc.verification.rendering import without_values
from gpm_cdc.verification.report import Basis, Finding, TableReport
from gpm_cdc.verification.spool import Retold, Spool
from gpm_cdc.wording import say

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class Carried:
    """What is known from the pass that this one goes on with: settled tables, and their findings as far as kept."""

    number: int | None = None
    tables: Mapping[str, TableReport] = MappingProxyType({})
    findings: Mapping[str, Sequence[Finding]] = MappingProxyType({})


NOTHING: Final = Carried()


class Ledger(Protocol):
    """Where a pass leaves what it settles."""

    def of(self, basis: Basis, postgres: Connection) -> AbstractAsyncContextManager[Carried]:
        """While a pass about `basis` goes on: what it need not settle any more. `postgres` is the pass's own session.

        Raises NothingToResume, ResumeDiffers, ResumeOutdated or another StateError where it was to go on with one.
        """

    def settled(self, table: TableReport, findings: Sequence[Finding]) -> None:
        """Nothing is open of this table any more; returns at once."""


class NoLedger:
    """The Ledger of a pass that nobody will go on with."""

    @asynccontextmanager
    async def of(self, basis: Basis, postgres: Connection) -> AsyncIterator[Carried]:
        """As the protocol says."""
        del basis, postgres
        yield NOTHING

    def settled(self, table: TableReport, findings: Sequence[Finding]) -> None:
        """Keep nothing."""


UNKEPT: Final = NoLedger()


class KeptLedger:
    """The Ledger of the pass that `entry` is the history of."""

    def __init__(self, settings: Settings, entry: Entry, *, values: bool, resume: bool) -> None:
        """Without `values` those of the findings are not kept. `resume` goes on with the newest pass that broke off."""
        self._settings = settings
        self._entry = entry
        self._values = values and settings.history_values
        self._resume = resume
        self._waiting: deque[tuple[TableReport, Sequence[Finding]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._basis: Basis | None = None
        self._postgres: Connection | None = None
        self._begun = False
        self._given_up = False

    @asynccontextmanager
    async def of(self, basis: Basis, postgres: Connection) -> AsyncIterator[Carried]:
        """As the protocol says."""
        self._basis, self._postgres = basis, postgres
        carried = await self._continued(basis) if self._resume else NOTHING
        try:
            yield carried
        finally:
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=LEAVE_SECONDS)
                self._writing.cancel()

    def settled(self, table: TableReport, findings: Sequence[Finding]) -> None:
        """As the protocol says: it is written beside the pass."""
        if self._given_up:
            return
        self._waiting.append((table, findings))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Keep what is settled, a table at a time. At the first trouble nothing more is kept of this pass."""
        try:
            number = await self._entry.begun()
            if number is None or not (self._begun or await self._mark(number)):
                self._given_up = True
                return
            while self._waiting and not self._given_up:
                table, findings = self._waiting.popleft()
                await asyncio.to_thread(self._add, number, table, findings)
        except GpmCdcError as error:
            self._given_up = True
            _log.debug("table not kept", **{keys.ERROR: error.code})

    async def _mark(self, number: int) -> bool:
        """Let others see that this pass is running, for as long as its session is open."""
        if self._postgres is None:
            return False
        with translated():
            return await try_lock(self._postgres, _lock_name(self._settings.stream, number))

    def _add(self, number: int, table: TableReport, findings: Sequence[Finding]) -> None:
        with transaction(self._settings.state_conninfo) as connection:
            if not self._begun:
                if self._basis is None or not passes.keepable(connection):
                    self._given_up = True
                    return
                passes.begin(connection, number, self._basis, version=__version__)
            passes.add(connection, number, table, self._kept(findings), limit=self._settings.history_findings)
        self._begun = True

    def _kept(self, findings: Sequence[Finding]) -> Sequence[Finding]:
        return findings if self._values else Retold(findings, without_values)

    async def _continued(self, basis: Basis) -> Carried:
        await asyncio.to_thread(require_current, self._settings.state_conninfo)
        number = await self._entry.begun()
        if number is None:
            raise StateNotWritable(detail=say("its tables may not be written"))
        found = await self._broken_off()
        _require_same(found, basis)
        await self._mark(number)
        carried = await asyncio.to_thread(self._take_over, found.number, number, basis)
        self._begun = True
        return carried

    async def _broken_off(self) -> passes.Unfinished:
        """The newest pass that does not go on any more; from now on nobody else goes on with it."""
        running: list[str] = []
        for found in await asyncio.to_thread(self._unfinished):
            if await self._mark(found.number):
                return found
            running.append(str(found.number))
        detail = (
            say("pass {numbers} is still running", numbers=", ".join(running))
            if running
            else say("none broke off after it had settled a table")
        )
        raise NothingToResume(stream=self._settings.stream, detail=detail)

    def _unfinished(self) -> list[passes.Unfinished]:
        with transaction(self._settings.state_conninfo) as connection:
            return list(passes.unfinished(connection, self._settings.stream))

    def _take_over(self, before: int, number: int, basis: Basis) -> Carried:
        """Make the tables of pass `before` those of pass `number`."""
        with transaction(self._settings.state_conninfo) as connection:
            tables = {table.table: replace(table, resumed=True) for table in passes.settled_tables(connection, before)}
            findings = {name: Spool() for name in tables}
            for finding in passes.kept_findings(connection, before):
                if finding.table in findings:
                    findings[finding.table].extend([finding])
            passes.begin(connection, number, basis, version=__version__, resumed=before)
            for name, table in tables.items():
                kept = self._kept(findings[name])
                passes.add(connection, number, table, kept, limit=self._settings.history_findings)
        return Carried(before, tables, findings)


def _lock_name(stream: str, number: int) -> str:
    return f"{stream} verify {number}"


def _require_same(found: passes.Unfinished, basis: Basis) -> None:
    """ResumeDiffers or ResumeOutdated unless the pass that was found is about the same."""
    for detail in _gone(found.basis, basis):
        raise ResumeOutdated(number=found.number, detail=detail)
    for detail in _different(found.basis, basis):
        raise ResumeDiffers(number=found.number, detail=detail)


def _gone(before: Basis, now: Basis) -> Iterator[str]:
    if before.mapping_hash != now.mapping_hash:
        yield say("the mapping is another one now")
    if before.filled != now.filled:
        yield say("the graph was filled anew since")


def _different(before: Basis, now: Basis) -> Iterator[str]:
    if before.strict and not now.strict:
        yield say("it was made with --strict")
    if now.strict and not before.strict:
        yield say("it was made without --strict")
    if before.tables != now.tables:
        yield say("it compares {tables}", tables=", ".join(before.tables))
