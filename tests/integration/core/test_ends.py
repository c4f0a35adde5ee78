"""What has to end the stream: keys of relationship tables' ends that change hands, keys that Neo4j cannot hold."""

import asyncio

import pytest

from gpm_cdc.errors.values import KeyTooLong
from tests.integration.core.conftest import Counted
from tests.integration.core.pipeline import following
from tests.integration.core.test_examples import large
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE person (id int PRIMARY KEY);
CREATE TABLE owns (
    id int PRIMARY KEY, since date, person int REFERENCES person ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    item text REFERENCES item (code) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, NULL);
INSERT INTO person VALUES (1), (2), (3);
INSERT INTO owns VALUES (1, NULL, 1, 'a'), (2, '2020-01-01', 2, 'b');
"""

MAPPING = """
version = 1
[[node]]
table = "public.item"
label = "Item"
key = ["id"]
[[node]]
table = "public.person"
label = "Person"
key = ["id"]
[[relationship]]
table = "public.owns"
type = "OWNS"
key = ["id"]
start = { columns = ["person"], target = "public.person", target_columns = ["id"] }
end = { columns = ["item"], target = "public.item", target_columns = ["code"] }
"""


async def prepare(postgres: Database) -> None:
    """The tables, with rows."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())


@pytest.mark.parametrize(
    "script",
    [
        "DELETE FROM person WHERE id = 1; UPDATE person SET id = 1 WHERE id = 3",
        "UPDATE item SET code = NULL WHERE id = 1; UPDATE item SET code = 'a' WHERE id = 3",
        "DELETE FROM item WHERE id = 1; INSERT INTO item VALUES (4, 'a')",
        "DELETE FROM item WHERE id = 1; UPDATE item SET id = 1, code = 'a' WHERE id = 3",
    ],
)
async def test_end_that_changes_hands_without_an_event_is_read_again(
    postgres: Database, neo4j: Neo4jServer, rereadings: Counted, script: str
) -> None:
    """Under a deferred constraint the row at the other end may become another one, and the stream does not say so."""
    await prepare(postgres)
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.check()
        await stream.execute(script)
        await stream.check()
    assert rereadings.count == 1


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE item SET code = 'z' WHERE id = 1",
        "UPDATE item SET code = 'c' WHERE id = 3; INSERT INTO owns VALUES (3, NULL, 3, 'c')",
        "DELETE FROM owns WHERE item = 'a'; DELETE FROM item WHERE id = 1; INSERT INTO item VALUES (9, 'a')",
        "DELETE FROM item WHERE id = 1; INSERT INTO item VALUES (1, 'a')",
        "UPDATE person SET id = 10 WHERE id = 1; INSERT INTO person VALUES (11)",
        "UPDATE item SET id = 7 WHERE id = 1",
        "UPDATE item SET id = 7, code = 'q' WHERE id = 1; UPDATE item SET code = 'r' WHERE id = 3",
    ],
)
async def test_end_that_changes_and_says_so(postgres: Database, neo4j: Neo4jServer, script: str) -> None:
    """Keys and codes of ends may change where the relationship rows tell it, or need not."""
    await prepare(postgres)
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.execute(script)
        await stream.check()


NAMED = """
CREATE TABLE likes (person int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE, item int REFERENCES item,
                    much int, PRIMARY KEY (person, item));
ALTER TABLE owns DROP CONSTRAINT owns_person_fkey,
                 ADD FOREIGN KEY (person) REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE;
INSERT INTO likes VALUES (1, 1, 11), (1, 2, 12), (2, 1, 21), (3, 3, 33);
"""

NAMED_MAPPING = f"""{MAPPING}
[[relationship]]
table = "public.likes"
type = "LIKES"
key = ["person", "item"]
start = {{ columns = ["person"], target = "public.person", target_columns = ["id"] }}
end = {{ columns = ["item"], target = "public.item", target_columns = ["id"] }}
"""


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE person SET id = 9 - id WHERE id < 3; UPDATE person SET id = id - 6 WHERE id = 7 OR id = 8",
        "DELETE FROM person WHERE id = 1; UPDATE person SET id = 1 WHERE id = 2",
        "UPDATE person SET id = 9 WHERE id = 1; UPDATE person SET id = 1 WHERE id = 3; UPDATE owns SET person = 1",
    ],
)
async def test_ends_that_swap_their_keys_and_say_so(
    postgres: Database, neo4j: Neo4jServer, rereadings: Counted, script: str
) -> None:
    """Where a cascade tells of every relationship row, nothing is read again: keys may change hands at any rate."""
    await prepare(postgres)
    async with await postgres.connect() as connection:
        await connection.execute(NAMED.encode())
    async with following(postgres, neo4j, NAMED_MAPPING) as stream:
        await stream.check()
        await stream.execute(script)
        await stream.check()
    assert rereadings.count == 0


async def test_key_that_is_too_long_stops_the_stream(postgres: Database, neo4j: Neo4jServer) -> None:
    """A key beyond what an index of Neo4j holds ends the stream, and nothing of its transaction is written."""
    async with await postgres.connect() as connection:
        await connection.execute(
            "CREATE TABLE doc (slug text PRIMARY KEY, title text); INSERT INTO doc VALUES ('a', 't')"
        )
    mapping = 'version = 1\n[[node]]\ntable = "public.doc"\nlabel = "Doc"\nkey = ["slug"]\n'
    async with following(postgres, neo4j, mapping) as stream:
        before = stream.actual()
        # Postgres compresses it, else its own index would refuse it.
        await stream.execute("UPDATE doc SET title = 'changed'; INSERT INTO doc VALUES (repeat('k', 8100), 'x')")
        assert stream.task is not None
        with pytest.raises(KeyTooLong):
            async with asyncio.timeout(PATIENCE):
                await stream.task
        assert stream.actual() == before


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
@pytest.mark.parametrize("change", ["person = 1", "id = 20, person = 1"])
async def test_end_that_comes_back_without_the_large_value(
    postgres: Database, neo4j: Neo4jServer, rereadings: Counted, identity: str, change: str
) -> None:
    """While an end is NULL nothing keeps a large value: whole old rows bring it back, else the table is read again."""
    await prepare(postgres)
    async with await postgres.connect() as connection:
        await connection.execute(
            f"ALTER TABLE owns ADD body text; ALTER TABLE owns ALTER body SET STORAGE EXTERNAL;"
            f" ALTER TABLE owns REPLICA IDENTITY {identity}".encode()
        )
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.execute(f"INSERT INTO owns VALUES (9, NULL, 1, 'a', '{large()}')")  # noqa: S608
        await stream.check()
        await stream.execute("UPDATE owns SET person = NULL WHERE id = 9", "UPDATE owns SET since = '2021-01-01'")
        await stream.check()
        await stream.execute(f"UPDATE owns SET {change} WHERE id = 9")  # noqa: S608
        await stream.check()
    assert rereadings.count == (identity == "DEFAULT")
