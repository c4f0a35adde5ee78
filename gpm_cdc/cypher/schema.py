"""Constraints and indexes that the statements rely on: without them every look-up is a scan."""

import hashlib
from collections.abc import Iterable, Iterator

from gpm_cdc.cypher.quoting import quote
from gpm_cdc.cypher.relationships import key_names
from gpm_cdc.projection.plan import GraphPlan

CHECKPOINT_LABEL = "GpmCdcCheckpoint"


def _name(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
    return f"gpm_cdc_{kind}_{digest}"


def schema(plan: GraphPlan) -> Iterator[str]:
    """One idempotent statement per constraint or index."""
    yield f"CREATE CONSTRAINT gpm_cdc_checkpoint IF NOT EXISTS FOR (s:{CHECKPOINT_LABEL}) REQUIRE s.stream IS UNIQUE"
    for node in plan.nodes:
        key = _properties("n", node.key_names)
        name = _name("key", node.label, *node.key_names)
        yield f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{quote(node.label)}) REQUIRE ({key}) IS UNIQUE"
    for label, names in dict.fromkeys((*_referenced(plan), *_loose(plan))):
        name = _name("ref", label, *names)
        yield f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{quote(label)}) ON ({_properties('n', names)})"
    for table in plan.relationships:
        if table.by_ends:
            continue
        for kind in table.types:
            name = _name("rel", kind, *key_names(table))
            key = _properties("e", key_names(table))
            yield f"CREATE INDEX {name} IF NOT EXISTS FOR ()-[e:{quote(kind)}]-() ON ({key})"


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
                yield node.label, tuple(node.fields[index].name or "" for index in edge.end.fields)
