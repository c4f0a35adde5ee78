import io
import json
from pathlib import Path

import pytest

from gpm_cdc.cli.main import outcome


class _Input:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_findings_go_to_stdout_and_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A statement that stops the stream is shown with its place, what to do; neighbours share a block."""
    (tmp_path / "m.sql").write_text("DROP TABLE t;\n" + "INSERT INTO u VALUES ('secret');\n" * 3)
    assert outcome(["lint-migration", "m.sql"]) == 1
    shown = capsys.readouterr()
    assert "1:1  stops" in shown.out
    assert "gpm-cdc run --remap" in shown.out
    assert "2-4  follows" in shown.out
    assert "secret" not in shown.out + shown.err
    assert "There is no mapping" in shown.err


def test_json_has_every_statement(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document is a contract; a mapping of the configuration file is used and named."""
    Path("gpm-cdc.toml").write_text('version = 1\n[[node]]\ntable = "t"\nlabel = "T"\nkey = ["id"]\n')
    monkeypatch.setattr("sys.stdin", _Input("\ufeffDROP TABLE t; UPDATE u SET a = 1".encode()))
    assert outcome(["lint-migration", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["blocked"], Path(document["mapping"]).name, document["counts"]["stops"]) == (
        True,
        "gpm-cdc.toml",
        1,
    )
    first, second = document["statements"]
    assert (first["line"], first["column"], first["statement"], first["outcome"]) == (1, 1, "DROP TABLE t", "stops")
    assert first["judgements"][0]["error"] == "mapping_invalid"
    assert (second["outcome"], second["judgements"][0]["code"]) == ("unaffected", "table_unmapped")


@pytest.mark.parametrize("content", [b"SELECT 1; SELEC 2", b"\xff", b"SELECT '\0'"])
def test_what_is_not_sql_is_refused(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Unusable input is exit code 2, with nothing on stdout."""
    Path("m.sql").write_bytes(content)
    assert outcome(["lint-migration", "m.sql"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: m.sql")
    assert outcome(["lint-migration", "missing.sql"]) == 2


def test_nothing_in_the_way_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that the stream does not notice is exit code 0."""
    Path("m.sql").write_text("CREATE INDEX i ON t (a);")
    assert outcome(["lint-migration", "m.sql"]) == 0
    assert "Nothing here stops the stream." in capsys.readouterr().err


def test_reading_again_is_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that is read again stands in nobody's way; what that means until then is said."""
    Path("m.sql").write_text("ALTER TABLE t ADD a int;")
    assert outcome(["lint-migration", "m.sql"]) == 0
    shown = capsys.readouterr()
    assert "1:1  rereads" in shown.out
    assert "Nothing here stops the stream." in shown.err
    assert "rereading" in shown.err
