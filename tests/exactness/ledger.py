"""What has been run so far: one record per server version and seed, in docs/exactness.json, and a page."""

import fcntl
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.exactness.machine import Outcome

JSON_FILE = Path(__file__).parents[2] / "docs" / "exactness.json"

_HEAD = """# Exactness: the ledger

Machine-made histories: a random schema with its mapping, random transactions over it, the graph compared with the
tables by the independent oracle after every few of them. Eight histories in a row share their schema.
`make exactness` goes on where it stopped, and adds to this page; CONTRIBUTING.md tells how. A history counts when it
ended without a difference.

*Refused*: statements that Postgres did not take.
"""


@dataclass(slots=True)
class Record:
    """The sums over the first `histories` histories of a seed on a server version."""

    version: int
    seed: str
    histories: int = 0
    transactions: int = 0
    refused: int = 0
    comparisons: int = 0
    crashes: int = 0
    copies: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count one more history."""
        self.histories += 1
        self.transactions += outcome.transactions
        self.refused += outcome.refused
        self.comparisons += outcome.comparisons
        self.crashes += outcome.crashes
        self.copies += outcome.copies
        self.seconds = round(self.seconds + seconds, 1)


def read(path: Path = JSON_FILE) -> list[Record]:
    """Every record; none where there is no file."""
    if not path.exists():
        return []
    return [Record(**facts) for facts in json.loads(path.read_text())]


def write(record: Record, path: Path = JSON_FILE) -> None:
    """Put `record` in the place of the one of its version and seed, and render the page. Others may write meanwhile."""
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        others = [known for known in read(path) if (known.version, known.seed) != (record.version, record.seed)]
        records = sorted([*others, record], key=lambda known: (known.version, known.seed))
        path.write_text(json.dumps([asdict(known) for known in records], indent=1) + "\n")
        path.with_suffix(".md").write_text(page(records))


def page(records: Iterable[Record]) -> str:
    """The ledger for people: sums per version, then every record."""
    sums: dict[int, Record] = {}
    rows = list(records)
    for record in rows:
        total = sums.setdefault(record.version, Record(record.version, ""))
        for name in ("histories", "transactions", "refused", "comparisons", "crashes", "copies", "seconds"):
            setattr(total, name, getattr(total, name) + getattr(record, name))
    head = "| histories | transactions | comparisons | crashes | copies taken over | refused | hours |"
    rule = "|---:|---:|---:|---:|---:|---:|---:|"
    lines = [_HEAD, f"| Postgres {head}", f"|---{rule}"]
    lines += [f"| {total.version} {_cells(total)}" for total in sums.values()]
    lines += ["", f"| Postgres | seed {head}", f"|---|---{rule}"]
    lines += [f"| {record.version} | {record.seed} {_cells(record)}" for record in rows]
    return "\n".join(lines) + "\n"


def _cells(record: Record) -> str:
    counts = (record.histories, record.transactions, record.comparisons, record.crashes, record.copies, record.refused)
    return f"| {' | '.join(f'{count:,}' for count in counts)} | {record.seconds / 3600:.2f} |"
