"""`verify`: the graph against the tables, at one position after the other until everything is settled."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import ZERO, Lsn, render
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.errors.source import MappingChanged, PublicationMissing, SystemChanged
from gpm_cdc.errors.stream import RelationChanged
from gpm_cdc.errors.verify import GraphBehind, PassDisturbed, TableNotMapped
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import VerifyObserver
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.reference import Reference, open_reference, open_walsender, shapes_of
from gpm_cdc.sink.reader import Neo4jReader, open_reader
from gpm_cdc.source.fingerprint import changed
from gpm_cdc.source.publication import read_publication, require_fit
from gpm_cdc.source.session import Connection, connect, translated
from gpm_cdc.source.unapplied import is_running, nothing_between
from gpm_cdc.verification.comparison import Tally
from gpm_cdc.verification.facet import Facet, facets
from gpm_cdc.verification.judgement import key_of
from gpm_cdc.verification.report import Report, TableReport, Unsettled
from gpm_cdc.verification.round import Round, Scope, Sides
from gpm_cdc.verification.scope import following
from gpm_cdc.wording import say

ROUNDS = 5
"""Comparisons until what is always in flight is left open."""

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
"""How often it is looked whether a stream that nobody runs has anything to deliver: that reads the log."""


@dataclass(frozen=True, slots=True)
class VerifyOrders:
    """What `verify` was asked to do. `tables` empty means all; `strict` also names what the mapping does not own.

    `timeout` in seconds bounds each wait: for the graph to come to the position of a comparison, and for the changes.
    """

    tables: tuple[TableName, ...] = ()
    strict: bool = False
    timeout: float = 60.0
    rounds: int = ROUNDS


async def verify(settings: Settings, mapping: GraphMapping, orders: VerifyOrders, observer: VerifyObserver) -> Report:
    """Compare. What makes it impossible from the start is raised; what ends it midway makes it inconclusive."""
    started = time.monotonic()
    password = settings.neo4j_password
    async with (
        connect(settings.conninfo, lock_timeout=f"{int(settings.lock_timeout * 1000)}") as postgres,
        open_reader(
            settings.neo4j_uri,
            settings.neo4j_user,
            None if password is None else password.get_secret_value(),
            settings.neo4j_database,
            stream=settings.stream,
            transaction_timeout=settings.transaction_timeout * 2,
        ) as reader,
    ):
        mapped = await bind(postgres, mapping)
        chosen = set(orders.tables) or set(mapped.plan.tables)
        for table in sorted(chosen - set(mapped.plan.tables)):
            raise TableNotMapped(table=table, tables=", ".join(map(str, mapped.plan.tables)))
        tallies = {
            facet: Tally() for facet in facets(mapped.plan, foreign=orders.strict) if facet.source.table in chosen
        }
        observed = _Observed(settings, mapped, postgres, reader)
        await observed.require_beginning()
        position, pending, reason = await _Rounds(orders, observed, tallies, observer).run()
        return Report(
            position=position,
            seconds=time.monotonic() - started,
            tables=_tables(tallies),
            findings=[finding for tally in tallies.values() for finding in tally.findings],
            unsettled=list(_unsettled(position, pending, reason)),
        )


@dataclass(slots=True)
class _Observed:
    """Both sides and what must stay as it was while they are compared."""

    settings: Settings
    mapped: Mapped
    postgres: Connection
    reader: Neo4jReader
    system_identifier: str = ""
    reached: Lsn = ZERO

    async def require_beginning(self) -> None:
        """Refuse what no comparison could answer."""
        async with open_walsender(self.settings) as stream:
            self.system_identifier = (await stream.identify()).system_identifier
        await self.require_publication()
        self._require_same(await self.reader.checkpoint(locked=False))

    def _require_same(self, found: Checkpoint | None) -> Checkpoint:
        if found is None:
            raise StreamUnknown(stream=self.settings.stream)
        if found.phase == "snapshot":
            # Its hashes may be those of a stream that was never finished.
            return found
        if found.system_identifier != self.system_identifier:
            raise SystemChanged(recorded=found.system_identifier, found=self.system_identifier)
        if found.mapping_hash != self.mapped.mapping_hash:
            raise MappingChanged(stream=found.stream)
        if found.schema_hash != self.mapped.plan.schema_hash:
            raise RelationChanged(table=say("of the mapping"), details=say("its columns, types or identity"))
        return found

    def continuous(self, found: Checkpoint | None) -> Checkpoint:
        """The checkpoint, if the graph is still that of the same stream and has not gone back."""
        checkpoint = self._require_same(found)
        if not _consistent(checkpoint):
            raise PassDisturbed(detail=say("the graph is being filled anew"))
        if checkpoint.position.lsn < self.reached:
            raise PassDisturbed(
                detail=say(
                    "the graph went back from {before} to {now}",
                    before=render(self.reached),
                    now=render(checkpoint.position.lsn),
                )
            )
        self.reached = checkpoint.position.lsn
        return checkpoint

    async def require_publication(self) -> None:
        """PublicationMissing or PublicationUnfit unless every mapped table is published whole."""
        name = self.settings.publication_name
        with translated():
            state = await read_publication(self.postgres, name)
        if state is None:
            raise PublicationMissing(publication=name, stream=self.settings.stream)
        require_fit(state, name, tuple(self.mapped.plan.tables))

    async def require_unmoved(self, reference: Reference) -> None:
        """PassDisturbed if something changed that neither the snapshot nor the stream would tell."""
        await self.require_publication()
        moved = changed(reference.shapes, await shapes_of(self.settings, self.mapped, self.postgres))
        if moved:
            tables = ", ".join(moved)
            raise PassDisturbed(
                detail=say("{tables} were altered, truncated or rewritten while they were read", tables=tables)
            )
        self.continuous(await self.reader.checkpoint(locked=True))

    async def reach(self, position: Lsn, patience: float, observer: VerifyObserver) -> None:
        """Return when everything before `position` is in the graph; GraphBehind after `patience` seconds.

        A checkpoint that nobody moves any more is as good if the log has nothing for the stream up to `position`.
        """
        deadline = time.monotonic() + patience
        looked = -_LOOK_SECONDS
        while True:
            found = self._require_same(await self.reader.checkpoint(locked=False))
            if _consistent(found):
                now = time.monotonic()
                quiet = found.position.lsn < position and now - looked >= _LOOK_SECONDS
                if quiet:
                    looked = now
                    quiet = await self._nothing_left(found.position.lsn, position)
                if quiet or found.position.lsn >= position:
                    self.continuous(await self.reader.checkpoint(locked=True))
                    return
            if time.monotonic() >= deadline:
                raise await self._behind(found, position, patience)
            observer.waiting(position)
            await asyncio.sleep(_POLL_SECONDS)

    async def _nothing_left(self, after: Lsn, upto: Lsn) -> bool:
        settings = self.settings
        with translated():
            return await nothing_between(
                self.postgres, settings.stream, settings.slot_name, settings.publication_name, after=after, upto=upto
            )

    async def _behind(self, found: Checkpoint, position: Lsn, patience: float) -> GraphBehind:
        with translated():
            running = await is_running(self.postgres, self.settings.stream)
        if found.phase == "snapshot":
            detail = say("the first copy of the tables is not complete")
        elif running:
            detail = say("the stream is running but has not caught up")
        else:
            detail = say("nobody runs the stream")
        return GraphBehind(
            seconds=f"{patience:g}", position=render(found.position.lsn), target=render(position), detail=detail
        )


def _consistent(checkpoint: Checkpoint) -> bool:
    return checkpoint.phase == "streaming" and checkpoint.position.ordinal == 0


class _Rounds:
    """Comparisons until nothing is in flight any more, each at a later position."""

    def __init__(
        self, orders: VerifyOrders, observed: _Observed, tallies: dict[Facet, Tally], observer: VerifyObserver
    ) -> None:
        self._orders = orders
        self._observed = observed
        self._tallies = tallies
        self._observer = observer

    async def run(self) -> tuple[Lsn | None, Scope, str]:
        """The position of the last whole comparison (None if there was none), what is unsettled, and why."""
        position: Lsn | None = None
        pending: Scope = dict.fromkeys(self._tallies)
        rounds = self._orders.rounds
        async with AsyncExitStack() as both:
            current = await both.enter_async_context(AsyncExitStack())
            reference = await self._enter(current)
            try:
                for number in range(1, rounds + 1):
                    pending = await self._round(number, reference, pending)
                    position = reference.position
                    if not pending or number == rounds:
                        break
                    # The next position is taken while this one's changes are still followed, so that none is missed.
                    later = await both.enter_async_context(AsyncExitStack())
                    following_reference = await self._enter(later)
                    await reference.tail.reach(following_reference.position)
                    pending = following(pending, reference.touched)
                    await current.aclose()
                    current, reference = later, following_reference
            except GpmCdcError as error:
                return position, pending, str(error)
        return position, pending, say("it was changed while it was compared, in each of {count} rounds", count=rounds)

    async def _enter(self, stack: AsyncExitStack) -> Reference:
        observed = self._observed
        return await stack.enter_async_context(
            open_reference(observed.settings, observed.mapped, observed.postgres, patience=self._orders.timeout)
        )

    async def _round(self, number: int, reference: Reference, scope: Scope) -> Scope:
        """One comparison; one that fails leaves the tallies as they were."""
        observed = self._observed
        before = {facet: tally.copy() for facet, tally in self._tallies.items()}
        try:
            await observed.reach(reference.position, self._orders.timeout, self._observer)
            self._observer.comparing(number, reference.position)
            sides = Sides(
                rows=reference.rows,
                graph=observed.reader,
                tail=reference.tail,
                touched=reference.touched,
                position=reference.position,
                continuity=observed.continuous,
                observer=self._observer,
            )
            pending = await Round(sides, self._tallies).run(scope)
            await observed.require_unmoved(reference)
        except GpmCdcError:
            self._tallies.update(before)
            raise
        return pending


def _tables(tallies: dict[Facet, Tally]) -> list[TableReport]:
    reports: dict[TableName, TableReport] = {}
    for facet, tally in tallies.items():
        table = facet.source.table
        report = reports.setdefault(table, TableReport(str(table)))
        report.rows = max(report.rows, tally.rows)
        if facet.element == "node":
            report.nodes += tally.neo4j.count
        else:
            report.relationships += tally.neo4j.count
        report.postgres.combine(tally.postgres)
        report.neo4j.combine(tally.neo4j)
        report.missing += tally.count("missing")
        report.extra += tally.count("extra")
        report.different += tally.count("different")
    return list(reports.values())


def _unsettled(position: Lsn | None, pending: Scope, reason: str) -> Iterator[Unsettled]:
    if position is None:
        yield Unsettled(None, None, reason)
        return
    for facet, subjects in pending.items():
        table = str(facet.source.table)
        if subjects is None:
            yield Unsettled(table, None, reason)
            continue
        for subject in subjects.values():
            yield Unsettled(table, key_of(facet, subject.key.values), reason)
