"""The declarations: what Prometheus's linter asks of names, and that the page agrees with them."""

import re

import pytest
import yaml

from gpm_cdc.observability import metrics
from gpm_cdc.observability.metrics import METRICS, Metric
from tests.unit.observability import reference

BASE_UNITS = {"seconds", "bytes"}
OTHER_UNITS = re.compile(
    r"(milli|micro|nano|kilo|mega|giga|minute|hour|day|week|percent|bit|_ms_|_us_|_mb|_kb)", re.IGNORECASE
)
TYPES = re.compile(r"_(counter|gauge|histogram|metric|count|sum|bucket|info)(_|$)")


def test_all_are_listed_once() -> None:
    """A metric that is declared is shown, and no name is there twice."""
    declared = [each for each in vars(metrics).values() if isinstance(each, Metric)]
    assert declared == list(METRICS)
    assert len({each.name for each in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_follows_the_rules_of_prometheus(metric: Metric) -> None:
    """Help, a prefix, a unit at the end, base units alone, `_total` for counters and for nothing else."""
    name = metric.name
    assert re.fullmatch(r"gpm_cdc_[a-z]+(_[a-z]+)*", name)
    assert metric.meaning.endswith(".")
    assert "  " not in metric.meaning
    stem = name.removesuffix("_total")
    assert (stem != name) == (metric.kind == "counter")
    assert stem.endswith(f"_{metric.unit}")
    assert not OTHER_UNITS.search(name)
    assert not TYPES.search(name.removeprefix("gpm_cdc"))
    if metric.kind == "histogram":
        assert metric.unit in BASE_UNITS
        assert list(metric.bounds) == sorted(set(metric.bounds))
    else:
        assert metric.bounds == ()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_labels_are_bounded(metric: Metric) -> None:
    """Every label lists its values, but for the table; a state is told by a label of its own name."""
    names = [name for name, _ in metric.labels]
    assert len(set(metric.label_names)) == len(names) + 1
    assert "le" not in names
    for name, values in metric.labels:
        assert bool(values) == (name != "table")
    if metric.kind == "state":
        assert names == [metric.unit]


def test_page_has_the_table() -> None:
    """docs/metrics.md shows what is declared; `python -m tests.unit.observability.reference` writes it."""
    (found,) = reference.TABLE.findall(reference.PAGE.read_text(encoding="utf-8"))
    assert found == reference.table()


def test_rules_on_the_page_use_what_there_is() -> None:
    """The examples are YAML, and name metrics, labels and values that exist."""
    page = reference.PAGE.read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    rules = [rule for block in blocks for group in block.get("groups", []) for rule in group["rules"]]
    assert len(rules) == 3
    known = {each.name: dict(each.labels) for each in METRICS}
    for rule in rules:
        used = re.findall(r"(gpm_cdc_\w+)(?:\{(\w+)=\"(\w+)\"\})?", rule["expr"])
        assert used
        for name, label, value in used:
            assert not label or value in known[name][label]
            assert name in known
