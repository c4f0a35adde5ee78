"""Sets of element ids, small enough for those of a whole label.

An element id is text such as 4:9bbf2d2a-…:1234: the kind, the database, a number. That form is Neo4j's own affair
(https://neo4j.com/docs/cypher-manual/current/functions/scalar/#functions-elementid), so that an id of another form is
kept as it is.
"""

from collections.abc import Iterable, Iterator

from pyroaring import BitMap64

_TOO_LARGE = 2**64


class ElementIds:
    """A set of element ids: a bit or so for each where their numbers are dense, not more than a hundred bytes."""

    def __init__(self) -> None:
        self._numbers: dict[str, BitMap64] = {}
        self._others: set[str] = set()

    def __len__(self) -> int:
        return sum(map(len, self._numbers.values())) + len(self._others)

    def __iter__(self) -> Iterator[str]:
        """The ids, those of one database in the order of their numbers."""
        for prefix, numbers in self._numbers.items():
            yield from (f"{prefix}:{number}" for number in numbers)
        yield from sorted(self._others)

    def update(self, ids: Iterable[str]) -> None:
        """Add `ids`."""
        numbers, others = _parted(ids)
        for prefix, found in numbers.items():
            self._numbers.setdefault(prefix, BitMap64()).update(found)
        self._others.update(others)

    def difference_update(self, ids: Iterable[str]) -> None:
        """Take away those of `ids` that are there."""
        numbers, others = _parted(ids)
        for prefix, found in numbers.items():
            if prefix in self._numbers:
                self._numbers[prefix] -= BitMap64(found)
        self._others.difference_update(others)


def _parted(ids: Iterable[str]) -> tuple[dict[str, list[int]], list[str]]:
    """The numbers of `ids` by what stands before them, and the ids that do not end with a number as it is written."""
    numbers: dict[str, list[int]] = {}
    others: list[str] = []
    for element_id in ids:
        prefix, colon, digits = element_id.rpartition(":")
        number = int(digits) if colon and digits.isascii() and digits.isdecimal() else _TOO_LARGE
        if number < _TOO_LARGE and str(number) == digits:
            numbers.setdefault(prefix, []).append(number)
        else:
            others.append(element_id)
    return numbers, others
