import json

import pytest

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.verification.rendering import plain, typed
from gpm_cdc.verification.report import Finding, KeyValue, Report, TableReport, Unsettled

FINDING = Finding("public.t", "T", "different", {"id": 1}, ("a",), {"a": "INTEGER 1"}, {"a": "FLOAT 1.0"})
OPEN = Unsettled("public.t", {"id": 2}, "busy")


@pytest.mark.parametrize(
    ("position", "findings", "unsettled", "verdict"),
    [
        (Lsn(1), [], [], "clean"),
        (Lsn(1), [FINDING], [], "drift"),
        (Lsn(1), [FINDING], [OPEN], "drift"),
        (Lsn(1), [], [OPEN], "inconclusive"),
        (None, [], [], "inconclusive"),
    ],
)
def test_the_verdict_follows_from_what_is_known(
    position: Lsn | None, findings: list[Finding], unsettled: list[Unsettled], verdict: str
) -> None:
    """Drift wherever something is wrong; clean only when nothing is open and something was compared."""
    report = Report(position, 1.0, [TableReport("public.t")], findings, unsettled)
    assert report.verdict == verdict
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["verdict"] == verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "INTEGER 1"),
        (1.0, "FLOAT 1.0"),
        ("1", 'STRING "1"'),
        (True, "BOOLEAN true"),
        (None, "NULL"),
        (b"\x00\xff", "BYTES 00ff"),
        ([], "LIST []"),
        ([1, 2], "LIST [INTEGER 1, INTEGER 2]"),
        (["a", "b"], 'LIST [STRING "a", STRING "b"]'),
        (["date", -1], "DATE 1969-12-31"),
        (["date", 10**9], "DATE [1000000000]"),
        (["local_datetime", 1, 500_000_000], "LOCAL DATETIME 1970-01-01T00:00:01.5"),
        (["zoned_datetime", 0, 0, "Z"], "ZONED DATETIME 1970-01-01T00:00:00Z"),
        (["local_time", 1, 2, 3, 0], "LOCAL TIME 01:02:03"),
        (["zoned_time", 1, 2, 3, 0, "+01:00"], "ZONED TIME 01:02:03+01:00"),
        (["duration", 1, 2, 3, 4000], "DURATION P1M2DT3.000004S"),
        (["list<date>", [["date", 0]]], "LIST [DATE 1970-01-01]"),
        (["date", "x"], 'LIST [STRING "date", STRING "x"]'),
        (["date"], 'LIST [STRING "date"]'),
        (["list<date>"], 'LIST [STRING "list<date>"]'),
        (["other", "DATE NOT NULL", "x"], 'LIST [STRING "other", STRING "DATE NOT NULL", STRING "x"]'),
        (["other", "a", "b", "c"], 'LIST [STRING "other", STRING "a", STRING "b", STRING "c"]'),
        (["other", 0, "DATE NOT NULL", "2020-01-01"], "DATE 2020-01-01"),
        (["other", 0, "LIST<DATE NOT NULL> NOT NULL", None], "LIST<DATE NOT NULL>"),
    ],
)
def test_a_value_is_told_with_its_type(value: GraphValue, text: str) -> None:
    """Equal texts of different types cannot be mistaken for one another."""
    assert typed(value) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1, 1), ("x", "x"), (None, None), (["date", 0], "1970-01-01"), (float("nan"), "FLOAT NaN"), (b"\x01", "BYTES 01")],
)
def test_a_key_is_told_as_json_has_it(value: GraphValue, shown: KeyValue) -> None:
    """Numbers and texts as they are, everything else as text."""
    assert plain(value) == shown
