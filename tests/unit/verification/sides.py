"""Both sides of a comparison in memory: rows, a graph that holds flat elements, a stream that brings touches."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpm_cdc.cypher.reading import Reading
from gpm_cdc.domain.changes import Delete, Insert, Row, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.domain.values import Wire
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.ports.verification import ElementRecord, GraphReader, LockedRead, RowReader
from gpm_cdc.projection.plan import EndPlan, FieldRow, PlannedTable, RowKey
from gpm_cdc.verification.comparison import Tally
from gpm_cdc.verification.facet import Facet, facets
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.round import Round, Scope, Sides
from gpm_cdc.verification.scope import by_table
from gpm_cdc.verification.touched import Event, Touched
from tests.unit.domain.copy_text import copied
from tests.unit.mapping.tables import TEXT, column, reference, table
from tests.unit.projection.plans import planned, relation

PEOPLE = table("people", [column("id"), column("name", TEXT), column("boss")], reference("boss", "people"))
KNOWS = table("knows", "a b since", reference("a", "people"), reference("b", "people"), key="a b")
PLAN = planned(
    """
    [[node]]
    table = "people"
    label = "Person"
    key = ["id"]
    [[node.relationship]]
    columns = ["boss"]
    type = "BOSS"
    target = "people"
    target_columns = ["id"]
    [[relationship]]
    table = "knows"
    type = "KNOWS"
    key = ["a", "b"]
    start = { columns = ["a"], target = "people", target_columns = ["id"] }
    end = { columns = ["b"], target = "people", target_columns = ["id"] }
    """,
    PEOPLE,
    KNOWS,
)
X = Lsn(100)


def changes(table_name: str, *events: Callable[[int], Event]) -> list[Event]:
    """The events of a transaction on one table, its Relation first."""
    shaped = relation({"people": PEOPLE, "knows": KNOWS}[table_name])
    return [shaped, *(event(shaped.oid) for event in events)]


def inserted(*new: str | None) -> Callable[[int], Event]:
    """A row came."""
    return lambda oid: Insert(oid, list(new))


def updated(new: Row, old: Row | None = None) -> Callable[[int], Event]:
    """A row changed; `old` is its old key, when that changed."""
    return lambda oid: Update(oid, None if old is None else "K", old, new)


def deleted(*old: str | None) -> Callable[[int], Event]:
    """A row went."""
    return lambda oid: Delete(oid, "K", list(old))


def truncated(oid: int) -> Event:
    """A table was emptied."""
    return Truncate((oid,), cascade=False, restart_identity=False)


@dataclass
class Memory:
    """All of it. `graph` holds records by facet; `arrives` happens when the stream is followed to `at` or further.

    From then on the rows of a table are what it `becomes`, as under a later snapshot. `together` compares all tables at
    once, and not one after the other. `reads` is what was read, in order.
    """

    rows: dict[str, list[FieldRow]]
    graph: dict[str, list[ElementRecord]]
    at: Lsn = X
    joining: bool = False
    together: bool = False
    block: int = 1_000
    becomes: dict[str, list[FieldRow]] = field(default_factory=dict)
    arrives: list[Event] = field(default_factory=list)
    locked: dict[str, list[ElementRecord]] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.touched = Touched(PLAN)
        self.facets = {facet.name: facet for facet in facets(PLAN, foreign=False)}
        self.tallies: dict[Facet, Tally] = {facet: Tally() for facet in self.facets.values()}
        self._texts = {facet.reading.by_id: facet.name for facet in self.facets.values()}

    async def run(self, scope: Scope | None = None) -> Scope:
        """One round; of everything, if no scope is given."""
        sides = Sides(_Rows(self), _Graph(self), _Tail(self), self.touched, X, _present, _Silent(), Pace())
        comparing = Round(sides, self.tallies)
        scope = dict.fromkeys(self.tallies) if scope is None else scope
        pending: Scope = {}
        for part in [scope] if self.together else by_table(scope).values():
            pending |= await comparing.run(part)
            self.reads.append("judged")
        return pending

    def readers(self) -> tuple[RowReader, GraphReader]:
        """Both sides, to be read."""
        return _Rows(self), _Graph(self)

    def found(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What is wrong: element, kind, key."""
        findings = [finding for tally in self.tallies.values() for finding in tally.findings]
        return [(finding.element, finding.kind, dict(finding.key)) for finding in findings]

    def named(self, scope: Scope) -> dict[str, list[list[Any]] | None]:
        """A scope by element name and key."""
        return {
            facet.name: None if subjects is None else sorted(subject.key.values for subject in subjects.values())
            for facet, subjects in scope.items()
        }

    def named_by(self, reading: Reading) -> str:
        """The name of the facet that is read so."""
        return self._texts[reading.by_id]

    def records(self, reading: Reading, *, locked: bool = False) -> list[ElementRecord]:
        """The graph's records of one kind."""
        name = self.named_by(reading)
        return self.locked.get(name, self.graph[name]) if locked else self.graph[name]


