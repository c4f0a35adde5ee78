"""A pass that broke off, and another that goes on with it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, override

import psycopg
import pytest

from gpm_cdc.domain.lsn import parse as parse_lsn
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.runtime.passes import recorded_pass
from gpm_cdc.runtime.verify import VerifyOrders
from tests.integration.verification.conftest import ELEMENTS, Shell, Silent, World
from tests.patience import PATIENCE

TABLES = ["public.people", "public.regions", "public.visits", "public.memberships", "public.calls"]
MANY = 5_000
PEOPLE = "MATCH (p:Person {id: 2}) SET p.`full name` = 'SECRET'"
VISITS = "MATCH (v:Visit {id: 1}) SET v.at = 'SECRET'"


class Reading(Silent):
    """A VerifyObserver that counts what is read, and does something when a table is read for the first time."""

    def __init__(self, table: str = "", meddle: Callable[[], None] | None = None) -> None:
        self.read: Counter[str] = Counter()
        self._table = table
        self._meddle = meddle

    @override
    def compared(self, what: str, count: int) -> None:
        self.read[what] += count
        if what == self._table and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()


def _query(shell: Shell, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(shell.world.database.dsn, autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def _settled(shell: Shell) -> list[str]:
    """The tables that the newest pass has kept as settled."""
    text = (
        "SELECT table_name FROM gpm_cdc.verify_table WHERE settled"
        " AND run_id = (SELECT max(run_id) FROM gpm_cdc.verify_pass) ORDER BY number"
    )
    return [name for (name,) in _query(shell, text)]


async def _verify(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, observer: Silent, *arguments: str
) -> tuple[int, str, str]:
    """The command, told to an observer."""
    monkeypatch.setattr("gpm_cdc.cli.verify.Unwatched", lambda: observer)
    return await shell("verify", *arguments)


async def _broken_off(shell: Shell, monkeypatch: pytest.MonkeyPatch, table: str, *arguments: str) -> str:
    """A pass during which the graph goes back while `table` is read, and forth again; what is said of it."""
    graph = shell.world.graph

    def meddle() -> None:
        asyncio.run_coroutine_threadsafe(graph.query("MATCH (s:GpmCdcCheckpoint) SET s.lsn = s.lsn - 8"), loop).result()

    loop = asyncio.get_running_loop()
    _, _, said = await _verify(shell, monkeypatch, Reading(table, meddle), *arguments)
    await shell.world.cypher("MATCH (s:GpmCdcCheckpoint) SET s.lsn = s.lsn + 8")
    return said


def _killed(shell: Shell, until: Callable[[], bool]) -> None:
    """The real program, so slow that it takes minutes for table visits, killed when `until` holds."""
    command = [sys.executable, "-m", "gpm_cdc", "verify", "--max-rate", "10"]
    with subprocess.Popen(command, cwd=shell.directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)


async def _with_many_visits(world: World) -> None:
    await world.sql(f"INSERT INTO visits SELECT 100 + n FROM generate_series(1, {MANY}) AS n")  # noqa: S608 - a number
    await world.caught_up()


async def _once_it_is_gone(call: Callable[[], Awaitable[tuple[int, str, str]]]) -> tuple[int, str, str]:
    """The answer of `call`, as soon as Postgres has noticed that the process is no more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        code, out, err = await call()
        if "still running" not in err:
            return code, out, err
        assert time.monotonic() < deadline


