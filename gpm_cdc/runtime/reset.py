"""`reset`: the end of a stream."""

import os
import socket
from dataclasses import dataclass
from typing import Final, Literal

from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.source import StreamOwned
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.continuity import owner_text
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.sink.removal import remove_checkpoint, remove_elements, remove_schema
from gpm_cdc.source.publication import drop_publication, read_publication
from gpm_cdc.source.session import Connection, connect, query
from gpm_cdc.source.slot import drop_slot, released_slot, require_ours
from gpm_cdc.source.system import lock_holder, try_lock

RELEASE_SECONDS: Final = 2.0
"""How long a slot may still be in use by a walsender that is ending, as after a `run` that has just been stopped."""

type PublicationEnd = Literal["dropped", "absent", "foreign"]
"""`foreign`: it belongs to another role, which alone may drop it, and stays."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What was there and is gone.

    `nodes`, `relationships` and `constraints` (indexes included) are 0 where the graph
    stays; relationships that went together with a node are not counted.
    """

    slot: bool
    publication: PublicationEnd
    checkpoint: bool
    nodes: int
    relationships: int
    constraints: int


async def reset(settings: Settings, owned: GraphMapping | None = None) -> Ended:
    """End the stream of `settings`: drop its slot and its publication, and delete its checkpoint.

    With `owned` everything that this mapping owns in the graph goes, too, with our constraints and indexes on it. What
    is gone already is no error, and a reset that was interrupted can be repeated. Raises StreamOwned while another
    process runs the stream, SlotForeign or SlotInUse where the slot is not the stream's own; nothing has changed then.
    """
    name = settings.stream
    async with (
        connect(settings.conninfo, lock_timeout=f"{int(settings.lock_timeout * 1000)}") as postgres,
        open_graph(settings) as writer,
    ):
        found = await writer.checkpoint(name)
        if not await try_lock(postgres, name):
            raise StreamOwned(stream=name, owner=owner_text(found, await lock_holder(postgres, name)))
        slot = await released_slot(postgres, settings.slot_name, RELEASE_SECONDS)
        if slot is not None:
            require_ours(slot)
        await drop_slot(postgres, settings.slot_name)
        publication = await _end_publication(postgres, settings.publication_name)
        if found is not None:
            # A former owner that was paused in the middle of a batch must not write after this.
            await writer.take_over(name, f"{socket.gethostname()}:{os.getpid()}")
        nodes = relationships = constraints = 0
        if owned is not None:
            nodes, relationships = await remove_elements(writer, owned)
            constraints = await remove_schema(writer, owned)
        # Last, so that `run` refuses the stream rather than begin anew in the middle of this.
        await remove_checkpoint(writer, name)
    return Ended(slot is not None, publication, found is not None, nodes, relationships, constraints)


async def _end_publication(postgres: Connection, name: str) -> PublicationEnd:
    if await read_publication(postgres, name) is None:
        return "absent"
    owned = await query(
        postgres, "SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = %s", [name]
    )
    if not owned or not owned[0][0]:
        return "foreign"
    await drop_publication(postgres, name)
    return "dropped"
