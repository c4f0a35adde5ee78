import asyncio
import hashlib
import os
import re
import socket
import string
from pathlib import Path

import pytest

from gpm_cdc.errors import sandbox as errors
from gpm_cdc.sandbox import lifecycle, neo4j, postgres, steps
from gpm_cdc.sandbox.places import CACHE_VARIABLE, cache_directory, locked, make
from gpm_cdc.sandbox.processes import Identity, Started
from gpm_cdc.sandbox.readiness import Log, free_port, listening, ready
from gpm_cdc.sandbox.record import Server


async def _never() -> bool:
    return False


def _append(log: Path, text: str) -> Log:
    opened = Log(log)
    with log.open("a") as file:
        file.write(text)
    return opened


async def _start(log: Path, status: str | None, seconds: float = 5.0) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    opened = _append(log, "INFO fine\nERROR the reason\nbye\n")
    if status is not None:
        ended.set_result(status)
    await ready("Thing", Started(Identity(0, ""), ended), _never, port=1, log=opened, marks=["ERROR"], seconds=seconds)


async def test_a_server_that_dies_is_reported_with_its_reason(tmp_path: Path) -> None:
    """ServerDied quotes the last relevant line of this start, not of an earlier one, and names the log."""
    log = tmp_path / "log"
    log.write_text("ERROR old\n")
    with pytest.raises(errors.ServerDied) as raised:
        await _start(log, "exit status 1")
    assert str(raised.value) == "Thing ended while starting (exit status 1): ERROR the reason"
    assert str(log) in raised.value.advice


async def test_a_server_that_does_not_get_ready_is_given_up(tmp_path: Path) -> None:
    """StartTimeout comes when the time is over."""
    (tmp_path / "log").touch()
    with pytest.raises(errors.StartTimeout):
        await _start(tmp_path / "log", None, seconds=0.1)


async def test_a_lost_race_for_a_port_is_recognised(tmp_path: Path) -> None:
    """A server whose log says that its address is in use raises PortTaken."""
    log = tmp_path / "log"
    log.touch()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ended.set_result("exit status 1")
    opened = _append(log, "could not bind IPv4 address\n")
    with pytest.raises(errors.PortTaken):
        await ready("Thing", Started(Identity(0, ""), ended), _never, port=1, log=opened, marks=[], seconds=5)


async def test_another_port_is_tried_when_one_is_taken() -> None:
    """The first attempt is on the old port, the next on a new one; what worked is written down."""
    tried: list[int] = []

    async def start(server: Server) -> Started:
        tried.append(server.port)
        if len(tried) == 1:
            raise errors.PortTaken(server="Thing", port=server.port)
        return Started(Identity(7, "x"), asyncio.get_running_loop().create_future())

    old = free_port()
    done = await lifecycle._on_free_port(Server("1", old, "p"), start)
    assert tried == [old, done.port]
    assert done.port != old
    assert done.process == Identity(7, "x")
    assert done.complete


