"""`tail`: the changes as they are committed, and the Cypher that each transaction would become."""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gpm_cdc.config.settings import Settings
from gpm_cdc.cypher.apply import statements
from gpm_cdc.cypher.statement import Statement
from gpm_cdc.domain.changes import UNCHANGED, Delete, Insert, Relation, Row, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.run import PublicationAbsent
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.projection.batch import build
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication.assembly import Assembler, Event, Transaction
from gpm_cdc.runtime.mapped import bind
from gpm_cdc.source.publication import read_publication, require_fit
from gpm_cdc.source.session import connect
from gpm_cdc.source.stream import ReplicationStream
from gpm_cdc.source.system import require_logical

type Kind = Literal["insert", "update", "delete", "truncate"]


@dataclass(frozen=True, slots=True)
class TracedChange:
    """A change of one row, or of a whole table. Values are Postgres's text, NULL is None.

    `old` are the columns of the replica identity (all of them under FULL) where the stream sent them; `unchanged` are
    large values that the change did not touch and the stream left out of `new`.
    """

    kind: Kind
    table: str
    old: Mapping[str, str | None] | None = None
    new: Mapping[str, str | None] | None = None
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TracedTransaction:
    """A committed transaction.

    `commit_time_us` counts microseconds since 2000-01-01 UTC. `statements` are what it would become; those that
    depend on an answer of the graph are not among them.
    """

    end_lsn: Lsn
    commit_time_us: int
    changes: tuple[TracedChange, ...]
    statements: tuple[Statement, ...]


async def tail(
    settings: Settings, mapping: GraphMapping, ready: Callable[[], None]
) -> AsyncGenerator[TracedTransaction]:
    """Every transaction that is committed after `ready` is called, in commit order. Makes nothing but a temporary slot.

    Raises PublicationAbsent, PublicationUnfit, and what connecting raises.
    """
    async with connect(settings.conninfo) as postgres:
        await require_logical(postgres)
        mapped = await bind(postgres, mapping)
        publication = await read_publication(postgres, settings.publication_name)
    if publication is None:
        raise PublicationAbsent(publication=settings.publication_name)
    require_fit(publication, settings.publication_name, tuple(mapped.plan.tables))
    stream = await ReplicationStream.open(
        settings.conninfo, wal_sender_timeout=settings.wal_sender_timeout, lock_timeout=settings.lock_timeout
    )
    try:
        slot = f"{settings.stream}_tail_{secrets.token_hex(3)}"
        made = await stream.create_slot(slot, temporary=True, lock_timeout=settings.lock_timeout)
        await stream.start(slot, settings.publication_name, made.consistent_point)
        ready()
        tracer = _Tracer(mapped.plan)
        assembler = Assembler()
        while True:
            for item in assembler.feed(await stream.frames()):
                if isinstance(item, Transaction):
                    yield tracer.trace(item)
                    stream.acknowledge(item.end_lsn)
                elif item.reply_requested:
                    stream.acknowledge(made.consistent_point)
    finally:
        await stream.close()


class _Tracer:
    """Turns transactions into what they mean; remembers the relations that the stream has described."""

    def __init__(self, plan: GraphPlan) -> None:
        self._plan = plan
        self._bindings = Bindings(plan)
        self._relations: dict[int, Relation] = {}

    def trace(self, transaction: Transaction) -> TracedTransaction:
        changes = tuple(change for event in transaction.events for change in self._changes(event))
        coalescer = Coalescer(self._bindings)
        coalescer.add(transaction.events)
        return TracedTransaction(
            transaction.end_lsn,
            transaction.commit_time_us,
            changes,
            tuple(_unanswered(self._plan, coalescer)),
        )

    def _changes(self, event: Event) -> list[TracedChange]:
        match event:
            case Relation():
                self._relations[event.oid] = event
                return []
            case Truncate():
                return [TracedChange("truncate", _name(self._relations[oid])) for oid in event.relations]
            case Insert():
                relation = self._relations[event.relation]
                return [TracedChange("insert", _name(relation), new=_values(relation, event.new))]
            case Delete():
                relation = self._relations[event.relation]
                return [TracedChange("delete", _name(relation), old=_old(relation, event.old_kind, event.old))]
            case Update():
                return [self._update(event)]

    def _update(self, event: Update) -> TracedChange:
        relation = self._relations[event.relation]
        return TracedChange(
            "update",
            _name(relation),
            old=None if event.old is None else _old(relation, event.old_kind, event.old),
            new=_values(relation, event.new),
            unchanged=tuple(
                column.name for column, value in zip(relation.columns, event.new, strict=True) if value is UNCHANGED
            ),
        )


def _unanswered(plan: GraphPlan, coalescer: Coalescer) -> list[Statement]:
    """The statements of a batch, each answered with no records: there is no graph to ask."""
    steps = statements(plan, build(coalescer))
    found: list[Statement] = []
    try:
        found.append(next(steps))
        while True:
            found.append(steps.send([]))
    except StopIteration:
        return found


def _name(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}"


def _values(relation: Relation, row: Row) -> dict[str, str | None]:
    return {
        column.name: value if value is None else str(value)
        for column, value in zip(relation.columns, row, strict=True)
        if value is not UNCHANGED
    }


def _old(relation: Relation, kind: str | None, row: Row) -> dict[str, str | None]:
    """The columns that were sent: with `K` all but those of the identity are empty and mean nothing."""
    values = _values(relation, row)
    if kind == "O":
        return values
    return {column.name: values[column.name] for column in relation.columns if column.in_identity}