def _present(found: Checkpoint | None) -> Checkpoint:
    assert found is not None
    return found


class _Silent:
    def waiting(self, position: Lsn) -> None: ...

    def comparing(self, number: int, position: Lsn) -> None: ...

    def compared(self, what: str, count: int) -> None: ...


class _Rows:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

        self.latest = X

    def joins(self, source: PlannedTable, end: EndPlan) -> bool:
        del source
        return self._memory.joining and end.by_key

    async def rows(
        self, planned_table: PlannedTable, places: Sequence[int], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        self._memory.reads.append(planned_table.table.name)
        rows = self._memory.rows[planned_table.table.name]
        for start in range(0, len(rows), self._memory.block):
            yield self._told(rows[start : start + self._memory.block], places, ends)

    async def keyed(
        self, planned_table: PlannedTable, keys: Sequence[RowKey], ends: Sequence[EndPlan] = ()
    ) -> AsyncIterator[CopiedRows]:
        name = planned_table.table.name
        self._memory.reads.append(f"{name} by key")
        rows = [row for row in self._memory.rows[name] if row[: planned_table.key_size] in set(keys)]
        if rows:
            yield self._told(rows, range(len(planned_table.fields)), ends)

    async def referring(
        self, planned_table: PlannedTable, end: EndPlan, keys: Sequence[RowKey], most: int
    ) -> list[RowKey]:
        target = self._memory.rows[end.target.table.name]
        values = {
            tuple(row[place] for place in end.target_fields)
            for row in target
            if row[: end.target.key_size] in set(keys)
        }
        rows = self._memory.rows[planned_table.table.name]
        found = [row for row in rows if tuple(row[place] for place in end.fields) in values]
        return [row[: planned_table.key_size] for row in found[:most]]  # type: ignore[misc]

    def _told(self, rows: Sequence[FieldRow], places: Sequence[int], ends: Sequence[EndPlan]) -> CopiedRows:
        keys = [
            {row[: end.target.key_size] for row in self._memory.rows[end.target.table.name]} if end.by_key else set()
            for end in ends
        ]
        return copied(
            (
                *(row[place] for place in places),  # type: ignore[arg-type]  # whole rows, as they are copied
                *(
                    "t" if tuple(row[place] for place in end.fields) in known else "f"
                    for end, known in zip(ends, keys, strict=True)
                ),
            )
            for row in rows
        )


class _Graph:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._checkpoint = Checkpoint("s", Position(memory.at), 1, "streaming", "1", 1, "m", "h", "o")

    async def checkpoint(self, *, locked: bool) -> Checkpoint | None:
        assert locked
        return replace(self._checkpoint)

    async def every(self, reading: Reading, *, with_ids: bool) -> AsyncIterator[list[ElementRecord]]:
        self._memory.reads.append(self._memory.named_by(reading))
        yield [list(record if with_ids else record[1:]) for record in self._memory.records(reading)]

    async def some(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str], *, locked: bool = False
    ) -> list[ElementRecord]:
        wanted = [list(key) for key in keys]
        return [
            list(record)
            for record in self._memory.records(reading, locked=locked)
            # Lists compare as Cypher does: 1 equals 1.0.
            if record[0] in element_ids or any(record[1 : len(key) + 1] == key for key in wanted)
        ]

    async def at_end(self, text: str, keys: Sequence[Sequence[Wire]]) -> list[str]:
        facet = next(facet for facet in self._memory.facets.values() if text in facet.reading.by_end)
        end = facet.ends[facet.reading.by_end.index(text)]
        return [
            record[0]
            for record in self._memory.graph[facet.name]
            if record[1 + end.start : 1 + end.stop] in [list(key) for key in keys]
        ]

    async def some_locked(
        self, reading: Reading, keys: Sequence[Sequence[Wire]], element_ids: Sequence[str]
    ) -> LockedRead:
        return LockedRead(self._checkpoint, await self.some(reading, keys, element_ids, locked=True))


class _Tail:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def reach(self, position: Lsn) -> None:
        if position >= self._memory.at:
            events, self._memory.arrives = self._memory.arrives, []
            self._memory.touched.add(events)
            self._memory.rows = {**self._memory.rows, **self._memory.becomes}
