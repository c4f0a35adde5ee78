"""The outcome of a comparison as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, Self

from gpm_cdc.domain.digests import Digest
from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.domain.portable import portable
from gpm_cdc.domain.values import GraphValue

type Verdict = Literal["clean", "drift", "inconclusive"]

type FindingKind = Literal["missing", "extra", "different", "wrong_end", "label", "keyless", "duplicate", "foreign"]
"""How an element differs. `missing`: a row has no element. `extra`: an element has no row; `keyless`: nor a usable key.
`duplicate`: it is there once more. `different`: properties or the type; `wrong_end`: it joins other nodes; `label`:
only the labels. `foreign`: it bears names that the mapping does not own (asked for with --strict)."""

type PassKind = Literal["full", "incremental"]
"""What a pass compared of its tables: everything, or what the stream has written since the last full one."""

type Way = Literal["missing", "extra", "different"]

COUNTED_AS: Final[Mapping[FindingKind, Way]] = {
    "missing": "missing",
    "extra": "extra",
    "keyless": "extra",
    "duplicate": "extra",
    "different": "different",
    "wrong_end": "different",
    "label": "different",
    "foreign": "different",
}
"""The column of a table's counts that a finding of each kind goes into."""

type KeyValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One element that is not as the rows say.

    `element` is the label or the relationship type, `key` the row's key by column as people read it, `exact_key` the
    same as the graph holds it. `columns` are those that differ, and `expected` and `actual` tell their values by name,
    as text that begins with the type; None where there is nothing.
    """

    table: str
    element: str
    kind: FindingKind
    key: Mapping[str, KeyValue]
    columns: tuple[str, ...]
    expected: Mapping[str, str] | None
    actual: Mapping[str, str] | None
    exact_key: Mapping[str, GraphValue] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The finding in the form that `verify --json` prints; `domain.portable` is that of `exact_key`."""
        return {
            "table": self.table,
            "element": self.element,
            "kind": self.kind,
            "key": dict(self.key),
            "columns": list(self.columns),
            "expected": None if self.expected is None else dict(self.expected),
            "actual": None if self.actual is None else dict(self.actual),
            "exact_key": {column: portable(value) for column, value in self.exact_key.items()},
        }

    def telling(self, text_of: Callable[[str], str]) -> Self:
        """The same with other texts for the values."""

        def told(values: Mapping[str, str] | None) -> dict[str, str] | None:
            return None if values is None else {name: text_of(text) for name, text in values.items()}

        return replace(self, expected=told(self.expected), actual=told(self.actual))


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What could not be told. `key` None: of the whole table; `table` None: of everything."""

    table: str | None
    key: Mapping[str, KeyValue] | None
    reason: str

    def as_json(self) -> dict[str, object]:
        """The question in the form that `verify --json` prints."""
        return {"table": self.table, "key": None if self.key is None else dict(self.key), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Held:
    """A snapshot of the tables: its position and for how many seconds it was held."""

    position: Lsn
    seconds: float


@dataclass(frozen=True, slots=True)
class Since:
    """The full pass that an incremental one rests on: the position up to which it proved the graph, and its end."""

    position: Lsn
    ended_at: datetime


@dataclass(slots=True)
class TableReport:
    """One mapped table, with the relationships of its foreign keys. Digests leave out what was in flight at the end.

    `rows` were read; `nodes` and `relationships` are those of the graph. `began` is the position of the table's first
    comparison, `position` that of its last, both None when it never came to one. Whatever was in flight during an
    earlier one was compared again at a later one. `seconds` is how long that took. `settled`: nothing was in flight at
    the end. `resumed`: an earlier run of the pass settled it, and it was not read again.
    """

    table: str
    rows: int = 0
    nodes: int = 0
    relationships: int = 0
    postgres: Digest = field(default_factory=Digest)
    neo4j: Digest = field(default_factory=Digest)
    missing: int = 0
    extra: int = 0
    different: int = 0
    began: Lsn | None = None
    position: Lsn | None = None
    seconds: float = 0.0
    settled: bool = False
    resumed: bool = False

    @property
    def finding_count(self) -> int:
        """All findings of the table, listed or not."""
        return self.missing + self.extra + self.different

    def as_json(self) -> dict[str, object]:
        """The table in the form that `verify --json` prints."""
        return {
            "table": self.table,
            "rows": self.rows,
            "nodes": self.nodes,
            "relationships": self.relationships,
            "checksum": {"postgres": self.postgres.render(), "neo4j": self.neo4j.render()},
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "from_lsn": _rendered(self.began),
            "as_of_lsn": _rendered(self.position),
            "seconds": round(self.seconds, 3),
            "settled": self.settled,
            "resumed": self.resumed,
        }


@dataclass(frozen=True, slots=True)
class Basis:
    """What a pass is about: only one that is about the same can go on with it.

    `filled` as in the checkpoint. `tables` are those that were chosen, in the order of the report.
    """

    mapping_hash: str
    filled: Lsn
    tables: tuple[str, ...]
    strict: bool
    kind: PassKind = "full"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. `position` is that of the last comparison, None when it never came to one, `began` of the first.

    In between each table was settled at a position of its own. `interrupted`: something other than changes to rows kept
    it from settling the rest. `resumed_pass` is the pass that it went on with; `seconds` counts what that one settled.
    An incremental report speaks of what the stream wrote after `since`: its rows and elements are those that were
    compared.

    A report that was kept may list fewer findings and open questions than there were: `left_out` and
    `unsettled_left_out` are the rest, which counts like those that are listed.
    """

    position: Lsn | None
    seconds: float
    tables: Sequence[TableReport]
    findings: Sequence[Finding]
    unsettled: Sequence[Unsettled]
    began: Lsn | None = None
    left_out: int = 0
    unsettled_left_out: int = 0
    snapshots: Sequence[Held] = ()
    """Those under which the rows were read, in the order of their positions."""
    interrupted: bool = False
    resumed_pass: int | None = None
    basis: Basis | None = None

    kind: PassKind = "full"
    since: Since | None = None
    """Of an incremental pass that came so far."""

    @property
    def verdict(self) -> Verdict:
        """Drift wherever there is a finding; clean only if everything is known to be equal."""
        if self.finding_count:
            return "drift"
        return "inconclusive" if self.unsettled_count or self.position is None else "clean"

    @property
    def finding_count(self) -> int:
        """All findings, listed or not."""
        return len(self.findings) + self.left_out

    @property
    def unsettled_count(self) -> int:
        """All open questions, listed or not."""
        return len(self.unsettled) + self.unsettled_left_out

    @property
    def elements_checked(self) -> int:
        """Elements of the graph that were settled, and those that are missing from it."""
        return sum(table.nodes + table.relationships + table.missing for table in self.tables)

    def as_json(self) -> dict[str, object]:
        """The form that `verify --json` prints, a contract: keys may be added, none goes."""
        summary = self.summary()
        return {
            **{name: summary.pop(name) for name in ("verdict", "as_of_lsn", "elements_checked", "seconds", "tables")},
            "findings": [finding.as_json() for finding in self.findings],
            "inconclusive": [question.as_json() for question in self.unsettled],
            **summary,
        }

    def summary(self) -> dict[str, object]:
        """The same without the lists, whose length is not bounded."""
        return {
            "verdict": self.verdict,
            "as_of_lsn": _rendered(self.position),
            "elements_checked": self.elements_checked,
            "seconds": round(self.seconds, 3),
            "tables": [table.as_json() for table in self.tables],
            "from_lsn": _rendered(self.began),
            "finding_count": self.finding_count,
            "findings_left_out": self.left_out,
            "inconclusive_count": self.unsettled_count,
            "inconclusive_left_out": self.unsettled_left_out,
            "kind": self.kind,
            "since_lsn": None if self.since is None else render(self.since.position),
            "since": None if self.since is None else self.since.ended_at.isoformat(timespec="milliseconds"),
            "snapshots": [{"lsn": render(held.position), "seconds": round(held.seconds, 3)} for held in self.snapshots],
            "interrupted": self.interrupted,
            "resumed_pass": self.resumed_pass,
        }


def _rendered(position: Lsn | None) -> str | None:
    return None if position is None else render(position)
