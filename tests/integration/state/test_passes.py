"""What a pass of verify leaves in the schema gpm_cdc, and what is read back of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from psycopg import sql
from pydantic import SecretStr

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.digests import Digest
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.state import PassUnknown
from gpm_cdc.runtime.history import kept
from gpm_cdc.state import migration, passes, runs
from gpm_cdc.state.database import transaction
from gpm_cdc.verification.report import Basis, Finding, Report, Since, TableReport, Unsettled
from tests.servers import Database
from tests.unit.verification.drawn import findings, form, located_at

TABLES = [
    TableReport(
        "public.a", 5, 4, 3, Digest(7, 2**200), Digest(7, 2**200 + 1), 1, 2, 3, Lsn(0x10), Lsn(0x20), 1.5, resumed=True
    ),
    TableReport('public."B c"', 2**40, 0, 0, Digest(0, 0), Digest(0, 0), settled=True),
]
OPEN = [
    Unsettled("public.a", {"id": 2**60, "part": None}, "it was changed"),
    Unsettled("public.a", None, "busy"),
    Unsettled(None, None, "nobody runs the stream"),
]


def _finding(number: int, text: str = "x") -> Finding:
    return Finding("public.a", "A", "different", {"id": number}, ("n",), {"n": text}, {"n": "y"}, {"id": number})


def _report(found: Sequence[Finding], unsettled: Sequence[Unsettled] = ()) -> Report:
    return Report(Lsn(0x20), 1.25, TABLES, found, unsettled, began=Lsn(0x10))


def _settings(postgres: Database, **changes: object) -> Settings:
    return Settings.model_validate({"postgres_dsn": SecretStr(postgres.dsn), "stream": "shop", **changes})


def _kept(postgres: Database, report: Report, **changes: object) -> int:
    """Run a verify that ends with this report, as the command does."""
    given_settings = _settings(postgres, **changes)
    with transaction(postgres.dsn) as connection:
        number = runs.begin(connection, stream=given_settings.stream, command="verify", owner="here:1")
        runs.finish(
            connection,
            number,
            outcome="done",
            positions=(report.began, report.position),
            verdict=report.verdict,
            detail={},
        )
    assert kept(given_settings, number, report, strict=True)
    return number


def _loaded(postgres: Database, number: int, stream: str = "shop") -> tuple[passes.PassSummary, Report]:
    with transaction(postgres.dsn) as connection:
        return passes.load(connection, stream, number)


@pytest.fixture
def state(postgres: Database) -> Database:
    """A database with the schema."""
    migration.upgrade(postgres.dsn)
    return postgres


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(findings(), max_size=4))
def test_a_pass_is_read_back_as_it_was(state: Database, found: list[Finding]) -> None:
    """Every finding, with a key of any types, every open question, and all numbers."""
    report = _report(found, OPEN)
    number = _kept(state, report)
    summary, loaded = _loaded(state, number)
    # NaN is not equal to itself.
    assert [replace(finding, exact_key={}) for finding in loaded.findings] == [
        replace(finding, exact_key={}) for finding in found
    ]
    assert replace(loaded, findings=[]) == replace(report, findings=[])
    assert (loaded.verdict, summary.verdict) == (report.verdict, report.verdict)
    assert (summary.elements_checked, summary.tables) == (report.elements_checked, 2)
    assert (summary.missing, summary.extra, summary.different) == (1, 2, 3)
    assert (summary.from_lsn, summary.as_of_lsn, summary.strict, summary.kept) == ("0/10", "0/20", True, len(found))
    with transaction(state.dsn) as connection:
        read = passes.read_findings(connection, "shop", number)
    assert [form(where) for where in read.findings] == [form(located_at(finding)) for finding in found]
    assert read.left_out == 0


@pytest.mark.parametrize(("limit", "listed"), [(0, 0), (3, 3), (2500, 2500), (5000, 2600)])
def test_a_pass_is_bounded(state: Database, limit: int, listed: int) -> None:
    """Only so many findings and questions are kept; the rest is counted, and the verdict is still that of all."""
    report = _report([_finding(number) for number in range(2600)], OPEN[:1] * 2600)
    number = _kept(state, report, history_findings=limit)
    summary, loaded = _loaded(state, number)
    assert [finding.key["id"] for finding in loaded.findings] == list(range(listed))
    assert (loaded.left_out, loaded.unsettled_left_out) == (2600 - listed, 2600 - listed)
    assert (loaded.verdict, loaded.finding_count, summary.finding_count) == ("drift", 2600, 2600)
    with transaction(state.dsn) as connection:
        assert passes.read_findings(connection, "shop", number).left_out == 2600 - listed


def test_a_value_is_bounded(state: Database) -> None:
    """What is kept of one value has an end."""
    number = _kept(state, _report([_finding(1, "x" * 1_000_000)]))
    (finding,) = _loaded(state, number)[1].findings
    assert finding.expected == {"n": "x" * passes.LONGEST_TEXT + "…"}


def test_values_can_be_left_out(state: Database) -> None:
    """With history_values = false no value of a row but its key gets into the schema."""
    _kept(state, _report([_finding(1, 'STRING "SECRET"')]), history_values=False)
    with psycopg.connect(state.dsn) as connection:
        rows = connection.execute("SELECT f::text FROM gpm_cdc.finding AS f").fetchall()
    assert len(rows) == 1
    assert "SECRET" not in str(rows)
    assert "STRING" in str(rows)


def test_old_findings_go(state: Database) -> None:
    """After history_days the findings of a stream go with its next pass, and the numbers of the passes stay."""
    old, other = _kept(state, _report([_finding(1)], OPEN)), _kept(state, _report([_finding(2)]), stream="other")
    young = _kept(state, _report([_finding(3)]))
    with psycopg.connect(state.dsn, autocommit=True) as connection:
        for number, days in ((old, 11), (other, 11), (young, 9)):
            age = "UPDATE gpm_cdc.run SET started_at = now() - make_interval(days => %s) WHERE id = %s"
            connection.execute(age, [days, number])
    last = _kept(state, _report([]), history_days=10)
    with transaction(state.dsn) as connection:
        listed = passes.passes(connection, "shop", 10)
    assert [(each.number, each.finding_count, each.kept) for each in listed] == [
        (last, 0, 0),
        (young, 1, 1),
        (old, 1, 0),
    ]
    report = _loaded(state, old)[1]
    assert (report.verdict, report.left_out, report.unsettled_left_out) == ("drift", 1, 3)
    assert len(_loaded(state, other, "other")[1].findings) == 1


def test_passes_are_those_of_the_stream(state: Database) -> None:
    """The newest come first, and another stream's pass is none of them."""
    numbers = [_kept(state, _report([])) for _ in range(3)]
    other = _kept(state, _report([]), stream="other")
    with transaction(state.dsn) as connection:
        assert [each.number for each in passes.passes(connection, "shop", 2)] == numbers[:0:-1]
        with pytest.raises(PassUnknown, match=f"no pass {other} of stream shop"):
            passes.load(connection, "shop", other)


