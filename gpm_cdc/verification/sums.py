"""Both sides of whole facets as digests in buckets, read once and side by side."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpm_cdc.domain.digests import Buckets, Digest
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.sink import GraphUnreachable
from gpm_cdc.ports.verification import ElementRecord, GraphReader, RowReader, VerifyObserver
from gpm_cdc.projection.coalesce import Planned
from gpm_cdc.projection.plan import EndPlan, FieldRow
from gpm_cdc.verification.comparison import Subject
from gpm_cdc.verification.directory import Directory
from gpm_cdc.verification.facet import Columns, Element, Facet, Identity
from gpm_cdc.verification.pace import Pace
from gpm_cdc.verification.touched import Key, Touched

BUCKETS = 1 << 15
"""Parts of a facet. A million elements put 30 into each: what is looked at again for one that differs. More of them
would not fit into a processor's cache."""

LOOKED_UP_MOST = 20_000
"""Rows that are looked up by their keys: some seconds. For more, reading all of a table is as quick."""

_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to read a facet of the graph, which is one statement and breaks off with its connection."""


@dataclass(slots=True)
class Sums:
    """A facet on both sides; `rows` of its table were read."""

    postgres: Buckets = field(default_factory=lambda: Buckets(BUCKETS))
    neo4j: Buckets = field(default_factory=lambda: Buckets(BUCKETS))
    rows: int = 0
    differing: frozenset[int] = frozenset()

    @property
    def equal(self) -> Digest:
        """What is in the buckets that are the same on both sides."""
        return self.postgres.digest(self.differing)

    def differs(self, element_hash: int) -> bool:
        """Whether the bucket of an element is not the same on both sides."""
        return self.postgres.bucket(element_hash) in self.differing


class Changed:
    """What is in flight of a facet, as it was known at one moment: the stream goes on while it is consulted."""

    def __init__(self, facet: Facet, touched: Touched) -> None:
        self._facet = facet
        self.keys: Mapping[Identity, Key] = touched.keys(facet.source)
        self.ends: Mapping[Planned, frozenset[Identity]] = {
            end.target: frozenset(touched.identities(end.target)) for end in facet.ends
        }

    def has(self, element: Element) -> bool:
        """Whether the element's own row was changed, or that of an end."""
        return element.identity in self.keys or any(
            identity in self.ends[target] for target, identity in self._facet.end_keys(element.values)
        )


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Some whole rows of a facet's table, with what tells which ends exist."""

    facet: Facet
    rows: Sequence[FieldRow]
    columns: Columns
    directories: Sequence[Directory]

    def hashes(self) -> list[int]:
        """The hashes of all elements that the rows make."""
        return self.facet.hashes_expected(self.columns, self.directories)

    def elements(self, wanted: Collection[Identity]) -> Iterator[Element]:
        """The elements of `wanted` that the rows make."""
        if wanted:
            identities = self.facet.identities(self.columns)
            yield from self._elements(
                row for row, identity in zip(self.rows, identities, strict=True) if identity in wanted
            )

    def elements_within(self, sums: Sums) -> Iterator[Element]:
        """The elements whose buckets differ."""
        hashes, facet = self.hashes(), self.facet
        places = [place for place, found in enumerate(hashes) if sums.differs(found)]
        if not places:
            return
        rows: Iterable[FieldRow] = self.rows
        if len(hashes) == len(self.rows):
            # Out of the columns: to make every row for the few that are wanted takes longer than all else.
            rows = [tuple(column[place] for column in self.columns) for place in places]
        yield from (element for element in self._elements(rows) if sums.differs(facet.hash(element.values)))

    def elements_at(self, changed: "Changed") -> Iterator[Element]:
        """The elements that end at a row that was changed."""
        if not any(changed.ends.values()):
            return
        ends = self.facet.end_identities(self.columns, self.directories)
        if ends is None:
            yield from self._elements(self.rows)
            return
        target, identities = ends
        at = changed.ends[target]
        yield from self._elements(row for row, identity in zip(self.rows, identities, strict=True) if identity in at)

    def _elements(self, rows: Iterable[FieldRow]) -> Iterator[Element]:
        facet = self.facet
        width = len(facet.source.fields)
        for row in rows:
            chosen = (*(row[place] for place in facet.places), *row[width:])
            element = facet.expected(chosen, self.directories)
            if element is not None:
                yield element


