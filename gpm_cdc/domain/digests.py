"""Digests of sets of graph elements: equal digests mean equal contents, whatever the order the elements came in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Literal, Self

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.values import GraphValue

type ElementKind = Literal["node", "relationship"]

_LIMBS = 4
_LANE_BITS = 64
_LANE_BYTES = _LANE_BITS // 8
_HASH_BYTES = _LIMBS * _LANE_BYTES
_LANE_MASK = (1 << _LANE_BITS) - 1
_LIMB_MASK = (1 << 31) - 1
_ALL_LIMBS = sum(_LIMB_MASK << lane * _LANE_BITS for lane in range(_LIMBS))


def element_hash(kind: ElementKind, name: str, key: list[GraphValue], properties: Mapping[str, GraphValue]) -> int:
    """The hash of one node or relationship, to be added to a Digest.

    `name` is the label or type, `key` what tells the element from others of that name (for a relationship also its
    ends), in a fixed order. Properties count by name, in any order; one that is None is absent. The result is four
    31-bit limbs of BLAKE2b, each in a 64-bit lane, so that adding whole numbers adds the limbs.
    """
    parts = [_name(kind), _name(name), canonical(key)]
    for property_name in sorted(properties):
        value = properties[property_name]
        if value is not None:
            parts.append(_name(property_name))
            parts.append(canonical(value))
    return limbs(b"".join(parts))


@cache
def _name(text: str) -> bytes:
    # Labels and property names are few and come with every row.
    return canonical(text)


def limbs(content: bytes) -> int:
    """The hash of canonical `content` in the form that a Digest adds up."""
    return int.from_bytes(blake2b(content, digest_size=_HASH_BYTES).digest()) & _ALL_LIMBS


@dataclass(slots=True)
class Digest:
    """The number of elements and the sums of the limbs of their hashes.

    Sums, not XOR: an element that is there twice must not cancel itself. A lane has room for 2**33 elements.
    """

    count: int = 0
    total: int = 0

    def add(self, element: int) -> None:
        """Count one element by its `element_hash`."""
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

    def combine(self, other: Self) -> None:
        """Add what `other` has counted over a disjoint part."""
        self.count += other.count
        self.total += other.total

    @property
    def sums(self) -> tuple[int, ...]:
        """The sum of each limb."""
        return tuple(self.total >> lane * _LANE_BITS & _LANE_MASK for lane in range(_LIMBS))

    def render(self) -> str:
        """Count and sums as fixed-width hexadecimal text, for reports."""
        return f"{self.count:016x}{self.total:0{2 * _HASH_BYTES}x}"
