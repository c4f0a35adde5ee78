"""What has to go and what has to be copied, so that some tables' part of the graph is made anew."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial

from gpm_cdc.cypher import loading, retiring
from gpm_cdc.cypher.edges import path_pattern
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.ports.source import FIRST
from gpm_cdc.projection.plan import GraphPlan, NodePlan
from gpm_cdc.replication.progress import Progress, course
from gpm_cdc.replication.records import Owned, Path, Records, owned
from gpm_cdc.replication.snapshot import CopyScope, Removal


def replacement(plan: GraphPlan, tables: Collection[TableName], before: Records) -> CopyScope:
    """The copy of `tables`, which `records.spread` gave, over what `before` says the graph holds of them.

    Nodes whose label and key stay are kept, with the relationships that the mapping does not own. Tables that are not
    in `plan` any more leave nothing behind.
    """
    nodes = tuple(node for node in plan.nodes if node.table in tables)
    edges = tuple(
        edge for node in plan.nodes for edge in node.edges if {node.table, edge.end.target.table} & set(tables)
    )
    relationships = tuple(each for each in plan.relationships if each.table in tables)
    former = [before[table].owned for table in tables if table in before]
    now = {table: owned(planned) for table, planned in plan.tables.items()}
    paths = [path for made in former for path in made.paths]
    paths += [path for table in tables if table in now for path in now[table].paths]
    paths += [path for made in now.values() for path in made.paths if _touches(path, nodes)]
    removals: list[Removal] = [partial(loading.delete_some, path_pattern(*path)) for path in dict.fromkeys(paths)]
    borne = {made.label for made in now.values()}
    for table in tables:
        if table in before:
            removals += _retirements(before[table].owned, now.get(table), borne)
    names = {name for made in former for path in made.paths for name in path.types}
    names |= {made.label for made in former if made.label is not None}
    return CopyScope(nodes, edges, relationships, tuple(removals), frozenset(names))


def course_of(scope: CopyScope, made_of: Records) -> str:
    """The digest of a copy of `scope`, of tables that are as `made_of` says."""
    sources = [edge.source for edge in scope.edges]
    return course((*scope.nodes, *sources, *scope.relationships), made_of)


def remainder(scope: CopyScope, begun: Progress) -> tuple[CopyScope, Progress]:
    """What a copy of `scope` that was cut off has still to take away, and from where it goes on.

    Relationships of relationship tables hang on nodes which may have been made anew, or stand for another row now:
    where any node changed, all of them are made again. Before their turn only those are there that were made right.
    """
    first = len(scope.nodes) + len(scope.edges)
    ends = {end.target.table for each in scope.relationships for end in (each.start, each.end)}
    renewed = begun.reading >= first and not ends.isdisjoint(table for table, keys in begun.changed.items() if keys)
    removals: list[Removal] = []
    if renewed or (begun.reading, begun.place) <= (first, FIRST):
        if renewed:
            begun = Progress(begun.course, first)
        paths = dict.fromkeys(path for each in scope.relationships for path in owned(each).paths)
        removals = [partial(loading.delete_some, path_pattern(*path)) for path in paths]
    return replace(scope, removals=tuple(removals)), replace(begun, changed={})


def _touches(path: Path, nodes: Collection[NodePlan]) -> bool:
    return not {path.start, path.end}.isdisjoint(node.label for node in nodes)


def _retirements(former: Owned, now: Owned | None, borne: Collection[str | None]) -> Iterator[Removal]:
    if former.label is None:
        return
    if now is None or (former.label, former.key) != (now.label, now.key):
        if now is None or former.label == now.label or former.label not in borne:
            yield partial(retiring.retire_nodes, former.label)
        return
    properties = [name for name in former.properties if name not in now.properties]
    others = [name for name in former.labels if name not in now.labels]
    if properties or others:
        yield partial(retiring.retire_from_nodes, former.label, properties, others)
