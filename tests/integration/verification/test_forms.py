"""The forms of a report, from the command to the file, and what is kept of it."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gpm_cdc.cli.main import outcome
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.state.database import transaction
from gpm_cdc.state.passes import read_findings as findings_of_pass
from gpm_cdc.verification.exchange import read_findings as findings_of_file
from tests.integration.verification.conftest import Shell

DAMAGE = "MATCH (p:Person) SET p.weight = 987654.5, p.`full name` = 'SECRET ' + p.id"
PEOPLE = 4


async def _damaged(shell: Shell) -> None:
    await shell("db", "upgrade")
    await shell.world.cypher(DAMAGE)


async def test_every_form_tells_the_same(shell: Shell) -> None:
    """The document, the lines, the page, the words and the pass in the schema hold the same findings."""
    await _damaged(shell)
    files = ("--jsonl", shell.path("r.jsonl"), "--html", shell.path("r.html"))
    code, document, told = await shell("verify", "--json", *files)
    assert code == ExitCode.FINDING
    assert "r.html" in told
    report = json.loads(document)
    *lines, last = [json.loads(line) for line in (shell.directory / "r.jsonl").read_text("utf-8").splitlines()]
    assert [line.pop("record") for line in lines] == ["finding"] * PEOPLE
    assert lines == report["findings"]
    assert last.pop("record") == "verdict"
    assert last == {name: value for name, value in report.items() if name not in ("findings", "inconclusive")}
    assert report["stream"] == shell.world.settings.stream
    assert set(report["versions"]) == {"gpm_cdc", "postgres", "neo4j"}
    page = (shell.directory / "r.html").read_text("utf-8")
    (shell.directory / "r.json").write_text(document, encoding="utf-8")
    from_lines, from_document = (findings_of_file(shell.directory / name) for name in ("r.jsonl", "r.json"))
    with transaction(shell.world.database.dsn) as connection:
        from_state = findings_of_pass(connection, report["stream"], report["pass"])
    assert from_lines == from_document == from_state
    assert [where.key for where in from_state.findings] == [{"id": number} for number in range(1, PEOPLE + 1)]
    _, words, _ = await shell("verify")
    for number in range(1, PEOPLE + 1):
        assert f"id={number}" in page
        assert f"id={number}: Person differs" in words
        assert f"SECRET {number}" in page
        assert f'full name: STRING "SECRET {number}" instead of' in words
    assert not any(line.endswith(" " * 200) for line in words.splitlines())


async def test_lines_can_be_piped(shell: Shell) -> None:
    """With --jsonl - nothing but lines is on stdout, and an empty report is its verdict."""
    code, shown, _ = await shell("verify", "--jsonl", "-")
    assert (code, len(shown.splitlines())) == (ExitCode.DONE, 1)
    assert json.loads(shown)["verdict"] == "clean"


async def test_no_values_leaves_them_out_of_everything(shell: Shell) -> None:
    """Neither what is printed nor any file nor the schema has a value that differs; types and keys are there."""
    await _damaged(shell)
    files = ("--jsonl", shell.path("r.jsonl"), "--html", shell.path("r.html"))
    _, words, _ = await shell("verify", "--no-values", *files)
    _, document, _ = await shell("verify", "--no-values", "--json")
    with psycopg.connect(shell.world.database.dsn) as connection:
        stored = str(connection.execute("SELECT f::text FROM gpm_cdc.finding AS f").fetchall())
    forms = [
        words,
        document,
        stored,
        *((shell.directory / f"r.{kind}").read_text("utf-8") for kind in ("jsonl", "html")),
    ]
    for shown in forms:
        assert "STRING" in shown
        assert "full name" in shown
        for value in ("SECRET", "Ada", "987654.5"):
            assert value not in shown


async def test_history_without_values_keeps_them_in_the_report(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPM_HISTORY_VALUES=false is about the schema alone, GPM_HISTORY_FINDINGS bounds it and is said."""
    await _damaged(shell)
    monkeypatch.setenv("GPM_HISTORY_VALUES", "false")
    monkeypatch.setenv("GPM_HISTORY_FINDINGS", "3")
    _, words, told = await shell("verify")
    assert "SECRET 4" in words
    assert "with 3 of its 4 findings" in told
    number = re.findall(r"pass (\d+)", told)[0]
    code, words, _ = await shell("findings", "--pass", number)
    assert code == ExitCode.DONE
    assert "SECRET" not in words
    assert "id=3: Person differs" in words
    assert "id=4" not in words
    assert "and 1 more findings, which were counted but not kept" in words
    assert "verify: drift" in words


async def test_a_kept_pass_is_the_report(shell: Shell) -> None:
    """`findings` lists the verdicts, newest first, and shows each report again, in every form."""
    await shell("db", "upgrade")
    await shell("verify")
    await shell.world.cypher(DAMAGE)
    _, document, _ = await shell("verify", "--json")
    report = json.loads(document)
    code, listed, _ = await shell("findings", "--json")
    listed = json.loads(listed)
    assert code == ExitCode.DONE
    assert [(each["verdict"], each["finding_count"], each["different"]) for each in listed] == [
        ("drift", PEOPLE, PEOPLE),
        ("clean", 0, 0),
    ]
    number = listed[0]["pass"]
    _, again, _ = await shell("findings", "--pass", str(number), "--json")
    assert _own(again) == _own(document)
    assert report["pass"] == number
    code, _, _ = await shell(
        "findings", "--pass", str(number), "--jsonl", shell.path("p.jsonl"), "--html", shell.path("p.html")
    )
    assert code == ExitCode.DONE
    assert "SECRET 1" in (shell.directory / "p.html").read_text("utf-8")
    assert len(findings_of_file(shell.directory / "p.jsonl").findings) == PEOPLE
    _, words, _ = await shell("findings")
    rows = [line.split() for line in words.splitlines() if "clean" in line or "drift" in line]
    assert [row[0] for row in rows] == [str(each["pass"]) for each in listed]


def _own(shown: str) -> dict[str, Any]:
    """What is kept of a report, and not of the time and the place of its telling."""
    report = json.loads(shown)
    left_out = ("started_at", "versions", "seconds", "snapshots")
    return {name: value for name, value in report.items() if name not in left_out}


async def test_without_the_schema_nothing_is_kept_or_said(shell: Shell) -> None:
    """The comparison does its work, and findings names the command that makes the schema."""
    code, _, told = await shell("verify")
    assert code == ExitCode.DONE
    assert "pass" not in told
    code, _, told = await shell("findings")
    assert code == ExitCode.PERSON
    assert "gpm-cdc db upgrade" in told
    await shell("db", "upgrade")
    code, shown, told = await shell("findings")
    assert (code, shown) == (ExitCode.DONE, "")
    assert "gpm-cdc verify" in told
    code, _, told = await shell("findings", "--pass", "77")
    assert code == ExitCode.PERSON
    assert "no pass 77" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "--html", "nowhere/r.html"),
        ("verify", "--jsonl", "nowhere/r.jsonl"),
        ("verify", "--json", "--jsonl", "-"),
        ("findings", "--html", "r.html"),
    ],
)
async def test_what_cannot_be_delivered_is_refused_at_once(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any server is asked, with what to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPM_POSTGRES_DSN", "host=127.0.0.1 port=1")
    assert outcome(arguments) == ExitCode.PERSON
    told = capsys.readouterr().err
    assert "127.0.0.1" not in told
    assert "next: name a file" in told or "cannot be used" in told or "--pass" in told
