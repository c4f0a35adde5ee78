"""The verdict while writers write, nobody runs the stream, or things go away in the middle."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import override

import psycopg
import pytest

from gpm_cdc.cli.main import outcome
from gpm_cdc.domain.lsn import Lsn, parse as parse_lsn
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.errors.source import MappingChanged, PublicationMissing, SlotBlocked
from gpm_cdc.errors.verify import NoSpareSlot
from gpm_cdc.mapping.text import parse
from tests.integration.verification.conftest import ELEMENTS, MAPPING, Silent, World
from tests.integration.verification.meddling import A_MOMENT, Meddler, execute, graph, verify_aside, wait_until

WRITES = (
    "UPDATE people SET weight = {a} WHERE id = {b}",
    "UPDATE people SET boss = NULLIF({a} % 4 + 1, {b}) WHERE id = {b}",
    "UPDATE people SET kind = (ARRAY['boss', 'clerk', NULL])[{a} % 3 + 1] WHERE id = {b}",
    "UPDATE regions SET slug = 's{a}' WHERE code = {b} AND slug IS NULL",
    "UPDATE visits SET slug = (SELECT slug FROM regions ORDER BY random() LIMIT 1) WHERE id = {b}",
    "INSERT INTO people (id, name, boss) VALUES ({a} + 100, 'new', {b}) ON CONFLICT DO NOTHING",
    "DELETE FROM people AS p WHERE id > 100 AND id % 3 = {b} % 3 AND NOT EXISTS (SELECT FROM people WHERE boss = p.id)",
    "INSERT INTO visits VALUES ({a} + 10, 'nord') ON CONFLICT (id) DO UPDATE SET at = now()",
    "UPDATE visits SET id = 1000 + id WHERE id = {a} + 10 AND NOT EXISTS (SELECT FROM visits WHERE id = {a} + 1010)",
    "DELETE FROM visits WHERE id > 1000",
    (
        "MERGE INTO memberships USING (SELECT {b} AS b) ON person = b AND country = 'de' AND code = {a} % 2 + 1"
        " WHEN MATCHED THEN UPDATE SET weight = {a} WHEN NOT MATCHED THEN INSERT VALUES (b, 'de', {a} % 2 + 1)"
    ),
    "DELETE FROM memberships WHERE person = {b}",
    "INSERT INTO calls VALUES ({a} + 10, {b}, 1, 'mail') ON CONFLICT (id) DO UPDATE SET callee = {b}, how = 'phone'",
    "DELETE FROM calls WHERE id = {a} + 10",
)


@asynccontextmanager
async def _writing(world: World, seed: int) -> AsyncIterator[None]:
    """Random transactions, one after the other, without a pause."""
    dice = random.Random(seed)

    async def write() -> None:
        async with await world.database.connect() as connection:
            while True:
                # What a foreign key forbids is rolled back, which the stream must not show either.
                with suppress(psycopg.IntegrityError):
                    async with connection.transaction():
                        for _ in range(dice.randint(1, 4)):
                            text = dice.choice(WRITES).format(a=dice.randint(0, 20), b=dice.randint(1, 4))
                            await connection.execute(text.encode())

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


@pytest.mark.parametrize("held", [60.0, A_MOMENT], ids=["one snapshot", "a snapshot per slice"])
async def test_beside_a_writer_there_is_never_drift(filled: World, held: float) -> None:
    """While transactions of every kind commit, each pass is clean or inconclusive; when they end, it is clean."""
    async with filled.running():
        async with _writing(filled, seed=random.randrange(1_000_000)):
            for _ in range(4):
                report = await filled.verify(rounds=3, max_snapshot=held)
                assert report.verdict != "drift", list(report.findings)
                assert report.position is not None, report.unsettled
                if report.verdict == "clean":
                    assert all(table.postgres == table.neo4j for table in report.tables)
        report = await filled.verify(max_snapshot=held)
        assert report.verdict == "clean", (list(report.findings), report.unsettled)
        assert all(table.postgres == table.neo4j for table in report.tables)


async def test_every_slice_has_its_position(filled: World) -> None:
    """A snapshot is given up when its time is over, the rest is read under later ones, and the report names them."""
    report = await filled.verify()
    assert [held.position for held in report.snapshots] == [report.position]
    report = await filled.verify(max_snapshot=A_MOMENT)
    assert (report.verdict, report.elements_checked) == ("clean", ELEMENTS)
    positions = [held.position for held in report.snapshots]
    assert len(positions) > len(report.tables)
    assert positions == sorted(positions)
    assert positions[0] == report.position
    async with await filled.database.connect() as connection:
        left = "SELECT (SELECT count(*) FROM pg_replication_slots WHERE temporary)"
        assert await (await connection.execute(left)).fetchall() == [(0,)]


async def test_a_table_that_is_altered_between_two_snapshots_makes_it_inconclusive(filled: World) -> None:
    """No lock is held then, and the later snapshot would show something else than the changes tell."""
    text = "TRUNCATE visits"
    meddler = Meddler(lambda: execute(filled, text))
    report = await asyncio.to_thread(lambda: asyncio.run(filled.verify(observer=meddler, max_snapshot=A_MOMENT)))
    assert (report.verdict, list(report.findings)) == ("inconclusive", [])


async def test_slower_when_asked(filled: World) -> None:
    """`max_rate` holds every reading back."""
    started = time.monotonic()
    assert (await filled.verify(max_rate=ELEMENTS)).verdict == "clean"
    assert time.monotonic() - started > 1.0


async def test_with_max_lag_it_waits_for_the_stream(filled: World) -> None:
    """It goes on when the stream is near, and gives up where nobody runs it."""
    await filled.sql("CREATE TABLE elsewhere AS SELECT generate_series(1, 20000)")
    report = await filled.verify(max_lag=100_000, timeout=1.0)
    assert (report.verdict, list(report.findings)) == ("inconclusive", [])
    assert "100000 bytes behind" in report.unsettled[0].reason
    async with filled.running():
        assert (await filled.verify(max_lag=100_000)).verdict == "clean"


@pytest.mark.parametrize("held", [60.0, A_MOMENT], ids=["one snapshot", "a snapshot per slice"])
async def test_damage_is_found_beside_a_writer(filled: World, held: float) -> None:
    """Drift of what is not being written is told, although other rows are in flight all the time."""
    await filled.cypher("MATCH (r:Region {country: 'de', code: 2}) SET r.name = 'Sud'")
    async with filled.running(), _writing(filled, seed=7):
        report = await filled.verify(rounds=2, max_snapshot=held)
    assert report.verdict == "drift"
    assert [(finding.element, finding.columns) for finding in report.findings] == [("Region", ("name",))]


async def test_what_changes_during_the_comparison_is_compared_again(filled: World) -> None:
    """Rows that the graph has newer than the snapshot are no drift: the next round finds them equal."""

    def meddle() -> None:
        execute(
            filled,
            "UPDATE people SET name = 'Eve', kind = 'clerk' WHERE id = 3; UPDATE visits SET id = 9 WHERE id = 1;"
            "UPDATE regions SET slug = 'other' WHERE slug IS NULL; DELETE FROM calls WHERE id = 2;"
            "UPDATE people SET boss = 3 WHERE id = 2; INSERT INTO memberships VALUES (4, 'fr', 1)",
        )
        wait_until(lambda: graph(filled, "MATCH (v:Visit {id: 9}) RETURN count(v)") == [[1]])

    async with filled.running():
        meddler = Meddler(meddle)
        report = await verify_aside(filled, meddler)
    assert (report.verdict, list(report.findings), report.unsettled) == ("clean", [], [])
    assert meddler.rounds == 2
    assert report.elements_checked == ELEMENTS
    assert all(table.postgres == table.neo4j for table in report.tables)


async def test_damage_to_what_changes_is_found_in_the_next_round(filled: World) -> None:
    """A row that is in flight in the first round is not excused: what is wrong with it is drift in the second."""
    await filled.cypher("MATCH (p:Person {id: 2}) SET p.score = '7'")

    def meddle() -> None:
        execute(filled, "UPDATE people SET name = 'Bob2' WHERE id = 2")
        wait_until(lambda: graph(filled, "MATCH (p:Person {`full name`: 'Bob2'}) RETURN count(p)") == [[1]])
        graph(filled, "MATCH (p:Person {id: 2}) SET p.weight = 1.0")

    async with filled.running():
        report = await verify_aside(filled, Meddler(meddle))
    assert [(finding.key, finding.columns) for finding in report.findings] == [({"id": 2}, ("weight",))]


async def test_what_changes_in_every_round_is_not_told(filled: World) -> None:
    """A row that is always in flight is named as open, and the rest is known: inconclusive, never clean."""

    class Persistent(Silent):
        @override
        def comparing(self, number: int, position: Lsn) -> None:
            execute(filled, f"UPDATE people SET weight = {number} WHERE id = 3")  # noqa: S608 - a number
            found = "MATCH (p:Person {id: 3}) RETURN p.weight"
            wait_until(lambda: graph(filled, found) == [[float(number)]])

    async with filled.running():
        report = await asyncio.to_thread(lambda: asyncio.run(filled.verify(observer=Persistent(), rounds=2)))
    assert report.verdict == "inconclusive"
    assert {(entry.table, str(entry.key)) for entry in report.unsettled} == {("public.people", "{'id': 3}")}
    assert report.as_json()["inconclusive"]


async def test_with_changes_that_nobody_applies_it_is_inconclusive(filled: World) -> None:
    """Committed changes that the graph has not: no verdict, and the reason."""
    await filled.sql("UPDATE people SET weight = 3 WHERE id = 3")
    report = await filled.verify(timeout=0.5)
    assert (report.verdict, report.position, report.tables and report.elements_checked) == ("inconclusive", None, 0)
    (entry,) = report.unsettled
    assert "nobody runs the stream" in entry.reason


async def test_with_changes_that_do_not_concern_the_stream_it_is_clean(filled: World) -> None:
    """The log went on, but nothing in it is for the graph: a stream that is stopped is compared all the same."""
    await filled.sql("CREATE TABLE elsewhere AS SELECT generate_series(1, 1000)")
    report = await filled.verify(timeout=5.0)
    assert report.verdict == "clean"


@pytest.mark.parametrize(
    ("meddling", "reason"),
    [
        ("DROP PUBLICATION {stream}", "publication"),
        ("ALTER PUBLICATION {stream} DROP TABLE visits", "visits"),
        (
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name LIKE '{stream}_v%'",
            "",
        ),
    ],
)
async def test_what_goes_away_in_the_middle_makes_it_inconclusive(filled: World, meddling: str, reason: str) -> None:
    """The publication, a table's shape or the connection: afterwards nothing is said to be clean, or to be drift."""
    await filled.cypher("MATCH (p:Person {id: 2}) SET p.weight = 7")
    text = meddling.format(stream=filled.settings.publication_name)
    report = await verify_aside(filled, Meddler(lambda: execute(filled, text)), seconds=3.0)
    assert (report.verdict, list(report.findings)) == ("inconclusive", [])
    assert reason in report.unsettled[0].reason