async def test_a_port_in_use_is_not_chosen() -> None:
    """The preferred port is given up when somebody listens on it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) != taken
        assert await listening(taken)
    assert free_port(taken) == taken


async def test_the_first_error_of_two_starts_comes_as_it_is() -> None:
    """When one of two fails, the other is broken off, and the error is not wrapped in a group."""
    cancelled = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def fails() -> None:
        raise errors.QueryMissing

    with pytest.raises(errors.QueryMissing):
        await lifecycle._both(waits(), fails())
    assert cancelled.is_set()


def test_the_password_is_stored_as_neo4j_expects_it(tmp_path: Path) -> None:
    """auth.ini holds the 1024th SHA-256 over salt and password, for its owner only, and old data is removed."""
    (tmp_path / "neo4j" / "left-over").mkdir(parents=True)
    neo4j.initialise(tmp_path, "a password")
    auth = tmp_path / "neo4j" / "data" / "dbms" / "auth.ini"
    user, credential = auth.read_text().split(":")[:2]
    algorithm, digest, salt, rounds = credential.split(",")
    expected = hashlib.sha256(bytes.fromhex(salt) + b"a password").digest()
    for _ in range(1023):
        expected = hashlib.sha256(expected).digest()
    assert (user, algorithm, rounds, digest) == ("neo4j", "SHA-256", "1024", expected.hex())
    assert auth.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "neo4j" / "left-over").exists()


def test_a_version_at_odds_with_the_data_is_refused(tmp_path: Path) -> None:
    """Data of another version is not opened; without a wish, the version of the data holds."""
    server = Server("17", 1, "p", complete=True)
    with pytest.raises(errors.VersionMismatch):
        lifecycle._with_version(server, "Postgres", postgres.chosen("16"), tmp_path)
    assert lifecycle._with_version(server, "Postgres", postgres.chosen(None), tmp_path).version == "17"
    assert lifecycle._with_version(server, "Postgres", postgres.chosen("17"), tmp_path).version == "17"


async def test_an_unknown_postgres_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """VersionUnknown lists what there is."""
    with pytest.raises(errors.VersionUnknown) as raised:
        await postgres.installation("9.6", None, tmp_path, steps.silent)
    assert raised.value.advice == "Choose one of: 15, 16, 17, 18."


def test_a_series_of_neo4j_stands_for_its_release() -> None:
    """5.26 means the release that is packaged."""
    assert neo4j.chosen("5.26").version == neo4j.chosen(None).version == neo4j.DEFAULT_VERSION
    assert neo4j.chosen("2026.02.2").version == "2026.02.2"


async def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """`up` refuses a directory that holds other files."""
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(errors.DirectoryForeign):
        await lifecycle.up(tmp_path)


async def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    """`status`, `down` and `running` know an empty directory."""
    assert not lifecycle.status(tmp_path).running
    assert not await lifecycle.down(tmp_path)
    with pytest.raises(errors.NotRunning):
        lifecycle.running(tmp_path)


def test_too_little_memory_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with less than is needed raises TooLittleMemory with both figures."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 9999999 kB\nMemAvailable: {1000 * 1024} kB\n")
    monkeypatch.setattr(steps, "_MACHINE", tmp_path / "meminfo")
    with pytest.raises(errors.TooLittleMemory) as raised:
        steps.require_memory(1792)
    assert str(raised.value) == "The sandbox needs 1792 MB of memory; 1000 MB are available."


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the control group leaves is less than what the machine has."""
    for name, text in (
        ("_CGROUP_LIMIT", str(900 * steps.MEGABYTE)),
        ("_CGROUP_USED", str(450 * steps.MEGABYTE)),
        ("_CGROUP_COUNTERS", f"anon 7\ninactive_file {50 * steps.MEGABYTE}"),
        ("_MACHINE", "MemAvailable: 9999999 kB"),
    ):
        (tmp_path / name).write_text(f"{text}\n")
        monkeypatch.setattr(steps, name, tmp_path / name)
    with pytest.raises(errors.TooLittleMemory, match="500"):
        steps.require_memory(600)
    steps.require_memory(500)
    (tmp_path / "_CGROUP_LIMIT").write_text("max\n")
    steps.require_memory(600)


def test_a_place_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file where a directory should be raises DirectoryUnwritable."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.DirectoryUnwritable):
        make(tmp_path / "file" / "below")


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPM_SANDBOX_CACHE names where downloads are kept."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_directory() == tmp_path


async def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The second waits for the first, also when the file was removed under its hands."""
    order: list[str] = []

    async def second() -> None:
        async with locked(tmp_path / "lock"):
            order.append("second")

    async with locked(tmp_path / "lock"):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        order.append("first")
        (tmp_path / "lock").unlink()
    await waiting
    assert order == ["first", "second"]
    assert (tmp_path / "lock").exists()


def _classes() -> list[type[errors.SandboxError]]:
    return errors.SandboxError.__subclasses__()


@pytest.mark.parametrize("kind", _classes())
def test_an_error_uses_the_facts_that_its_docstring_names(kind: type[errors.SandboxError]) -> None:
    """Message and remedy need nothing but the facts of the docstring, and every error has a code and a remedy."""
    used = {name for text in (kind.message, kind.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    stated = re.search(r"Facts: ([^.]+)\.", kind.__doc__ or "")
    assert used == (set(stated[1].split(", ")) if stated else set())
    assert kind.remedy
    assert kind.code != errors.SandboxError.code


def test_every_code_is_its_own() -> None:
    """Two errors never share a code."""
    codes = [kind.code for kind in _classes()]
    assert len(set(codes)) == len(codes)


def test_a_stale_lock_of_postgres_is_removed(tmp_path: Path) -> None:
    """A postmaster.pid whose number now belongs to another program does not keep Postgres from starting."""
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{tmp_path}\n")
    asyncio.run(postgres._clear_stale_lock(tmp_path))
    assert not lock.exists()
