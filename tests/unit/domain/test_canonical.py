import math
import struct

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.canonical import canonical, pack, with_one_nan
from gpm_cdc.domain.values import GraphValue

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 2),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan]),
    st.text(),
    st.binary(max_size=8),
    st.text("ils:;0123456789n", max_size=8),
)
graph_values: st.SearchStrategy[GraphValue] = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3), max_leaves=8
)


def same(one: GraphValue, other: GraphValue) -> bool:
    """Whether two values are the same, by type and by bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or struct.pack(">d", one) == struct.pack(">d", other)
    return one == other


@given(graph_values, graph_values)
def test_equal_forms_mean_equal_values(one: GraphValue, other: GraphValue) -> None:
    """And nothing else does."""
    assert (canonical(one) == canonical(other)) == same(one, other)


held = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-2, 2),
        st.floats(),
        st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan]),
        st.text(st.characters(codec="utf-8")),
        st.binary(max_size=8),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)
"""What a property of the graph can be."""


@given(st.lists(held, max_size=3), st.lists(held, max_size=3))
def test_equal_packed_forms_mean_equal_values(one: list[GraphValue], other: list[GraphValue]) -> None:
    """As with the canonical ones, once there is one NaN."""
    assert (pack(with_one_nan(one)) == pack(with_one_nan(other))) == same(one, other)


def test_packed_look_alikes_differ() -> None:
    """Types, and what belongs to which list."""
    lists: list[list[GraphValue]] = [[], [[]], [1], [[1]], [1, 1], [[1], 1], ["1"], [b"1"], [1.0], [True]]
    assert len({pack(values) for values in lists}) == len(lists)


@given(graph_values, graph_values)
def test_no_form_begins_another(one: GraphValue, other: GraphValue) -> None:
    """So values can be written one after the other without losing where each ends."""
    if not same(one, other):
        assert not canonical(one).startswith(canonical(other))


def test_look_alikes_differ() -> None:
    """Different types, signs of zero and groupings are different values."""
    scalars: list[GraphValue] = [1, 1.0, "1", True, b"1", None, "None", "", b"", 0, 0.0, -0.0, False]
    edges: list[GraphValue] = [2**63, -(2**63), 2**63 - 1, float(2**63)]
    texts: list[GraphValue] = ["\u00e9", "e\u0301", "\ud800", "\ufffd", "ab"]
    lists: list[GraphValue] = [[1], [[1]], [], [None], ["ab"], ["a", "b"], ["a", None, "b"], ["date", 1], ["date", 1.0]]
    values = [*scalars, *edges, *texts, *lists]
    assert len({canonical(value) for value in values}) == len(values)


def test_every_nan_is_the_same() -> None:
    """Whatever its sign and payload."""
    payload = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]
    assert canonical(payload) == canonical(math.nan)
    assert canonical([payload]) == canonical([math.nan])


@pytest.mark.parametrize("value", [object(), (1,), {"a": 1}, [1, {2}]])
def test_an_object_that_the_graph_does_not_hold_has_no_form(value: object) -> None:
    """It is refused by its type's name; its content stays out of the error."""
    with pytest.raises(TypeError, match="no canonical form for"):
        canonical(value)  # type: ignore[arg-type]
