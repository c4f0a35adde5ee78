import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gpm_cdc.observability import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_lines_are_json_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads one JSON document per line on stderr, with level and time in UTC; stdout stays for data."""
    logs.configure(terminal=False, verbosity=0)
    logs.logger().info("batch applied", lsn="0/1", row_count=3)
    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["lsn"], line["row_count"]) == ("batch applied", "info", "0/1", 3)
    assert str(line["timestamp"]).endswith("Z")


def test_lines_are_readable_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads words, and colours unless NO_COLOR asks for none."""
    monkeypatch.setenv("NO_COLOR", "1")
    logs.configure(terminal=True, verbosity=0)
    logs.logger().info("batch applied", row_count=3)
    said = capsys.readouterr().err
    assert "batch applied" in said
    assert "row_count=3" in said
    assert "\x1b" not in said


def test_debug_lines_need_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    """How things happen is told only when asked for."""
    log = logs.logger()
    for verbosity in (0, 1, 5):
        logs.configure(terminal=False, verbosity=verbosity)
        log.debug("detail", verbosity=verbosity)
    assert [line["verbosity"] for line in _lines(capsys)] == [1, 5]


def test_other_libraries_join_in_from_warning_up(capsys: pytest.CaptureFixture[str]) -> None:
    """A driver's warning has the same form; its debug lines, which quote parameters, never appear."""
    foreign = logging.getLogger("some.driver")
    foreign.setLevel(logging.DEBUG)
    for _ in range(2):
        logs.configure(terminal=False, verbosity=5)
    foreign.debug("row %s", "value")
    foreign.warning("slow %s", "answer")
    (line,) = _lines(capsys)
    assert (line["event"], line["level"]) == ("slow answer", "warning")


def test_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Local variables hold rows and passwords."""
    logs.configure(terminal=False, verbosity=0)
    password = str(31_337_000_731)
    try:
        del dict[int, str]()[len(password)]
    except KeyError:
        logs.logger().exception("failed", error="KeyError")
    (line,) = _lines(capsys)
    assert "test_logs.py" in str(line["exception"])
    assert "31337000731" not in str(line)
