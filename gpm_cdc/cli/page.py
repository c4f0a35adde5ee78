"""The report of `verify` as one page of HTML that needs nothing else: verdict, tables, findings."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from html import escape
from importlib.resources import files
from itertools import takewhile
from typing import Final

from gpm_cdc.cli.provenance import Provenance
from gpm_cdc.cli.sentences import KINDS, key_text, position_text, positions_differ, resumed_text, scope_text, sums_text
from gpm_cdc.verification.rendering import shortened, split, visible
from gpm_cdc.verification.report import Finding, Report, TableReport, Unsettled, Verdict
from gpm_cdc.wording import say

SHOWN_PER_TABLE: Final = 200
"""Findings of one table: a page with all of a million is one that no browser opens."""

LONGEST_TEXT: Final = 2_000

_HEADLINES: Final[Mapping[Verdict, str]] = {
    "clean": "The graph equals the tables",
    "drift": "The graph differs from the tables",
    "inconclusive": "It could not be told whether the graph equals the tables",
}
_HEADLINES_OF_A_PART: Final[Mapping[Verdict, str]] = {
    "clean": "What the stream has written to the graph equals the tables",
    "drift": _HEADLINES["drift"],
    "inconclusive": "It could not be told whether what the stream has written equals the tables",
}
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_SERVERS: Final = {"gpm_cdc": "gpm-cdc", "postgres": "Postgres", "neo4j": "Neo4j"}
_TOTALS_FROM: Final = 2


def page(report: Report, provenance: Provenance) -> Iterator[str]:
    """The page in pieces."""
    title = say("verify: {verdict}", verdict=report.verdict)
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - {_text(provenance.stream)}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="{report.verdict}">\n'
    )
    yield _header(report, provenance)
    yield _facts(report, provenance)
    if report.position is not None:
        yield _tables(report.tables)
    yield from _findings(report)
    yield from _questions(report)
    yield f"<footer>{escape(_footer())}</footer>\n</body>\n</html>\n"


def _header(report: Report, provenance: Provenance) -> str:
    checked, found = f"{report.elements_checked:,}", f"{report.finding_count:,}"
    if report.verdict == "drift":
        sentence = say("{found} findings in {checked} elements.", found=found, checked=checked)
    elif report.verdict == "clean":
        sentence = say("All {checked} elements were compared, and all are equal.", checked=checked)
    elif report.position is None:
        sentence = say("Nothing could be compared.")
    else:
        sentence = say("What was compared, {checked} elements, is equal; the rest is below.", checked=checked)
    headlines = _HEADLINES if report.kind == "full" else _HEADLINES_OF_A_PART
    stream = say("gpm-cdc verify, stream {stream}", stream=provenance.stream)
    return (
        f'<header>\n<p class="stream">{_text(stream)}</p>\n<h1>{escape(say(headlines[report.verdict]))}</h1>\n'
        f"<p>{escape(sentence)}</p>\n</header>\n"
    )


def _facts(report: Report, provenance: Provenance) -> str:
    entries = [
        (say("verdict"), report.verdict),
        (say("position (LSN)"), position_text(report)),
        (say("started"), f"{provenance.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        (say("took"), say("{seconds} s", seconds=f"{report.seconds:,.1f}")),
        (say("pass"), provenance.number),
        (say("compared"), scope_text(report)),
        (say("resumed"), None if report.resumed_pass is None else resumed_text(report)),
        (say("strict"), say("yes") if provenance.strict else say("no")),
        *((_SERVERS.get(name, name), version) for name, version in provenance.versions.items()),
    ]
    told = (
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>\n" for name, value in entries if value is not None
    )
    return f'<dl class="facts">\n{"".join(told)}</dl>\n'


def _tables(tables: Sequence[TableReport]) -> str:
    told = positions_differ(tables)
    names = ("table", "rows", "nodes", "relationships", "missing", "extra", "different", "checksums")
    head = "".join(f"<th>{escape(say(name))}</th>" for name in (*names, *(["as of"] if told else [])))
    body = "".join(_table(table, told=told) for table in tables)
    foot = ""
    if len(tables) >= _TOTALS_FROM:
        rest = "<td></td>" * (1 + told)
        sums = zip(*(_numbers(table) for table in tables), strict=True)
        foot = f"<tfoot><tr><td>{escape(say('all'))}</td>{''.join(map(_count, map(sum, sums)))}{rest}</tr></tfoot>\n"
    return (
        f"<h2>{escape(say('Tables'))}</h2>\n"
        f'<div class="scroll"><table class="tables">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n{foot}</table></div>\n"
    )


def _numbers(table: TableReport) -> tuple[int, ...]:
    return table.rows, table.nodes, table.relationships, table.missing, table.extra, table.different


def _table(table: TableReport, *, told: bool) -> str:
    rows, nodes, relationships, *wrong = _numbers(table)
    name = _text(table.table)
    if any(wrong):
        name = f'<a href="#{_anchor(table.table)}">{name}</a>'
    kind = "none" if table.position is None else "right" if table.postgres == table.neo4j else "wrong"
    sums = f'<td class="{kind}">{escape(sums_text(table))}</td>'
    if told:
        sums += f"<td>{_text(position_text(table))}</td>"
    counts = "".join(map(_count, (rows, nodes, relationships)))
    return f"<tr><td>{name}</td>{counts}{''.join(map(_wrong, wrong))}{sums}</tr>\n"


def _count(number: int) -> str:
    return f"<td>{number:,}</td>"


def _wrong(number: int) -> str:
    return f'<td class="{"wrong" if number else "none"}">{number:,}</td>'


def _findings(report: Report) -> Iterator[str]:
    if not report.finding_count:
        return
    yield f"<h2>{escape(say('Findings'))}</h2>\n"
    shown: dict[str, list[Finding]] = {}
    counts: dict[str, int] = {}
    for finding in report.findings:
        counts[finding.table] = counts.get(finding.table, 0) + 1
        of_table = shown.setdefault(finding.table, [])
        if len(of_table) < SHOWN_PER_TABLE:
            of_table.append(finding)
    for table, findings in shown.items():
        yield f'<h3 id="{_anchor(table)}">{_text(table)}</h3>\n'
        yield from map(_finding, findings)
        yield _more(counts[table] - len(findings), "and {count} more; --jsonl FILE and --json have all")
    yield _more(report.left_out, "and {count} more, which were counted but not kept")


def _more(count: int, template: str) -> str:
    return f'<p class="more">{escape(say(template, count=f"{count:,}"))}</p>\n' if count else ""


def _finding(whole: Finding) -> str:
    finding = shortened(whole, LONGEST_TEXT)
    about = f"<b>{_text(key_text(finding.key))}</b> {_text(finding.element)}"
    head = f'<p>{about} <span class="kind">{escape(say(KINDS[finding.kind]))}</span></p>'
    return f'<div class="finding">{head}\n<table>\n{_values(finding)}</table></div>\n'


def _values(finding: Finding) -> str:
    expected, actual = finding.expected, finding.actual
    sides = [
        (say("expected, from the rows"), "expected", expected),
        (say("actual, in the graph"), "actual", actual),
    ]
    # A whole element that one side lacks needs no column for the lack.
    present = [side for side in sides if side[2] is not None]
    head = "".join(f"<th>{escape(title)}</th>" for title, _, _ in present)
    names = {**(expected or {}), **(actual or {})}
    both = expected is not None and actual is not None
    rows = []
    for name in names:
        texts = [None if values is None else values.get(name) for _, _, values in present]
        marked = _marked(*texts) if both else [_value(text) for text in texts]
        cells = "".join(
            f'<td class="value {side}">{cell}</td>' for (_, side, _), cell in zip(present, marked, strict=True)
        )
        differs = ' class="differs"' if both else ""
        rows.append(f"<tr{differs}><th>{_text(name)}</th>{cells}</tr>\n")
    return f"<thead><tr><th>{escape(say('property'))}</th>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n"


def _marked(expected: str | None, actual: str | None) -> list[str]:
    """Both values, with what differs marked: the types, or else the part between what both have at either end."""
    if expected is None or actual is None:
        return [_value(expected), _value(actual)]
    (left_type, left), (right_type, right) = split(expected), split(actual)
    if left_type != right_type:
        return [_typed(_mark(left_type), _text(left)), _typed(_mark(right_type), _text(right))]
    before = _alike(left, right)
    behind = _alike(left[before:][::-1], right[before:][::-1])
    return [
        _typed(
            escape(left_type),
            f"{_text(text[:before])}{_mark(text[before : len(text) - behind])}{_text(text[len(text) - behind :])}",
        )
        for text in (left, right)
    ]


def _mark(text: str) -> str:
    return f"<mark>{_text(text)}</mark>" if text else ""


def _alike(left: str, right: str) -> int:
    """How many characters at the start are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _value(text: str | None) -> str:
    if text is None:
        return f'<span class="none">{escape(say("nothing"))}</span>'
    kind, value = split(text)
    return _typed(escape(kind), _text(value))


