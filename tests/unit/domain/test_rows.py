import pytest
from hypothesis import given, settings, strategies as st

from gpm_cdc.domain.rows import CopiedRow, CopiedRows
from tests.unit.domain.copy_text import copied

tricky = st.text(st.sampled_from("\\\b\f\n\r\t\vNbnrtx.0 é\U0001f701"), max_size=8)
plain = st.text(st.characters(codec="utf-8", exclude_characters="\0\\\b\f\n\r\t\v"), max_size=8)
values = st.one_of(st.none(), tricky, st.text(st.characters(codec="utf-8", exclude_characters="\0")))


def tables(cells: st.SearchStrategy[str | None]) -> st.SearchStrategy[list[CopiedRow]]:
    """Rows of one to four values."""
    return st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[cells] * width), min_size=1, max_size=6))


@given(st.one_of(tables(values), tables(plain)))
@settings(max_examples=500)
def test_what_copy_writes_is_read_back(rows: list[CopiedRow]) -> None:
    """Every value comes back as it was, NULL and the text backslash-N included, by rows and by columns."""
    found = copied(rows)
    assert len(found) == len(rows)
    assert list(map(list, found.columns())) == list(map(list, zip(*rows, strict=True)))
    assert list(found) == rows
    assert (found[0], found[-1], found[1:]) == (rows[0], rows[-1], rows[1:])


@pytest.mark.parametrize(("text", "rows"), [("", [("",)]), ("\n", [("",), ("",)])])
def test_empty_line_is_one_empty_value(text: str, rows: list[CopiedRow]) -> None:
    """A table of one column whose value is the empty string."""
    assert list(CopiedRows(text)) == rows
    assert [list(column) for column in CopiedRows(text).columns()] == [["" for _ in rows]]


def test_null_and_its_text_differ() -> None:
    """NULL is not the text that stands for it."""
    assert list(CopiedRows("\\N\t\\\\N\tN")) == [(None, "\\N", "N")]
