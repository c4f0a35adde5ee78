"""Reports as JSON lines, and findings read back out of a report in either form.

A line of JSON lines is an object whose `record` says what it is: a `finding`, an `inconclusive` question, or the
`verdict`, which comes last. A file without it was cut off, and is not taken for a report.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from gpm_cdc.domain.portable import restored
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.errors.verify import ReportIncomplete, ReportUnreadable
from gpm_cdc.verification.report import COUNTED_AS, Finding, FindingKind, KeyValue, Report
from gpm_cdc.wording import say

RECORD: Final = "record"

type Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Located:
    """Which element a finding is about: the row's key by column, exactly as the graph holds it, and what is wrong."""

    table: str
    element: str
    kind: FindingKind
    key: Mapping[str, GraphValue]


@dataclass(frozen=True, slots=True)
class FindingList:
    """The findings that a report lists, in its order. `left_out` more were counted, of which it does not say where."""

    findings: list[Located]
    left_out: int


def lines(report: Report, facts: Facts) -> Iterator[str]:
    """The lines of a report, each without its end; `facts` go into the last one."""
    for finding in report.findings:
        yield _line({RECORD: "finding", **finding.as_json()})
    for question in report.unsettled:
        yield _line({RECORD: "inconclusive", **question.as_json()})
    yield _line({RECORD: "verdict", **report.summary(), **facts})


def read_findings(path: Path) -> FindingList:
    """The findings of what `verify --json` or `verify --jsonl` wrote to `path`.

    Raises ReportUnreadable for anything else, ReportIncomplete for JSON lines that were cut off.
    """
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
            if _begins_lines(first):
                return _of_lines(itertools.chain((first,), file), path)
            document = json.loads(first + file.read())
        return FindingList(list(map(located, document["findings"])), int(document.get("findings_left_out", 0)))
    except OSError as error:
        raise ReportUnreadable(path=path, reason=error.strerror) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # The error may quote a key.
        raise ReportUnreadable(path=path, reason=say("it is not a report of 'gpm-cdc verify'")) from None


def located(entry: object) -> Located:
    """What a finding in its JSON form is about. ValueError, KeyError or TypeError for what is none."""
    finding = cast("dict[str, object]", entry)
    table, element, kind, key = (finding[name] for name in ("table", "element", "kind", "exact_key"))
    if not isinstance(table, str) or not isinstance(element, str) or kind not in COUNTED_AS or not key:
        msg = "no finding"
        raise ValueError(msg)
    values = {str(column): restored(value) for column, value in cast("dict[str, object]", key).items()}
    return Located(table, element, cast("FindingKind", kind), values)


def finding_of(entry: Mapping[str, object]) -> Finding:
    """The whole finding whose JSON form this is."""
    where = located(entry)
    return Finding(
        where.table,
        where.element,
        where.kind,
        cast("dict[str, KeyValue]", entry["key"]),
        tuple(cast("list[str]", entry["columns"])),
        cast("dict[str, str] | None", entry["expected"]),
        cast("dict[str, str] | None", entry["actual"]),
        where.key,
    )


def _of_lines(texts: Iterable[str], path: Path) -> FindingList:
    findings: list[Located] = []
    verdict: Mapping[str, object] | None = None
    for text in texts:
        if not text.endswith("\n"):
            raise ReportIncomplete(path=path)
        entry = json.loads(text)
        if verdict is not None:
            msg = "something after the verdict"
            raise ValueError(msg)
        if entry[RECORD] == "verdict":
            verdict = entry
        elif entry[RECORD] == "finding":
            findings.append(located(entry))
    if verdict is None:
        raise ReportIncomplete(path=path)
    return FindingList(findings, cast("int", verdict["findings_left_out"]))


def _begins_lines(text: str) -> bool:
    """Whether this is a line of JSON lines, and not the first one of a document."""
    try:
        return RECORD in json.loads(text)
    except ValueError:
        return False


def _line(entry: Facts) -> str:
    return json.dumps(entry, ensure_ascii=False)
