from dataclasses import replace

import pytest
from pydantic import SecretStr

from gpm_cdc.errors.sink import GraphTooOld
from gpm_cdc.runtime.check import Report, check
from gpm_cdc.sink import driver
from tests import servers
from tests.integration.commands.conftest import TABLES, Shop


def codes(report: Report) -> set[str]:
    """What was found."""
    return {finding.code for finding in report.findings}


async def test_servers_that_suit_are_not_blocked_and_not_changed(shop: Shop) -> None:
    """Before a stream has begun nothing blocks, both versions are told, and both servers stay as they were."""
    before = await shop.traces()
    report = await check(shop.settings)
    assert [finding for finding in report.findings if finding.blocks] == []
    assert report.postgres_version.split(".")[0] in {"15", "16", "17", "18", "19"}
    assert report.neo4j_version.split(".")[0].isdigit()
    assert report.neo4j_edition == "community"
    assert await shop.traces() == before


async def test_stream_that_runs_is_not_blocked_and_not_changed(shop: Shop) -> None:
    """Its slot is in use, by itself; the checkpoint moves by itself, everything else stays."""
    async with shop.running():
        report = await check(shop.settings)
        assert [finding for finding in report.findings if finding.blocks] == []


async def test_findings_come_in_the_order_of_their_weight(shop: Shop) -> None:
    """What blocks stands first; a table that is neither mapped nor ignored warns."""
    await shop.sql("CREATE TABLE unseen (id int PRIMARY KEY); CREATE TABLE spots (place float8 PRIMARY KEY)")
    await shop.sql("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", shop.settings.slot_name)
    assert shop.settings.config is not None
    with shop.settings.config.open("a", encoding="utf-8") as config:
        config.write('[[node]]\ntable = "public.spots"\nlabel = "Spot"\nkey = ["place"]\n')
    report = await check(shop.settings)
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["blocks", "warns", "notes"].index)
    assert report.findings[0].code == "slot_foreign"
    assert report.blocked == 1
    found = {(finding.code, finding.subject) for finding in report.findings}
    assert {("table_unmapped", "public.unseen"), ("key_float", "public.spots.place")} <= found


async def test_adopting_is_no_obstacle(shop: Shop) -> None:
    """What blocks without --adopt is a note with it."""
    await shop.neo4j.query("CREATE (:Customer {id: 1})")
    assert (await check(shop.settings)).blocked == 1
    report = await check(shop.settings, adopt=True)
    assert report.blocked == 0
    assert "graph_adopted" in codes(report)


async def test_open_transaction_is_listed_by_its_process(shop: Shop) -> None:
    """A writer in another session delays the making of a slot; a mere reader does not."""
    settings = shop.settings.model_copy(update={"lock_timeout": 1e-6})
    async with await shop.postgres.connect(autocommit=False) as writer, await shop.postgres.connect() as reader:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.execute("SELECT count(*) FROM customers")
        await writer.execute("INSERT INTO customers VALUES (9, 'nine')")
        found = {finding.subject: finding for finding in (await check(settings)).findings}
        assert found[str(writer.info.backend_pid)].code == "transaction_open"
        assert found[str(writer.info.backend_pid)].severity == "warns"
        assert str(reader.info.backend_pid) not in found


async def test_neo4j_that_is_too_old_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that the server states is compared with the least one, and the message names both."""
    monkeypatch.setattr(driver, "MINIMUM_VERSION", (9999, 1))
    with pytest.raises(GraphTooOld) as caught:
        await check(shop.settings)
    assert shop.neo4j.uri in str(caught.value)
    assert "9999.1" in str(caught.value)


async def test_prepared_transaction_is_listed_by_its_name(shop: Shop) -> None:
    """It has no process; it delays the making of a slot until somebody ends it."""
    async with servers.start_postgres(max_prepared_transactions="2") as other:
        elsewhere = replace(shop, postgres=servers.Database(other.dsn, other.dsn, "postgres"))
        await elsewhere.sql(TABLES)
        await elsewhere.sql("BEGIN; INSERT INTO customers VALUES (9, 'nine'); PREPARE TRANSACTION 'half done'")
        settings = shop.settings.model_copy(update={"postgres_dsn": SecretStr(other.dsn)})
        found = {finding.subject: finding for finding in (await check(settings)).findings}
        assert found["half done"].code == "transaction_prepared"
        assert "ROLLBACK PREPARED 'half done'" in found["half done"].remedy
