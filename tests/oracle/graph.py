"""A graph as plain values: what should be there, and what is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.oracle.value import Properties


@dataclass(frozen=True, slots=True)
class Node:
    """A node; `handle` tells it apart inside its own graph only. `key_label` is known of expected nodes alone."""

    handle: str
    labels: frozenset[str]
    properties: Properties
    key_label: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A relationship between the nodes with the handles `start` and `end`."""

    start: str
    type: str
    end: str
    properties: Properties


@dataclass(frozen=True, slots=True)
class Claim:
    """What a mapping names: anything else in a graph belongs to somebody else.

    `keys` has the key properties of each key label, `labels` every label that it may give, `node_properties` the
    properties by key label, `relationship_properties` those of each (type, start's key label, end's key label).
    """

    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    node_properties: Mapping[str, frozenset[str]] = field(default_factory=dict)
    relationship_properties: Mapping[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes, relationships (a multiset) and, of a graph that a mapping describes, what that mapping claims."""

    nodes: tuple[Node, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    claim: Claim = field(default_factory=Claim)
