"""The snapshot reader over COPY."""

from collections.abc import AsyncIterator, Sequence

from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.ports.source import FIRST, Place
from gpm_cdc.projection.plan import EdgePlan, FieldRow, PlannedTable
from gpm_cdc.source.copy import copy_keyed, copy_referring, count_estimate, with_keys
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.slices import copy_stretch, leaves, stretches

BLOCKS_AT_ONCE = 4_096
"""Blocks (of 8 kB, mostly) after which a place is told: with more, more is copied again after a crash."""


class CopyReader:
    """A SnapshotReader and a RowReader on one session that holds the snapshot."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue

    async def rows(
        self, table: PlannedTable, places: Sequence[int], start: Place = FIRST
    ) -> AsyncIterator[CopiedRows | Place]:
        """As the port says."""
        columns = [table.columns[place] for place in places]
        with translated():
            for number, stretch in stretches(await leaves(self._connection, table.table), BLOCKS_AT_ONCE):
                end = Place(number + 1, 0) if stretch.stop is None else Place(number, stretch.stop)
                if end > start:
                    async for block in copy_stretch(self._connection, stretch, columns, ()):
                        yield block
                    yield end

    def _partitioned(self, table: PlannedTable) -> bool:
        return self._catalogue.tables[table.table].kind == "p"

    async def estimate(self, table: PlannedTable) -> int:
        """As the port says."""
        with translated():
            return await count_estimate(self._connection, table.table)

    async def keyed(
        self, table: PlannedTable, places: Sequence[int], keys: Sequence[tuple[str, ...]]
    ) -> list[FieldRow]:
        """As the port says."""
        with translated():
            return await copy_keyed(
                self._connection, with_keys(self._catalogue, table, keys), [table.columns[place] for place in places]
            )

    async def referring(self, edge: EdgePlan, places: Sequence[int], keys: Sequence[tuple[str, ...]]) -> list[FieldRow]:
        """As the port says."""
        source, target = edge.source, edge.end.target
        pairs = [
            (source.columns[own], target.columns[other])
            for own, other in zip(edge.end.fields, edge.end.target_fields, strict=True)
        ]
        with translated():
            return await copy_referring(
                self._connection,
                (source.table, self._partitioned(source)),
                [source.columns[place] for place in places],
                pairs,
                with_keys(self._catalogue, target, keys),
            )
