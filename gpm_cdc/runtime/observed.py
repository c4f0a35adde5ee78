"""Both sides of a comparison from where it stands: what must stay as it was while they are read."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import ZERO, Lsn, render
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.errors.source import MappingChanged, PublicationMissing, SystemChanged
from gpm_cdc.errors.verify import GraphBehind, PassDisturbed
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import VerifyObserver
from gpm_cdc.replication.records import moved, read as read_records
from gpm_cdc.runtime.mapped import Mapped
from gpm_cdc.runtime.reference import Reference, altered, open_walsender, shapes_of
from gpm_cdc.runtime.watching import present
from gpm_cdc.sink.reader import Neo4jReader
from gpm_cdc.source.fingerprint import changed
from gpm_cdc.source.publication import read_publication, require_fit
from gpm_cdc.source.session import Connection, translated
from gpm_cdc.source.system import end_of_log
from gpm_cdc.source.unapplied import is_running, nothing_between
from gpm_cdc.wording import say

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
"""How often it is looked whether a stream that nobody runs has anything to deliver: that reads the log."""


@dataclass(slots=True)
class Observed:
    """Both sides and what must stay as it was while they are compared."""

    settings: Settings
    mapped: Mapped
    postgres: Connection
    reader: Neo4jReader
    system_identifier: str = ""
    reached: Lsn = ZERO
    filled: Lsn | None = None
    """The copy that filled the graph, once it is complete."""

    async def require_beginning(self) -> Checkpoint:
        """Refuse what no comparison could answer. The checkpoint as it is now, which may be that of a copy."""
        async with open_walsender(self.settings) as stream:
            self.system_identifier = (await stream.identify()).system_identifier
        await self.require_publication()
        return self._require_same(await self.reader.checkpoint(locked=False))

    async def lag(self) -> int:
        """Bytes of log that the graph does not include."""
        with translated():
            end = await end_of_log(self.postgres)
        found = await self.reader.checkpoint(locked=False)
        return 0 if found is None else max(0, end - found.position.lsn)

    def _require_same(self, found: Checkpoint | None) -> Checkpoint:
        if found is None:
            raise StreamUnknown(stream=self.settings.stream)
        if found.phase == "snapshot":
            # Its hashes may be those of a stream that was never finished.
            return found
        if found.system_identifier != self.system_identifier:
            raise SystemChanged(recorded=found.system_identifier, found=self.system_identifier)
        if found.mapping_hash != self.mapped.mapping_hash:
            raise MappingChanged(stream=found.stream)
        return found

    def continuous(self, found: Checkpoint | None) -> Checkpoint:
        """The checkpoint, if the graph is still that of the same stream and has not gone back."""
        checkpoint = self._require_same(found)
        if not _consistent(checkpoint):
            raise PassDisturbed(detail=say("the graph is being filled anew"))
        if checkpoint.position.lsn < self.reached:
            raise PassDisturbed(
                detail=say(
                    "the graph went back from {before} to {now}",
                    before=render(self.reached),
                    now=render(checkpoint.position.lsn),
                )
            )
        if self.filled not in (None, checkpoint.filled):
            raise PassDisturbed(detail=say("the graph was filled anew"))
        self.reached, self.filled = checkpoint.position.lsn, checkpoint.filled
        return checkpoint

    async def require_publication(self) -> None:
        """PublicationMissing or PublicationUnfit unless every mapped table is published whole."""
        name = self.settings.publication_name
        with translated():
            state = await read_publication(self.postgres, name)
        if state is None:
            raise PublicationMissing(publication=name, stream=self.settings.stream)
        require_fit(state, name, tuple(self.mapped.plan.tables))

    async def require_unmoved(self, reference: Reference, tables: Collection[TableName]) -> None:
        """PassDisturbed if something changed that neither the snapshot nor the stream would tell of `tables`."""
        await self.require_publication()
        now = await shapes_of(self.settings, self.mapped, self.postgres, tables)
        moved_meanwhile = changed(reference.shapes, now, tables)
        if moved_meanwhile:
            raise altered(moved_meanwhile)
        self.continuous(await self.reader.checkpoint(locked=True))

    async def reach(self, position: Lsn, patience: float, observer: VerifyObserver) -> None:
        """Return when everything before `position` is in the graph; GraphBehind after `patience` seconds.

        A checkpoint that nobody moves any more is as good if the log has nothing for the stream up to `position`.
        """
        deadline = time.monotonic() + patience
        looked = -_LOOK_SECONDS
        while True:
            found = self._require_same(await self.reader.checkpoint(locked=False))
            if _consistent(found):
                now = time.monotonic()
                quiet = found.position.lsn < position and now - looked >= _LOOK_SECONDS
                if quiet:
                    looked = now
                    quiet = await self._nothing_left(found, position)
                if quiet or found.position.lsn >= position:
                    self.continuous(await self.reader.checkpoint(locked=True))
                    return
            if time.monotonic() >= deadline:
                raise await self._behind(found, position, patience)
            observer.waiting(position)
            await asyncio.sleep(_POLL_SECONDS)

    async def _nothing_left(self, found: Checkpoint, upto: Lsn) -> bool:
        """Whether the stream has nothing to do up to `upto`: neither changes to apply nor tables to read again."""
        settings, after = self.settings, found.position.lsn
        now = await present(self.postgres, self.mapped.mapping, settings.publication_name)
        if any(moved(read_records(found.tables), now.records)):
            return False
        with translated():
            return await nothing_between(
                self.postgres, settings.stream, settings.slot_name, settings.publication_name, after=after, upto=upto
            )

    async def _behind(self, found: Checkpoint, position: Lsn, patience: float) -> GraphBehind:
        with translated():
            running = await is_running(self.postgres, self.settings.stream)
        if found.phase == "snapshot":
            detail = say("the first copy of the tables is not complete")
        elif running:
            detail = say("the stream is running but has not caught up")
        else:
            detail = say("nobody runs the stream")
        return GraphBehind(
            seconds=f"{patience:g}", position=render(found.position.lsn), target=render(position), detail=detail
        )


def _consistent(checkpoint: Checkpoint) -> bool:
    return checkpoint.phase == "streaming" and checkpoint.position.ordinal == 0
