"""The order in which the changes of a batch reach the graph, so that it ends exact.

What goes is found while everything is as it was, and hidden. Then keys are renamed, nodes written, relationships
written, and the edges whose parents changed hands are evaluated again, since Postgres sends no event for their
children. Nodes are deleted last.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from gpm_cdc.cypher import edges, nodes, pieces, relationships
from gpm_cdc.cypher.statement import Record, Statement, Statements, chunks
from gpm_cdc.domain.changes import UNCHANGED
from gpm_cdc.domain.types import Wire
from gpm_cdc.errors.stream import EndpointTakenOver
from gpm_cdc.projection.batch import GraphBatch, Group, NodeBatch
from gpm_cdc.projection.plan import EdgePlan, EndPlan, GraphPlan, NodePlan, RelationshipPlan, WireRow


@dataclass(slots=True)
class _EdgeWork:
    """What one foreign key needs after the nodes are written. Rows are (key, foreign key).

    `incomplete` are keys of changed rows whose foreign key came in part only: the rest is in the graph.
    """

    fresh: list[list[Any]] = field(default_factory=list)
    changed_keys: list[Any] = field(default_factory=list)
    changed: list[list[Any]] = field(default_factory=list)
    incomplete: list[Any] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Holders:
    """Keys of target nodes, in their present form, whose referenced values came, went or moved."""

    new: list[Any] = field(default_factory=list)
    renamed: list[Any] = field(default_factory=list)
    moved: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class How:
    """What is known about the graph that a batch goes into.

    `create` promises that inserted nodes are not there yet: they are created instead of merged. `limit` refuses deletes
    of more elements with GraphBatchTooWide. `thinned` says that pieces of this batch were applied: edges of deleted
    nodes may be gone already, and with them the knowledge who their children were.
    """

    create: bool = False
    limit: int | None = None
    thinned: bool = False


_USUAL = How()


class Application:
    """One batch on its way into the graph."""

    def __init__(self, plan: GraphPlan, batch: GraphBatch, how: How) -> None:
        self._plan = plan
        self._batch = batch
        self._how = how
        self._taken_over: set[EdgePlan] = set()
        self._work: dict[EdgePlan, _EdgeWork] = {}
        self._holders: dict[NodePlan, _Holders] = {}

    def statements(self) -> Statements:
        """Every statement in order; send each one's records back.

        What goes is found first and deleted last: see `nodes.hide` and `relationships.former`.
        """
        batch = self._batch
        if self._how.limit is not None:
            yield from pieces.require_narrow(batch, self._how.limit)
        if _only_deletes(batch):
            yield from _delete(batch)
            return
        former: list[relationships.Former] = []
        for relationship_batch in batch.relationships:
            marked = self._asked_for(relationship_batch.plan)
            former += [(yield from relationships.former(relationship_batch, marked=marked))]
        for node_batch in batch.nodes:
            yield from self._note_takeovers(node_batch)
        going = yield from self._hide()
        for node_batch in batch.nodes:
            if node_batch.renamed:
                yield from nodes.rename(node_batch)
        for node_batch in batch.nodes:
            yield from self._write_nodes(node_batch)
        yield from self._write_relationships(former)
        yield from self._write_edges()
        yield from self._evaluate_again()
        yield from nodes.delete_by_id(going)

    def _hide(self) -> Generator[Statement, list[Record], list[str]]:
        going: list[str] = []
        for node_batch in self._batch.nodes:
            going += yield from nodes.hide(node_batch)
        return going

    def _edge_work(self, edge: EdgePlan) -> _EdgeWork:
        return self._work.setdefault(edge, _EdgeWork())

    def _asked_for(self, plan: RelationshipPlan) -> bool:
        """Whether it will be asked which nodes have relationships of `plan` left."""
        if not (plan.start.by_key and plan.end.by_key):
            return True
        ends = (plan.start.target, plan.end.target)
        return any(batch.plan in ends and _changing_hands(batch) for batch in self._batch.nodes)

    def _note_takeovers(self, batch: NodeBatch) -> Statements:
        """Remember the children of nodes that go while another row takes over what they were referred to by."""
        yield from self._refuse_endpoint_takeover(batch)
        yield from self._refuse_referenced_takeover(batch)
        arrivals = {repr(rename.new) for rename in batch.renamed}
        for edge in self._plan.incoming[batch.plan]:
            if not edge.kept:
                continue
            if edge.end.by_key:
                keys = [key for key in batch.deleted if repr(key) in arrivals]
            else:
                keys = batch.deleted if batch.inserted or batch.updated else []
            if keys and self._how.thinned:
                self._taken_over.add(edge)
            for chunk in chunks(keys):
                records = yield edges.children(edge, chunk)
                self._edge_work(edge).orphaned += [record[0] for record in records]

    def _refuse_endpoint_takeover(self, batch: NodeBatch) -> Statements:
        """EndpointTakenOver if rows of relationship tables name a key that changes hands, and nothing tells of them.

        Those that the batch tells of are marked as going by now, or are found by keys of their own.
        """
        keys = _changing_hands(batch)
        if not keys:
            return
        for table in self._plan.relationships:
            updated = [row for each in self._batch.relationships if each.plan is table for row in _rows(each.updated)]
            for end in (table.start, table.end):
                if end.target is not batch.plan:
                    continue
                # Deletes that were made beforehand have taken the relationships along that would have shown it.
                hidden = self._how.thinned
                if hidden or (end.by_key and (yield from relationships.staying(table, end, keys, updated))):
                    raise EndpointTakenOver(table=str(table.table), target=batch.plan.label)

    def _refuse_referenced_takeover(self, batch: NodeBatch) -> Statements:
        """As for keys, for ends that are found by other properties; only the graph knows what these were before."""
        former = {repr(rename.new): rename.old for rename in batch.renamed}
        size = batch.plan.key_size
        for table in self._plan.relationships:
            for end in (table.start, table.end):
                if end.target is not batch.plan or end.by_key:
                    continue
                leaving: list[list[Any]] = [[*key, *(None for _ in end.names)] for key in batch.deleted]
                for rows in batch.updated.values():
                    for row in _known(rows, end):
                        key = former.get(repr(row[:size]), row[:size])
                        leaving.append([*key, *(row[index] for index in end.target_fields)])
                written = (*batch.inserted.values(), *batch.updated.values())
                taken = [[row[index] for index in end.target_fields] for rows in written for row in _known(rows, end)]
                if leaving and taken:
                    records = yield relationships.takeovers(table, end, leaving, taken)
                    if records[0][0]:
                        raise EndpointTakenOver(table=str(table.table), target=batch.plan.label)

    def _write_nodes(self, batch: NodeBatch) -> Statements:
        plan = batch.plan
        referenced = edges.referenced_places(self._plan.incoming[plan])
        holders = self._holders.setdefault(plan, _Holders())
        holders.renamed = [rename.new for rename in batch.renamed]
        for group, rows in batch.inserted.items():
            holders.new += nodes.keys_of(plan, rows)
            if batch.emptied:
                # Some are nodes of before, kept in place: they have relationships to compare.
                yield from self._update_nodes(plan, group, rows, referenced)
                self._note_unseen_edges(plan, rows)
                continue
            if self._how.create:
                yield from nodes.create(plan, group, rows)
            else:
                yield from nodes.merge(plan, group, rows, (), ())
            for edge in plan.edges:
                self._edge_work(edge).fresh += edges.rows_of(edge, rows)
        for group, rows in batch.updated.items():
            yield from self._update_nodes(plan, group, rows, referenced)

    def _update_nodes(
        self, plan: NodePlan, group: Group, rows: Sequence[WireRow], referenced: tuple[int, ...]
    ) -> Statements:
        known = set(group.known)
        watch = tuple(index for index in nodes.watched(plan, referenced) if index in known)
        hidden = tuple(edge for edge in plan.edges if not edge.kept and known.issuperset(edge.end.fields))
        changed = yield from nodes.merge(plan, group, rows, watch, hidden)
        for place, flags in changed:
            row = rows[place]
            moved = {index for index, flag in zip(watch, flags, strict=False) if flag}
            if not moved.isdisjoint(referenced):
                self._holders[plan].moved.append(row[: plan.key_size])
            hidden_moved = {edge for edge, flag in zip(hidden, flags[len(watch) :], strict=True) if flag}
            for edge in plan.edges:
                if edge in hidden_moved or (edge.kept and not moved.isdisjoint(edge.end.fields)):
                    self._note_change(edge, row)
        self._note_keyed_edges(plan, rows)

    def _note_change(self, edge: EdgePlan, row: WireRow) -> None:
        work = self._edge_work(edge)
        key = row[: edge.source.key_size]
        work.changed_keys.append(key)
        if any(row[index] is UNCHANGED for index in edge.end.fields):
            work.incomplete.append(key)
        else:
            work.changed += edges.rows_of(edge, [row])

    def _note_keyed_edges(self, plan: NodePlan, rows: Sequence[WireRow]) -> None:
        """Key columns of a foreign key change only with a rename, which no property comparison shows."""
        renamed = {repr(key) for key in self._holders[plan].renamed}
        keyed = [edge for edge in plan.edges if any(index < plan.key_size for index in edge.end.fields)]
        for row in rows if renamed else ():
            if repr(row[: plan.key_size]) in renamed:
                for edge in keyed:
                    self._note_change(edge, row)

    def _note_unseen_edges(self, plan: NodePlan, rows: Sequence[WireRow]) -> None:
        """Of rows inserted into an emptied table: edges of which a comparison of their own properties shows nothing.

        Those that their keys alone name, and those to another emptied table that are found by something else than its
        key: the row that has it now need not be the one that had it.
        """
        emptied = {batch.plan for batch in self._batch.nodes if batch.emptied}
        for edge in plan.edges:
            in_key = all(index < plan.key_size for index in edge.end.fields)
            if in_key or (not edge.end.by_key and edge.end.target in emptied):
                for row in rows:
                    self._note_change(edge, row)

    def _write_edges(self) -> Statements:
        for edge, work in self._work.items():
            yield from edges.disconnect(edge, work.changed_keys)
            yield from edges.connect(edge, work.changed, fresh=False)
            yield from edges.connect_as_stored(edge, work.incomplete)
            yield from edges.connect(edge, work.fresh, fresh=self._how.create)

    def _write_relationships(self, former: Sequence[relationships.Former]) -> Statements:
        """Every look-up by a key of relationships comes before the first of them is deleted."""
        astray: list[tuple[RelationshipPlan, Group, list[WireRow], relationships.Misplaced]] = []
        for batch in self._batch.relationships:
            if not batch.plan.by_ends:
                for group, rows in batch.updated.items():
                    misplaced = yield from relationships.update_by_key(batch.plan, group, rows)
                    astray.append((batch.plan, group, rows, misplaced))
        for batch, found in zip(self._batch.relationships, former, strict=True):
            yield from relationships.restore(batch.plan, batch.moved, found.moved)
            yield from relationships.delete_by_id(batch.plan, found.going)
            for group, rows in batch.inserted.items():
                yield from relationships.create(batch.plan, group, rows)
            if batch.plan.by_ends:
                for group, rows in batch.updated.items():
                    yield from relationships.merge_by_ends(batch.plan, group, rows)
        for plan, group, rows, misplaced in astray:
            yield from relationships.repoint(plan, group, rows, misplaced)

    def _evaluate_again(self) -> Statements:
        for target, holders in self._holders.items():
            for edge in self._plan.incoming[target]:
                if not edge.kept:
                    continue
                touched = [*holders.renamed, *(() if edge.end.by_key else holders.moved)]
                adrift = list(self._work[edge].orphaned) if edge in self._work else []
                for chunk in chunks(touched):
                    records = yield edges.mismatched(edge, chunk)
                    adrift += [record[0] for record in records]
                yield from edges.reattach(edge, list(dict.fromkeys(adrift)))
                if not edge.enforced or edge in self._taken_over:
                    yield from edges.adopt(edge, [*holders.new, *touched])


def _changing_hands(batch: NodeBatch) -> list[list[Wire]]:
    """The keys that a row of before leaves and another one takes."""
    if not batch.renamed:
        return []
    left = {repr(rename.old): rename.old for rename in batch.renamed} | {repr(key): key for key in batch.deleted}
    taken = {repr(rename.new) for rename in batch.renamed}
    taken |= {repr(row[: batch.plan.key_size]) for rows in batch.inserted.values() for row in rows}
    return [key for name, key in left.items() if name in taken]


def _only_deletes(batch: GraphBatch) -> bool:
    """Whether there is nothing to write, and no more than one statement that looks something up by index."""
    return not _writes(batch) and _look_ups(batch) <= 1


def _writes(batch: GraphBatch) -> bool:
    return any(nodes_of_table.inserted or nodes_of_table.updated for nodes_of_table in batch.nodes) or any(
        table.inserted or table.updated or table.moved for table in batch.relationships
    )


def _look_ups(batch: GraphBatch) -> int:
    """How many statements it takes to find what is deleted by its key."""
    of_nodes = sum(len(list(chunks(nodes_of_table.deleted))) for nodes_of_table in batch.nodes)
    return of_nodes + sum(
        len(list(chunks(table.deleted))) * len(relationships.kinds(table.plan)) for table in batch.relationships
    )


def _delete(batch: GraphBatch) -> Statements:
    for table in batch.relationships:
        if table.emptied:
            yield from relationships.empty(table.plan)
        yield from relationships.delete(table.plan, table.deleted)
    for nodes_of_table in batch.nodes:
        if nodes_of_table.emptied:
            yield from nodes.empty(nodes_of_table.plan)
        yield from nodes.delete(nodes_of_table.plan, nodes_of_table.deleted)


def _rows(groups: Mapping[Group, Sequence[WireRow]]) -> Iterator[WireRow]:
    return chain.from_iterable(groups.values())


def _known(rows: Sequence[WireRow], end: EndPlan) -> list[WireRow]:
    """The rows that say which values `end` would find them by."""
    return [row for row in rows if all(row[index] is not UNCHANGED for index in end.target_fields)]


def statements(plan: GraphPlan, batch: GraphBatch, how: How = _USUAL) -> Generator[Statement, list[Record], None]:
    """Every statement that brings `batch` into the graph, in order."""
    return Application(plan, batch, how).statements()
