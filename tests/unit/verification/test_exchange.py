import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.portable import portable, restored
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.errors.verify import ReportIncomplete, ReportUnreadable
from gpm_cdc.verification.exchange import lines, read_findings
from gpm_cdc.verification.report import Finding, Report, TableReport, Unsettled
from tests.unit.verification.drawn import findings, form, located_at, values


def _report(findings: list[Finding], left_out: int = 0) -> Report:
    return Report(
        Lsn(0x20), 1.5, [TableReport("public.t")], findings, [Unsettled("public.t", {"id": 1}, "busy")],
        began=Lsn(0x10), left_out=left_out,
    )  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
@example(2**53 + 1)
@example([-(2**53) - 1])
def test_a_value_comes_back_as_it_was(value: GraphValue) -> None:
    """Through JSON text, and through a reader that keeps numbers as doubles, nothing of a value changes."""
    text = json.dumps(portable(value), allow_nan=False)
    assert canonical(restored(json.loads(text))) == canonical(value)
    doubles = json.loads(text, parse_int=lambda digits: int(float(digits)))
    assert canonical(restored(doubles)) == canonical(value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values, values)
def test_different_values_have_different_json(left: GraphValue, right: GraphValue) -> None:
    """1, 1.0, true and "1" are four values, and so are their forms."""
    same = json.dumps(portable(left)) == json.dumps(portable(right))
    assert same == (canonical(left) == canonical(right))


@pytest.mark.parametrize(
    "foreign",
    [1.5, {}, {"float": 1.0}, {"float": "x"}, {"integer": "1_0"}, {"bytes": "0"}, {"a": "1", "b": "2"}, {"set": "1"}],
)
def test_what_was_never_written_is_refused(foreign: object) -> None:
    """A form that `portable` does not make is an error, and not a guess."""
    with pytest.raises(ValueError, match=r"."):
        restored(foreign)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(findings(), max_size=5), st.integers(0, 3), st.sampled_from(["lines", "document", "compact"]))
def test_findings_come_back_from_a_file(tmp_path: Path, found: list[Finding], left_out: int, kind: str) -> None:
    """JSON lines and the JSON document give the same elements, in their order, with every key as it was."""
    report, path = _report(found, left_out), tmp_path / "report"
    if kind == "lines":
        text = "".join(f"{line}\n" for line in lines(report, {"pass": 3}))
    else:
        text = json.dumps(report.as_json(), ensure_ascii=False, indent=None if kind == "compact" else 2)
    path.write_bytes(text.encode("utf-8", "backslashreplace"))
    read = read_findings(path)
    assert [form(where) for where in read.findings] == [form(located_at(finding)) for finding in found]
    assert read.left_out == left_out


_ONE = Finding("public.t", "T", "extra", {"id": 1}, (), None, {"id": "INTEGER 1"}, {"id": 1})


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_lines_without_the_verdict_are_no_report(tmp_path: Path, cut: int) -> None:
    """A file that was cut off anywhere before its end is refused: it does not name everything."""
    whole = "".join(f"{line}\n" for line in lines(_report([_ONE, _ONE]), {}))
    path = tmp_path / "cut.jsonl"
    path.write_text(whole[:-cut], encoding="utf-8")
    with pytest.raises(ReportIncomplete):
        read_findings(path)
    path.write_text("".join(f"{line}\n" for line in whole.splitlines()[:-1]), encoding="utf-8")
    with pytest.raises(ReportIncomplete):
        read_findings(path)


def _changed(**changes: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return json.dumps({"findings": [{**_ONE.as_json(), **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "table,key\n",
        '{"findings": [1]}',
        '{"findings": {"a": 1}}',
        _changed(exact_key={"id": 1.5}),
        _changed(exact_key={}),
        _changed(exact_key=None),
        _changed(kind="odd"),
        _changed(table=7),
        '{"record": "verdict", "findings_left_out": 0}\n{"record": "finding"}\n',
        "[" * (sys.getrecursionlimit() + 1),
        "\udcff",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    """A file of another kind is an error that names it, and quotes nothing of it."""
    path = tmp_path / "odd.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportUnreadable) as refused:
        read_findings(path)
    assert "odd.json" in str(refused.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    """The reason is the system's."""
    with pytest.raises(ReportUnreadable, match="No such file"):
        read_findings(tmp_path / "nowhere.json")
