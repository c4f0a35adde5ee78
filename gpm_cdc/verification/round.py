"""One comparison of both sides at one position, and the judgement of what differed once all changes are known.

The graph may move on while it is read. So nothing is judged before the stream was followed to where the graph was after
the reading; what changed on the way is in flight, equal or not, and left to a later round. Whatever differs although it
did not change is read once more under the checkpoint's lock, since a reader beside a writer may see a batch by halves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.source import SnapshotReader
from gpm_cdc.ports.verification import ChangeTail, GraphReader, VerifyObserver
from gpm_cdc.projection.coalesce import Planned
from gpm_cdc.projection.plan import EndPlan
from gpm_cdc.verification.comparison import Comparison, Subject, Tally
from gpm_cdc.verification.directory import Directory
from gpm_cdc.verification.facet import Element, Facet, Identity, Values
from gpm_cdc.verification.judgement import judge
from gpm_cdc.verification.touched import Key, Touched

CONFIRMED_AT_ONCE = 1_000
"""Elements that are read under the checkpoint's lock at a time: some milliseconds in which the stream waits."""

type Wanted = dict[Identity, Subject] | None
"""The keys to compare; None for all."""

type Scope = dict[Facet, Wanted]


class Continuity(Protocol):
    """Says whether a later checkpoint still belongs to what is being compared."""

    def __call__(self, found: Checkpoint | None) -> Checkpoint:
        """The checkpoint itself; raises PassDisturbed, or what tells better why the comparison is void."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What a round works on: rows and graph, the changes since `position`, and what these touched so far."""

    rows: SnapshotReader
    graph: GraphReader
    tail: ChangeTail
    touched: Touched
    position: Lsn
    continuity: Continuity
    observer: VerifyObserver


