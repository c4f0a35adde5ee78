"""The stream that a benchmark runs is that of the acceptance tests."""

from tests.acceptance.conftest import driver, stream

__all__ = ["driver", "stream"]