@pytest.mark.parametrize("change", ["DROP TABLE gpm_cdc.unsettled", "ALTER TABLE gpm_cdc.finding DROP COLUMN kind"])
def test_a_pass_that_cannot_be_kept_fails_nothing(state: Database, change: str) -> None:
    """A schema of an earlier version, or one that somebody changed, keeps the run alone."""
    with psycopg.connect(state.dsn, autocommit=True) as connection:
        connection.execute(change.encode())
        with transaction(state.dsn) as other:
            number = runs.begin(other, stream="shop", command="verify", owner="here:1")
        assert not kept(_settings(state), number, _report([_finding(1)]), strict=False)
        assert connection.execute("SELECT count(*) FROM gpm_cdc.verify_pass").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM gpm_cdc.run").fetchone() == (1,)


def test_an_open_pass_keeps_what_it_settles(state: Database) -> None:
    """Table by table, within the bound of its findings; it is in no list until it ended, and then as it ended."""
    basis = Basis("hash", Lsn(0x8), ("public.a", "public.b"), strict=True)
    settled = [replace(TABLES[0], settled=True, resumed=False), replace(TABLES[0], table="public.b", settled=True)]
    with transaction(state.dsn) as connection:
        number = runs.begin(connection, stream="shop", command="verify", owner="here:1")
        assert list(passes.unfinished(connection, "shop")) == []
        passes.begin(connection, number, basis, version="1")
        assert list(passes.unfinished(connection, "shop")) == [], "nothing is settled"
        for table in settled:
            found = [replace(_finding(each), table=table.table) for each in range(3)]
            passes.add(connection, number, table, found, limit=4)
        assert list(passes.unfinished(connection, "shop")) == [passes.Unfinished(number, basis)]
        assert list(passes.unfinished(connection, "other")) == []
        assert passes.settled_tables(connection, number) == settled
        listed = [(finding.table, finding.key["id"]) for finding in passes.kept_findings(connection, number)]
        assert listed == [("public.a", 0), ("public.a", 1), ("public.a", 2), ("public.b", 0)]
        assert passes.passes(connection, "shop", 10) == []
        with pytest.raises(PassUnknown):
            passes.load(connection, "shop", number)
    report = replace(_report([_finding(1)], OPEN), tables=settled, basis=basis, interrupted=True, resumed_pass=3)
    with transaction(state.dsn) as connection:
        runs.finish(connection, number, outcome="done", positions=(Lsn(1), Lsn(2)), verdict=report.verdict, detail={})
    assert kept(_settings(state), number, report, strict=True)
    summary, loaded = _loaded(state, number)
    assert (summary.resumed_pass, loaded.resumed_pass, loaded.interrupted) == (3, 3, True)
    assert (loaded.tables, len(loaded.findings)) == (settled, 1)
    with transaction(state.dsn) as connection:
        assert list(passes.unfinished(connection, "shop")) == [passes.Unfinished(number, basis)]
        passes.add(connection, number, settled[0], [_finding(2)], limit=4)
        assert passes.settled_tables(connection, number) == settled, "it ended"
    assert kept(_settings(state), number, replace(report, interrupted=False), strict=True)
    with transaction(state.dsn) as connection:
        assert list(passes.unfinished(connection, "shop")) == []