class Round:
    """One comparison of the keys of a scope."""

    def __init__(self, sides: Sides, tallies: Mapping[Facet, Tally]) -> None:
        """`tallies` are carried through all rounds; a facet that is compared whole starts its own afresh."""
        self._sides = sides
        self._tallies = tallies
        self._directories: dict[tuple[Planned, tuple[str, ...]], Directory] = {}
        self._pending: Scope = {}

    async def run(self, scope: Scope) -> Scope:
        """Compare, follow the stream to where the graph is, judge. Returns what was in flight."""
        comparisons = {facet: await self._compare(facet, wanted) for facet, wanted in scope.items()}
        checkpoint = self._sides.continuity(await self._sides.graph.checkpoint(locked=True))
        await self._follow(checkpoint)
        for facet, comparison in comparisons.items():
            await self._settle(facet, comparison, scope[facet])
        return self._pending

    async def _follow(self, checkpoint: Checkpoint) -> None:
        await self._sides.tail.reach(max(checkpoint.position.lsn, self._sides.position))

    async def _compare(self, facet: Facet, wanted: Wanted) -> Comparison:
        sides, tally = self._sides, self._tallies[facet]
        if wanted is None:
            tally.reset()
        comparison = Comparison(facet, tally)
        directories = [await self._directory(end) for end in facet.directories]
        async for block in sides.rows.rows(facet.source, facet.places):
            if wanted is None:
                tally.rows += len(block)
            for row in block:
                element = facet.expected(row, directories)
                if element is not None and (wanted is None or element.identity in wanted):
                    comparison.expect(element)
            sides.observer.compared(str(facet.source.table), len(block))
        await self._meet(facet, comparison, wanted)
        return comparison

    async def _meet(self, facet: Facet, comparison: Comparison, wanted: Wanted) -> None:
        sides = self._sides
        if wanted is None:
            async for records in sides.graph.every(facet.reading):
                for element in facet.found(records):
                    comparison.meet(element)
                sides.observer.compared(facet.name, len(records))
            return
        keys = [subject.key.parameters for subject in wanted.values() if subject.key.parameters is not None]
        ids = [element_id for subject in wanted.values() for element_id in subject.element_ids]
        for element in facet.found(await sides.graph.some(facet.reading, keys, ids)):
            if element.identity in wanted:
                comparison.meet(element)

    async def _directory(self, end: EndPlan) -> Directory:
        known = self._directories.get((end.target, end.names))
        if known is not None:
            return known
        directory = self._directories[end.target, end.names] = Directory(end)
        async for block in self._sides.rows.rows(end.target, directory.places):
            directory.learn(block)
        return directory

    async def _settle(self, facet: Facet, comparison: Comparison, wanted: Wanted) -> None:
        touched = self._sides.touched
        tables = {facet.source, *(end.target for end in facet.ends)}
        if touched.emptied & tables:
            self._tallies[facet].reset()
            self._pending[facet] = None
            return
        pending: dict[Identity, Subject] = {}
        if touched.any(tables) or comparison.suspects or any(True for _ in comparison.absent()):
            await self._settle_expected(facet, comparison, pending)
            await self._settle_unexpected(facet, comparison, pending)
            for identity, key in touched.keys(facet.source).items():
                if not comparison.knows(identity) and (wanted is None or identity in wanted):
                    pending.setdefault(identity, Subject(key))
        if pending:
            self._pending[facet] = pending

    async def _settle_expected(self, facet: Facet, comparison: Comparison, pending: dict[Identity, Subject]) -> None:
        """Go through the rows again, since only hashes were kept of them."""
        tally = self._tallies[facet]
        confirming: list[tuple[Element, Subject]] = []
        directories = [await self._directory(end) for end in facet.directories]
        async for block in self._sides.rows.rows(facet.source, facet.places):
            for row in block:
                element = facet.expected(row, directories)
                if element is None or not comparison.knows(element.identity):
                    continue
                identity = element.identity
                key = Key(element.values[: facet.key_size], element.key)
                if comparison.matched(identity):
                    if self._in_flight(facet, identity, [element]):
                        tally.retract(facet.hash(element.values))
                        pending[identity] = Subject(key)
                    continue
                subject = comparison.suspects.pop(identity, None) or Subject(key)
                confirming.append((element, Subject(key, subject.element_ids)))
            while len(confirming) >= CONFIRMED_AT_ONCE:
                await self._confirm(facet, comparison, confirming[:CONFIRMED_AT_ONCE], pending)
                del confirming[:CONFIRMED_AT_ONCE]
        if confirming:
            await self._confirm(facet, comparison, confirming, pending)

    async def _settle_unexpected(self, facet: Facet, comparison: Comparison, pending: dict[Identity, Subject]) -> None:
        """What is left of the suspects has no row."""
        left = list(comparison.suspects.values())
        for start in range(0, len(left), CONFIRMED_AT_ONCE):
            part = [(None, subject) for subject in left[start : start + CONFIRMED_AT_ONCE]]
            await self._confirm(facet, comparison, part, pending)

    async def _confirm(
        self,
        facet: Facet,
        comparison: Comparison,
        items: Sequence[tuple[Element | None, Subject]],
        pending: dict[Identity, Subject],
    ) -> None:
        """Read these elements under the checkpoint's lock, follow the stream to it, and judge what did not change."""
        keys = [subject.key.parameters for _, subject in items if subject.key.parameters is not None]
        ids = [element_id for _, subject in items for element_id in subject.element_ids]
        locked = await self._sides.graph.some_locked(facet.reading, keys, ids)
        await self._follow(self._sides.continuity(locked.checkpoint))
        present = _Present(facet, facet.found(locked.records))
        tally = self._tallies[facet]
        for expected, subject in items:
            identity = _identity(expected, subject)
            found = present.of(identity, expected)
            elements = found if expected is None else [expected, *found]
            if self._in_flight(facet, identity, elements):
                shown = [element.element_id for element in found if element.element_id is not None]
                pending[identity] = Subject(subject.key, shown)
                continue
            for element in found:
                # A key of another type is found by the right one as well: then this is all there is to say of the node.
                if element.identity != identity:
                    comparison.suspects.pop(element.identity, None)
            hashes = [facet.hash(element.values) for element in found]
            tally.judged(
                None if expected is None else facet.hash(expected.values), hashes, judge(facet, expected, found)
            )

    def _in_flight(self, facet: Facet, identity: Identity, elements: Sequence[Element]) -> bool:
        touched = self._sides.touched
        return touched.has(facet.source, identity) or any(
            touched.has(target, key) for element in elements for target, key in facet.end_keys(element.values)
        )


class _Present:
    """Elements of the graph by key; also by keys that Cypher calls equal although their types differ."""

    def __init__(self, facet: Facet, elements: Iterable[Element]) -> None:
        self._size = facet.key_size
        self._exact: dict[Identity, list[Element]] = {}
        self._loose: dict[tuple[object, ...], list[Element]] = {}
        for element in elements:
            self._exact.setdefault(element.identity, []).append(element)
            self._loose.setdefault(_loosely(element.values[: self._size]), []).append(element)

    def of(self, identity: Identity, expected: Element | None) -> list[Element]:
        found = self._exact.get(identity, [])
        if found or expected is None:
            return found
        return self._loose.get(_loosely(expected.values[: self._size]), [])


def _loosely(values: Values) -> tuple[object, ...]:
    # Python, like Cypher, calls 1 and 1.0 equal; it says so of 1 and True too, which Cypher does not.
    return tuple(value if type(value) in {int, float} else repr(value) for value in values)


def _identity(expected: Element | None, subject: Subject) -> Identity:
    return canonical(subject.key.values) if expected is None else expected.identity
