"""An incremental pass finds whatever is wrong with what the stream has written since the last clean full pass."""

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import override

import psycopg
import pytest

from gpm_cdc.cli.main import outcome
from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.statement import Record, Statements
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.verify import NeverVerified, VerifiedTooLongAgo
from gpm_cdc.projection.batch import GraphBatch
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication import stream
from gpm_cdc.replication.rereading import Rereads, whole
from gpm_cdc.verification.report import Finding, Report
from tests.integration.verification.conftest import SCHEMA, Silent, World
from tests.integration.verification.meddling import Meddler, execute, graph, verify_aside, wait_until
from tests.integration.verification.test_repair import repaired
from tests.integration.verification.test_verdict import (
    WRITES,
    _writing,
)

TOUCHED = """
UPDATE people SET name = 'Bea' WHERE id = 2;
DELETE FROM visits WHERE id = 2;
INSERT INTO visits VALUES (4, 'nord', NULL);
UPDATE memberships SET weight = 2 WHERE person = 1 AND country = 'de';
UPDATE calls SET seconds = 61 WHERE id = 1;
"""

ROWS: Rereads = {
    TableName("public", "people"): frozenset([("2",)]),
    TableName("public", "visits"): frozenset([("2",), ("4",)]),
    TableName("public", "memberships"): frozenset([("1", "de", "1")]),
    TableName("public", "calls"): frozenset([("1",)]),
}

BOB = "MATCH (p:Person {id: 2})"

type Told = tuple[str, str, dict[str, object]]

DAMAGE: dict[str, tuple[str, list[Told]]] = {
    "property": (f"{BOB} SET p.score = '7'", [("Person", "different", {"id": 2})]),
    "label": (f"{BOB} REMOVE p:Clerk SET p:Boss", [("Person", "label", {"id": 2})]),
    "node and its edge missing": (
        "MATCH (v:Visit {id: 4}) DETACH DELETE v",
        [("Visit", "missing", {"id": 4}), ("SAW", "missing", {"id": 4})],
    ),
    "node extra": ("CREATE (:Visit {id: 2})", [("Visit", "extra", {"id": 2})]),
    "edge dropped": (f"{BOB}-[e:REPORTS_TO]->() DELETE e", [("REPORTS_TO", "missing", {"id": 2})]),
    "edge re-pointed": (
        f"{BOB}-[e:REPORTS_TO]->() DELETE e WITH p MATCH (q:Person {{id: 3}}) CREATE (p)-[:REPORTS_TO]->(q)",
        [("REPORTS_TO", "wrong_end", {"id": 2})],
    ),
    "edge extra": (
        f"{BOB} MATCH (q:Person {{id: 3}}) CREATE (p)-[:REPORTS_TO]->(q)",
        [("REPORTS_TO", "extra", {"id": 2})],
    ),
    "row of ends": (
        "MATCH (:Person {id: 1})-[e:MEMBER_OF]->(:Region {country: 'de'}) SET e.weight = 3",
        [("MEMBER_OF", "different", {"person": 1, "country": "de", "code": 1})],
    ),
    "row with a key": ("MATCH ()-[e:PHONED {id: 1}]->() DELETE e", [("MAILED|PHONED", "missing", {"id": 1})]),
}

ELSEWHERE = """
MATCH (p:Person {id: 4}), (v:Visit {id: 3}) MATCH (p)-[e:REPORTS_TO]->() MATCH (v)-[f:SAW]->()
SET p.score = '7' DELETE e, f CREATE (:Visit {id: 99})
"""

DEFERRED = """
ALTER TABLE people ALTER CONSTRAINT people_boss_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE memberships ALTER CONSTRAINT memberships_person_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE calls ALTER CONSTRAINT calls_caller_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE calls ALTER CONSTRAINT calls_callee_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE visits ALTER CONSTRAINT visits_slug_fkey DEFERRABLE INITIALLY DEFERRED;
"""


