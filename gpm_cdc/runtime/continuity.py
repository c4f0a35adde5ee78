"""Whether a stream can go on from where it stands: what `run` refuses, `check` and `status` show."""

from collections.abc import Iterator, Sequence

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import render
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.source import (
    LogBehind,
    MappingChanged,
    PublicationMissing,
    SlotForeign,
    SlotInUse,
    SourceError,
    SystemChanged,
)
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.runtime.mapped import Mapped
from gpm_cdc.source.publication import PublicationState, require_fit
from gpm_cdc.source.slot import SlotState, require_ours, require_serves
from gpm_cdc.source.stream import SystemIdentity
from gpm_cdc.wording import say


def begun(found: Checkpoint | None) -> bool:
    """Whether the stream has its copy and goes on; otherwise `run` begins from the start."""
    return found is not None and found.phase != "snapshot"


def contradictions(found: Checkpoint, mapped: Mapped, system: SystemIdentity) -> Iterator[GpmCdcError]:
    """Everything that `found`, of a stream that has begun, says otherwise than the source and the mapping do."""
    yield from other_source(found, system)
    if found.mapping_hash != mapped.mapping_hash:
        yield MappingChanged(stream=found.stream)


def other_source(found: Checkpoint, system: SystemIdentity) -> Iterator[SourceError]:
    """SystemChanged or LogBehind, if this is not the source, as it was, that the graph was filled from."""
    if found.system_identifier != system.system_identifier:
        yield SystemChanged(recorded=found.system_identifier, found=system.system_identifier)
    elif found.position.lsn > system.flushed:
        yield LogBehind(position=render(found.position.lsn), end=render(system.flushed))


def slot_problem(slot: SlotState | None, name: str, found: Checkpoint | None, runner: str | None) -> SourceError | None:
    """What is wrong with the stream's slot; read the slot before the checkpoint, which then cannot seem to be behind.

    `runner` holds the stream's lock and may use the slot.
    """
    try:
        if found is not None and begun(found):
            require_serves(slot, name, found.position.lsn)
        elif slot is not None:
            require_ours(slot)
            if found is None and runner is None:
                return SlotForeign(slot=slot.name, detail=say("it exists, but the graph has no checkpoint for it"))
            if slot.active_pid is not None:
                raise SlotInUse(slot=slot.name, pid=slot.active_pid)  # noqa: TRY301 - judged below, like the other one
    except SlotInUse as problem:
        return None if runner is not None else problem
    except SourceError as problem:
        return problem
    return None


def publication_problem(
    state: PublicationState | None, name: str, found: Checkpoint | None, tables: Sequence[TableName]
) -> SourceError | None:
    """What is wrong with the stream's publication. A stream that has not begun may do without: `run` makes it."""
    if state is None and found is not None and begun(found):
        return PublicationMissing(publication=name, stream=found.stream)
    if state is None:
        return None
    try:
        require_fit(state, name, tables)
    except SourceError as problem:
        return problem
    return None


def owner_text(found: Checkpoint | None, holder: str | None) -> str:
    """Who runs the stream, for a message: by the checkpoint, and by the Postgres process that holds the lock."""
    owner = say("a process that has not written yet") if found is None or not found.owner else found.owner
    return owner if holder is None else say("{owner} (Postgres process {holder})", owner=owner, holder=holder)
