import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gpm_cdc.errors.sandbox import RecordUnreadable
from gpm_cdc.sandbox.processes import Identity
from gpm_cdc.sandbox.record import FILE, Record, Server

_RECORD = Record(
    postgres=Server("18", 5432, "secret", Identity(1, "a"), complete=True),
    neo4j=Server("5.26.20", 7687, "hidden"),
    ephemeral=False,
    supervisor=Identity(2, "b"),
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading gives the same record, over an older one too."""
    replace(_RECORD, ephemeral=True).write(tmp_path)
    _RECORD.write(tmp_path)
    assert Record.read(tmp_path) == _RECORD


def test_nobody_else_can_read_a_record(tmp_path: Path) -> None:
    """The file holds passwords, so its mode is 0600 whatever the umask is."""
    before = os.umask(0)
    try:
        _RECORD.write(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_directory_without_a_record_is_no_sandbox(tmp_path: Path) -> None:
    """No file, and no directory, is None."""
    assert Record.read(tmp_path) is None
    assert Record.read(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        json.dumps({"format": 2}),
        json.dumps({"format": 1, "postgres": {}}),
        json.dumps({"format": 1, "postgres": {"process": 7}, "neo4j": {}, "ephemeral": False, "supervisor": None}),
    ],
)
def test_a_damaged_or_newer_record_is_refused(tmp_path: Path, text: str) -> None:
    """A file that this program cannot know raises RecordUnreadable."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RecordUnreadable):
        Record.read(tmp_path)


def test_a_reused_process_number_is_not_the_server() -> None:
    """A record that names this very process with another start time is not running."""
    stale = Identity(os.getpid(), "another boot:1")
    server = replace(_RECORD.postgres, process=stale)
    assert not Record(postgres=server, neo4j=server, ephemeral=False, supervisor=stale).running
