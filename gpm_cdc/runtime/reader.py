"""The snapshot reader over COPY."""

from collections.abc import AsyncIterator, Sequence

from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.projection.plan import FieldRow, PlannedTable
from gpm_cdc.source.copy import copy_rows, count_estimate
from gpm_cdc.source.session import Connection, translated


class CopyReader:
    """A SnapshotReader on one session that holds the snapshot."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue

    async def rows(self, table: PlannedTable, places: Sequence[int]) -> AsyncIterator[list[FieldRow]]:
        """As the port says."""
        columns = [table.columns[place] for place in places]
        partitioned = self._catalogue.tables[table.table].kind == "p"
        with translated():
            async for block in copy_rows(self._connection, table.table, columns, partitioned=partitioned):
                yield block

    async def estimate(self, table: PlannedTable) -> int:
        """As the port says."""
        with translated():
            return await count_estimate(self._connection, table.table)
