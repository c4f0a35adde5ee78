"""What a model may say about its graph, through SQLAlchemy's own `info=`.

Each function returns a dictionary for `info=` with the one key `gpm_cdc`, so that it can be put together with what
others keep there: `info={**as_node(label="Person"), "other": 1}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gpm_cdc.mapping.model import Direction

KEY: Final = "gpm_cdc"

type Info = dict[str, object]
type Choice = tuple[str, Mapping[str, str]]
"""A discriminator column, and what each of its values chooses."""


@dataclass(frozen=True, slots=True)
class NodeAnnotation:
    """Of a table: its rows are nodes. None is what the class says by itself."""

    label: str | None = None
    extra_labels: tuple[str, ...] = ()
    labels_from: Choice | None = None
    keep_foreign_keys: bool = True


@dataclass(frozen=True, slots=True)
class RelationshipAnnotation:
    """Of a table: its rows are relationships. `start` and `end` are the columns of foreign keys."""

    type: str | None = None
    type_from: Choice | None = None
    start: tuple[str, ...] | None = None
    end: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Of a table: it is on purpose not in the graph."""


@dataclass(frozen=True, slots=True)
class ReferenceAnnotation:
    """Of a foreign key."""

    type: str | None = None
    direction: Direction = "out"
    enforced: bool | None = None


@dataclass(frozen=True, slots=True)
class PropertyAnnotation:
    """Of a column."""

    name: str | None = None
    type: str | None = None
    hidden: bool = False


def as_node(
    label: str | None = None,
    *,
    extra_labels: tuple[str, ...] = (),
    labels_from: Choice | None = None,
    keep_foreign_keys: bool = True,
) -> Info:
    """For a table: one node per row, also where the table would be taken for relationships.

    The label is the class's name unless `label` says another. `labels_from` is a discriminator column with the label of
    each value; single-table inheritance says it by itself.
    """
    return {KEY: NodeAnnotation(label, tuple(extra_labels), labels_from, keep_foreign_keys)}


def as_relationship(
    type: str | None = None,  # noqa: A002 - what the mapping calls it
    *,
    type_from: Choice | None = None,
    start: str | tuple[str, ...] | None = None,
    end: str | tuple[str, ...] | None = None,
) -> Info:
    """For a table with foreign keys to both ends: one relationship per row.

    `start` and `end` name the columns of the foreign keys; without them those of the primary key serve, in its order.
    """
    return {KEY: RelationshipAnnotation(type, type_from, _columns(start), _columns(end))}


def ignored() -> Info:
    """For a table that is on purpose not in the graph."""
    return {KEY: Ignored()}


def reference(
    type: str | None = None,  # noqa: A002 - what the mapping calls it
    *,
    direction: Direction = "out",
    enforced: bool | None = None,
) -> Info:
    """For `ForeignKey(info=...)` or `ForeignKeyConstraint(info=...)`: the relationship's type and direction.

    `direction="in"` points from the referenced node to the row's. `enforced=False` says that the referenced row may be
    missing.
    """
    return {KEY: ReferenceAnnotation(type, direction, enforced)}


def as_property(
    name: str | None = None,
    *,
    type: str | None = None,  # noqa: A002 - what the mapping calls it
) -> Info:
    """For a column: the property's name and type (`string`, `integer`, `float`, `boolean`)."""
    return {KEY: PropertyAnnotation(name, type)}


def hidden() -> Info:
    """For a column that does not become a property."""
    return {KEY: PropertyAnnotation(hidden=True)}


def _columns(names: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else names
