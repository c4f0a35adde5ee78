"""The checks of a pass, each with a way to take its function out of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gpm_cdc.cypher import reading
from gpm_cdc.domain import canonical as canonical_form
from gpm_cdc.domain.changes import Truncate
from gpm_cdc.domain.digests import Buckets, element_hashes
from gpm_cdc.domain.lsn import ZERO
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.ports.verification import LockedRead
from gpm_cdc.projection.plan import NodePlan
from gpm_cdc.runtime import observed, reference, verify
from gpm_cdc.sink.reader import Neo4jReader
from gpm_cdc.verification import facet, judgement
from gpm_cdc.verification.comparison import Comparison
from gpm_cdc.verification.facet import Element, Facet
from gpm_cdc.verification.round import Round
from gpm_cdc.verification.sums import Changed
from gpm_cdc.verification.touched import Event, Touched
from tests.integration.verification.scenarios import Patch, nothing


def without_own_row(patch: pytest.MonkeyPatch) -> None:
    """What was changed is in flight only for what ends there."""

    def only_ends(touched: Round, of: Facet, _: bytes, elements: Sequence[Element]) -> bool:
        known = touched._sides.touched
        return any(known.has(target, key) for each in elements for target, key in of.end_keys(each.values))

    patch.setattr(Round, "_in_flight", only_ends)
    patch.setattr(
        Changed, "has", lambda self, each: any(key in self.ends[to] for to, key in self._facet.end_keys(each.values))
    )


def without_ends(patch: pytest.MonkeyPatch) -> None:
    """No relationship is in flight because of a node."""
    patch.setattr(Facet, "end_keys", lambda *_: iter(()))


def without_ends_found(patch: pytest.MonkeyPatch) -> None:
    """Only nodes that the rows name count as ends, not those that the graph shows."""
    in_flight = Round._in_flight
    patch.setattr(
        Round,
        "_in_flight",
        lambda self, of, identity, elements: in_flight(
            self, of, identity, [each for each in elements if each.element_id is None]
        ),
    )


async def at_once(*_: object) -> None:
    """Do not wait."""


def without_draining(patch: pytest.MonkeyPatch) -> None:
    """Differences are judged by the changes that happen to have come."""
    patch.setattr(Round, "_follow", at_once)


def without_latest(patch: pytest.MonkeyPatch) -> None:
    """The changes are followed to where the graph is, but not to where the rows are."""
    patch.setattr(
        Round,
        "_follow",
        lambda self, checkpoint: self._sides.tail.reach(max(checkpoint.position.lsn, self._sides.position)),
    )


def without_position(patch: pytest.MonkeyPatch) -> None:
    """The changes are followed to where graph and rows are, but not to the position of the comparison."""
    patch.setattr(
        Round,
        "_follow",
        lambda self, checkpoint: self._sides.tail.reach(max(checkpoint.position.lsn, self._sides.rows.latest)),
    )


def without_second_reading(patch: pytest.MonkeyPatch) -> None:
    """What differs is not read again under the checkpoint's lock."""

    async def unlocked(self: Neo4jReader, *arguments: Any) -> LockedRead:  # noqa: ANN401 - as some_locked
        found = await self.checkpoint(locked=True)
        assert found is not None
        return LockedRead(found, await self.some(*arguments))

    patch.setattr(Neo4jReader, "some_locked", unlocked)


def without_lock(patch: pytest.MonkeyPatch) -> None:
    """After the reading, the checkpoint is read without waiting for the batch that is being written."""
    locked = Neo4jReader.checkpoint
    patch.setattr(Neo4jReader, "checkpoint", lambda self, **_: locked(self, locked=False))


def without_waiting(patch: pytest.MonkeyPatch) -> None:
    """The graph need not be at the position of the comparison."""
    patch.setattr(observed.Observed, "reach", at_once)


def without_looking(patch: pytest.MonkeyPatch) -> None:
    """A stream that nobody runs is taken to have nothing left."""

    async def nothing_left(*_: object) -> bool:
        return True

    patch.setattr(observed.Observed, "_nothing_left", nothing_left)


def without_going_back(patch: pytest.MonkeyPatch) -> None:
    """Nobody remembers where the graph was."""
    patch.setattr(observed.Observed, "reached", property(lambda _: ZERO, nothing))


