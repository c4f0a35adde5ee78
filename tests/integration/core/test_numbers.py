"""References between types of numbers: equal in Postgres, written differently, and equal in the graph."""

import pytest

from tests.integration.core.agreement import require_equal, verdict
from tests.integration.core.pipeline import following
from tests.servers import Database, Neo4jServer

SCHEMA = """
CREATE TABLE place (id numeric(10, 2) PRIMARY KEY, code numeric(12, 0) UNIQUE, number numeric(15, 0) UNIQUE);
CREATE TABLE visit (
    id int PRIMARY KEY, place int REFERENCES place ON UPDATE CASCADE ON DELETE SET NULL,
    code numeric(8, 3) REFERENCES place (code) ON UPDATE CASCADE ON DELETE SET NULL,
    number bigint REFERENCES place (number) ON UPDATE CASCADE ON DELETE SET NULL, loose smallint);
CREATE TABLE road (
    a int REFERENCES place ON UPDATE CASCADE ON DELETE CASCADE,
    b numeric(9, 4) REFERENCES place ON UPDATE CASCADE ON DELETE CASCADE, length real, PRIMARY KEY (a, b));
CREATE TABLE trip (
    id bigint PRIMARY KEY, a smallint REFERENCES place ON UPDATE CASCADE ON DELETE CASCADE,
    b numeric(4, 1) REFERENCES place (code) ON UPDATE CASCADE ON DELETE CASCADE, note text);
INSERT INTO place VALUES (1, 10, 100), (2, 20, 200), (3, 30, 999999999999999), (0, 0, 0);
INSERT INTO visit VALUES (1, 1, 10, 100, 1), (2, 2, 20.000, 999999999999999, 3), (3, NULL, 0, 0, 4);
INSERT INTO road VALUES (1, 2, 1.5), (2, 1.0000, 2.5), (3, 3, NULL);
INSERT INTO trip VALUES (1, 1, 10, 'x'), (2, 2, 30.0, NULL);
"""

MAPPING = """
version = 1
[[node]]
table = "public.place"
label = "Place"
key = ["id"]
[[node]]
table = "public.visit"
label = "Visit"
key = ["id"]
[[node.relationship]]
columns = ["place"]
type = "AT"
target = "public.place"
target_columns = ["id"]
[[node.relationship]]
columns = ["code"]
type = "CODE"
target = "public.place"
target_columns = ["code"]
[[node.relationship]]
columns = ["number"]
type = "NUMBER"
target = "public.place"
target_columns = ["number"]
direction = "in"
[[node.relationship]]
columns = ["loose"]
type = "LOOSE"
target = "public.place"
target_columns = ["id"]
enforced = false
[[relationship]]
table = "public.road"
type = "ROAD"
key = ["a", "b"]
start = { columns = ["a"], target = "public.place", target_columns = ["id"] }
end = { columns = ["b"], target = "public.place", target_columns = ["id"] }
[[relationship]]
table = "public.trip"
type = "TRIP"
key = ["id"]
start = { columns = ["a"], target = "public.place", target_columns = ["id"] }
end = { columns = ["b"], target = "public.place", target_columns = ["code"] }
"""

TRANSACTIONS = (
    "INSERT INTO place VALUES (4, 40, 400), (5, 50, 500)",
    "INSERT INTO visit VALUES (4, 4, 40, 400, 5); INSERT INTO road VALUES (4, 5, 1)",
    "INSERT INTO trip VALUES (3, 4, 50)",
    "UPDATE visit SET place = 5, code = 50, number = 400 WHERE id = 1",
    "UPDATE visit SET place = NULL, number = NULL WHERE id = 2",
    "UPDATE place SET id = 14 WHERE id = 4",
    "UPDATE place SET id = 4.00 WHERE id = 3",
    "UPDATE place SET code = 41, number = 401 WHERE id = 14",
    "UPDATE road SET length = 7 WHERE a = 1; UPDATE trip SET note = 'y', a = 2 WHERE id = 1",
    "DELETE FROM road WHERE b = 1; DELETE FROM visit WHERE id = 4",
    "DELETE FROM place WHERE id = 5; INSERT INTO place VALUES (5, 50, 500)",
    "INSERT INTO visit VALUES (9, 5, NULL, 500, 77); INSERT INTO place VALUES (77, 77, 77)",
    "DELETE FROM place WHERE id = 2",
)


@pytest.fixture
async def filled(postgres: Database) -> Database:
    """The tables, with rows."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    return postgres


async def test_integers_and_decimals(filled: Database, neo4j: Neo4jServer) -> None:
    """Copied, then each transaction on its own: the oracle and `verify` agree that the graph is right."""
    async with following(filled, neo4j, MAPPING) as stream:
        await require_equal(stream, filled, neo4j, MAPPING)
        for transaction in TRANSACTIONS:
            await stream.execute(transaction)
            await stream.check()
        await require_equal(stream, filled, neo4j, MAPPING)


async def test_all_at_once(filled: Database, neo4j: Neo4jServer) -> None:
    """The same in one batch."""
    async with following(filled, neo4j, MAPPING) as stream:
        await stream.together(*TRANSACTIONS)
        await require_equal(stream, filled, neo4j, MAPPING)


async def test_verify_sees_a_wrong_end(filled: Database, neo4j: Neo4jServer) -> None:
    """Equality of numbers does not hide damage."""
    async with following(filled, neo4j, MAPPING) as stream:
        await stream.check()
        await neo4j.query("MATCH (v:Visit {id: 1})-[r:AT]->() MATCH (p:Place {id: 2.0}) DELETE r CREATE (v)-[:AT]->(p)")
        assert await verdict(filled, neo4j, MAPPING) == "drift"
