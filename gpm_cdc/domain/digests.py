"""Digests of sets of graph elements: equal digests mean equal contents, whatever the order the elements came in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, Self

from xxhash import xxh3_64_intdigest, xxh3_128_intdigest

from gpm_cdc.domain.canonical import pack
from gpm_cdc.domain.values import GraphValue

type ElementKind = Literal["node", "relationship"]

_HASH_BITS = 128
_COUNT_BITS = 64
_TOTAL_BITS = _HASH_BITS + _COUNT_BITS
_COUNT_DIGITS = _COUNT_BITS // 4
_TOTAL_DIGITS = _TOTAL_BITS // 4
_COUNT_ONE = 1 << _TOTAL_BITS
_TOTAL_MASK = _COUNT_ONE - 1


def seed_of(kind: ElementKind, name: str) -> int:
    """What makes the hashes of elements of this kind and this label or type their own."""
    return xxh3_64_intdigest(pack([kind, name]))


def element_hashes(seed: int, elements: Iterable[Sequence[GraphValue]]) -> list[int]:
    """A hash for each of `elements`, to be added to a Digest: XXH3 with 128 bits of its packed form.

    An element is a list of values in an order that is fixed for the `seed`. ADR 16 says why this hash.
    """
    return list(map(xxh3_128_intdigest, map(pack, elements), repeat(seed)))


@dataclass(slots=True)
class Digest:
    """The number of elements and the sum of their hashes, whole and without a modulus.

    A sum, not XOR: an element that is there twice must not cancel itself.
    """

    count: int = 0
    total: int = 0

    def add(self, element: int) -> None:
        """Count one element by its hash."""
        self.count += 1
        self.total += element

    def add_all(self, elements: Iterable[int]) -> None:
        """Count every element of `elements`."""
        hashes = list(elements)
        self.count += len(hashes)
        self.total += sum(hashes)

    def remove(self, element: int) -> None:
        """Take back one element that was added."""
        self.count -= 1
        self.total -= element

    def add_counted(self, total: int) -> None:
        """Add a total of Buckets."""
        self.count += total >> _TOTAL_BITS
        self.total += total & _TOTAL_MASK

    def combine(self, other: Self) -> None:
        """Add what `other` has counted over a disjoint part."""
        self.count += other.count
        self.total += other.total

    def render(self) -> str:
        """Count and sum as fixed-width hexadecimal text, for reports."""
        return f"{self.count:0{_COUNT_DIGITS}x}{self.total:0{_TOTAL_DIGITS}x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The digest that `render` gave `text` for. ValueError for another text."""
        return cls(int(text[:_COUNT_DIGITS], 16), int(text[_COUNT_DIGITS:], 16))


class Buckets:
    """A set in parts, each with its digest: the hash of an element says to which part it belongs.

    Sets that are equal are equal in every bucket, and an element that only one of them has makes its bucket differ.
    `size` is a power of two; an element costs no memory, a bucket some 80 bytes.
    """

    def __init__(self, size: int) -> None:
        self._mask = size - 1
        self._totals = [0] * size

    def add_all(self, hashes: Iterable[int]) -> None:
        """Count every element of `hashes`."""
        totals, mask = self._totals, self._mask
        for element in hashes:
            totals[element & mask] += element + _COUNT_ONE

    def differing(self, other: Self) -> frozenset[int]:
        """The buckets in which `other`, of the same size, holds something else."""
        pairs = zip(self._totals, other._totals, strict=True)
        return frozenset(bucket for bucket, (one, two) in enumerate(pairs) if one != two)

    def bucket(self, element: int) -> int:
        """Where an element belongs."""
        return element & self._mask

    def digest(self, without: frozenset[int]) -> Digest:
        """What is in all buckets but those."""
        digest = Digest()
        digest.add_counted(sum(total for bucket, total in enumerate(self._totals) if bucket not in without))
        return digest
