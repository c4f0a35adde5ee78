"""SQLAlchemy models as the mapping: what annotations on declarative models mean as a graph."""

from gpm_cdc.orm.annotations import as_node, as_property, as_relationship, hidden, ignored, reference
from gpm_cdc.orm.loading import load
from gpm_cdc.orm.mapping import ModelMapping, mapping

__all__ = [
    "ModelMapping",
    "as_node",
    "as_property",
    "as_relationship",
    "hidden",
    "ignored",
    "load",
    "mapping",
    "reference",
]
