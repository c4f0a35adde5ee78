import secrets
from dataclasses import replace

import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from gpm_cdc.cypher import retiring
from gpm_cdc.cypher.statement import Statement, Statements
from gpm_cdc.errors.source import StreamOwned
from gpm_cdc.errors.stream import StreamTakenOver
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.runtime.reset import Ended, reset
from gpm_cdc.sink import removal
from gpm_cdc.sink.writer import Neo4jWriter
from tests.integration.commands.conftest import Shop

NOTHING = Ended(slot=False, publication="absent", checkpoint=False, nodes=0, relationships=0, constraints=0)


async def test_stream_ends_and_the_graph_stays(shop: Shop) -> None:
    """Slot, publication and checkpoint go; doing it again finds nothing to do."""
    await shop.begin()
    ended = await reset(shop.settings)
    assert ended == Ended(slot=True, publication="dropped", checkpoint=True, nodes=0, relationships=0, constraints=0)
    left = await shop.traces()
    assert left["slots"] == []
    assert left["publications"] == []
    assert sorted(node["labels"][0] for node in left["nodes"]) == ["Customer", "Customer", "Order", "Order"]
    assert await reset(shop.settings) == NOTHING


async def test_graph_goes_with_it_and_the_users_own_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the mapping owns is deleted in small transactions, with our constraints; the users' labels stay."""
    monkeypatch.setattr(retiring, "DELETES_PER_TRANSACTION", 10)
    await shop.sql("INSERT INTO customers SELECT g, 'more' FROM generate_series(10, 30) AS g")
    await shop.begin()
    await shop.neo4j.query("MATCH (c:Customer {id: 1}) CREATE (:Tag {id: 1})-[:MARKS]->(c)")
    await shop.neo4j.query("CREATE CONSTRAINT tag FOR (n:Tag) REQUIRE n.id IS UNIQUE")
    ended = await reset(shop.settings, shop.mapping)
    assert (ended.nodes, ended.relationships) == (25, 2)
    assert ended.constraints == 2
    left = await shop.traces()
    assert [node["labels"] for node in left["nodes"]] == [["Tag"]]
    assert left["constraints"] == [{"name": "tag"}]


async def test_other_stream_in_the_same_graph_keeps_what_it_needs(shop: Shop) -> None:
    """Constraints on labels that the mapping does not name, and the other checkpoint with its constraint, stay."""
    await shop.begin()
    await shop.neo4j.query("CREATE (:GpmCdcCheckpoint {stream: 'other', id: 0})")
    await shop.neo4j.query("CREATE CONSTRAINT gpm_cdc_key_other FOR (n:Other) REQUIRE n.id IS UNIQUE")
    await reset(shop.settings, shop.mapping)
    left = await shop.traces()
    assert [node["p"]["stream"] for node in left["nodes"]] == ["other"]
    assert {row["name"] for row in left["constraints"]} == {"gpm_cdc_checkpoint", "gpm_cdc_key_other"}


async def test_former_owner_writes_nothing_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was paused in the middle of a batch is refused while the graph is being emptied."""
    await shop.begin()
    async with open_graph(shop.settings) as former:
        before = await former.checkpoint(shop.settings.stream)
        assert before is not None
        emptied = []

        async def remove_and_intrude(writer: Neo4jWriter, mapping: GraphMapping) -> removal.Removed:
            removed = await removal.remove_elements(writer, mapping)
            with pytest.raises(StreamTakenOver):
                await former.write(_late, before, before)
            emptied.append(removed)
            return removed

        monkeypatch.setattr("gpm_cdc.runtime.reset.remove_elements", remove_and_intrude)
        await reset(shop.settings, shop.mapping)
    assert emptied == [(4, 2)]
    assert (await shop.traces())["nodes"] == []


def _late() -> Statements:
    yield Statement("CREATE (:Customer {id: 99})")


async def test_parts_that_are_gone_already_are_no_error(shop: Shop) -> None:
    """Whatever an interrupted reset left behind is ended by the next."""
    await shop.begin()
    await shop.sql("SELECT pg_drop_replication_slot(%s)", shop.settings.slot_name)
    assert (await reset(shop.settings)) == replace(NOTHING, publication="dropped", checkpoint=True)


async def test_tables_may_be_gone(shop: Shop) -> None:
    """The graph of tables that were dropped can be taken away all the same."""
    await shop.begin()
    await shop.sql("DROP TABLE orders, customers")
    assert (await reset(shop.settings, shop.mapping)).nodes == 4
    assert (await shop.traces())["nodes"] == []


async def test_stream_that_runs_is_left_alone(shop: Shop) -> None:
    """The owner is named, and nothing has changed."""
    async with shop.running():
        before = await shop.traces()
        with pytest.raises(StreamOwned) as caught:
            await reset(shop.settings, shop.mapping)
        assert shop.settings.stream in str(caught.value)
        after = await shop.traces()
        assert (after["slots"], after["publications"]) == (before["slots"], before["publications"])
        assert len(after["nodes"]) == len(before["nodes"])


async def test_publication_of_another_role_stays(shop: Shop) -> None:
    """Only its owner may drop it; the rest of the stream ends."""
    name, password = f"cdc_{secrets.token_hex(4)}", secrets.token_hex(8)
    await shop.sql(f"CREATE ROLE {name} LOGIN REPLICATION PASSWORD '{password}'")
    try:
        await shop.sql(f"GRANT SELECT ON customers, orders TO {name}")
        await shop.publish()
        dsn = SecretStr(make_conninfo(shop.postgres.dsn, user=name, password=password))
        limited = replace(shop, settings=shop.settings.model_copy(update={"postgres_dsn": dsn}))
        await limited.begin()
        assert (await reset(limited.settings)) == replace(NOTHING, slot=True, publication="foreign", checkpoint=True)
        assert (await shop.traces())["publications"] == [(shop.settings.stream,)]
    finally:
        await shop.sql(f"DROP OWNED BY {name}")
        await shop.sql(f"DROP ROLE {name}")
