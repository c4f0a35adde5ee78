from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import override

import pytest
from hypothesis import given, settings, strategies as st

from gpm_cdc.cli.page import SHOWN_PER_TABLE, page
from gpm_cdc.cli.provenance import Provenance
from gpm_cdc.domain.digests import Digest
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.verification.rendering import visible, without_values
from gpm_cdc.verification.report import Finding, Report, Since, TableReport, Unsettled

_FROM = Provenance(
    "shop", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), strict=False, versions={"neo4j": "5.26"}, number=7
)
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class _Document(HTMLParser):
    """Elements, their attributes and the text of a page; every element must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in _VOID:
            self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def _report(findings: list[Finding], table: str = "public.t", unsettled: list[Unsettled] | None = None) -> Report:
    tables = [TableReport(table, 3, 2, 1, Digest(1, 1), Digest(1, 2), len(findings))]
    return Report(Lsn(0x20), 1.25, tables, findings, unsettled or [], began=Lsn(0x10))


def _page(report: Report) -> str:
    return "".join(page(report, _FROM))


_odd = st.text(st.sampled_from("<>&\"'/=\\ \x00\x1b\u202e\u200bäa;#:"), max_size=12)


@settings(deadline=None)
@given(_odd, _odd, _odd, _odd)
def test_nothing_of_a_row_becomes_markup(table: str, key: str, name: str, value: str) -> None:
    """Whatever a table, a key, a property or a value holds is text, all of it visible, and nothing else on the page."""
    plain = _Document(_page(_report([_finding("t", "k", "n", "v", "w")], "t", [Unsettled("t", {"id": "k"}, "r")])))
    document = _Document(
        _page(_report([_finding(table, key, name, value, f"{value}!")], table, [Unsettled(table, {"id": key}, value)]))
    )
    assert document.tags <= plain.tags
    assert [(tag, attribute) for tag, attribute, _ in document.attributes if attribute not in ("id", "href")] == [
        (tag, attribute) for tag, attribute, _ in plain.attributes if attribute not in ("id", "href")
    ]
    for text in (table, f"id={key}", name, value, f"{value}!"):
        assert visible(text) in document.text
    assert all(character.isprintable() or character == "\n" for character in document.text)


def _finding(table: str, key: str, name: str, expected: str, actual: str) -> Finding:
    return Finding(table, "T", "different", {"id": key}, (name,), {name: expected}, {name: actual})


def test_a_page_needs_nothing_else() -> None:
    """No address but those of its own parts, no script, and a policy that keeps a browser from asking for more."""
    document = _Document(_page(_report([_finding("t", "k", "n", "v", "w")], "t")))
    addresses = [(name, value) for _, name, value in document.attributes if name in ("href", "src", "srcset", "action")]
    assert {name for name, _ in addresses} == {"href"}
    ids = {value for _, name, value in document.attributes if name == "id"}
    assert {value for _, value in addresses} == {f"#{each}" for each in ids}
    assert "script" not in document.tags
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in document.attributes
    assert "url(" not in _page(_report([]))
    assert "@import" not in _page(_report([]))


@pytest.mark.parametrize(
    ("report", "headline"),
    [
        (_report([]), "The graph equals the tables"),
        (_report([_finding("public.t", "1", "n", "v", "w")]), "The graph differs from the tables"),
        (_report([], unsettled=[Unsettled("public.t", None, "busy")]), "It could not be told"),
        (Report(None, 1.0, [], [], [Unsettled(None, None, "nobody runs it")]), "Nothing could be compared."),
    ],
)
def test_the_verdict_comes_first(report: Report, headline: str) -> None:
    """Then where, when, and with which versions."""
    text = _Document(_page(report)).text
    assert headline in text[: text.index("position")]
    for fact in (report.verdict, "2026-01-02 03:04:05 UTC", "5.26", "shop"):
        assert fact in text
    if report.position is not None:
        assert "0/10 to 0/20" in text


def test_a_table_tells_its_own_positions_where_they_differ() -> None:
    """With what the pass began that went on with another one, and that a table was not compared at all."""
    tables = [
        TableReport("public.a", 1, 1, began=Lsn(0x10), position=Lsn(0x10), settled=True, resumed=True),
        TableReport("public.b", 1, 1, began=Lsn(0x20), position=Lsn(0x30), settled=True),
        TableReport("public.c"),
    ]
    report = Report(Lsn(0x30), 1.0, tables, [], [], Lsn(0x10), interrupted=True, resumed_pass=7)
    text = _Document(_page(report)).text
    for fact in ("as of", "0/20 to 0/30", "not compared", "from pass 7, which had settled 1 of 3 tables"):
        assert fact in text
    plain = _Document(_page(replace(report, tables=tables[:1], resumed_pass=None))).text
    for fact in ("as of", "not compared", "from pass"):
        assert fact not in plain


def test_the_part_that_differs_is_marked() -> None:
    """Between values of one type the characters, and else the types."""
    shown = _page(_report([_finding("public.t", "1", "n", 'STRING "abc"', 'STRING "axyc"')]))
    assert "&quot;a<mark>b</mark>c&quot;" in shown
    assert "&quot;a<mark>xy</mark>c&quot;" in shown
    shown = _page(_report([_finding("public.t", "1", "n", "INTEGER 1", "FLOAT 1.0")]))
    assert '<span class="type"><mark>INTEGER</mark></span>1<' in shown
    shown = _page(_report([_finding("public.t", "1", "n", 'STRING "aa"', 'STRING "aaa"')]))
    assert "&quot;aa&quot;</td>" in shown
    assert "&quot;aa<mark>a</mark>&quot;</td>" in shown


def test_a_page_stays_readable() -> None:
    """Of each table the first findings are shown and the rest is counted, and so it is with long values."""
    many = [_finding("public.t", f"k{number}", "n", "v", "w") for number in range(SHOWN_PER_TABLE + 7)]
    other = _finding("public.u", "last", "n", "STRING " + "x" * 10_000, "w")
    text = _Document(_page(_report([*many, other]))).text
    assert "id=last" in text
    assert f"id=k{SHOWN_PER_TABLE - 1}" in text
    assert f"id=k{SHOWN_PER_TABLE} " not in text
    assert "and 7 more" in text
    assert text.count("x") < 3_000


@settings(deadline=None)
@given(st.text())
def test_visible_text_is_printable(text: str) -> None:
    """And what was printable stays as it is."""
    assert visible(text).isprintable()
    assert (visible(text) == text) == text.isprintable()


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ('STRING "SECRET"', "STRING …"),
        ("INTEGER 7", "INTEGER …"),
        ("FLOAT NaN", "FLOAT …"),
        ("ZONED DATETIME 1970-01-01T00:00:00Z", "ZONED DATETIME …"),
        ("DURATION P1M2DT3S", "DURATION …"),
        ('LIST [STRING "SECRET"]', "LIST …"),
        ("LIST SECRET", "LIST …"),
        ("VECTOR<FLOAT> SECRET", "…"),
        ("SECRET", "…"),
        ("NULL", "NULL"),
        ("FOREIGN", "FOREIGN"),
        (":Person:Manager", ":Person:Manager"),
    ],
)
def test_without_values_types_are_left(told: str, left: str) -> None:
    """Nothing of a value stays, also where its type is not known."""
    assert without_values(_finding("public.t", "1", "n", told, told)).actual == {"n": left}


def test_an_incremental_pass_says_what_it_rests_on() -> None:
    """It claims nothing of what it did not compare."""
    since = Since(Lsn(0x10), datetime(2026, 5, 4, 10, 0, 7, tzinfo=UTC))
    report = Report(Lsn(0x30), 1.0, [], [], [], Lsn(0x30), kind="incremental", since=since)
    shown = "".join(page(report, _FROM))
    assert "What the stream has written to the graph equals the tables" in shown
    assert "written after 0/10, where a full pass that ended at 2026-05-04 10:00:07 UTC found everything equal" in shown
    early = Report(None, 1.0, [], [], [Unsettled(None, None, "nobody runs it")], kind="incremental")
    assert "<dd>incremental</dd>" in "".join(page(early, _FROM))
