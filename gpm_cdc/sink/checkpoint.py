"""The checkpoint as a node: which property is which field."""

from collections.abc import Mapping
from typing import Any

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.ports.graph import Checkpoint, Position


def to_node(checkpoint: Checkpoint) -> dict[str, Any]:
    """The properties that a batch moves: everything but the stream, the epoch and its owner."""
    return {
        "lsn": checkpoint.position.lsn,
        "ordinal": checkpoint.position.ordinal,
        "phase": checkpoint.phase,
        "system_identifier": checkpoint.system_identifier,
        "timeline": checkpoint.timeline,
        "mapping_hash": checkpoint.mapping_hash,
        "schema_hash": checkpoint.schema_hash,
        "publication": checkpoint.publication,
    }


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
        schema_hash=properties["schema_hash"],
        owner=properties.get("owner", ""),
        publication=properties.get("publication", ""),
    )
