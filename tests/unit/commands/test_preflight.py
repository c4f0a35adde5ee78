from dataclasses import replace

import psycopg
import pytest

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.errors.sink import GraphTooOld
from gpm_cdc.errors.source import SourceIsPooler, SourceUnreachable, WalSendersTaken
from gpm_cdc.sink.driver import require_version
from gpm_cdc.source import session
from gpm_cdc.source.preflight import (
    OpenTransaction,
    ServerFacts,
    TableRights,
    delay_findings,
    publishing_findings,
    reading_findings,
    retention_findings,
    room_findings,
)

FACTS = ServerFacts(
    version="18.1",
    database="shop",
    role="Reader",
    slots=10,
    slots_used=8,
    walsenders=10,
    walsenders_used=8,
    keep_megabytes=-1,
    idle_seconds=0,
    creates=True,
)
ORDERS = TableName("public", "orders")
RIGHTS = TableRights(usable=True, readable=frozenset({"id", "note"}), owned=True, hidden=False)


def codes(findings: object) -> dict[str, str]:
    """The severity of each finding by its code."""
    return {finding.code: finding.severity for finding in list(findings)}  # type: ignore[call-overload]


def test_room_for_the_stream_and_one_more_is_enough() -> None:
    """One slot and one walsender for the stream, one of each for verify."""
    assert codes(room_findings(FACTS, slots=1, walsenders=1)) == {}


def test_room_for_the_stream_alone_warns() -> None:
    """Without a spare one the stream runs and verify cannot."""
    full = replace(FACTS, slots_used=9, walsenders_used=9)
    assert codes(room_findings(full, slots=1, walsenders=1)) == {
        "max_replication_slots_spare": "warns",
        "max_wal_senders_spare": "warns",
    }


def test_no_room_for_the_stream_blocks_and_says_how_much_is_wanted() -> None:
    """The remedy counts what is used, what the stream needs and the spare one."""
    found = list(room_findings(replace(FACTS, slots_used=10), slots=1, walsenders=0))
    assert codes(found) == {"max_replication_slots_spare": "blocks"}
    assert "12" in found[0].remedy


def test_running_stream_needs_no_more_room_than_verify() -> None:
    """What a stream holds already is not asked for again."""
    assert codes(room_findings(replace(FACTS, slots_used=9, walsenders_used=9), slots=0, walsenders=0)) == {}


def test_retention_is_always_noted() -> None:
    """Unlimited and limited are both worth knowing; a slot that expires by itself warns."""
    assert codes(retention_findings(FACTS)) == {"wal_keep_unlimited": "notes"}
    limited = replace(FACTS, keep_megabytes=1024, idle_seconds=60)
    assert codes(retention_findings(limited)) == {"wal_keep_limited": "notes", "slot_idle_timeout": "warns"}


def test_unreadable_column_is_named_and_the_role_quoted() -> None:
    """Only columns that the mapping needs count."""
    assert codes(reading_findings(FACTS, {ORDERS: RIGHTS}, {ORDERS: ["id"]})) == {}
    found: list[Finding] = list(reading_findings(FACTS, {ORDERS: RIGHTS}, {ORDERS: ["id", "price"]}))
    assert codes(found) == {"table_unreadable": "blocks"}
    assert "price" in found[0].message
    assert found[0].remedy.endswith('GRANT SELECT ON "public"."orders" TO "Reader";')


def test_schema_and_row_security_block() -> None:
    """A copy that is refused, or that misses rows, is no copy."""
    closed = replace(RIGHTS, usable=False, hidden=True)
    assert codes(reading_findings(FACTS, {ORDERS: closed}, {})) == {
        "schema_unusable": "blocks",
        "rows_hidden": "blocks",
    }


@pytest.mark.parametrize(
    ("creates", "owned", "named"), [(True, False, "orders"), (False, True, "CREATE ON DATABASE shop")]
)
def test_what_a_publication_lacks_is_named(*, creates: bool, owned: bool, named: str) -> None:
    """It takes CREATE on the database and the ownership of each table."""
    facts, rights = replace(FACTS, creates=creates), {ORDERS: replace(RIGHTS, owned=owned)}
    (finding,) = publishing_findings(facts, rights, "gpm_cdc")
    assert finding.blocks
    assert named in finding.message
    assert "sql/publication.sql" in finding.remedy


def test_owner_with_create_can_publish() -> None:
    """Nothing to say then."""
    assert not list(publishing_findings(FACTS, {ORDERS: RIGHTS}, "gpm_cdc"))


def test_transactions_that_delay_a_slot_are_named() -> None:
    """Young ones are left out, others not; for a stream that has its slot they are notes."""
    young, old = OpenTransaction("11", prepared=False, seconds=1), OpenTransaction("12", prepared=False, seconds=99)
    unknown, prepared = (
        OpenTransaction("13", prepared=False, seconds=None),
        OpenTransaction("gid", prepared=True, seconds=1),
    )
    found = list(delay_findings([young, old, unknown, prepared], begun=False, patience=10))
    assert [finding.subject for finding in found] == ["12", "13", "gid"]
    assert "99 s" in found[0].message
    assert found[2].code == "transaction_prepared"
    assert {finding.severity for finding in found} == {"warns"}
    assert set(codes(delay_findings([old], begun=True, patience=10)).values()) == {"notes"}


@pytest.mark.parametrize("version", ["5.26.0", "5.27.0-SNAPSHOT", "2026.02.2", "unknown"])
def test_version_that_suffices(version: str) -> None:
    """The minimum, anything later, and what cannot be read pass."""
    require_version("bolt://here", version)


@pytest.mark.parametrize("version", ["4.4.30", "5.25.1", "5.5.0-alpha"])
def test_version_that_is_too_old(version: str) -> None:
    """The message names the server, what it is and what is needed."""
    with pytest.raises(GraphTooOld) as caught:
        require_version("bolt://here", version)
    assert "bolt://here" in str(caught.value)
    assert version in str(caught.value)
    assert "5.26" in str(caught.value)
    assert "5.26" in caught.value.advice


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("FATAL:  unsupported startup parameter: replication", SourceIsPooler),
        ("FATAL:  number of requested standby connections exceeds max_wal_senders (currently 10)", WalSendersTaken),
        ("Connection refused", SourceUnreachable),
        ("FATAL:  the database system is starting up", SourceUnreachable),
    ],
)
def test_connection_that_does_not_come_about(said: str, expected: type[Exception]) -> None:
    """They carry no SQLSTATE, so the words decide; what may pass by itself may be repeated."""
    found = session._connection_error(psycopg.OperationalError(f"connection failed: {said}\nDETAIL: more"))
    assert type(found) is expected
    assert found.retryable is (expected is not SourceIsPooler)