def _typed(kind: str, value: str) -> str:
    return f'<span class="type">{kind}</span>{value}' if kind else value


def _questions(report: Report) -> Iterator[str]:
    if not report.unsettled_count:
        return
    head = "".join(f"<th>{escape(say(name))}</th>" for name in ("of", "reason"))
    yield f"<h2>{escape(say('Not told'))}</h2>\n"
    yield f'<table class="questions">\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
    yield from map(_question, report.unsettled[:SHOWN_PER_TABLE])
    yield "</tbody>\n</table>\n"
    yield _more(max(0, len(report.unsettled) - SHOWN_PER_TABLE), "and {count} more; --jsonl FILE and --json have all")
    yield _more(report.unsettled_left_out, "and {count} more, which were counted but not kept")


def _question(question: Unsettled) -> str:
    about = [say("everything") if question.table is None else question.table]
    if question.key is not None:
        about.append(key_text(question.key))
    return f"<tr><td>{_text(' '.join(about))}</td><td>{_text(question.reason)}</td></tr>\n"


def _footer() -> str:
    return say("Keys and values are those of the compared rows: pass this page on as you would the rows.")


def _anchor(table: str) -> str:
    # A table's name may hold what an address may not.
    return f"t{table.encode().hex()}"


def _text(value: object) -> str:
    return escape(visible(str(value)))
