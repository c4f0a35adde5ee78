"""One comparison of both sides at one position, and the judgement of what differed once all changes are known.

The graph may move on while it is read. So nothing is judged before the stream was followed to where the graph was after
the reading; what changed on the way is in flight, equal or not, and left to a later round. Whatever differs although it
did not change is read once more under the checkpoint's lock, since a reader beside a writer may see a batch by halves.

Facets that are compared whole are first summed in buckets on both sides, which takes no memory for an element. Only
where the buckets differ are elements kept, by key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import ChangeTail, GraphReader, RowReader, VerifyObserver
from gpm_cdc.verification.comparison import Comparison, Subject, Tally
from gpm_cdc.verification.facet import Element, Facet, Identity, Values
from gpm_cdc.verification.judgement import judge
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.sums import Changed, Elements, Rows, Sums, from_the_start, sums_of
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

    rows: RowReader
    graph: GraphReader
    tail: ChangeTail
    touched: Touched
    position: Lsn
    continuity: Continuity
    observer: VerifyObserver
    pace: Pace


class Round:
    """A comparison at one position, of one scope after the other: what tells which ends exist is read once for all."""

    def __init__(self, sides: Sides, tallies: Mapping[Facet, Tally]) -> None:
        """`tallies` are carried through all rounds; a facet that is compared whole starts its own afresh."""
        self._sides = sides
        self._tallies = tallies
        self._rows = Rows(sides.rows, sides.observer, sides.pace)
        self._graph = Elements(sides.graph, sides.observer, sides.pace)
        self._sums: dict[Facet, Sums] = {}
        self._pending: Scope = {}

    async def run(self, scope: Scope) -> Scope:
        """Compare, follow the stream to where the graph is, judge. Returns what was in flight of `scope`."""
        self._sums, self._pending = {}, {}
        whole = [facet for facet, wanted in scope.items() if wanted is None]
        if whole:
            self._sums = await sums_of(whole, self._rows, self._graph)
        comparisons = {facet: await self._compare(facet, wanted) for facet, wanted in scope.items()}
        checkpoint = self._sides.continuity(await self._sides.graph.checkpoint(locked=True))
        await self._follow(checkpoint)
        for facet, comparison in comparisons.items():
            await self._settle(facet, comparison, scope[facet])
        return self._pending

    async def _follow(self, checkpoint: Checkpoint) -> None:
        await self._sides.tail.reach(max(checkpoint.position.lsn, self._sides.position, self._sides.rows.latest))

    async def _compare(self, facet: Facet, wanted: Wanted) -> Comparison:
        tally = self._tallies[facet]
        if wanted is None:
            return await self._compare_whole(facet, tally)
        comparison = Comparison(facet, tally)
        read = 0
        async for block in self._rows.some(facet, wanted):
            read += len(block.rows)
            for element in block.elements(wanted.keys()):
                comparison.expect(element)
        tally.rows = max(tally.rows, read)
        await self._meet(facet, comparison, wanted)
        return comparison

    async def _compare_whole(self, facet: Facet, tally: Tally) -> Comparison:
        """Only what is in buckets that differ."""
        sums = self._sums[facet]
        comparison = Comparison(facet, tally)

        async def read() -> None:
            nonlocal comparison
            tally.reset()
            tally.rows = sums.rows
            comparison = Comparison(facet, tally)
            if not sums.differing:
                return
            async for block in self._rows.of(facet):
                for element in block.elements_within(sums):
                    comparison.expect(element)
            async for records in self._graph.of(facet, with_ids=True):
                # Copies: the labels of a record are named in place.
                hashes = facet.hashes_found([record[1:] for record in records])
                chosen = [record for record, found in zip(records, hashes, strict=True) if sums.differs(found)]
                for element in facet.found(chosen):
                    comparison.meet(element)

        await from_the_start(read)
        return comparison

    async def _meet(self, facet: Facet, comparison: Comparison, wanted: dict[Identity, Subject]) -> None:
        keys = [subject.key.parameters for subject in wanted.values() if subject.key.parameters is not None]
        ids = [element_id for subject in wanted.values() for element_id in subject.element_ids]
        found = await self._sides.graph.some(facet.reading, keys, ids) if keys or ids else []
        for element in facet.found(found):
            if element.identity in wanted:
                comparison.meet(element)

    async def _settle(self, facet: Facet, comparison: Comparison, wanted: Wanted) -> None:
        touched = self._sides.touched
        tables = {facet.source, *(end.target for end in facet.ends)}
        if touched.emptied & tables:
            self._tallies[facet].reset()
            self._pending[facet] = None
            return
        pending: dict[Identity, Subject] = {}
        if touched.any(tables) or comparison.suspects or any(True for _ in comparison.absent()):
            if wanted is None:
                await self._settle_rows(facet, comparison, pending)
            else:
                await self._settle_expected(facet, comparison, wanted, pending)
            await self._settle_unexpected(facet, comparison, pending)
            if wanted is not None:
                self._settle_unknown(facet, comparison, wanted, pending)
        elif wanted is None:
            self._tallies[facet].summed(self._sums[facet].equal)
        if pending:
            self._pending[facet] = pending

    async def _settle_rows(self, facet: Facet, comparison: Comparison, pending: dict[Identity, Subject]) -> None:
        """Go through the rows of a whole facet again, now that all changes are known: its sums leave out what changed.

        These rows may be those of a later position than the ones that were compared: what did not change is in both.
        """
        tally, sums = self._tallies[facet], self._sums[facet]
        changed = Changed(facet, self._sides.touched)
        confirming: list[tuple[Element, Subject]] = []
        async for block in self._rows.of(facet):
            tally.equal_all(found for found in block.hashes() if not sums.differs(found))
            for element in _once(
                (*block.elements(comparison.known() | changed.keys.keys()), *block.elements_at(changed))
            ):
                identity = element.identity
                flying, known = changed.has(element), comparison.knows(identity)
                if (flying or known) and not sums.differs(facet.hash(element.values)):
                    tally.retract(facet.hash(element.values))
                if flying:
                    comparison.take_back(identity)
                    pending[identity] = _subject(facet, comparison, element)
                elif known and not comparison.matched(identity):
                    confirming.append((element, _subject(facet, comparison, element)))
            while len(confirming) >= CONFIRMED_AT_ONCE:
                await self._confirm(facet, comparison, confirming[:CONFIRMED_AT_ONCE], pending)
                del confirming[:CONFIRMED_AT_ONCE]
        if confirming:
            await self._confirm(facet, comparison, confirming, pending)
        for identity, key in changed.keys.items():
            comparison.take_back(identity)
            pending.setdefault(identity, Subject(key))

    def _settle_unknown(
        self,
        facet: Facet,
        comparison: Comparison,
        wanted: dict[Identity, Subject],
        pending: dict[Identity, Subject],
    ) -> None:
        """Keys that are in flight and on neither side; and of those that only the graph has shown, the rows' own."""
        touched = self._sides.touched.keys(facet.source)
        for identity, key in touched.items():
            if not comparison.knows(identity) and identity in wanted:
                pending.setdefault(identity, Subject(key))
        for identity, subject in pending.items():
            if subject.key.text is None:
                asked = wanted.get(identity)
                subject.key = touched.get(identity) or (subject.key if asked is None else asked.key)

    async def _settle_expected(
        self,
        facet: Facet,
        comparison: Comparison,
        wanted: dict[Identity, Subject],
        pending: dict[Identity, Subject],
    ) -> None:
        """Go through the rows of some keys again, since only hashes were kept of them."""
        tally = self._tallies[facet]
        confirming: list[tuple[Element, Subject]] = []
        async for block in self._rows.some(facet, wanted):
            for element in block.elements(comparison.known()):
                identity = element.identity
                if not comparison.matched(identity):
                    confirming.append((element, _subject(facet, comparison, element)))
                elif self._in_flight(facet, identity, [element]):
                    tally.retract(facet.hash(element.values))
                    pending[identity] = Subject(_key(facet, element))
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
            hashes = [facet.hash(element.values, element.foreign) for element in found]
            tally.judged(
                None if expected is None else facet.hash(expected.values), hashes, judge(facet, expected, found)
            )

    def _in_flight(self, facet: Facet, identity: Identity, elements: Sequence[Element]) -> bool:
        touched = self._sides.touched
        return touched.has(facet.source, identity) or any(
            touched.has(target, key) for element in elements for target, key in facet.end_keys(element.values)
        )


def _subject(facet: Facet, comparison: Comparison, element: Element) -> Subject:
    """An expected element that is a suspect, with the element ids that the graph has shown for its key."""
    key = _key(facet, element)
    known = comparison.suspects.pop(element.identity, None) or Subject(key)
    return Subject(key, known.element_ids)


def _key(facet: Facet, element: Element) -> Key:
    return Key(element.values[: facet.key_size], element.key, element.text)


def _once(elements: Iterable[Element]) -> Iterable[Element]:
    return {element.identity: element for element in elements}.values()


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
