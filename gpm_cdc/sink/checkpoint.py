"""The checkpoint as a node: which property is which field."""

from collections.abc import Mapping
from typing import Any

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.ports.graph import Checkpoint, Position


def to_node(checkpoint: Checkpoint) -> dict[str, Any]:
    """The properties that a batch may move: everything but the stream, the epoch and its owner."""
    return {
        "lsn": checkpoint.position.lsn,
        "ordinal": checkpoint.position.ordinal,
        "phase": checkpoint.phase,
        "system_identifier": checkpoint.system_identifier,
        "timeline": checkpoint.timeline,
        "mapping_hash": checkpoint.mapping_hash,
        "tables": checkpoint.tables,
        "rereading": checkpoint.rereading,
        "copied": checkpoint.copied,
        "filled": checkpoint.filled,
    }


def moved(before: Checkpoint, after: Checkpoint) -> dict[str, Any]:
    """The properties that differ: most batches move a few, and one can be as long as there are tables."""
    known = to_node(before)
    return {name: value for name, value in to_node(after).items() if value != known[name]}


def from_node(properties: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that a node with these properties stands for."""
    return Checkpoint(
        stream=properties["stream"],
        position=Position(Lsn(properties["lsn"]), properties["ordinal"]),
        epoch=properties["epoch"],
        phase=properties["phase"],
        system_identifier=properties["system_identifier"],
        timeline=properties["timeline"],
        mapping_hash=properties["mapping_hash"],
        owner=properties.get("owner", ""),
        tables=properties.get("tables", ""),
        rereading=properties.get("rereading", ""),
        copied=properties.get("copied", ""),
        filled=Lsn(properties.get("filled", 0)),
    )
