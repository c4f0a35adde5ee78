"""The mapping of a run: from the configuration file, held against the catalogue, planned."""

from dataclasses import dataclass
from pathlib import Path

from gpm_cdc.config.loading import CONFIG_FILE
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.errors.mapping import MappingMissing
from gpm_cdc.mapping.fingerprint import mapping_hash
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.text import parse
from gpm_cdc.mapping.validation import require_valid
from gpm_cdc.projection.plan import GraphPlan, plan
from gpm_cdc.source.catalogue import read_catalogue
from gpm_cdc.source.session import Connection


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping that fits its database."""

    mapping: GraphMapping
    catalogue: Catalogue
    plan: GraphPlan
    mapping_hash: str


def read_mapping(settings: Settings) -> GraphMapping:
    """The mapping in the configuration file; MappingMissing, or what `mapping.text.parse` raises."""
    if settings.config is None:
        raise MappingMissing(path=CONFIG_FILE)
    mapping = parse(Path(settings.config).read_text(encoding="utf-8"), where=str(settings.config))
    if not mapping.nodes:
        raise MappingMissing(path=settings.config)
    return mapping


async def mapped_catalogue(connection: Connection, mapping: GraphMapping) -> Catalogue:
    """The tables of schema public and every table that the mapping names."""
    return await read_catalogue(connection, tables=tuple(mapping.tables()))


async def bind(connection: Connection, mapping: GraphMapping) -> Mapped:
    """Join `mapping` with the database behind `connection`; MappingInvalid lists everything that does not fit."""
    catalogue = await mapped_catalogue(connection, mapping)
    require_valid(mapping, catalogue)
    return Mapped(mapping, catalogue, plan(mapping, catalogue), mapping_hash(mapping))
