"""Sets of element ids are sets."""

import tracemalloc

from hypothesis import given, strategies as st

from gpm_cdc.domain.elements import ElementIds

NUMBERS = st.one_of(
    st.integers(min_value=0, max_value=40).map(str),
    st.integers(min_value=0, max_value=2**65).map(str),
    st.sampled_from(["", "007", "-1", "+1", "1_0", "٣", " 1", "x", str(2**64 - 1), str(2**64)]),
)
IDS = st.one_of(st.builds("{}:{}".format, st.sampled_from(["4:a", "4:b", "", "4"]), NUMBERS), NUMBERS)


@given(st.lists(st.tuples(st.booleans(), st.lists(IDS))))
def test_it_is_a_set(steps: list[tuple[bool, list[str]]]) -> None:
    """Whatever the ids look like, after each step it holds what a set of them holds."""
    found, expected = ElementIds(), set[str]()
    for adding, ids in steps:
        for each in (found, expected):
            (each.update if adding else each.difference_update)(iter(ids))
        listed = list(found)
        assert len(listed) == len(found) == len(expected)
        assert set(listed) == expected


def test_a_million_take_little_memory() -> None:
    """A bit or so for each, and not the text."""
    found = ElementIds()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(0, 1_000_000, 10_000):
        found.update(f"4:9bbf2d2a-0000-0000-0000-000000000000:{number}" for number in range(start, start + 10_000))
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(found) == 1_000_000
    assert used < 1_000_000