class Counting(Silent):
    """A VerifyObserver that counts the rows of tables and the elements of the graph that were read."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    @override
    def compared(self, what: str, count: int) -> None:
        self.read[what] += count


def _told(report: Report) -> list[Told]:
    assert not report.unsettled, report.unsettled
    return sorted(map(_brief, report.findings), key=repr)


def _brief(finding: Finding) -> Told:
    return finding.element, finding.kind, dict(finding.key)


async def _proved(world: World) -> Report:
    report = await world.verify()
    assert report.verdict == "clean", (list(report.findings), report.unsettled)
    return report


async def _clean(world: World) -> None:
    report = await world.verify(incremental=True)
    assert report.verdict == "clean", (list(report.findings), report.unsettled)


async def _pages(world: World) -> int:
    rows = await world.cypher("MATCH (page:GpmCdcTouched) RETURN page")
    return len(rows)


async def _written(world: World, text: str) -> None:
    """Commit, and wait until the graph has it."""
    await world.sql(text)
    await world.caught_up()


async def test_every_kind_of_damage_to_what_was_written(filled: World) -> None:
    """Rows that came, changed and went: each damage is told as a full pass tells it, alone and all at once."""
    await _proved(filled)
    await _written(filled, TOUCHED)
    await _clean(filled)
    async with filled.running():
        for name, (damage, expected) in DAMAGE.items():
            await filled.cypher(damage)
            report = await filled.verify(incremental=True)
            assert _told(report) == sorted(expected, key=repr), name
            await repaired(filled, ROWS)
        await _clean(filled)


async def test_what_was_not_written_is_not_looked_at(filled: World) -> None:
    """Few rows are read, damage elsewhere is left to the full pass, and the report says what it rests on."""
    full = await _proved(filled)
    await filled.cypher(ELSEWHERE)
    await _written(filled, "UPDATE people SET name = 'Bea' WHERE id = 2; UPDATE calls SET seconds = 61 WHERE id = 1")
    counting = Counting()
    report = await filled.verify(counting, incremental=True)
    assert report.verdict == "clean"
    # Each facet of a table looks its rows up, before and after the judgement where there is anything to judge.
    assert set(counting.read) == {"public.people", "public.calls"}
    assert {table.table: table.rows for table in report.tables if table.rows} == {"public.people": 1, "public.calls": 1}
    assert report.elements_checked == 4
    assert (report.kind, report.since is not None and report.since.position) == ("incremental", full.began)
    found = await filled.verify()
    assert (found.verdict, found.kind, found.since) == ("drift", "full", None)
    assert len(found.findings) == 4


async def test_nothing_written_reads_nothing(filled: World) -> None:
    """The cheapest pass: no row, no element."""
    await _proved(filled)
    counting = Counting()
    report = await filled.verify(counting, incremental=True)
    assert (report.verdict, dict(counting.read), report.elements_checked) == ("clean", {}, 0)
    assert all(table.position == report.position for table in report.tables)


async def test_it_needs_a_clean_full_pass(filled: World) -> None:
    """None yet, one that found drift, one of some tables, one that is too old, one over a graph that is copied anew."""
    with pytest.raises(NeverVerified, match=filled.settings.stream):
        await filled.verify(incremental=True)
    await filled.verify(tables=(TableName("public", "people"),))
    await filled.cypher("MATCH (v:Visit {id: 2}) DELETE v")
    assert (await filled.verify()).verdict == "drift"
    with pytest.raises(NeverVerified):
        await filled.verify(incremental=True)
    await filled.cypher("CREATE (:Visit {id: 2})")
    await _proved(filled)
    assert await _pages(filled) == 0
    await filled.cypher("MATCH (s:GpmCdcCheckpoint) SET s.verified_at = datetime() - duration('P8D')")
    with pytest.raises(VerifiedTooLongAgo, match=r"8\.0 days"):
        await filled.verify(incremental=True)
    await _proved(filled)
    await _clean(filled)
    await filled.cypher("MATCH (s:GpmCdcCheckpoint) SET s.phase = 'snapshot'")
    await filled.caught_up()
    with pytest.raises(NeverVerified):
        await filled.verify(incremental=True)


async def test_an_owner_that_keeps_no_journal_ends_the_proof(filled: World) -> None:
    """One of an earlier version, which raises the epoch alone: neither beside it nor after it is there a baseline."""
    await _proved(filled)
    await filled.cypher("MATCH (s:GpmCdcCheckpoint) SET s.epoch = s.epoch + 1")
    await _proved(filled)
    with pytest.raises(NeverVerified):
        await filled.verify(incremental=True)
    await filled.caught_up()
    with pytest.raises(NeverVerified):
        await filled.verify(incremental=True)
    await _proved(filled)
    await _clean(filled)


async def test_drift_leaves_the_former_baseline(filled: World) -> None:
    """A full pass that finds something proves nothing: what was written before it is still looked at."""
    await _proved(filled)
    await _written(filled, TOUCHED)
    await filled.cypher(f"{BOB} SET p.score = '7'")
    await filled.cypher("MATCH (p:Person {id: 4}) SET p.score = '7'")
    assert len((await filled.verify()).findings) == 2
    assert _told(await filled.verify(incremental=True)) == [("Person", "different", {"id": 2})]


async def test_tables_that_were_emptied_or_read_again_are_compared_whole(filled: World) -> None:
    """Every row there is or was."""
    await _proved(filled)
    async with filled.running():
        await filled.sql("TRUNCATE visits; INSERT INTO visits VALUES (3, 'sued')")
        await repaired(filled, whole([TableName("public", "people")]))
        await _clean(filled)
        await filled.cypher("CREATE (:Visit {id: 77})")
        await filled.cypher("MATCH (p:Person {id: 4})-[e:REPORTS_TO]->() SET p.score = '7' DELETE e")
        await filled.cypher("MATCH ()-[e:MAILED]->() DELETE e")
        assert _told(await filled.verify(incremental=True)) == [
            ("MAILED|PHONED", "missing", {"id": 3}),
            ("Person", "different", {"id": 4}),
            ("REPORTS_TO", "missing", {"id": 4}),
            ("Visit", "extra", {"id": 77}),
        ]


async def test_relationships_that_move_without_an_event(world: World) -> None:
    """Two people swap their keys, a slug moves to another region: whoever refers to them is compared, too."""
    await world.sql(SCHEMA + DEFERRED)
    await world.caught_up()
    await _proved(world)
    await world.sql(
        "UPDATE people SET id = 100 WHERE id = 1; UPDATE people SET id = 1 WHERE id = 2;"
        "UPDATE people SET id = 2 WHERE id = 100; UPDATE regions SET slug = NULL WHERE slug = 'nord';"
        "UPDATE regions SET slug = 'nord' WHERE country = 'fr'"
    )
    await world.caught_up()
    await _clean(world)
    await world.cypher("MATCH (:Person {id: 3})-[e:REPORTS_TO]->() DELETE e")
    await world.cypher(
        "MATCH (p:Person)-[e:MAILED]->(), (q:Person {id: 4}) CREATE (q)-[f:MAILED]->(p) SET f = properties(e) DELETE e"
    )
    await world.cypher(
        "MATCH (v:Visit {id: 1})-[e:SAW]->(), (r:Region {country: 'de', code: 1}) CREATE (v)-[:SAW]->(r) DELETE e"
    )
    await world.cypher("MATCH (v:Visit {id: 2}), (r:Region {country: 'fr'}) CREATE (v)-[:SAW]->(r)")
    report = await world.verify(incremental=True)
    assert _told(report) == [
        ("MAILED|PHONED", "wrong_end", {"id": 3}),
        ("REPORTS_TO", "missing", {"id": 3}),
        ("SAW", "extra", {"id": 2}),
        ("SAW", "wrong_end", {"id": 1}),
    ]
    assert _told(report) == _told(await world.verify())


async def test_two_passes_at_a_time(filled: World) -> None:
    """Each proves what it has seen; what was written while both ran stays to be looked at."""

    def meddle() -> None:
        execute(filled, "UPDATE people SET score = 7 WHERE id = 2")
        wait_until(lambda: graph(filled, "MATCH (p:Person {id: 2}) RETURN p.score = '7.0000000000'") == [[True]])
        with ThreadPoolExecutor(1) as aside:
            inner.append(aside.submit(lambda: asyncio.run(filled.verify())).result())
        execute(filled, "UPDATE visits SET at = '2021-01-01' WHERE id = 3")
        wait_until(lambda: graph(filled, "MATCH (v:Visit {id: 3}) RETURN v.at = date('2021-01-01')") == [[True]])

    inner: list[Report] = []
    async with filled.running():
        outer = await verify_aside(filled, Meddler(meddle))
        assert [outer.verdict, *(report.verdict for report in inner)] == ["clean", "clean"]
        assert outer.began is not None
        assert inner[0].began is not None
        assert outer.began < inner[0].began
        await filled.cypher(f"{BOB} SET p.score = '8'")
        await filled.cypher("MATCH (v:Visit {id: 3}) SET v.at = 1")
        report = await filled.verify(incremental=True)
        assert report.since is not None
        assert report.since.position == inner[0].began
        # Bob was written before the later proof began.
        assert _told(report) == [("Visit", "different", {"id": 3})]


async def test_what_is_written_during_a_full_pass_is_not_proved_by_it(filled: World) -> None:
    """It is compared again by that pass; but the proof is one of its first position."""

    def meddle() -> None:
        execute(filled, "UPDATE people SET score = 7 WHERE id = 2")
        wait_until(lambda: graph(filled, "MATCH (p:Person {id: 2}) RETURN p.score = '7.0000000000'") == [[True]])

    async with filled.running():
        assert (await verify_aside(filled, Meddler(meddle))).verdict == "clean"
        await filled.cypher(f"{BOB} SET p.score = '8'")
        assert _told(await filled.verify(incremental=True)) == [("Person", "different", {"id": 2})]


@pytest.mark.long
async def test_beside_a_writer_there_is_never_drift(filled: World) -> None:
    """Transactions of every kind commit; no pass finds anything, and when they end, each is clean."""
    await _proved(filled)
    async with filled.running():
        async with _writing(filled, seed=random.randrange(1_000_000)):
            for _ in range(4):
                report = await filled.verify(incremental=True, rounds=3)
                assert report.verdict != "drift", list(report.findings)
                assert report.position is not None, report.unsettled
        await _clean(filled)
        await _proved(filled)


def _forgetful(monkeypatch: pytest.MonkeyPatch, draw: random.Random) -> None:
    """A stream that leaves out a statement now and then."""

    def fewer(plan: GraphPlan, graph: GraphBatch, how: How) -> Statements:
        running = statements(plan, graph, how)
        records: list[Record] | None = None
        while True:
            try:
                statement = next(running) if records is None else running.send(records)
            except StopIteration:
                return
            if statement.returns or draw.random() > 0.3:
                records = yield statement
            else:
                records = []

    monkeypatch.setattr(stream, "statements", fewer)


@pytest.mark.timeout(300)
async def test_it_finds_what_a_full_pass_finds_of_a_wrong_stream(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random transactions through a stream that makes mistakes: both passes tell the same after each of them."""
    seed = random.randrange(1_000_000)
    draw = random.Random(seed)
    await _proved(filled)
    _forgetful(monkeypatch, draw)
    wrong = 0
    async with filled.running():
        for _ in range(12):
            texts = (
                draw.choice(WRITES).format(a=draw.randint(0, 20), b=draw.randint(1, 4))
                for _ in range(draw.randint(1, 6))
            )
            for text in texts:
                with suppress(psycopg.IntegrityError):
                    await filled.sql(text)
            part = await filled.verify(incremental=True)
            assert _told(part) == _told(await filled.verify()), seed
            wrong = max(wrong, len(part.findings))
    assert wrong, seed


