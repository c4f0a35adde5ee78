"""Findings beside the memory: a comparison may find millions, and takes some of them back before it ends."""

import json
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import chain, islice
from tempfile import SpooledTemporaryFile
from typing import Final, Self, overload, override

from gpm_cdc.verification.comparison import Tally
from gpm_cdc.verification.exchange import finding_of
from gpm_cdc.verification.report import COUNTED_AS, Finding, FindingKind, Way

IN_MEMORY_BYTES: Final = 1024**2
"""What one kind of element may hold in memory before its findings go to an unnamed file: about a thousand of them."""


class FindingSequence(Sequence[Finding]):
    """Findings that are made when they are asked for. Going through them from the start is what it is quick at."""

    @overload
    def __getitem__(self, place: int) -> Finding: ...
    @overload
    def __getitem__(self, place: slice) -> list[Finding]: ...
    @override
    def __getitem__(self, place: int | slice) -> Finding | list[Finding]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            return list(islice(self, start, stop, step))
        index = range(len(self))[place]
        return next(islice(self, index, None))


class _Store:
    """A file that is closed when the last spool on it is gone."""

    def __init__(self) -> None:
        self.file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed by the line below
        weakref.finalize(self, self.file.close)


class Spool(FindingSequence):
    """Findings in the order in which they were added.

    Growing and going back are cheap, so that a round that fails leaves nothing: `mark` is the spool as it is now. Once
    there was written to the one again, the other must not be.
    """

    def __init__(self) -> None:
        self._store = _Store()
        self._end = 0
        self.kinds: Counter[FindingKind] = Counter()
        """How many there are of each kind."""

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings."""
        file = self._store.file
        file.seek(self._end)
        for finding in findings:
            file.write(json.dumps(finding.as_json()).encode() + b"\n")
            self.kinds[finding.kind] += 1
        self._end = file.tell()

    def mark(self) -> Self:
        """The same findings, whatever is added to this spool later."""
        kept = copy(self)
        kept.kinds = self.kinds.copy()
        return kept

    @override
    def __len__(self) -> int:
        return self.kinds.total()

    @override
    def __iter__(self) -> Iterator[Finding]:
        file, place = self._store.file, 0
        while place < self._end:
            # Somebody else may read the same file between two findings.
            file.seek(place)
            line = file.readline()
            place += len(line)
            yield finding_of(json.loads(line))


class Chained(FindingSequence):
    """Several sequences as one."""

    def __init__(self, parts: Sequence[Sequence[Finding]]) -> None:
        self._parts = parts

    @override
    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @override
    def __iter__(self) -> Iterator[Finding]:
        return chain.from_iterable(self._parts)


class Retold(FindingSequence):
    """Another sequence, each finding told anew by `telling` when it is asked for."""

    def __init__(self, findings: Sequence[Finding], telling: Callable[[Finding], Finding]) -> None:
        self._findings = findings
        self._telling = telling

    @override
    def __len__(self) -> int:
        return len(self._findings)

    @override
    def __iter__(self) -> Iterator[Finding]:
        return map(self._telling, self._findings)


class SpooledTally(Tally):
    """A Tally whose findings are in `spool`; its list of them stays empty."""

    @override
    def reset(self) -> None:
        super().reset()
        self.spool = Spool()

    @override
    def copy(self) -> Self:
        kept = super().copy()
        kept.spool = self.spool.mark()
        return kept

    @override
    def count(self, way: Way) -> int:
        return sum(number for kind, number in self.spool.kinds.items() if COUNTED_AS[kind] == way)

    @override
    def judged(self, expected: int | None, actual: list[int], findings: Iterable[Finding]) -> None:
        super().judged(expected, actual, ())
        self.spool.extend(findings)
