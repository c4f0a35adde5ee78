"""The table of docs/metrics.md, from the declarations; `python -m tests.unit.observability.reference` writes it."""

import re
from pathlib import Path

from gpm_cdc.observability.metrics import METRICS, Metric

PAGE = Path(__file__).parents[3] / "docs/metrics.md"
TABLE = re.compile(r"\| metric \|.*?\n(?=\n)", re.DOTALL)
_HEADER = "| metric | type | labels | meaning |\n|---|---|---|---|\n"


def table() -> str:
    """The table as it has to be."""
    return _HEADER + "".join(map(_line, METRICS))


def _line(metric: Metric) -> str:
    kind = "gauge" if metric.kind == "state" else metric.kind
    labels = "; ".join(f"`{name}`: {', '.join(values) or 'mapped tables'}" for name, values in metric.labels)
    return f"| `{metric.name}` | {kind} | {labels or 'none'} | {metric.meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
