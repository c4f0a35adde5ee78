"""The snapshot reader over COPY."""

from collections.abc import AsyncIterator, Sequence

from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.projection.plan import EdgePlan, FieldRow, PlannedTable
from gpm_cdc.source.copy import KeyColumn, Keyed, copy_keyed, copy_referring, copy_rows, count_estimate
from gpm_cdc.source.session import Connection, translated


class CopyReader:
    """A SnapshotReader and a RowReader on one session that holds the snapshot."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue

    async def rows(self, table: PlannedTable, places: Sequence[int]) -> AsyncIterator[CopiedRows]:
        """As the port says."""
        columns = [table.columns[place] for place in places]
        partitioned = self._partitioned(table)
        with translated():
            async for block in copy_rows(self._connection, table.table, columns, partitioned=partitioned):
                yield block

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
                self._connection, self._keyed(table, keys), [table.columns[place] for place in places]
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
                self._keyed(target, keys),
            )

    def _keyed(self, table: PlannedTable, keys: Sequence[tuple[str, ...]]) -> Keyed:
        types = {column.name: column.type for column in self._catalogue.tables[table.table].columns}
        named = [KeyColumn(name, (types[name].schema, types[name].name)) for name in table.columns[: table.key_size]]
        return Keyed(table.table, self._partitioned(table), named, keys)
