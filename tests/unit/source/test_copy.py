from hypothesis import given, settings, strategies as st

from gpm_cdc.source.copy import parse_lines

_ESCAPES = {
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def encode(value: str | None) -> str:
    r"""A value as the documentation of COPY says that it is written: \N for NULL, control characters escaped."""
    return "\\N" if value is None else "".join(_ESCAPES.get(character, character) for character in value)


tricky = st.text(st.sampled_from("\\\b\f\n\r\t\vNbnrtx.0 é\U0001f701"), max_size=8)
values = st.one_of(st.none(), tricky, st.text(st.characters(codec="utf-8", exclude_characters="\0")))
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[values] * width), min_size=1, max_size=6))


@given(tables)
@settings(max_examples=500)
def test_what_copy_writes_is_read_back(rows: list[tuple[str | None, ...]]) -> None:
    """Every value comes back as it was, NULL and the text backslash-N included."""
    text = "\n".join("\t".join(map(encode, row)) for row in rows)
    assert parse_lines(text) == rows


def test_empty_line_is_one_empty_value() -> None:
    """A table of one column whose value is the empty string."""
    assert parse_lines("") == [("",)]
    assert parse_lines("\n") == [("",), ("",)]


def test_null_and_its_text_differ() -> None:
    """NULL is not the text that stands for it."""
    assert parse_lines("\\N\t\\\\N\tN") == [(None, "\\N", "N")]
