import json

import pytest

from gpm_cdc.cli.rendering import show_json, show_table, talk


def test_talk_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said to a person never mixes with data."""
    talk("The stream {stream} is new.", stream="shop")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "The stream shop is new.\n")


def test_json_is_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """A program can parse stdout whole; letters stay letters."""
    show_json({"table": "public.städte", "rows": 3})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"table": "public.städte", "rows": 3}
    assert "städte" in captured.out
    assert captured.err == ""


def test_table_keeps_brackets_and_does_not_fold_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell shows what it holds, on one line where no terminal limits it; numbers align right, None is empty."""
    long = "x" * 300
    show_table(("key", "[columns]", "rows"), [("[red]7", long, 5), (None, "y", 1_000)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert "[columns]" in lines[0]
    assert "[red]7" in lines[2]
    assert long in lines[2]
    assert lines[2].endswith("   5")
    assert lines[3].endswith("1000")
    assert "None" not in lines[3]
