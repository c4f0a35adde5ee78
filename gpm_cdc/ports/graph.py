"""The graph side: a writer with a fence, and the checkpoint that moves with the data."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, Self

from gpm_cdc.cypher.journal import Note
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.domain.lsn import ZERO, Lsn
from gpm_cdc.projection.plan import GraphPlan

type Phase = Literal["snapshot", "chunked", "rereading", "streaming"]
"""Only `streaming` promises that the graph is the state after some Postgres commit.

`rereading`: some tables changed in a way that the stream does not tell, and are read again.
"""


class Position(NamedTuple):
    """How far the graph has come: everything before `lsn`, and the first `ordinal` steps after it.

    Steps are the batches of a copy or the pieces of a transaction's deletes. Positions are ordered.
    """

    lsn: Lsn
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint node, a public contract. `owner` names the process that took the stream over last.

    `tables` is what the graph was made of, as `replication.records` writes it; `rereading` what has to be read again,
    as `replication.rereading` writes it, and `copied` how far that is, as `replication.progress` writes it; both are
    empty in phase `streaming`. `filled` is the position of the copy that the
    graph began with: another one is another graph. 0 in a checkpoint that an earlier version made.
    """

    stream: str
    position: Position
    epoch: int
    phase: Phase
    system_identifier: str
    timeline: int
    mapping_hash: str
    owner: str
    tables: str = ""
    rereading: str = ""
    copied: str = ""
    filled: Lsn = ZERO

    def stepped(self) -> Self:
        """The same, one step further within its position."""
        lsn, ordinal = self.position
        return replace(self, position=Position(lsn, ordinal + 1))


class GraphWriter(Protocol):
    """Writes batches, each in one transaction together with the checkpoint. One writer per stream at a time."""

    async def checkpoint(self, stream: str, *, locked: bool = False) -> Checkpoint | None:
        """The checkpoint of `stream`, None if there is none.

        `locked` waits for a transaction that holds it: only then is the answer final after a lost commit answer.
        """

    async def take_over(self, stream: str, owner: str) -> Checkpoint:
        """Become the owner: raise the epoch, so that every earlier owner is refused from now on.

        Creates the checkpoint in phase `snapshot` at position 0/0 for a stream without one. Waits for an open
        transaction of the previous owner as long as that may last.
        """

    async def write(
        self, steps: Callable[[], Statements], before: Checkpoint, after: Checkpoint, notes: Sequence[Note] = ()
    ) -> None:
        """Run the statements and move the checkpoint from `before` to `after`, all or nothing, exactly once.

        `notes` go into the journal with that, which costs less than a statement of its own.

        Returns when that is committed for certain. `steps` is called anew for each attempt. Passing trouble
        (connections, deadlocks, a lost commit answer) is settled and retried inside, until the caller cancels.
        Raises, with nothing of this batch in the graph, StreamTakenOver when another owner has raised the epoch, and
        GraphKeyTaken when a node was to be created whose key another one bears.
        """

    async def prepare(self, plan: GraphPlan, retired: Collection[str] = ()) -> None:
        """Make the constraints and indexes that the plan needs, and wait until they are online.

        Others of ours on the labels and types of the plan, and on the `retired` ones, are dropped.
        """
