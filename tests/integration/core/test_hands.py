"""Keys and referenced values that change hands in unusual ways, and references to what is not there."""

# ruff: noqa: S608 - the parts are made in this file

import pytest

from tests.integration.core.pipeline import Pipeline
from tests.integration.core.test_examples import PARENTS, Run, begin, large

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(params=["apart", "together"])
def run(request: pytest.FixtureRequest, stream: Pipeline) -> Run:
    """Runs transactions, each a batch of its own or all in one."""
    return stream.execute if request.param == "apart" else stream.together


async def test_chain_of_renames_in_one_statement(stream: Pipeline, run: Run) -> None:
    """One UPDATE moves every row to the key that the one before has just left."""
    # An index that is not deferrable allows it when the row with the highest key comes first.
    await begin(stream, "INSERT INTO place (id, code, name) VALUES (3, 'c', 'x'), (2, 'b', 'y'), (1, 'a', 'z')")
    await stream.execute("INSERT INTO visit VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, NULL)")
    await run("UPDATE place SET id = id + 1")
    await stream.check()


@pytest.mark.parametrize("table", ["parent", "place"])
async def test_cycle_of_three_keys(stream: Pipeline, run: Run, table: str) -> None:
    """Three rows pass their keys on in a circle, and another one goes the other way round."""
    name = "label" if table == "parent" else "name"
    await begin(
        stream, f"INSERT INTO {table} (id, code, {name}) VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three')"
    )
    await stream.execute(
        "INSERT INTO child (id, parent, parent_code) SELECT n, n, chr(96 + n) FROM generate_series(1, 3) n"
        " WHERE EXISTS (SELECT FROM parent); INSERT INTO visit SELECT n, n, chr(96 + n) FROM generate_series(1, 3) n"
    )
    cycle = (
        f"UPDATE {table} SET id = 99 WHERE id = 1; UPDATE {table} SET id = 1 WHERE id = 2;"
        f"UPDATE {table} SET id = 2 WHERE id = 3; UPDATE {table} SET id = 3 WHERE id = 99"
    )
    await run(cycle, f"UPDATE {table} SET {name} = 'touched' WHERE id = 2", cycle)
    await stream.check()


async def test_composite_keys_swapped(stream: Pipeline, run: Run) -> None:
    """Rows exchange keys of two columns, one of which is a reference as well, while others refer to them."""
    await begin(
        stream,
        "INSERT INTO doc VALUES ('d', 't', NULL), ('e', 'u', NULL);"
        "INSERT INTO page VALUES ('d', 1, 'x', NULL), ('d', 2, 'y', 1), ('e', 1, 'z', 1), ('e', 2, NULL, NULL);"
        "INSERT INTO link VALUES (1, 'd', 'p', 1), (2, 'd', 'q', 2), (3, 'e', 'r', 1)",
    )
    await run(
        "UPDATE page SET number = 99 WHERE slug = 'd' AND number = 1;"
        "UPDATE page SET number = 1 WHERE slug = 'd' AND number = 2;"
        "UPDATE page SET number = 2 WHERE slug = 'd' AND number = 99",
        "UPDATE page SET number = 7 WHERE slug = 'd' AND number = 1;"
        "UPDATE page SET slug = 'd' WHERE slug = 'e' AND number = 1;"
        "UPDATE page SET slug = 'e', number = 1 WHERE slug = 'd' AND number = 7",
    )
    await stream.check()


async def test_parents_that_swap_keys_send_nothing_for_their_children(stream: Pipeline, run: Run) -> None:
    """Under a deferred constraint two parents swap keys and referenced codes: the children stay with the values."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE parent SET id = 99 WHERE id = 1; UPDATE parent SET id = 1 WHERE id = 2;"
        "UPDATE parent SET id = 2 WHERE id = 99",
        "UPDATE parent SET code = 'x' WHERE id = 1; UPDATE parent SET code = 'b' WHERE id = 2;"
        "UPDATE parent SET code = 'a' WHERE id = 1",
    )
    await stream.check()


async def test_referenced_code_moves_while_a_child_goes_there_and_back(stream: Pipeline, run: Run) -> None:
    """A code goes from one parent to another while a child leaves it for another code and comes back."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE child SET parent_code = 'b' WHERE id = 10;"
        "UPDATE parent SET code = 'x' WHERE id = 1; UPDATE parent SET code = 'a' WHERE id = 3;"
        "UPDATE parent SET code = 'c' WHERE id = 1; UPDATE child SET parent_code = 'a' WHERE id = 10"
    )
    await stream.check()


async def test_row_that_moves_between_partitions_keeps_the_relationships_of_others(stream: Pipeline, run: Run) -> None:
    """A row changes its partition and comes back in one transaction: what users hung on its node stays."""
    await begin(
        stream,
        "INSERT INTO event VALUES (1, '2019-05-05', 'x'); INSERT INTO remark VALUES (1, 1, '2019-05-05', 'p')",
    )
    stream.driver.execute_query("MATCH (e:Event {id: 1}) CREATE (e)-[:NOTED]->(:Note)")
    await run("UPDATE event SET at = '2020-05-05' WHERE id = 1; UPDATE event SET at = '2019-05-05' WHERE id = 1")
    await stream.caught_up()
    kept = stream.driver.execute_query("MATCH (:Event {id: 1})-[:NOTED]->(n) DETACH DELETE n RETURN count(*) AS n")
    assert kept.records[0]["n"] == 1
    await stream.check()


