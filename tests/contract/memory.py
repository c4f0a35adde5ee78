"""A GraphWriter that keeps what it was given, for tests of those who use one. It passes the real one's suite."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from gpm_cdc.cypher.journal import Note
from gpm_cdc.cypher.statement import Record, Statement, Statements
from gpm_cdc.domain.lsn import ZERO, render
from gpm_cdc.errors.stream import CheckpointMoved, StreamTakenOver
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.projection.plan import GraphPlan


class MemoryWriter:
    """Batches as lists of statements. With `gate` cleared, writes wait before they begin."""

    def __init__(self) -> None:
        self.checkpoints: dict[str, Checkpoint] = {}
        self.written: list[list[Statement]] = []
        self.notes: list[Note] = []
        self.plans: list[GraphPlan] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def checkpoint(self, stream: str, *, locked: bool = False) -> Checkpoint | None:
        """As the port says; nothing is ever locked here."""
        del locked
        return self.checkpoints.get(stream)

    async def take_over(self, stream: str, owner: str) -> Checkpoint:
        """As the port says."""
        found = self.checkpoints.get(stream) or Checkpoint(stream, Position(ZERO), 0, "snapshot", "", 0, "", "")
        self.checkpoints[stream] = taken = replace(found, epoch=found.epoch + 1, owner=owner)
        return taken

    async def write(
        self, steps: Callable[[], Statements], before: Checkpoint, after: Checkpoint, notes: Sequence[Note] = ()
    ) -> None:
        """As the port says."""
        await self.gate.wait()
        found = self.checkpoints.get(before.stream)
        if found is None or found.epoch != before.epoch:
            raise StreamTakenOver(stream=before.stream, owner="?" if found is None else found.owner)
        if replace(found, owner=after.owner) == after:
            return
        if found.position != before.position:
            raise CheckpointMoved(
                stream=before.stream, found=render(found.position.lsn), expected=render(before.position.lsn)
            )
        statements: list[Statement] = []
        running = steps()
        records: list[Record] | None = None
        while True:
            try:
                statements.append(next(running) if records is None else running.send(records))
            except StopIteration:
                break
            records = []
        self.written.append(statements)
        self.notes += notes
        self.checkpoints[before.stream] = replace(after, epoch=found.epoch, owner=found.owner)

    async def prepare(self, plan: GraphPlan, retired: Collection[str] = ()) -> None:
        """As the port says; there is nothing to drop here."""
        del retired
        self.plans.append(plan)