async def test_tables_cannot_be_altered_or_truncated_meanwhile(filled: World) -> None:
    """What the snapshot would not show, and the stream not tell, waits for the comparison to end."""

    def meddle() -> None:
        for text in ("TRUNCATE visits", "ALTER TABLE visits ADD COLUMN more int"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                execute(filled, f"SET lock_timeout = '200ms'; {text}")

    assert (await verify_aside(filled, Meddler(meddle))).verdict == "clean"


async def test_a_graph_that_goes_back_is_inconclusive(filled: World) -> None:
    """A checkpoint that somebody moves, removes or replaces during the comparison ends it."""
    for damage in (
        "MATCH (s:GpmCdcCheckpoint) SET s.lsn = s.lsn - 8",
        "MATCH (s:GpmCdcCheckpoint) SET s.phase = 'snapshot'",
        "MATCH (s:GpmCdcCheckpoint) DELETE s",
    ):
        report = await verify_aside(filled, Meddler(partial(graph, filled, damage)))
        assert (report.verdict, report.position) == ("inconclusive", None), damage
        await filled.cypher("MATCH (s:GpmCdcCheckpoint) SET s.lsn = s.lsn + 8, s.phase = 'streaming'")


async def test_what_can_never_be_compared_is_refused(filled: World) -> None:
    """No checkpoint, another mapping, no publication: an error that a person must see to."""
    other = parse(MAPPING.replace('"REPORTS_TO"', '"OBEYS"'), where="gpm-cdc.toml")
    with pytest.raises(MappingChanged):
        await World(filled.database, filled.graph, filled.settings, other).verify()
    await filled.cypher("MATCH (s:GpmCdcCheckpoint) SET s.stream = 'other'")
    with pytest.raises(StreamUnknown):
        await filled.verify()
    await filled.sql(f"DROP PUBLICATION {filled.settings.publication_name}")
    with pytest.raises(PublicationMissing):
        await filled.verify()


async def test_whoever_is_in_the_way_of_the_slot_is_named(filled: World) -> None:
    """A slot waits for open writing transactions: after the lock timeout their processes are in the error."""
    impatient = filled.settings.model_copy(update={"lock_timeout": 0.3})
    async with await filled.database.connect(autocommit=False) as connection:
        await connection.execute("UPDATE people SET weight = 0 WHERE id = 1")
        with pytest.raises(SlotBlocked) as refusal:
            await World(filled.database, filled.graph, impatient, filled.mapping).verify()
        assert str(connection.info.backend_pid) in str(refusal.value)
        await connection.rollback()


async def test_without_a_spare_slot_it_says_so(filled: World) -> None:
    """When all replication slots are taken, the error names the setting; afterwards nothing of ours is left."""
    async with await filled.database.connect() as connection:
        await connection.execute(
            "SELECT pg_create_physical_replication_slot('taken_' || n, false, true) FROM generate_series(1,"
            " current_setting('max_replication_slots')::int - (SELECT count(*)::int FROM pg_replication_slots)) AS n"
        )
        with pytest.raises(NoSpareSlot) as refusal:
            await filled.verify()
        assert "max_replication_slots" in refusal.value.advice
    assert (await filled.verify()).verdict == "clean"
    async with await filled.database.connect() as connection:
        rows = await (await connection.execute("SELECT slot_name FROM pg_replication_slots WHERE temporary")).fetchall()
        assert rows == []


async def test_the_command_tells_the_verdict(
    filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` ends with the verdict on stdout and its exit code; --json prints the documented keys."""
    (tmp_path / "gpm-cdc.toml").write_text(MAPPING, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPM_POSTGRES_DSN", filled.database.dsn)
    monkeypatch.setenv("GPM_NEO4J_URI", filled.graph.uri)
    monkeypatch.setenv("GPM_NEO4J_USER", filled.graph.user)
    monkeypatch.setenv("GPM_NEO4J_PASSWORD", filled.graph.password)
    monkeypatch.setenv("GPM_STREAM", filled.settings.stream)

    async def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(outcome, ["verify", *arguments])
        return code, capsys.readouterr().out

    code, shown = await run()
    assert (code, shown.splitlines()[-1]) == (ExitCode.DONE, "verify: clean")
    await filled.cypher("MATCH (p:Person) SET p.weight = 7.5")
    code, shown = await run()
    assert (code, shown.splitlines()[-1]) == (ExitCode.FINDING, "verify: drift")
    assert "public.people id=2: Person differs" in shown
    assert "weight: FLOAT 7.5 instead of FLOAT NaN" in shown
    code, shown = await run("--json", "--table", "people")
    report = json.loads(shown)
    assert code == ExitCode.FINDING
    assert list(report)[:7] == [
        *("verdict", "as_of_lsn", "elements_checked", "seconds", "tables", "findings", "inconclusive")
    ]
    assert [table["table"] for table in report["tables"]] == ["public.people"]
    assert list(report["tables"][0]) == [
        *("table", "rows", "nodes", "relationships", "checksum", "missing", "extra", "different"),
        *("from_lsn", "as_of_lsn", "seconds", "settled", "resumed"),
    ]
    assert list(report["findings"][0]) == [
        *("table", "element", "kind", "key", "columns", "expected", "actual", "exact_key")
    ]
    assert len(report["findings"]) == 4
    assert parse_lsn(report["as_of_lsn"]) > 0
    await filled.sql("UPDATE people SET weight = 3 WHERE id = 3")
    code, shown = await run("--timeout", "0.3")
    assert (code, shown.splitlines()[-1]) == (ExitCode.REPEAT, "verify: inconclusive")


async def test_a_table_to_be_read_again_is_not_clean(filled: World) -> None:
    """What the stream has to read again, once somebody runs it, is neither drift nor clean before that."""
    await filled.sql("UPDATE visits SET at = '2020-01-01'")
    await filled.caught_up()
    await filled.sql("ALTER TABLE visits ALTER COLUMN at TYPE date USING at + 1")
    report = await filled.verify(timeout=2.0)
    assert report.verdict == "inconclusive"
    await filled.caught_up()
    assert (await filled.verify()).verdict == "clean"