async def test_orphan_of_a_replica(stream: Pipeline, run: Run) -> None:
    """Rows that refer to nothing have no relationship, and get one as soon as they refer to something."""
    await begin(stream, PARENTS)
    await stream.execute("INSERT INTO person (id) VALUES (1), (2)")
    await run(
        "SET LOCAL session_replication_role = replica;"
        "INSERT INTO child (id, parent, parent_code) VALUES (90, 900, 'zzz'), (91, 1, 'zzz');"
        "UPDATE child SET parent = 900 WHERE id = 20; DELETE FROM parent WHERE id = 3;"
        "INSERT INTO calls (id, kind, caller, callee) VALUES (1, 'phone', 1, 900), (2, 'video', 900, 901)",
        "UPDATE child SET note = 'touched'",
    )
    await stream.check()
    await run("UPDATE child SET parent = 2, parent_code = 'b' WHERE id = 90", "UPDATE calls SET caller = 1, callee = 2")
    await stream.check()


@pytest.mark.parametrize("told", ["id = 1", "id IN (1, 2)", "true", "false"])
async def test_ends_swap_keys_and_some_relationships_send_a_change(stream: Pipeline, run: Run, told: str) -> None:
    """Relationships with keys of their own stay with the keys of their ends, whether or not their rows are told of."""
    await begin(
        stream,
        "INSERT INTO person (id) VALUES (1), (2), (3);"
        "INSERT INTO calls (id, kind, caller, callee)"
        " VALUES (1, 'phone', 1, 3), (2, 'video', 2, 3), (3, 'phone', 3, 1)",
    )
    await run(
        "SET LOCAL session_replication_role = replica; UPDATE person SET id = 99 WHERE id = 1;"
        "UPDATE person SET id = 1 WHERE id = 2; UPDATE person SET id = 2 WHERE id = 99;"
        f"UPDATE calls SET kind = kind WHERE {told}"
    )
    await stream.check()


async def test_twenty_thousand_relationships_re_pointed(stream: Pipeline) -> None:
    """Rows of a relationship table with a key of its own get other ends, all in one statement."""
    await begin(
        stream,
        "INSERT INTO person (id) VALUES (1), (2), (3);"
        "INSERT INTO calls (id, kind, caller, callee)"
        " SELECT n, CASE n % 2 WHEN 0 THEN 'phone' ELSE 'video' END, 1, 2 FROM generate_series(1, 20000) n",
    )
    await stream.execute("UPDATE calls SET caller = 3, callee = CASE id % 3 WHEN 0 THEN 1 WHEN 1 THEN 2 END")
    await stream.check()


async def test_savepoint_rolled_back_inside_a_large_transaction(stream: Pipeline, run: Run) -> None:
    """Thousands of changes between a savepoint and its rollback never happened; those around it did."""
    await run(
        "INSERT INTO place SELECT n, 'c' || n, 'x' FROM generate_series(1, 5000) n; SAVEPOINT s;"
        "UPDATE place SET id = id + 10000; DELETE FROM place WHERE id % 2 = 0; ROLLBACK TO s;"
        "UPDATE place SET name = 'y' WHERE id % 100 = 0",
        "SAVEPOINT t; TRUNCATE place; ROLLBACK TO t; DELETE FROM place WHERE id > 4000",
    )
    await stream.check()


async def test_two_key_changes_without_the_large_value(stream: Pipeline, run: Run) -> None:
    """A row changes its key twice in one transaction, and its large value stays out of the stream each time."""
    await begin(
        stream, f"INSERT INTO parent (id, label, body) VALUES (1, 'one', '{large()}'), (4, 'four', '{large()}')"
    )
    await run(
        "UPDATE parent SET id = 2 WHERE id = 1; UPDATE parent SET id = 3 WHERE id = 2;"
        "UPDATE parent SET id = 1, label = NULL WHERE id = 4"
    )
    await stream.check()


async def test_reference_to_a_row_inserted_later_in_the_transaction(stream: Pipeline, run: Run) -> None:
    """Children move to parents that the same transaction inserts after them, in a table that existed before."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE child SET parent = 8, parent_code = 'h' WHERE id IN (10, 20);"
        "INSERT INTO child (id, parent) VALUES (50, 8);"
        "UPDATE parent SET next = 8 WHERE id = 1; INSERT INTO parent (id, code, next) VALUES (8, 'h', 1)"
    )
    await stream.check()


async def test_truncate_and_reload_of_rows_whose_keys_refer(stream: Pipeline, run: Run) -> None:
    """Rows that a transaction inserts after its TRUNCATE get the relationships that their key columns name."""
    await begin(stream, PARENTS)
    await stream.execute("INSERT INTO doc VALUES ('d', 't', NULL); INSERT INTO page VALUES ('d', 1, 'x', NULL)")
    await run(
        "TRUNCATE member; INSERT INTO member VALUES (1, 1, 'again'), (3, 9, 'new')",
        "TRUNCATE page CASCADE; INSERT INTO page VALUES ('d', 1, 'y', 2), ('d', 2, NULL, NULL)",
    )
    await stream.check()


async def test_truncate_and_reload_with_a_code_that_changed_hands(stream: Pipeline, run: Run) -> None:
    """A reference by a code finds the row that has it now, though no property of the referring row changed."""
    await begin(stream, PARENTS)
    await run(
        "TRUNCATE parent CASCADE; INSERT INTO parent (id, code) VALUES (9, 'a'), (2, 'b');"
        "INSERT INTO child (id, parent_code, parent) VALUES (10, 'a', 2), (20, 'b', 2), (40, NULL, NULL)"
    )
    await stream.check()