def consistent_if(test: Callable[[Checkpoint], bool]) -> Patch:
    """Another idea of when the graph is the state after a commit."""
    return lambda patch: patch.setattr(observed, "_consistent", test)


def taken_for_same(name: str) -> Patch:
    """A field of the checkpoint is not held against what it was."""
    require_same = observed.Observed._require_same

    def lenient(self: Any, found: Checkpoint) -> Checkpoint:  # noqa: ANN401 - what is observed
        known = {"mapping_hash": self.mapped.mapping_hash, "system_identifier": self.system_identifier}
        require_same(self, replace(found, **{name: known[name]}))
        return found

    return lambda patch: patch.setattr(observed.Observed, "_require_same", lenient)


def unmoved_while_read(patch: pytest.MonkeyPatch) -> None:
    """Tables are not looked at when a snapshot is taken."""
    patch.setattr(reference, "changed", lambda *_: [])


def unmoved_in_the_end(patch: pytest.MonkeyPatch) -> None:
    """Tables are not looked at when all is compared, nor from one round to the next."""
    patch.setattr(observed, "changed", lambda *_: [])
    patch.setattr(verify, "changed", lambda *_: [])


def without_publication(patch: pytest.MonkeyPatch) -> None:
    """The publication is not looked at."""
    patch.setattr(observed.Observed, "require_publication", at_once)


def without_truncates(patch: pytest.MonkeyPatch) -> None:
    """That a table was emptied is passed over."""
    add = Touched.add

    def add_others(self: Touched, events: Sequence[Event]) -> None:
        add(self, [event for event in events if not isinstance(event, Truncate)])

    patch.setattr(Touched, "add", add_others)


def without_following(patch: pytest.MonkeyPatch) -> None:
    """A row that gets another key is not looked for under that."""
    patch.setattr(Touched, "followed", lambda *_: {})


def loosened(value: Any) -> Any:  # noqa: ANN401 - any value
    """As a language sees it that has one kind of number."""
    if isinstance(value, list | tuple):
        return [loosened(part) for part in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def without_types(patch: pytest.MonkeyPatch) -> None:
    """1 is 1.0."""
    patch.setattr(facet, "element_hashes", lambda seed, elements: element_hashes(seed, map(loosened, elements)))
    patch.setattr(judgement, "canonical", lambda value: canonical_form.canonical(loosened(value)))


def without_duplicates(patch: pytest.MonkeyPatch) -> None:
    """Who was met once is not looked at when met again."""
    meet = Comparison.meet

    def meet_once(self: Comparison, element: Element) -> None:
        if not self.matched(element.identity):
            meet(self, element)

    patch.setattr(Comparison, "meet", meet_once)


def with_xor(patch: pytest.MonkeyPatch) -> None:
    """Digests are no sums: what is there twice more cancels itself."""

    def add_all(self: Buckets, hashes: Iterator[int]) -> None:
        for element in hashes:
            self._totals[self.bucket(element)] ^= element

    patch.setattr(Buckets, "add_all", add_all)


def without_buckets(patch: pytest.MonkeyPatch) -> None:
    """Digests are made and not compared."""
    patch.setattr(Buckets, "differing", lambda *_: frozenset())


def without_labels(patch: pytest.MonkeyPatch) -> None:
    """Only the label of the table is asked for."""

    def none(_: NodePlan) -> tuple[str, ...]:
        return ()

    patch.setattr(facet, "further_labels", none)
    patch.setattr(reading, "further_labels", none)


def without_keyless(patch: pytest.MonkeyPatch) -> None:
    """Nodes are found by their keys."""
    every = reading._every_node

    def keyed(plan: NodePlan, element_id: str, *, foreign: bool) -> str:
        text = every(plan, element_id, foreign=foreign)
        return text.replace(" WITH ", f" WHERE n.{plan.key_names[0]} IS NOT NULL WITH ", 1)

    patch.setattr(reading, "_every_node", keyed)


def without_names(patch: pytest.MonkeyPatch) -> None:
    """Hashes do not tell of which kind an element is."""
    patch.setattr(Facet, "_seed", 0)