def test_deleting_a_run_deletes_its_pass(state: Database) -> None:
    """One DELETE on the history is enough to be rid of everything."""
    number = _kept(state, _report([_finding(1)], OPEN))
    with psycopg.connect(state.dsn) as connection:
        connection.execute("DELETE FROM gpm_cdc.run WHERE id = %s", [number])
        for table in ("verify_pass", "verify_table", "finding", "unsettled"):
            count = sql.SQL("SELECT count(*) FROM gpm_cdc.{}").format(sql.Identifier(table))
            assert connection.execute(count).fetchone() == (0,)


def test_an_incremental_pass_is_kept_as_one(state: Database) -> None:
    """With the full pass that it rests on; one that broke off is none to go on with."""
    since = Since(Lsn(0x8), datetime(2026, 5, 4, 10, 0, 7, 250_000, tzinfo=UTC))
    number = _kept(state, replace(_report([_finding(1)]), kind="incremental", since=since))
    summary, report = _loaded(state, number)
    assert (summary.kind, summary.since_lsn) == ("incremental", "0/8")
    assert (report.kind, report.since) == ("incremental", since)
    basis = Basis("m", Lsn(1), ("public.a",), strict=True, kind="incremental")
    with transaction(state.dsn) as connection:
        begun = runs.begin(connection, stream="shop", command="verify", owner="here:1")
        passes.begin(connection, begun, basis, version="1")
        passes.add(connection, begun, replace(TABLES[0], settled=True), [], limit=1)
        assert list(passes.unfinished(connection, "shop")) == []
