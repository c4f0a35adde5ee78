"""One facet's elements on both sides, matched by key and hash."""

from collections.abc import Iterable, Iterator, KeysView
from dataclasses import dataclass, field, replace
from typing import Self

from gpm_cdc.domain.digests import Digest
from gpm_cdc.verification.facet import Element, Facet, Identity
from gpm_cdc.verification.report import COUNTED_AS, Finding, Way
from gpm_cdc.verification.touched import Key


class Tally:
    """What is known for certain of one facet: digests of both sides over the elements that were not in flight."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Know nothing again."""
        self.postgres = Digest()
        self.neo4j = Digest()
        self.rows = 0
        self.findings: list[Finding] = []

    def copy(self) -> Self:
        """The same knowledge, to go back to."""
        kept = type(self)()
        kept.postgres, kept.neo4j, kept.rows = replace(self.postgres), replace(self.neo4j), self.rows
        kept.findings = list(self.findings)
        return kept

    def count(self, way: Way) -> int:
        """How many elements differ this way."""
        return sum(COUNTED_AS[finding.kind] == way for finding in self.findings)

    def equal(self, element_hash: int) -> None:
        """An element is the same on both sides."""
        self.postgres.add(element_hash)
        self.neo4j.add(element_hash)

    def judged(self, expected: int | None, actual: list[int], findings: Iterable[Finding]) -> None:
        """An element was looked at closely: the hashes of both sides, and what is wrong."""
        if expected is not None:
            self.postgres.add(expected)
        self.neo4j.add_all(actual)
        self.findings += findings

    def summed(self, both: Digest) -> None:
        """Elements were compared by their digests, which were equal."""
        self.postgres.combine(both)
        self.neo4j.combine(both)

    def equal_all(self, hashes: Iterable[int]) -> None:
        """Elements are the same on both sides."""
        equal = Digest()
        equal.add_all(hashes)
        self.summed(equal)

    def retract(self, element_hash: int) -> None:
        """An element that counted as equal was in flight after all."""
        self.postgres.remove(element_hash)
        self.neo4j.remove(element_hash)


@dataclass(slots=True)
class Subject:
    """An element that is looked at more closely: its key, and the element ids under which the graph has shown it."""

    key: Key
    element_ids: list[str] = field(default_factory=list)


_SUSPECT = -1


class Comparison:
    """Feed it everything expected, then everything found. Whoever is not equal once and only once is a suspect.

    The state of a key is its expected hash, or the complement of it once it was met, or `_SUSPECT` at last: hashes are
    never negative, and one that is 0, whose complement would be -1, is as likely as two elements with the same hash.
    """

    def __init__(self, facet: Facet, tally: Tally) -> None:
        self._facet = facet
        self._tally = tally
        self._state: dict[Identity, int] = {}
        self.suspects: dict[Identity, Subject] = {}

    def expect(self, element: Element) -> None:
        """The rows say that this element must be there."""
        self._state[element.identity] = self._facet.hash(element.values)

    def meet(self, element: Element) -> None:
        """The graph holds this element."""
        identity = element.identity
        found = self._facet.hash(element.values, element.foreign)
        state = self._state.get(identity)
        if state == found and not element.foreign:
            self._state[identity] = ~found
            self._tally.equal(found)
            return
        if state is not None and state < _SUSPECT:
            self._tally.retract(~state)
        self._state[identity] = _SUSPECT
        self._suspect(element)

    def _suspect(self, element: Element) -> None:
        subject = self.suspects.get(element.identity)
        if subject is None:
            key = Key(element.values[: self._facet.key_size])
            subject = self.suspects[element.identity] = Subject(key)
        if element.element_id is not None:
            subject.element_ids.append(element.element_id)

    def knows(self, identity: Identity) -> bool:
        """Whether this key was expected or found."""
        return identity in self._state

    def known(self) -> KeysView[Identity]:
        """Every key that was expected or found."""
        return self._state.keys()

    def matched(self, identity: Identity) -> bool:
        """Whether this key was found equal, and only once."""
        return self._state.get(identity, _SUSPECT) < _SUSPECT

    def take_back(self, identity: Identity) -> None:
        """Do not count this key as equal, should it be: it was in flight."""
        state = self._state.get(identity, _SUSPECT)
        if state < _SUSPECT:
            self._tally.retract(~state)
            self._state[identity] = _SUSPECT

    def absent(self) -> Iterator[Identity]:
        """Every key that was expected and not found."""
        return (identity for identity, state in self._state.items() if state > _SUSPECT)
