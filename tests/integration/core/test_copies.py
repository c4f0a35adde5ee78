"""The copy that a stream begins with: equal to the stream itself, whatever is in the graph before."""

import random
from collections import Counter

import pytest

from gpm_cdc.domain.elements import ElementIds
from gpm_cdc.errors.sink import GraphNotEmpty
from gpm_cdc.projection.plan import NodePlan
from gpm_cdc.replication.snapshot import Snapshot
from gpm_cdc.runtime.daemon import Orders
from tests.integration.core.histories import History, Writer
from tests.integration.core.pipeline import following
from tests.integration.core.world import MAPPING, SCHEMA
from tests.oracle import differences
from tests.oracle.graph import Graph
from tests.servers import Database, Neo4jServer

SEED = 4711


@pytest.fixture
async def filled(postgres: Database) -> Database:
    """A database with rows in every table."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
        writer = Writer(History(random.Random(SEED)), connection)
        for _ in range(3):
            await writer.seed()
        await connection.execute(
            "INSERT INTO item VALUES (1, 'a'), (2, NULL); INSERT INTO person (id) VALUES (77);"
            "INSERT INTO owns VALUES (1, 77, 'a'), (2, NULL, 'a')"
        )
    return postgres


@pytest.mark.parametrize("batch_rows", [1, 7, 10_000])
async def test_copy_equals_the_tables(filled: Database, neo4j: Neo4jServer, batch_rows: int) -> None:
    """Rows that are copied, in batches of any size, give the graph of the tables, and the stream goes on from it."""
    async with following(filled, neo4j, MAPPING, batch_rows=batch_rows) as stream:
        await stream.check()
        writer = Writer(History(random.Random(SEED + 1)), stream.connection)
        for _ in range(5):
            await writer.transaction()
        await stream.check()


def contents(graph: Graph) -> tuple[Counter[str], Counter[str]]:
    """What is in a graph, without its element ids."""
    shown = {node.handle: f"{sorted(node.labels)} {sorted(node.properties.items())}" for node in graph.nodes}
    relationships = (
        f"{shown[part.start]} {part.type} {sorted(part.properties.items())} {shown[part.end]}"
        for part in graph.relationships
    )
    return Counter(shown.values()), Counter(relationships)


async def forget(database: Database) -> None:
    """Drop the slot of the stream that is no more."""
    async with await database.connect() as connection:
        await connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )


async def test_copied_and_streamed_graphs_are_equal(postgres: Database, neo4j: Neo4jServer) -> None:
    """The same rows give the same graph, whether they came through the stream or were there before it."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, MAPPING) as stream:
        writer = Writer(History(random.Random(SEED)), stream.connection)
        for _ in range(3):
            await writer.seed()
        await stream.check()
        streamed = contents(stream.actual())
    neo4j.wipe()
    await forget(postgres)
    async with following(postgres, neo4j, MAPPING) as stream:
        copied = contents(stream.actual())
    assert copied == streamed
    assert copied[0].total() > 30
    assert copied[1].total() > 20


DAMAGE = (
    "MATCH (n:Parent) WITH n LIMIT 2 SET n.label = 'wrong', n.code = 'wrong' + n.id, n.next = 99",
    "MATCH (n:Child) WITH n LIMIT 1 DETACH DELETE n",
    "MATCH (n:Person) SET n:Boss:Clerk",
    "CREATE (:Parent {id: 4000, label: 'nobody'}), (:Parent {id: '1'}), (:Parent)",
    "MATCH (c:Child)-[e:PARENT]->(:Parent) WITH e LIMIT 2 DELETE e",
    "MATCH (c:Child), (p:Parent) CREATE (c)-[:PARENT]->(p), (c)-[:BY_CODE {odd: 1}]->(p)",
    "MATCH (a:Person), (b:Person) WITH a, b LIMIT 3 CREATE (a)-[:SAW {id: 1}]->(b), (b)-[:PHONED]->(a)",
    "MATCH (:Person)-[e:LIKES]->(:Region) SET e.since = 'never', e.why = NULL",
    "MATCH (n:Sample) SET n.moment = 'x', n.numbers = [1], n.big = NULL",
    "MATCH (n:Doc) SET n.title = 1",
)


async def test_adopted_graph_ends_equal(filled: Database, neo4j: Neo4jServer) -> None:
    """A damaged graph without a checkpoint is refused, and made right when it is adopted; others' nodes stay."""
    async with following(filled, neo4j, MAPPING) as stream:
        await stream.check()
    for statement in DAMAGE:
        await neo4j.query(statement)
    await neo4j.query("MATCH (s:GpmCdcCheckpoint) DELETE s")
    await neo4j.query("MATCH (p:Place) WITH p LIMIT 1 SET p.mine = 1 CREATE (:Mine {a: 1})-[:ABOUT]->(p), (:Mine)")
    await forget(filled)
    with pytest.raises(GraphNotEmpty):
        async with following(filled, neo4j, MAPPING):
            pass
    async with following(filled, neo4j, MAPPING, Orders(adopt=True), batch_rows=5) as stream:
        expected = stream.expected()
        assert not differences(expected, stream.actual(), ignore_foreign=True)
        await neo4j.query("MATCH (p:Place) REMOVE p.mine")
        strict = differences(expected, stream.actual())
        assert all("Mine" in line or "element id" in line or "ABOUT" in line for line in strict), strict
        assert await neo4j.query("MATCH (:Mine)-[:ABOUT]->(:Place) RETURN 1 AS one") == [{"one": 1}]
        await stream.execute("UPDATE parent SET label = 'after'")
        await stream.caught_up()
        assert not differences(stream.expected(), stream.actual(), ignore_foreign=True)


async def test_a_node_that_is_somebody_elses_by_then_is_not_swept(
    filled: Database, neo4j: Neo4jServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes is known by element ids that were read before the rows were copied; one may mean another node since."""
    async with following(filled, neo4j, MAPPING):
        pass
    await neo4j.query("MATCH (s:GpmCdcCheckpoint) DELETE s CREATE (:Parent {id: 4000}), (:Parent {id: 4001})")
    await forget(filled)
    sweep = Snapshot._sweep

    async def sweep_late(self: Snapshot, node: NodePlan, before: ElementIds) -> None:
        if node.label == "Parent":
            await neo4j.query("MATCH (n:Parent {id: 4000}) REMOVE n:Parent SET n:Mine")
        await sweep(self, node, before)

    monkeypatch.setattr(Snapshot, "_sweep", sweep_late)
    async with following(filled, neo4j, MAPPING, Orders(adopt=True)) as stream:
        assert not differences(stream.expected(), stream.actual(), ignore_foreign=True)
    found = await neo4j.query("MATCH (n) WHERE n.id IN [4000, 4001] RETURN labels(n) AS labels, n.id AS id")
    assert found == [{"labels": ["Mine"], "id": 4000}]
