import json

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain import arrays, values

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.sampled_from(["NULL", "null", "", "{", "}", '"', "\\", ",", ";", "a b", "[0:1]={}", "\n"]),
)
arrays_of_text = st.recursive(
    st.lists(st.one_of(texts, st.none()), min_size=1, max_size=4),
    lambda inner: st.lists(inner, min_size=1, max_size=3),
    max_leaves=12,
)


def print_array(elements: arrays.Nested, delimiter: str) -> str:
    """An array as Postgres prints it."""
    return "{" + delimiter.join(print_element(element, delimiter) for element in elements) + "}"


def print_element(element: str | arrays.Nested | None, delimiter: str) -> str:
    """An element, quoted where Postgres quotes it."""
    if element is None:
        return "NULL"
    if isinstance(element, list):
        return print_array(element, delimiter)
    special = {'"', "\\", "{", "}", delimiter, *" \t\n\r\v\f"}
    if element == "" or element.upper() == "NULL" or special & set(element):
        escaped = element.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return element


@given(arrays_of_text, st.sampled_from([",", ";"]))
def test_an_array_is_taken_apart_as_it_was_printed(elements: arrays.Nested, delimiter: str) -> None:
    """Quotes, escapes, nulls, nesting and either delimiter."""
    assert arrays.parse(print_array(elements, delimiter), delimiter) == elements


@given(arrays_of_text)
def test_an_array_of_text_is_a_list_or_the_same_in_json(elements: arrays.Nested) -> None:
    """A list where it has one dimension and no null, else JSON text of the same shape."""
    decoded = arrays.decoder(str, literal=False)(print_array(elements, ","))
    if all(isinstance(element, str) for element in elements):
        assert decoded == elements
    else:
        assert isinstance(decoded, str)
        assert json.loads(decoded) == elements


@pytest.mark.parametrize("text", ["", "1,2", "{1,2", "{1}}", "{1}{2}", '{"a}', '{a"b"}x', "{}}", "[0:1]"])
def test_text_that_is_no_array_is_refused(text: str) -> None:
    """It is damage and must not become a value."""
    with pytest.raises(ValueError, match="array"):
        arrays.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        ("{1,-2}", [1, -2]),
        ("[5:6]={1,2}", [1, 2]),
        ("{1,NULL}", "[1,null]"),
        ("{{1,2},{3,NULL}}", "[[1,2],[3,null]]"),
        ("[0:0][3:4]={{1,2}}", "[[1,2]]"),
    ],
)
def test_an_array_of_integers_is_a_list_or_json_numbers(text: str, expected: values.Wire) -> None:
    """Lower bounds are dropped."""
    assert arrays.decoder(int, literal=True)(text) == expected


@pytest.mark.parametrize(
    ("element", "text", "expected"),
    [
        (values.boolean, "{t,f,NULL}", "[true,false,null]"),
        (float, "{1.5,NaN,-Infinity,NULL}", '[1.5,"NaN","-Infinity",null]'),
        (values.short_numeric, "{1,NaN}", '[1,"NaN"]'),
    ],
)
def test_what_json_cannot_say_is_a_string_in_it(element: values.Decoder, text: str, expected: str) -> None:
    """JSON has neither NaN nor infinities."""
    assert arrays.decoder(element, literal=True)(text) == expected


def test_an_element_without_a_graph_form_makes_all_of_them_text() -> None:
    """The others are their Postgres text too, not their parameters."""
    assert arrays.decoder(values.days, literal=False)("{2020-01-01,infinity}") == '["2020-01-01","infinity"]'
    assert arrays.decoder(values.days, literal=False)("{1970-01-01,1970-01-02}") == [0, 1]


def test_bytes_are_json_text_in_any_array() -> None:
    """Neo4j has no list of byte arrays."""
    assert arrays.json_decoder(str, literal=False)('{"\\\\x00ff",NULL}') == '["\\\\x00ff",null]'
    assert arrays.json_decoder(str, literal=False)("{}") == "[]"
