from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gpm_cdc.cli import main as frame
from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import ExitCode

type Probe = Callable[..., tuple[int, list[Settings]]]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Probe:
    """Runs `gpm-cdc probe ARGUMENTS` in an empty directory and gives the exit code and the settings it was handed."""
    handed: list[Settings] = []

    @click.command(epilog=examples("gpm-cdc probe --deep", "gpm-cdc probe"))
    @click.option("--deep", is_flag=True, help="Look deeper.")
    @with_settings
    def command(settings: Settings, *, deep: bool) -> ExitCode:
        handed.append(settings)
        return ExitCode.FINDING if deep else ExitCode.DONE

    def run(*arguments: str) -> tuple[int, list[Settings]]:
        return frame.outcome(["probe", *arguments]), handed

    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(f"GPM_{field.upper()}", raising=False)
        monkeypatch.delenv(f"GPM_{field.upper()}_FILE", raising=False)
    monkeypatch.setattr(frame.cli, "get_command", lambda _context, _name: command)
    return run


def test_options_reach_the_settings_and_leave_the_command_its_own(probe: Probe) -> None:
    """Shared options become one Settings; the command's own options stay keywords."""
    code, (settings,) = probe("--stream", "shop", "--deep", "--neo4j-uri", "neo4j://graph:7687")
    assert code == ExitCode.FINDING
    assert (settings.stream, settings.neo4j_uri) == ("shop", "neo4j://graph:7687")


def test_environment_and_file_reach_the_settings(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an option the variable holds, without a variable the file in the working directory."""
    monkeypatch.setenv("GPM_STREAM", "variable")
    Path("gpm-cdc.toml").write_text('[settings]\nstream = "file"\nneo4j_user = "file"\n', encoding="utf-8")
    _, (settings,) = probe()
    assert (settings.stream, settings.neo4j_user) == ("variable", "file")


def test_refused_setting_from_the_environment_is_blamed_on_the_environment(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Click must not pass a variable off as a flag."""
    monkeypatch.setenv("GPM_STREAM", "No Such Name")
    code, handed = probe()
    assert (code, handed) == (ExitCode.PERSON, [])
    assert "from GPM_STREAM, is refused" in capsys.readouterr().err


def test_help_shows_example_variables_and_defaults(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of the help needs no other page to set the program up."""
    assert probe("--help")[0] == ExitCode.DONE
    text = " ".join(capsys.readouterr().out.split())
    assert "Examples: gpm-cdc probe --deep gpm-cdc probe" in text
    for variable in ("CONFIG", "POSTGRES_DSN", "NEO4J_URI", "NEO4J_USER", "NEO4J_DATABASE", "STREAM"):
        assert f"[env var: GPM_{variable}" in text
    assert "default: bolt://localhost:7687" in text
    assert "default: gpm-cdc.toml, if it is there" in text
    assert "GPM_NEO4J_PASSWORD_FILE" in text


def test_there_is_no_option_for_the_neo4j_password(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments can be read by every user of the machine."""
    assert probe("--neo4j-password", "s3cret")[0] == ExitCode.PERSON
    assert "s3cret" not in capsys.readouterr().err


def test_password_on_the_command_line_is_warned_about_and_hidden(
    probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    """The connection string may carry one; the warning and the debug line do not repeat it."""
    code, (settings,) = probe("-v", "--postgres-dsn", "postgresql://u:s3cret@db/app")
    said = capsys.readouterr().err
    assert code == ExitCode.DONE
    assert settings.conninfo == "postgresql://u:s3cret@db/app"
    assert "process list" in said
    assert "postgresql://u:***@db/app" in said
    assert "s3cret" not in said


def test_settings_are_told_only_on_request(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    """Without -v a command that has nothing to say says nothing."""
    probe("--postgres-dsn", "host=db")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_traceback_appears_at_the_second_v(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """-vv shows where an error came from, one -v does not."""
    monkeypatch.setenv("GPM_STREAM", "No Such Name")
    assert probe("-v")[0] == ExitCode.PERSON
    assert "Traceback" not in capsys.readouterr().err
    assert probe("-vv")[0] == ExitCode.PERSON
    assert "Traceback" in capsys.readouterr().err
