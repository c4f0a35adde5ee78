import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import ClassVar

import click
import pytest

from gpm_cdc import __version__
from gpm_cdc.cli import main as frame
from gpm_cdc.errors.base import ExitCode, GpmCdcError


class _PortTaken(GpmCdcError):
    message: ClassVar[str] = "Port {port} is taken."
    remedy: ClassVar[str] = "Set port, not {port}."


class _Unreachable(GpmCdcError):
    message: ClassVar[str] = "{server} does not answer."
    exit_code: ClassVar[ExitCode] = ExitCode.REPEAT


type Body = Callable[[], object]


@pytest.fixture
def outcome_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Body], int]]:
    """Runs `gpm-cdc probe` whose body is the given function."""

    def run(body: Body) -> int:
        command = click.Command("probe", callback=body)
        monkeypatch.setattr(frame.cli, "get_command", lambda _context, _name: command)
        return frame.outcome(["probe"])

    yield run
    monkeypatch.undo()


def _raising(problem: BaseException) -> Body:
    def body() -> None:
        raise problem

    return body


def test_error_is_said_on_stderr_with_its_remedy_and_exit_code(
    outcome_of: Callable[[Body], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of ours is two lines for a person and a number for a program; stdout stays empty."""
    assert outcome_of(_raising(_PortTaken(port=7687))) == ExitCode.PERSON
    captured = capsys.readouterr()
    assert captured.err == "error: Port 7687 is taken.\n  next: Set port, not 7687.\n"
    assert captured.out == ""


def test_error_without_remedy_is_one_line(
    outcome_of: Callable[[Body], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is nothing to advise, nothing is."""
    assert outcome_of(_raising(_Unreachable(server="neo4j"))) == ExitCode.REPEAT
    assert capsys.readouterr().err == "error: neo4j does not answer.\n"


def test_error_inside_a_task_group_is_found(
    outcome_of: Callable[[Body], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person must mend goes before what may pass by itself, however deep the groups nest."""
    inner = ExceptionGroup("inner", [_PortTaken(port=1)])
    assert outcome_of(_raising(ExceptionGroup("outer", [_Unreachable(server="x"), inner]))) == ExitCode.PERSON
    assert "Port 1 is taken." in capsys.readouterr().err


@pytest.mark.parametrize("wrapped", [False, True])
def test_unexpected_exception_is_a_defect_and_keeps_its_message_to_itself(
    outcome_of: Callable[[Body], int], capsys: pytest.CaptureFixture[str], *, wrapped: bool
) -> None:
    """Class and place are said, the message is not: a driver's may quote a row. Expected errors beside it give way."""

    def body() -> None:
        try:
            _raising(ValueError("a row's value"))()
        except ValueError as defect:
            if not wrapped:
                raise
            group = ExceptionGroup("tasks", [_Unreachable(server="x"), defect])
        raise group

    assert outcome_of(body) == ExitCode.PERSON
    said = capsys.readouterr().err
    assert "internal error, ValueError at " in said
    assert "test_main.py:" in said
    assert "-vv" in said
    assert "a row's value" not in said


def test_usage_error_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that does not exist is for a person to correct."""
    assert frame.outcome(["bogus"]) == ExitCode.PERSON
    assert "No such command 'bogus'" in capsys.readouterr().err


def test_interrupt_may_be_repeated_and_a_declined_question_needs_a_person(
    outcome_of: Callable[[Body], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C leaves with 3; answering no, or having nobody to answer, with 2."""
    assert outcome_of(_raising(KeyboardInterrupt())) == ExitCode.REPEAT
    assert outcome_of(_raising(click.Abort())) == ExitCode.PERSON
    assert "Stopped." in capsys.readouterr().err


def test_reader_that_leaves_is_not_a_defect() -> None:
    """`gpm-cdc tail | head` ends with one sentence; what was asked for is not done, so the exit code says repeat."""
    script = (
        "import click\nfrom gpm_cdc.cli import main as frame\n"
        "probe = click.Command('probe', callback=lambda: [click.echo('line') for _ in range(100_000)])\n"
        "frame.cli.get_command = lambda *_: probe\n"
        "frame.main(['probe'])\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.REPEAT, "error: Nothing reads the output any more.\n")


@pytest.mark.parametrize(("returned", "expected"), [(None, 0), (ExitCode.FINDING, 1), (ExitCode.REPEAT, 3)])
def test_command_returns_its_exit_code(
    outcome_of: Callable[[Body], int], returned: ExitCode | None, expected: int
) -> None:
    """A verdict is a return value, not an exception."""
    assert outcome_of(lambda: returned) == expected


def test_exit_through_click_keeps_its_code(outcome_of: Callable[[Body], int]) -> None:
    """A command may also leave through its context."""
    assert outcome_of(lambda: click.get_current_context().exit(3)) == ExitCode.REPEAT


def test_main_leaves_the_process_with_the_exit_code() -> None:
    """The console script is `main`, which never returns."""
    with pytest.raises(SystemExit) as left:
        frame.main(["bogus"])
    assert left.value.code == ExitCode.PERSON


def test_version_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    """--version goes to stdout."""
    assert frame.outcome(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"gpm-cdc, version {__version__}\n"


def test_module_runs_as_the_program_and_imports_no_driver_for_its_version() -> None:
    """`python -m gpm_cdc` is the program, and what it does not need it does not import."""
    script = (
        "import sys, runpy\n"
        "sys.argv = ['gpm-cdc', '--version']\n"
        "try:\n    runpy.run_module('gpm_cdc', run_name='__main__')\n"
        "except SystemExit as left:\n    code = left.code\n"
        "print(code, sorted({'psycopg', 'neo4j', 'sqlalchemy'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []"


def _paths(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1] if path else frame.PROGRAM)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, f"{' '.join((*path, name))} is listed and cannot be loaded"
            yield from _paths(child, (*path, name))
    else:
        yield path, command


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command shows an example that starts with the command, and a sentence for each option."""
    found = list(_paths(frame.cli, ()))
    for path, command in found:
        assert frame.outcome([*path, "--help"]) == ExitCode.DONE
        text = capsys.readouterr().out
        assert "Example" in text, f"{' '.join(path)} shows no example"
        assert f"gpm-cdc {' '.join(path)}" in text.split("Example")[1], f"{' '.join(path)}: the example is another's"
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{' '.join(path)} {option.name} has no help"
    assert frame.outcome(["--help"]) == ExitCode.DONE


def test_every_listed_place_exists() -> None:
    """A listed command's module has the attribute that the table names."""
    for place in frame._built(frame._COMMANDS).values():
        module, _, attribute = place.partition(":")
        assert isinstance(getattr(importlib.import_module(module), attribute), click.Command)