async def test_a_killed_pass_is_gone_on_with(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was settled is not read again, what is wrong with it is told all the same, and it is one pass."""
    world = shell.world
    await shell("db", "upgrade")
    await _with_many_visits(world)
    await world.cypher(PEOPLE)
    await world.cypher(VISITS)
    await asyncio.to_thread(_killed, shell, lambda: len(_settled(shell)) == 2)
    assert _settled(shell) == TABLES[:2]
    assert json.loads((await shell("findings", "--json"))[1]) == []
    await world.sql("UPDATE calls SET seconds = 1 WHERE id = 1")
    await world.caught_up()

    observer = Reading()
    code, out, err = await _once_it_is_gone(lambda: _verify(shell, monkeypatch, observer, "--resume", "--json"))
    assert code == ExitCode.FINDING, err
    report = json.loads(out)
    assert {name for name in observer.read if name.startswith("public.")} == set(TABLES[2:])
    assert {"Person", "Region", "REPORTS_TO", "HOUSES"}.isdisjoint(observer.read)
    assert observer.read["Visit"] >= MANY
    assert [(found["table"], found["key"]) for found in report["findings"]] == [
        ("public.people", {"id": 2}),
        ("public.visits", {"id": 1}),
    ]
    assert (report["verdict"], report["inconclusive"]) == ("drift", [])
    assert report["elements_checked"] == ELEMENTS + MANY
    assert [(table["table"], table["resumed"], table["settled"]) for table in report["tables"]] == [
        (name, name in TABLES[:2], True) for name in TABLES
    ]
    before, *_, after = (parse_lsn(table["as_of_lsn"]) for table in report["tables"])
    assert before < after
    assert (parse_lsn(report["from_lsn"]), parse_lsn(report["as_of_lsn"])) == (before, after)

    (listed,) = json.loads((await shell("findings", "--json"))[1])
    assert (listed["pass"], listed["resumed_pass"]) == (report["pass"], report["resumed_pass"])
    assert (listed["tables"], listed["different"], listed["from_lsn"]) == (5, 2, report["from_lsn"])
    again = json.loads((await shell("findings", "--pass", str(report["pass"]), "--json"))[1])
    for key in ("tables", "findings", "from_lsn", "as_of_lsn", "verdict", "resumed_pass", "interrupted"):
        assert again[key] == report[key]


async def test_it_can_break_off_again_and_again(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes on where the one before broke off, says so, and is the only one in the list."""
    await shell("db", "upgrade")
    said = await _broken_off(shell, monkeypatch, "public.regions")
    assert "It broke off when 1 of 5 tables were settled: 'gpm-cdc verify --resume' compares the rest." in said
    (first,) = json.loads((await shell("findings", "--json"))[1])
    assert first["verdict"] == "inconclusive"
    said = await _broken_off(shell, monkeypatch, "public.calls", "--resume")
    assert f"Resumed from pass {first['pass']}, which had settled 1 of 5 tables." in said
    (second,) = json.loads((await shell("findings", "--json"))[1])
    assert (second["resumed_pass"], second["verdict"]) == (first["pass"], "inconclusive")
    observer = Reading()
    page = shell.path("report.html")
    code, out, err = await _verify(shell, monkeypatch, observer, "--resume", "--html", page)
    assert (code, out.splitlines()[-1]) == (ExitCode.DONE, "verify: clean")
    assert set(observer.read) == {"public.calls", "MAILED|PHONED"}
    words = f"from pass {second['pass']}, which had settled 4 of 5 tables"
    assert f"Resumed {words}." in err
    assert words in (shell.directory / "report.html").read_text(encoding="utf-8")
    (third,) = json.loads((await shell("findings", "--json"))[1])
    assert (third["verdict"], third["elements_checked"], third["tables"]) == ("clean", ELEMENTS, 5)
    code, _, err = await shell("verify", "--resume")
    assert code == ExitCode.PERSON
    assert "none broke off" in err


async def test_values_stay_out_of_a_pass_that_goes_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --no-values nothing that a table settles at once has them; nor what was kept by the pass before."""
    await shell("db", "upgrade")
    await shell.world.cypher(PEOPLE)
    await _broken_off(shell, monkeypatch, "public.regions", "--no-values")
    assert "SECRET" not in str(_query(shell, "SELECT f::text FROM gpm_cdc.finding AS f"))
    await _broken_off(shell, monkeypatch, "public.regions")
    assert "SECRET" in str(_query(shell, "SELECT f::text FROM gpm_cdc.finding AS f"))
    code, out, _ = await shell("verify", "--resume", "--no-values", "--json")
    assert code == ExitCode.FINDING
    assert "SECRET" not in out
    (newest,) = {number for (number,) in _query(shell, "SELECT max(run_id) FROM gpm_cdc.verify_pass")}
    kept = str(_query(shell, f"SELECT f::text FROM gpm_cdc.finding AS f WHERE run_id = {newest}"))  # noqa: S608 - a number
    assert "STRING" in kept
    assert "SECRET" not in kept


async def test_only_the_same_is_gone_on_with(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other orders, another mapping, a graph that was filled anew: refused, with what to do, and it stays as it was."""
    await shell("db", "upgrade")
    await _broken_off(shell, monkeypatch, "public.calls")
    for arguments, reason in (
        (["--strict"], "it was made without --strict"),
        (["--table", "people"], re.escape(f"it compares {', '.join(TABLES)}")),
    ):
        code, _, err = await shell("verify", "--resume", *arguments)
        assert code == ExitCode.PERSON
        assert re.search(reason, " ".join(err.split())), err
        assert "as they were then" in " ".join(err.split())
    remapped = "UPDATE gpm_cdc.verify_pass SET mapping_hash = {} RETURNING 1"
    ((known,),) = _query(shell, "SELECT mapping_hash FROM gpm_cdc.verify_pass")
    _query(shell, remapped.format("'other'"))
    code, _, err = await shell("verify", "--resume")
    assert (code, "the mapping is another one now" in err) == (ExitCode.PERSON, True)
    _query(shell, remapped.format(f"'{known}'"))
    await shell.world.cypher("MATCH (n) DETACH DELETE n")
    await shell.world.begun_anew()
    code, _, err = await shell("verify", "--resume")
    assert (code, "the graph was filled anew since" in err, "without --resume" in err) == (ExitCode.PERSON, True, True)
    assert _settled(shell) == TABLES[:4]


async def test_without_a_pass_that_broke_off_it_is_refused(shell: Shell) -> None:
    """No schema, none that broke off, or only one that ended."""
    code, _, err = await shell("verify", "--resume")
    assert (code, "gpm-cdc db upgrade" in err) == (ExitCode.PERSON, True)
    await shell("db", "upgrade")
    for _ in range(2):
        code, _, err = await shell("verify", "--resume")
        assert code == ExitCode.PERSON
        assert "none broke off after it had settled a table" in err
        assert "without --resume" in err
        assert (await shell("verify"))[0] == ExitCode.DONE


async def test_a_pass_that_is_running_is_left_alone(shell: Shell) -> None:
    """It has settled tables, but it goes on itself; once it was stopped, another one may."""
    world = shell.world
    await shell("db", "upgrade")
    await _with_many_visits(world)
    task = asyncio.create_task(
        recorded_pass(world.settings, world.mapping, VerifyOrders(max_rate=10.0), Silent(), resume=False)
    )
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(_settled, shell):
        assert not task.done()
        assert time.monotonic() < deadline
    code, _, err = await shell("verify", "--resume")
    assert (code, "is still running" in err) == (ExitCode.PERSON, True)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    settled = _settled(shell)
    code, out, err = await shell("verify", "--resume", "--json")
    assert code == ExitCode.DONE, err
    report = json.loads(out)
    assert [table["table"] for table in report["tables"] if table["resumed"]] == settled
    assert report["elements_checked"] == ELEMENTS + MANY
