"""What an incremental pass compares: what the stream has written since the baseline, and what goes with it.

Keys come from the journal, under the checkpoint's lock at a position that the pass has been waited for at: they are all
that changed since the baseline and up to there, and some more. A relationship that the mapping makes can change without
an event of its row when an end comes, goes, or is found by other values now; so the rows that refer to such ends are
compared, too, and the relationships that the graph holds there.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gpm_cdc.cypher.reading import AT_ENDS_MOST
from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.source import SourceRefused
from gpm_cdc.errors.stream import ValueNotRead
from gpm_cdc.errors.verify import NeverVerified, VerifiedTooLongAgo
from gpm_cdc.ports.verification import Baseline, GraphReader, RowReader
from gpm_cdc.projection.plan import EndPlan, RowKey
from gpm_cdc.replication.journal import Touches
from gpm_cdc.verification.comparison import Subject
from gpm_cdc.verification.facet import Facet, Identity
from gpm_cdc.verification.round import Scope, Wanted
from gpm_cdc.verification.sums import LOOKED_UP_MOST
from gpm_cdc.verification.touched import Key

_DAY: Final = 86_400

_UNTOUCHED: Final = Touches()


def require_recent(baseline: Baseline | None, stream: str, days: int) -> Baseline:
    """NeverVerified without a baseline, VerifiedTooLongAgo for one that is older than `days`."""
    if baseline is None:
        raise NeverVerified(stream=stream)
    if baseline.age > days * _DAY:
        raise VerifiedTooLongAgo(stream=stream, days=f"{baseline.age / _DAY:.1f}", limit=days)
    return baseline


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Makes the scope of a first round. `rows` are as of a position that the graph had when `touches` were read."""

    rows: RowReader
    graph: GraphReader
    touches: Mapping[TableName, Touches]

    async def scope(self, facets: Iterable[Facet]) -> Scope:
        """Per facet what to compare: nothing, some keys, or all where that costs no more."""
        return {facet: await self._wanted(facet) for facet in facets}

    async def _wanted(self, facet: Facet) -> Wanted:
        own = self._touches(facet.source.table)
        if own.whole or own.many or any(self._touches(end.target.table).whole for end in facet.directories):
            return None
        keys = own.keys | own.moved
        try:
            for end in facet.directories:
                if len(keys) <= LOOKED_UP_MOST:
                    keys.update(await self._referring(facet, end))
            if len(keys) > LOOKED_UP_MOST:
                return None
            wanted = {canonical(key.values): Subject(key) for key in map(facet.key_of, keys)}
        except (SourceRefused, ValueNotRead):
            # What cannot be looked up for whatever reason is found by reading all.
            return None
        for text, end in zip(facet.reading.by_end, facet.directories, strict=True):
            if not await self._held(facet, text, end, wanted):
                return None
        return wanted if len(wanted) <= LOOKED_UP_MOST else None

    def _touches(self, table: TableName) -> Touches:
        return self.touches.get(table, _UNTOUCHED)

    async def _referring(self, facet: Facet, end: EndPlan) -> Collection[RowKey]:
        moved = self._touches(end.target.table).moved
        if not moved:
            return ()
        return await self.rows.referring(facet.source, end, sorted(moved), LOOKED_UP_MOST + 1)

    async def _held(self, facet: Facet, text: str, end: EndPlan, wanted: dict[Identity, Subject]) -> bool:
        """Add the relationships that the graph holds at ends that moved; False if they are too many."""
        moved = self._touches(end.target.table).moved
        if not moved:
            return True
        ids = await self.graph.at_end(text, [end.target.project_key(key) for key in moved])
        if len(ids) >= AT_ENDS_MOST:
            return False
        for element in facet.found(await self.graph.some(facet.reading, [], ids)):
            key = Key(element.values[: facet.key_size])
            subject = wanted.setdefault(element.identity, Subject(key))
            if element.element_id is not None:
                subject.element_ids.append(element.element_id)
        return True
