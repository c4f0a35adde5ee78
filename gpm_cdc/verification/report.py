"""The outcome of a comparison as data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from gpm_cdc.domain.digests import Digest
from gpm_cdc.domain.lsn import Lsn, render

type Verdict = Literal["clean", "drift", "inconclusive"]

type FindingKind = Literal["missing", "extra", "different", "wrong_end", "label", "keyless", "duplicate", "foreign"]
"""How an element differs. `missing`: a row has no element. `extra`: an element has no row; `keyless`: nor a usable key.
`duplicate`: it is there once more. `different`: properties or the type; `wrong_end`: it joins other nodes; `label`:
only the labels. `foreign`: it bears names that the mapping does not own (asked for with --strict)."""

type KeyValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One element that is not as the rows say.

    `element` is the label or the relationship type, `key` the row's key by column. `columns` are those that differ, and
    `expected` and `actual` tell their values by name, as text that begins with the type; None where there is nothing.
    """

    table: str
    element: str
    kind: FindingKind
    key: Mapping[str, KeyValue]
    columns: tuple[str, ...]
    expected: Mapping[str, str] | None
    actual: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What could not be told. `key` None: of the whole table; `table` None: of everything."""

    table: str | None
    key: Mapping[str, KeyValue] | None
    reason: str


@dataclass(slots=True)
class TableReport:
    """One mapped table, with the relationships of its foreign keys. Digests leave out what was in flight at the end.

    `rows` were read; `nodes` and `relationships` are those of the graph.
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
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. `position` is that of the last comparison, None when it never came to one.

    Whatever changed in Postgres during an earlier comparison was compared again at a later one, up to `position`.
    """

    position: Lsn | None
    seconds: float
    tables: Sequence[TableReport]
    findings: Sequence[Finding]
    unsettled: Sequence[Unsettled]

    @property
    def verdict(self) -> Verdict:
        """Drift wherever there is a finding; clean only if everything is known to be equal."""
        if self.findings:
            return "drift"
        return "inconclusive" if self.unsettled or self.position is None else "clean"

    @property
    def elements_checked(self) -> int:
        """Elements of the graph that were settled, and those that are missing from it."""
        return sum(table.nodes + table.relationships + table.missing for table in self.tables)

    def as_json(self) -> dict[str, object]:
        """The form that `verify --json` prints, a contract: keys may be added, none goes."""
        return {
            "verdict": self.verdict,
            "as_of_lsn": None if self.position is None else render(self.position),
            "elements_checked": self.elements_checked,
            "seconds": round(self.seconds, 3),
            "tables": [table.as_json() for table in self.tables],
            "findings": _plain(self.findings),
            "inconclusive": _plain(self.unsettled),
        }


def _plain(entries: Iterable[Finding] | Iterable[Unsettled]) -> list[dict[str, object]]:
    return [
        {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(entry).items()}
        for entry in entries
    ]