async def test_a_restart_loses_nothing(filled: World) -> None:
    """Batches of several runs, the last of which was ended without notice: all that they wrote is looked at."""
    await _proved(filled)
    await _written(filled, "UPDATE people SET name = 'x' WHERE id = 2")
    await filled.sql("UPDATE visits SET at = '2021-01-01' WHERE id = 3")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(filled.caught_up())
        await asyncio.to_thread(
            wait_until, lambda: graph(filled, "MATCH (v:Visit {id: 3}) RETURN v.at = date('2021-01-01')") == [[True]]
        )
        task.cancel()
    await filled.caught_up()
    await filled.cypher("MATCH (p:Person {id: 2}), (v:Visit {id: 3}) SET p.`full name` = 'y', v.at = 1")
    found = [("Person", "different", {"id": 2}), ("Visit", "different", {"id": 3})]
    assert _told(await filled.verify(incremental=True)) == found


async def test_pages_of_a_former_stream_do_no_harm(world: World) -> None:
    """They go when a stream of the same name begins; those of others stay."""
    others = "CREATE (:GpmCdcTouched {stream: 'other', schema: 'public', table: 'people', state: 'open', upto: 1})"
    await world.cypher(others)
    await world.cypher(
        f"UNWIND ['open', 'open', 'full'] AS state CREATE (:GpmCdcTouched {{stream: '{world.settings.stream}',"
        " schema: 'public', table: 'people', state: state, upto: 9000000000000, keys: 'no keys'})"
    )
    await world.sql(SCHEMA)
    await world.caught_up()
    await _proved(world)
    await _clean(world)
    assert (await world.cypher("MATCH (page:GpmCdcTouched) RETURN page.stream AS stream")) == [{"stream": "other"}]


def test_the_command_refuses_a_table() -> None:
    """--table is about something else."""
    assert outcome(["verify", "--incremental", "--table", "people"]) == ExitCode.PERSON
