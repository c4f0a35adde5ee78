"""`verify`: the graph against the tables, at one position after the other until everything is settled."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.verify import TableNotMapped
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.observability import keys, logs
from gpm_cdc.ports.verification import VerifyObserver
from gpm_cdc.replication.journal import read
from gpm_cdc.runtime.incremental import Narrowing, require_recent
from gpm_cdc.runtime.ledger import UNKEPT, Carried, Ledger
from gpm_cdc.runtime.mapped import bind
from gpm_cdc.runtime.observed import Observed
from gpm_cdc.runtime.reference import Reference, open_reference
from gpm_cdc.runtime.slices import SlicedRows
from gpm_cdc.sink.reader import Neo4jReader, open_reader
from gpm_cdc.source.fingerprint import changed
from gpm_cdc.source.session import connect
from gpm_cdc.verification.facet import Facet, facets
from gpm_cdc.verification.judgement import key_of
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.report import Basis, Finding, Held, PassKind, Report, Since, TableReport, Unsettled
from gpm_cdc.verification.round import Round, Scope, Sides
from gpm_cdc.verification.scope import any_wanted, by_table, following
from gpm_cdc.verification.spool import Chained, SpooledTally
from gpm_cdc.verification.sums import LOOKED_UP_MOST
from gpm_cdc.wording import say

ROUNDS = 5
"""Comparisons until what is always in flight is left open."""

MAX_SNAPSHOT = 60.0
"""Seconds for which vacuum may be kept from what has died meanwhile: too short for anybody to notice."""

_log = logs.logger()


@dataclass(frozen=True, slots=True)
class VerifyOrders:
    """What `verify` was asked to do.

    `tables` empty means all; `incremental`, of all tables, what the stream has written since the last full pass that
    was clean. `strict` also names what the mapping does not own.

    `timeout` in seconds bounds each wait: for the graph to come to the position of a comparison, and for the changes.
    `max_snapshot` in seconds bounds how long a snapshot is held. `max_rate` in rows and elements per second and
    `max_lag` in bytes of log that the stream has not confirmed slow the comparison down.
    """

    tables: tuple[TableName, ...] = ()
    strict: bool = False
    incremental: bool = False
    timeout: float = 60.0
    rounds: int = ROUNDS
    max_snapshot: float = MAX_SNAPSHOT
    max_rate: float | None = None
    max_lag: int | None = None

    @property
    def kind(self) -> PassKind:
        """What kind of pass this asks for."""
        return "incremental" if self.incremental else "full"

    @property
    def proving(self) -> bool:
        """Whether later incremental passes may rest on this one, should it be clean."""
        return not self.incremental and not self.tables


async def verify(
    settings: Settings,
    mapping: GraphMapping,
    orders: VerifyOrders,
    observer: VerifyObserver,
    ledger: Ledger = UNKEPT,
) -> Report:
    """Compare. What makes it impossible from the start is raised; what ends it midway makes it inconclusive.

    `ledger` takes what is settled, and says what is so already.
    """
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
        kinds = [each for each in facets(mapped.plan, foreign=orders.strict) if each.source.table in chosen]
        parts = by_table(dict.fromkeys(kinds))
        observed = Observed(settings, mapped, postgres, reader)
        checkpoint = await observed.require_beginning()
        basis = Basis(mapped.mapping_hash, checkpoint.filled, tuple(map(str, parts)), orders.strict, orders.kind)
        if orders.incremental:
            require_recent(await reader.baseline(), settings.stream, settings.full_verify_days)
        elif orders.proving:
            await reader.begin_proof()
        async with ledger.of(basis, postgres) as carried:
            unknown = [part for table, part in parts.items() if str(table) not in carried.tables]
            rest = {facet: wanted for part in unknown for facet, wanted in part.items()}
            rounds = _Rounds(orders, observed, rest, observer, ledger)
            if rest:
                await rounds.run()
            report = _report(orders, basis, carried, rounds, started)
        if orders.proving and report.verdict == "clean" and report.began is not None:
            await _prove(settings, reader, report.began)
        return report


def _report(orders: VerifyOrders, basis: Basis, carried: Carried, rounds: "_Rounds", started: float) -> Report:
    compared = {str(table): (rounds.told(table), rounds.findings(table)) for table in rounds.tables}
    tables = [carried.tables[name] if name in carried.tables else compared[name][0] for name in basis.tables]
    findings = [carried.findings[name] if name in carried.findings else compared[name][1] for name in basis.tables]
    known = carried.tables.values()
    return Report(
        position=max((table.position for table in tables if table.position is not None), default=None),
        snapshots=rounds.held,
        seconds=time.monotonic() - started + sum(table.seconds for table in known),
        tables=tables,
        findings=Chained(findings),
        unsettled=list(_unsettled(rounds, nothing=not carried.tables and not rounds.spans)),
        began=min((table.began for table in tables if table.began is not None), default=None),
        left_out=sum(table.finding_count for table in known) - sum(map(len, carried.findings.values())),
        interrupted=rounds.interrupted,
        resumed_pass=carried.number,
        kind=orders.kind,
        since=rounds.since,
        basis=basis,
    )


async def _prove(settings: Settings, reader: Neo4jReader, position: Lsn) -> None:
    """Let later passes rest on this one. Where that cannot be noted, its verdict is true all the same."""
    try:
        await reader.prove(position)
    except GpmCdcError as error:
        _log.warning("baseline not kept", **{keys.STREAM: settings.stream, keys.ERROR: error.code})


class _Span(NamedTuple):
    """The positions of the first and the last comparison of a table, and how long all of them took."""

    first: Lsn
    last: Lsn
    seconds: float


class _Rounds:
    """Comparisons until nothing is in flight any more, each at a later position, and in each one table after another.

    A table counts when it was judged and everything is still as it was when it was read: whatever goes wrong afterwards
    takes nothing of that back.
    """

    def __init__(
        self,
        orders: VerifyOrders,
        observed: Observed,
        scope: Scope,
        observer: VerifyObserver,
        ledger: Ledger,
    ) -> None:
        """`scope` is what to compare in the first of them."""
        self._orders = orders
        self._observed = observed
        self._tallies = {facet: SpooledTally() for facet in scope}
        self._observer = observer
        self._ledger = ledger
        self.pending = scope
        """What is not settled yet."""
        self.reason = ""
        """Why something is not."""
        self.interrupted = False
        """Whether the reason is another one than that rows were changed."""
        self.spans: dict[TableName, _Span] = {}
        self.since: Since | None = None
        """What an incremental pass began at."""
        self._pace = Pace(rate=orders.max_rate, most=orders.max_lag, lag=observed.lag, patience=orders.timeout)
        self._rows: list[SlicedRows] = []

    @property
    def tables(self) -> list[TableName]:
        """All that are compared."""
        return list(by_table(dict.fromkeys(self._tallies)))

    @property
    def held(self) -> list[Held]:
        """Every snapshot that was taken."""
        return [held for rows in self._rows for held in rows.held]

    async def run(self) -> None:
        """Compare until nothing is pending, or what is can have no answer."""
        rounds = self._orders.rounds
        async with AsyncExitStack() as both:
            current = await both.enter_async_context(AsyncExitStack())
            reference = await self._enter(current)
            try:
                for number in range(1, rounds + 1):
                    await self._round(number, reference)
                    if not self.pending or number == rounds:
                        break
                    # The next position is taken while this one's changes are still followed, so that none is missed.
                    later = await both.enter_async_context(AsyncExitStack())
                    following_reference = await self._enter(later)
                    await reference.tail.reach(following_reference.position)
                    if changed(reference.shapes, following_reference.shapes):
                        # What happened in between may have been told by nobody, new keys included.
                        self.pending = dict.fromkeys(self.pending)
                    else:
                        self.pending = following(self.pending, reference.touched)
                    await current.aclose()
                    current, reference = later, following_reference
            except GpmCdcError as error:
                self.interrupted, self.reason = True, str(error)
                return
        self.reason = say("it was changed while it was compared, in each of {count} rounds", count=rounds)

    async def _enter(self, stack: AsyncExitStack) -> Reference:
        observed = self._observed
        reference = await stack.enter_async_context(
            open_reference(
                observed.settings,
                observed.mapped,
                observed.postgres,
                patience=self._orders.timeout,
                bound=self._orders.max_snapshot,
                pace=self._pace,
            )
        )
        self._rows.append(reference.rows)
        return reference

    async def _round(self, number: int, reference: Reference) -> None:
        """One comparison of what is pending."""
        observed = self._observed
        await observed.reach(reference.position, self._orders.timeout, self._observer)
        self._observer.comparing(number, reference.position)
        if number == 1 and self._orders.incremental:
            await self._narrow(reference)
        sides = Sides(
            rows=reference.rows,
            graph=observed.reader,
            tail=reference.tail,
            touched=reference.touched,
            position=reference.position,
            continuity=observed.continuous,
            observer=self._observer,
            pace=self._pace,
        )
        comparing = Round(sides, self._tallies)
        for table, part in by_table(self.pending).items():
            started = time.monotonic()
            left = await self._compare(comparing, part, reference) if any_wanted(part) else {}
            self.pending = {facet: wanted for facet, wanted in self.pending.items() if facet not in part} | left
            known = self.spans.get(table, _Span(reference.position, reference.position, 0.0))
            seconds = known.seconds + time.monotonic() - started
            self.spans[table] = _Span(known.first, reference.position, seconds)
            if not left:
                self._ledger.settled(self.told(table), self.findings(table))

    async def _narrow(self, reference: Reference) -> None:
        """Leave to compare what the stream has written since the baseline, up to the reference and somewhat further."""
        observed = self._observed
        journaled = await observed.reader.journaled()
        observed.continuous(journaled.checkpoint)
        settings = observed.settings
        baseline = require_recent(journaled.baseline, settings.stream, settings.full_verify_days)
        self.since = Since(baseline.position, baseline.ended_at)
        narrowing = Narrowing(reference.rows, observed.reader, read(journaled.pages, LOOKED_UP_MOST))
        self.pending = await narrowing.scope(self.pending)

    async def _compare(self, comparing: Round, part: Scope, reference: Reference) -> Scope:
        """Compare one table; when that fails, its tallies are as they were. Returns what was in flight."""
        before = {facet: self._tallies[facet].copy() for facet in part}
        read = {plan.table for facet in part for plan in (facet.source, *(end.target for end in facet.ends))}
        try:
            left = await comparing.run(part)
            await self._observed.require_unmoved(reference, read)
        except GpmCdcError:
            self._tallies.update(before)
            raise
        return left

    def told(self, table: TableName) -> TableReport:
        """What is known of a table."""
        report = TableReport(str(table))
        if table in self.spans:
            report.began, report.position, report.seconds = self.spans[table]
            report.settled = table not in by_table(self.pending)
        for facet, tally in self._of(table):
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
        return report

    def findings(self, table: TableName) -> Sequence[Finding]:
        """What is wrong with what a table makes."""
        return Chained([tally.spool for _, tally in self._of(table)])

    def _of(self, table: TableName) -> Iterator[tuple[Facet, SpooledTally]]:
        return ((facet, tally) for facet, tally in self._tallies.items() if facet.source.table == table)


def _unsettled(rounds: _Rounds, *, nothing: bool) -> Iterator[Unsettled]:
    """`nothing`: no table could be compared at all."""
    if nothing:
        yield Unsettled(None, None, rounds.reason)
        return
    for table, part in by_table(rounds.pending).items():
        if None in part.values():
            yield Unsettled(str(table), None, rounds.reason)
        for facet, subjects in part.items():
            for subject in (subjects or {}).values():
                yield Unsettled(str(table), key_of(facet, subject.key.values), rounds.reason)
