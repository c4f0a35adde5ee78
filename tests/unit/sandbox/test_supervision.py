import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gpm_cdc.errors.sandbox import SupervisorDied
from gpm_cdc.sandbox import supervisor as script
from gpm_cdc.sandbox.processes import Command, Identity, Supervisor, ended, supervised

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def _command(directory: Path, *argv: str, patience: float = 5.0) -> Command:
    return Command(
        name="server",
        argv=argv or ("sleep", "60"),
        environment={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        directory=directory,
        log=directory / "server.log",
        account=None,
        stop=[(signal.SIGTERM, patience)],
        orphaned=signal.SIGKILL,
    )


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A supervisor that ends with the test."""
    async with supervised(tmp_path) as held:
        yield held


async def _written(log: Path) -> None:
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(log.read_bytes):  # noqa: ASYNC110 - a file does not tell that it grows
            await asyncio.sleep(0.01)


def test_a_process_is_itself_and_not_another_with_its_number() -> None:
    """An identity is alive while that process runs, and a different start time is a different process."""
    own = Identity.of(os.getpid())
    assert own is not None
    assert own.alive
    assert not own._replace(started="another boot:1").alive


def test_a_process_that_has_ended_has_no_identity() -> None:
    """A number is gone once its process has ended, also before its parent has collected it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.alive
        assert Identity.of(process.pid) is None


async def test_servers_end_with_the_block(tmp_path: Path) -> None:
    """Without `keep`, leaving the block stops the server and the supervisor."""
    async with supervised(tmp_path) as held:
        started = await held.start(_command(tmp_path))
        inside = [started.identity.alive, held.identity.alive]
    outside = [started.identity.alive, held.identity.alive]
    assert (inside, outside) == ([True, True], [False, False])
    assert await started.ended == "signal 15"


async def test_a_server_that_ends_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    """The future of a server is done with its exit status, and its output is in its log."""
    started = await supervisor.start(_command(tmp_path, "sh", "-c", "echo no; exit 7"))
    assert await started.ended == "exit status 7"
    assert (tmp_path / "server.log").read_text() == "no\n"


async def test_a_program_that_is_not_there_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    """A server whose program does not exist counts as ended, with the reason."""
    started = await supervisor.start(_command(tmp_path, str(tmp_path / "absent")))
    assert "No such file" in await started.ended


async def test_a_server_can_be_stopped_and_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """`stop` returns when the server is gone; its name is free then."""
    first = await supervisor.start(_command(tmp_path))
    await supervisor.stop("server")
    assert not first.identity.alive
    second = await supervisor.start(_command(tmp_path))
    assert second.identity.alive


async def test_a_server_that_does_not_listen_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    """When the patience after the last signal is over, SIGKILL follows."""
    started = await supervisor.start(_command(tmp_path, sys.executable, "-c", _STUBBORN, patience=0.2))
    await _written(tmp_path / "server.log")
    await supervisor.stop("server")
    assert await started.ended == "signal 9"


async def test_kept_servers_outlive_the_block_until_the_supervisor_is_asked(tmp_path: Path) -> None:
    """After `keep` the server goes on; SIGTERM to the supervisor stops both."""
    async with supervised(tmp_path) as held:
        started = await held.start(_command(tmp_path))
        await held.keep(None)
    assert started.identity.alive
    assert held.identity.alive
    os.kill(held.identity.pid, signal.SIGTERM)
    assert await ended(held.identity, 10)
    assert not started.identity.alive


async def test_kept_servers_end_with_their_owner_and_so_does_the_directory(tmp_path: Path) -> None:
    """When the owner is killed, servers and supervisor end, and the directory to remove is gone."""
    removed = tmp_path / "removed"
    removed.mkdir()
    with subprocess.Popen(["sleep", "60"]) as owner:  # noqa: ASYNC220 - takes no time
        async with supervised(removed, remove=removed) as held:
            started = await held.start(_command(tmp_path))
            await held.keep(Identity.of(owner.pid))
        assert held.identity.alive
        owner.kill()
        assert await ended(held.identity, 10)
    assert not started.identity.alive
    assert not removed.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
async def test_killing_the_supervisor_ends_its_servers(tmp_path: Path) -> None:
    """SIGKILL to the supervisor leaves no server behind."""
    async with supervised(tmp_path) as held:
        started = await held.start(_command(tmp_path))
        await held.keep(None)
    os.kill(held.identity.pid, signal.SIGKILL)
    assert await ended(held.identity, 10)
    assert await ended(started.identity, 10)


def test_a_starter_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """If whoever started the supervisor dies before `keep`, the end of its input stops everything."""
    log = tmp_path / "server.log"
    arguments = [sys.executable, "-IS", script.__file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        start = {
            "do": "start",
            "name": "server",
            "argv": ["sleep", "60"],
            "environment": dict(os.environ),
            "directory": "/",
            "log": str(log),
            "uid": None,
            "gid": None,
            "stop": [[15, 5]],
            "orphaned": 9,
        }
        process.stdin.write(json.dumps(start).encode() + b"\n")
        process.stdin.flush()
        event = json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0
    assert script.started(event["pid"]) is None


async def test_a_dead_supervisor_is_an_error(tmp_path: Path) -> None:
    """Asking a supervisor that was killed raises SupervisorDied instead of waiting for ever."""
    async with supervised(tmp_path) as held:
        os.kill(held.identity.pid, signal.SIGKILL)
        assert await ended(held.identity, 10)
        with pytest.raises(SupervisorDied):
            await held.start(_command(tmp_path))


async def test_a_start_that_is_cancelled_does_no_harm(supervisor: Supervisor, tmp_path: Path) -> None:
    """An answer that nobody waits for any more is no error, and other servers can still be started."""
    starting = asyncio.create_task(supervisor.start(_command(tmp_path)))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await supervisor.stop("server")
    assert (await supervisor.start(_command(tmp_path))).identity.alive