class Rows:
    """The rows of one round, whole, each with what is known of its ends."""

    def __init__(self, reader: RowReader, observer: VerifyObserver, pace: Pace) -> None:
        self._reader = reader
        self._observer = observer
        self._pace = pace
        self._directories: dict[tuple[Planned, tuple[str, ...]], Directory] = {}

    async def of(self, facet: Facet) -> AsyncIterator[RowBlock]:
        """Every row of the facet's table."""
        async for (block,) in self.of_all([facet]):
            yield block

    async def some(self, facet: Facet, wanted: Mapping[Identity, Subject]) -> AsyncIterator[RowBlock]:
        """The rows of `wanted`, looked up where their keys are known and few; else every row, and these among them."""
        if not wanted:
            return
        texts = [subject.key.text for subject in wanted.values() if subject.key.text is not None]
        if len(texts) < len(wanted) or len(texts) > LOOKED_UP_MOST:
            async for block in self.of(facet):
                yield block
            return
        joined, directories = await self._told([facet])
        async for rows in self._reader.keyed(facet.source, texts, joined):
            columns = rows.columns()
            yield RowBlock(facet, rows, columns, [directories[end] for end in facet.directories])
            self._observer.compared(str(facet.source.table), len(rows))
            await self._pace.spent(len(rows))

    async def _told(self, facets: Sequence[Facet]) -> tuple[list[EndPlan], dict[EndPlan, Directory]]:
        """What the rows are joined with, and what tells for each end of `facets`, of one table, which rows exist."""
        ends = list(dict.fromkeys(end for facet in facets for end in facet.directories))
        joined = [end for end in ends if self._reader.joins(facets[0].source, end)]
        return joined, {
            end: Directory(end, joined=joined.index(end)) if end in joined else await self._directory(end)
            for end in ends
        }

    async def of_all(self, facets: Sequence[Facet]) -> AsyncIterator[list[RowBlock]]:
        """Every row of the table that `facets` share: a block for each facet."""
        source = facets[0].source
        joined, directories = await self._told(facets)
        told = [[directories[end] for end in facet.directories] for facet in facets]
        places = tuple(range(len(source.fields)))
        async for rows in self._reader.rows(source, places, joined):
            columns = rows.columns()
            yield [RowBlock(facet, rows, columns, known) for facet, known in zip(facets, told, strict=True)]
            self._observer.compared(str(source.table), len(rows))
            await self._pace.spent(len(rows))

    async def _directory(self, end: EndPlan) -> Directory:
        known = self._directories.get((end.target, end.names))
        if known is not None:
            return known
        directory = self._directories[end.target, end.names] = Directory(end)
        async for block in self._reader.rows(end.target, directory.places):
            directory.learn(block)
        return directory


class Elements:
    """The elements of the graph, whole facets of them."""

    def __init__(self, reader: GraphReader, observer: VerifyObserver, pace: Pace) -> None:
        self._reader = reader
        self._observer = observer
        self._pace = pace

    async def of(self, facet: Facet, *, with_ids: bool) -> AsyncIterator[list[ElementRecord]]:
        """Every element of the facet, in lists."""
        async for records in self._reader.every(facet.reading, with_ids=with_ids):
            yield records
            self._observer.compared(facet.name, len(records))
            await self._pace.spent(len(records))
            await self._pace.admitted()


async def sums_of(facets: Sequence[Facet], rows: Rows, graph: Elements) -> dict[Facet, Sums]:
    """Read all of `facets`: rows and graph at the same time, so that each side works while the other is waited for."""
    sums = {facet: Sums() for facet in facets}
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_sum_rows(sums, rows))
            both.create_task(_sum_elements(sums, graph))
    except* GpmCdcError as group:
        raise _first(group) from None
    for known in sums.values():
        known.differing = known.postgres.differing(known.neo4j)
    return sums


async def _sum_rows(sums: Mapping[Facet, Sums], rows: Rows) -> None:
    tables: dict[Planned, list[Facet]] = {}
    for facet in sums:
        tables.setdefault(facet.source, []).append(facet)
    for shared in tables.values():
        async for blocks in rows.of_all(shared):
            for block in blocks:
                known = sums[block.facet]
                known.rows += len(block.rows)
                known.postgres.add_all(block.hashes())


async def _sum_elements(sums: Mapping[Facet, Sums], graph: Elements) -> None:
    for facet, known in sums.items():

        async def read(facet: Facet = facet, known: Sums = known) -> None:
            known.neo4j = Buckets(BUCKETS)
            async for records in graph.of(facet, with_ids=False):
                known.neo4j.add_all(facet.hashes_found(records))

        await from_the_start(read)


async def from_the_start(read: Callable[[], Awaitable[None]]) -> None:
    """Run `read`, again and again while the graph cannot be reached, for a quarter of a minute; it must begin anew."""
    for wait in _WAITS:
        try:
            await read()
        except GraphUnreachable:
            await asyncio.sleep(wait)
        else:
            return
    await read()


def _first(group: BaseExceptionGroup[GpmCdcError]) -> GpmCdcError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
