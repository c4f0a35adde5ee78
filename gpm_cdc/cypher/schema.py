"""Constraints and indexes that the statements rely on: without them every look-up is a scan."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gpm_cdc.cypher.journal import PAGE_LABEL
from gpm_cdc.cypher.quoting import quote
from gpm_cdc.projection.plan import GraphPlan

CHECKPOINT_LABEL = "GpmCdcCheckpoint"

PREFIX = "gpm_cdc_"
"""How the names of our constraints and indexes begin."""

CONSTRAINTS = (
    "SHOW CONSTRAINTS YIELD name, labelsOrTypes"
    " WHERE name STARTS WITH $prefix AND labelsOrTypes[0] IN $names RETURN name"
)
INDEXES = (
    "SHOW INDEXES YIELD name, labelsOrTypes, owningConstraint"
    " WHERE name STARTS WITH $prefix AND labelsOrTypes[0] IN $names AND owningConstraint IS NULL RETURN name"
)
"""The names of ours on the labels and types `names`."""


class Structure(NamedTuple):
    """A constraint or an index: its name, and the idempotent statement that makes it."""

    name: str
    text: str


def _name(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
    return f"{PREFIX}{kind}_{digest}"


def schema(plan: GraphPlan) -> Iterator[Structure]:
    """Everything that the statements of `plan` rely on."""
    checkpoint = f"{PREFIX}checkpoint"
    yield Structure(
        checkpoint,
        f"CREATE CONSTRAINT {checkpoint} IF NOT EXISTS FOR (s:{CHECKPOINT_LABEL}) REQUIRE s.stream IS UNIQUE",
    )
    pages = f"{PREFIX}touched"
    on = _properties("page", ("stream", "schema", "table", "state"))
    yield Structure(pages, f"CREATE INDEX {pages} IF NOT EXISTS FOR (page:{PAGE_LABEL}) ON ({on})")
    for node in plan.nodes:
        key = _properties("n", node.key_names)
        name = _name("key", node.label, *node.key_names)
        label = quote(node.label)
        yield Structure(name, f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE ({key}) IS UNIQUE")
    for label, names in dict.fromkeys((*_referenced(plan), *_loose(plan))):
        name = _name("ref", label, *names)
        on = _properties("n", names)
        yield Structure(name, f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{quote(label)}) ON ({on})")
    for table in plan.relationships:
        if table.by_ends:
            continue
        for kind in table.types:
            name = _name("rel", kind, *table.key_names)
            key = _properties("e", table.key_names)
            yield Structure(name, f"CREATE INDEX {name} IF NOT EXISTS FOR ()-[e:{quote(kind)}]-() ON ({key})")


def structured_names(plan: GraphPlan) -> set[str]:
    """The labels and types that constraints and indexes may be on."""
    return {node.label for node in plan.nodes} | {kind for table in plan.relationships for kind in table.types}


def _properties(variable: str, names: Iterable[str]) -> str:
    return ", ".join(f"{variable}.{quote(name)}" for name in names)


def _referenced(plan: GraphPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Properties other than keys by which the end of a relationship is found."""
    ends = [edge.end for node in plan.nodes for edge in node.edges]
    ends += [end for table in plan.relationships for end in (table.start, table.end)]
    for end in ends:
        if not end.by_key:
            yield end.target.label, end.names


def _loose(plan: GraphPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Foreign keys whose rows are looked up when their target appears."""
    for node in plan.nodes:
        for edge in node.edges:
            if not edge.enforced:
                yield node.label, tuple(node.fields[index].property_name for index in edge.end.fields)
