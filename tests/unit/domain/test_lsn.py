"""Positions in the log, and where the log has to end to hold what was inserted."""

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.lsn import Lsn, end_of_written, parse, render

PAGE, SEGMENT = 8192, 16 << 20


@given(st.integers(0, 2**64 - 1))
def test_text_and_back(number: int) -> None:
    """What is rendered is parsed as the same position."""
    assert parse(render(Lsn(number))) == number


@pytest.mark.parametrize(
    ("inserted", "end"),
    [
        (5 * PAGE + 24, 5 * PAGE),  # nothing follows the page's header
        (5 * PAGE + 32, 5 * PAGE + 32),  # a record ends here that began on the page before
        (5 * PAGE + 40, 5 * PAGE + 40),  # likewise: this page has the short header
        (3 * SEGMENT + 40, 3 * SEGMENT),  # the long header of a segment's first page
        (3 * SEGMENT + 24, 3 * SEGMENT + 24),
        (3 * SEGMENT + 48, 3 * SEGMENT + 48),
        (5 * PAGE, 5 * PAGE),
        (5 * PAGE + 100, 5 * PAGE + 100),
    ],
)
def test_page_headers(inserted: int, end: int) -> None:
    """Only a header that nothing follows is not waited for."""
    assert end_of_written(Lsn(inserted), PAGE, SEGMENT) == end
