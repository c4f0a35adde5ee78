"""Watching the tables: what they are now against what the graph was made of."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.source import PublicationMissing
from gpm_cdc.mapping.fingerprint import entry_hashes
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.ports.tables import Grown, Moves, Refiled
from gpm_cdc.replication import records
from gpm_cdc.replication.records import Records, TableRecord
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.source.publication import PublicationState, identity, read_publication, require_fit
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.tables import TableFacts, Watched, glance, look


@dataclass(frozen=True, slots=True)
class Present:
    """Mapped tables at one moment."""

    mapped: Mapped
    facts: Mapping[TableName, TableFacts]
    publication: PublicationState
    watched: Watched

    @property
    def records(self) -> dict[TableName, TableRecord]:
        """What a graph that is made of the tables now is made of."""
        entries = entry_hashes(self.mapped.mapping)
        return {
            table: TableRecord(
                entry=entries[table],
                oid=planned.oid,
                shape=planned.shape,
                tree=self.facts[table].tree,
                files=self.facts[table].files,
                enums=self.facts[table].enums,
                composites=self.facts[table].composites,
                published=identity(self.publication, table),
                owned=records.owned(planned),
            )
            for table, planned in self.mapped.plan.tables.items()
            if table in self.facts
        }


async def present(connection: Connection, mapping: GraphMapping, publication: str) -> Present:
    """The mapped tables as they are; MappingInvalid, PublicationMissing or PublicationUnfit if they do not fit."""
    mapped = await bind(connection, mapping)
    tables = tuple(mapped.plan.tables)
    with translated():
        state = await read_publication(connection, publication)
        if state is None:
            raise PublicationMissing(publication=publication, stream=publication)
        require_fit(state, publication, tables)
        facts, watched = await look(connection, mapped.catalogue, tables, publication)
    return Present(mapped, facts, state, watched)


class CatalogueWatch:
    """A TableWatch over one connection; `kept` is what the graph was made of."""

    def __init__(self, connection: Connection, mapping: GraphMapping, publication: str, kept: Records) -> None:
        self._connection = connection
        self._mapping = mapping
        self._publication = publication
        self._kept = dict(kept)
        self._now: Mapping[TableName, TableRecord] = {}
        self._watched: Watched | None = None
        self._mark = ""
        self._moves = Moves()
        self._looking = asyncio.Lock()

    async def look(self) -> Moves:
        """As the port says."""
        async with self._looking:
            return await self._looked()

    async def _looked(self) -> Moves:
        if self._watched is not None:
            with translated():
                seen = await glance(self._connection, self._watched)
            if seen.mark == self._mark:
                return self._moves
        watched = (await self._present()).watched
        # What changes after this shows in the next mark; what changed before it, in the facts that are read after it.
        with translated():
            self._mark = (await glance(self._connection, watched)).mark
        found = await self._present()
        # Only a position of after the facts is after every change that they show.
        with translated():
            end = (await glance(self._connection, found.watched)).end
        self._watched = found.watched
        self._moves = self._compared(found, end)
        return self._moves

    async def _present(self) -> Present:
        return await present(self._connection, self._mapping, self._publication)

    def _compared(self, found: Present, end: Lsn) -> Moves:
        now = self._now = found.records
        moved: set[TableName] = set()
        refiled: dict[TableName, Refiled] = {}
        grown: dict[TableName, Grown] = {}
        for table in records.moved(self._kept, now):
            known, later = self._kept.get(table), now.get(table)
            if known is not None and later is not None and known.differs_in_files_alone(later):
                before = self._moves.refiled.get(table)
                first = end if before is None else max(before.end, end)
                refiled[table] = Refiled(later.oid, found.facts[table].filed_by, first)
            else:
                moved.add(table)
        for table, record in self._kept.items():
            if table not in moved and not now[table].enums.items() <= record.enums.items():
                labels = _labels(found, table, now[table].enums.keys() - record.enums.keys())
                if labels is None:
                    moved.add(table)
                else:
                    grown[table] = Grown(labels, end)
        return Moves(frozenset(moved), refiled, grown)

    def accept(self, table: TableName) -> str:
        """As the port says."""
        moves = self._moves
        if table in moves.grown:
            grown = {name: each for name, each in moves.grown.items() if name != table}
            self._kept[table] = replace(self._kept[table], enums=self._now[table].enums)
            self._moves = replace(moves, grown=grown)
        else:
            refiled = {name: each for name, each in moves.refiled.items() if name != table}
            self._kept[table] = replace(self._kept[table], files=self._now[table].files)
            self._moves = replace(moves, refiled=refiled)
        return records.write(self._kept)


def _labels(found: Present, table: TableName, new: set[str]) -> Mapping[str, frozenset[str]] | None:
    """What the columns may hold whose enums have got the labels with the oids `new`.

    None if a column holds such an enum inside of another value.
    """
    facts = found.facts[table]
    names = {facts.enums[oid] for oid in new}
    grown = {kind for kind, labels in facts.labels.items() if not names.isdisjoint(labels)}
    columns: dict[str, frozenset[str]] = {}
    for column in found.mapped.catalogue.tables[table].columns:
        kind = column.type.resolved
        if kind.element is not None and kind.element.resolved.oid in grown:
            return None
        if kind.oid in grown:
            columns[column.name] = facts.labels[kind.oid]
    return columns
