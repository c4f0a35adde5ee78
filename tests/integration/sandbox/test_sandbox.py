"""Real sandboxes, through the real command."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import neo4j
import psycopg
import pytest

from gpm_cdc import sandbox
from gpm_cdc.sandbox.record import FILE, Record

_GPM = [sys.executable, "-m", "gpm_cdc", "sandbox"]
_SECONDS = 100

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that the user of Postgres may enter, which is not so of pytest's own temporary ones."""
    with tempfile.TemporaryDirectory(prefix="gpm-cdc-test-") as made:
        directory = Path(made)
        directory.chmod(0o711)
        yield directory
        for record in directory.glob(f"*/{FILE}"):
            _run("down", "--directory", str(record.parent))


def _run(
    *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_GPM, *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS, input=stdin, env=env
    )


def _up(directory: Path, *arguments: str) -> dict[str, str]:
    done = _run("up", "--json", "--directory", str(directory), *arguments)
    assert done.returncode == 0, done.stderr
    facts: dict[str, str] = json.loads(done.stdout)
    return facts


def _record(directory: Path) -> Record:
    found = Record.read(directory)
    assert found is not None
    return found


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def _gone(record: Record) -> bool:
    return not any(process.alive for process in record.processes)


@pytest.fixture(scope="module")
def first(place: Path) -> dict[str, str]:
    """What `up --json` printed for a sandbox that runs on."""
    return _up(place / "first")


def test_both_servers_answer(first: dict[str, str]) -> None:
    """The five facts lead to a Postgres that can decode its log and knows vectors, and to a Neo4j."""
    assert list(first) == ["postgres_dsn", "neo4j_uri", "neo4j_user", "neo4j_password", "directory"]
    with psycopg.connect(first["postgres_dsn"], autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        shown = connection.execute("SELECT current_setting('wal_level'), '[1,2]'::vector::text").fetchone()
    assert shown == ("logical", "[1,2]")
    authentication = (first["neo4j_user"], first["neo4j_password"])
    with neo4j.GraphDatabase.driver(first["neo4j_uri"], auth=authentication) as driver:
        assert driver.execute_query("RETURN 1 AS one").records[0]["one"] == 1


def test_a_second_up_finds_the_first(first: dict[str, str]) -> None:
    """It prints the same and starts nothing."""
    before = _record(Path(first["directory"]))
    assert _up(Path(first["directory"])) == first
    assert _record(Path(first["directory"])) == before


def test_a_wrong_password_is_refused(first: dict[str, str]) -> None:
    """Neither server lets in who does not know the password."""
    wrong = psycopg.conninfo.make_conninfo(first["postgres_dsn"], password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    for password in ("neo4j", "wrong"):
        with (
            neo4j.GraphDatabase.driver(first["neo4j_uri"], auth=("neo4j", password)) as driver,
            pytest.raises(neo4j.exceptions.AuthError),
        ):
            driver.verify_connectivity()


def test_no_password_is_in_a_process_title(first: dict[str, str]) -> None:
    """The process list shows no secret."""
    titles = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    record = _record(Path(first["directory"]))
    assert str(first["directory"]) in titles
    assert record.postgres.password not in titles
    assert record.neo4j.password not in titles


def test_the_clients_reach_the_servers(first: dict[str, str]) -> None:
    """`psql` and `cypher` run a query and print what comes back; `cypher` also reads standard input."""
    directory = ["--directory", first["directory"]]
    assert _run("psql", *directory, "--", "-AtXc", "SELECT 6 * 7").stdout == "42\n"
    assert _run("cypher", *directory, "RETURN 'a\tb' AS x, null AS y").stdout == "x\ty\na\\tb\t\n"
    assert _run("cypher", *directory, stdin="UNWIND [1, 2] AS n RETURN n").stdout == "n\n1\n2\n"
    refused = _run("cypher", *directory, "RETURN nonsense")
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr
    assert _run("cypher", *directory, stdin="").returncode == 2


def test_another_version_is_refused(first: dict[str, str]) -> None:
    """Data of one major version is not handed to another."""
    refused = _run("up", "--directory", first["directory"], "--postgres-version", "16")
    assert refused.returncode == 2
    assert "holds Postgres 18, not 16" in refused.stderr


def test_a_killed_supervisor_is_recovered_from_with_data_and_addresses(first: dict[str, str]) -> None:
    """After SIGKILL of the supervisor no server is left; the next `up` has the same data, ports and passwords."""
    directory = Path(first["directory"])
    with psycopg.connect(first["postgres_dsn"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    _run("cypher", "--directory", str(directory), "CREATE (:Kept {n: 7})")
    killed = _record(directory)
    assert killed.supervisor is not None
    os.kill(killed.supervisor.pid, signal.SIGKILL)
    _wait(lambda: _gone(killed))
    assert _run("status", "--directory", str(directory)).returncode == 1
    # As a crash of the machine would leave it, with the number in use by another program by now.
    (directory / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{directory / 'postgres'}\n")
    assert _up(directory) == first
    with psycopg.connect(first["postgres_dsn"]) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    assert _run("cypher", "--directory", str(directory), "MATCH (k:Kept) RETURN k.n AS n").stdout == "n\n7\n"


def test_two_run_side_by_side_and_one_goes_with_its_owner(first: dict[str, str]) -> None:
    """An ephemeral sandbox beside another one disappears, data included, when its owner is killed."""
    program = (
        "import asyncio, sys, time\n"
        "from gpm_cdc import sandbox\n"
        "print(asyncio.run(sandbox.up(ephemeral=True)).directory, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        record = _record(directory)
        both = (record.running, sandbox.status(Path(first["directory"])).running)
        owner.kill()
    assert both == (True, True)
    _wait(lambda: _gone(record))
    assert not directory.exists()
    assert sandbox.status(Path(first["directory"])).running


@pytest.mark.parametrize("what", ["up", "its supervisor"])
def test_a_crash_while_starting_leaves_no_server(place: Path, what: str) -> None:
    """SIGKILL in the middle of a start ends every server of that start."""
    directory = place / f"crash of {what}"
    with subprocess.Popen([*_GPM, "up", "--directory", str(directory)], stderr=subprocess.DEVNULL) as starting:
        # The log of a server that exists, and a record, show that both are on their way.
        _wait(lambda: (directory / "neo4j.log").exists() and (directory / "postgres.log").exists())
        record = _record(directory)
        assert record.supervisor is not None
        servers = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(record.supervisor.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert servers
        os.kill(starting.pid if what == "up" else record.supervisor.pid, signal.SIGKILL)
        starting.wait(_SECONDS)
    _wait(lambda: _gone(record) and not any(Path(f"/proc/{pid}").exists() for pid in servers))
    assert not _record(directory).running


def test_it_starts_without_a_network(place: Path, first: dict[str, str]) -> None:
    """Once the downloads are there, a new sandbox needs nothing from outside."""
    del first
    environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    done = _run("up", "--json", "--directory", str(place / "offline"), env=environment)
    assert done.returncode == 0, done.stderr
    assert _run("down", "--directory", str(place / "offline")).returncode == 0
    assert not sandbox.status(place / "offline").running
    again = _run("down", "--directory", str(place / "offline"))
    assert "No sandbox was running" in again.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_a_directory_that_postgres_cannot_enter_is_named(tmp_path: Path) -> None:
    """As root, a directory below a closed one is refused with the reason, and nothing is left running."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = _run("up", "--directory", str(closed / "inner"))
    assert done.returncode == 2
    assert "cannot enter" in done.stderr
    assert _gone(_record(closed / "inner"))
