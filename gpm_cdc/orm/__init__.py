"""For applications with SQLAlchemy: models as the mapping, and the position of a commit.

Annotations on declarative models say what they mean as a graph; `commit_lsn` lets a session wait for its own write.
"""

from gpm_cdc.orm.annotations import as_node, as_property, as_relationship, hidden, ignored, reference
from gpm_cdc.orm.commits import commit_lsn, track_commits
from gpm_cdc.orm.loading import load
from gpm_cdc.orm.mapping import ModelMapping, mapping

__all__ = [
    "ModelMapping",
    "as_node",
    "as_property",
    "as_relationship",
    "commit_lsn",
    "hidden",
    "ignored",
    "load",
    "mapping",
    "reference",
    "track_commits",
]
