"""What Postgres can do to keys and references, one named case each, transaction by transaction and in one batch."""

# ruff: noqa: S608 - the parts are made in this file

import random
import string
from collections.abc import Awaitable, Callable

import pytest

from tests.integration.core.conftest import World
from tests.integration.core.pipeline import Pipeline
from tests.oracle import differences

pytestmark = pytest.mark.asyncio(loop_scope="module")

type Run = Callable[..., Awaitable[None]]

_RANDOM = random.Random(7)


def large(size: int = 10_000) -> str:
    """Text that is stored out of line: too long, and nothing in it repeats."""
    return "".join(_RANDOM.choices(string.ascii_letters + string.digits, k=size))


@pytest.fixture(params=["apart", "together"])
def run(request: pytest.FixtureRequest, stream: Pipeline) -> Run:
    """Runs transactions, each a batch of its own or all in one."""
    return stream.execute if request.param == "apart" else stream.together


async def begin(stream: Pipeline, script: str) -> None:
    """Bring rows into the graph before the case begins."""
    await stream.execute(script)
    await stream.check()


PARENTS = (
    "INSERT INTO parent (id, code, label) VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three');"
    "INSERT INTO child (id, parent, parent_code) VALUES (10, 1, 'a'), (11, 1, 'a'), (20, 2, 'b'), (30, 3, 'c'),"
    " (40, NULL, NULL);"
    "INSERT INTO member VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 7, 'z')"
)


async def test_keys_swapped_via_a_temporary_key(stream: Pipeline, run: Run) -> None:
    """Two parents exchange their keys in one transaction: each keeps its values, children stay with the key."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE parent SET id = 99 WHERE id = 1; UPDATE parent SET id = 1 WHERE id = 2;"
        "UPDATE parent SET id = 2 WHERE id = 99"
    )
    await stream.check()


async def test_chain_of_renames(stream: Pipeline, run: Run) -> None:
    """Each parent takes the key that the one before has just left."""
    await begin(stream, PARENTS)
    await run(
        "SET CONSTRAINTS ALL DEFERRED; UPDATE parent SET id = 4 WHERE id = 3; UPDATE parent SET id = 3 WHERE id = 2;"
        "UPDATE parent SET id = 2 WHERE id = 1; INSERT INTO parent (id, label) VALUES (1, 'new')",
        "UPDATE parent SET id = 5 WHERE id = 4; UPDATE parent SET id = 4, label = 'moved on' WHERE id = 5",
    )
    await stream.check()


async def test_cycle_of_renames_over_transactions(stream: Pipeline, run: Run) -> None:
    """A key that leaves in one transaction and comes back in another."""
    await begin(stream, PARENTS)
    await run(
        "DELETE FROM child WHERE parent = 3 OR parent_code = 'c'; DELETE FROM member WHERE parent = 3;"
        "UPDATE parent SET id = 7 WHERE id = 3",
        "INSERT INTO parent (id, label) VALUES (3, 'other')",
        "DELETE FROM parent WHERE id = 7",
        "INSERT INTO child (id, parent) VALUES (70, 3)",
    )
    await stream.check()


async def test_deleted_and_inserted_key_keeps_incoming_relationships(stream: Pipeline, run: Run) -> None:
    """A parent that is deleted and inserted again keeps its children, and loses the values it no longer has."""
    await begin(stream, PARENTS)
    await run("DELETE FROM parent WHERE id = 1; INSERT INTO parent (id, code) VALUES (1, 'a')")
    await stream.check()


async def test_key_left_taken_by_a_new_row_while_the_old_row_goes(stream: Pipeline, run: Run) -> None:
    """A parent moves off its key, a new one is inserted there, the old one is deleted: the children stay."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE parent SET id = 50, code = 'gone' WHERE id = 1;"
        "INSERT INTO parent (id, code) VALUES (1, 'a');"
        "DELETE FROM parent WHERE id = 50"
    )
    await stream.check()


async def test_new_row_moves_to_a_deleted_key(stream: Pipeline, run: Run) -> None:
    """A parent is deleted, and a row inserted elsewhere in the same transaction moves to its key."""
    await begin(stream, PARENTS)
    await run(
        "DELETE FROM parent WHERE id = 1; INSERT INTO parent (id, code) VALUES (60, 'a');"
        "UPDATE parent SET id = 1 WHERE id = 60"
    )
    await stream.check()


async def test_reference_to_null_and_back(stream: Pipeline, run: Run) -> None:
    """A reference is taken away and set again, to the same and to another parent."""
    await begin(stream, PARENTS)
    await run("UPDATE child SET parent = NULL", "UPDATE child SET parent_code = NULL WHERE id = 20")
    await stream.check()
    await run("UPDATE child SET parent = 2", "UPDATE child SET parent_code = 'b'")
    await stream.check()


async def test_child_before_its_parent(stream: Pipeline, run: Run) -> None:
    """Under a deferred constraint the child may be inserted first."""
    await run(
        "INSERT INTO child (id, parent, parent_code) VALUES (1, 5, 'e'); INSERT INTO parent (id, code) VALUES (5, 'e')",
        "INSERT INTO parent (id, next) VALUES (6, 7); INSERT INTO parent (id, next) VALUES (7, 6)",
    )
    await stream.check()


async def test_children_follow_the_key_to_another_row(stream: Pipeline, run: Run) -> None:
    """A parent is deleted and another renamed to its key under a deferred constraint: no child sends a change."""
    await begin(stream, PARENTS)
    await run(
        "DELETE FROM child WHERE parent = 2; DELETE FROM member WHERE parent = 2;"
        "DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 1, code = 'a' WHERE id = 2"
    )
    await stream.check()


async def test_referenced_code_moves_to_another_row(stream: Pipeline, run: Run) -> None:
    """A referenced unique column that is not the key goes from one parent to another: the children follow it."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE parent SET code = NULL WHERE id = 1; UPDATE parent SET code = 'a' WHERE id = 3;"
        "UPDATE parent SET code = 'c' WHERE id = 1",
        "UPDATE parent SET label = 'touched'",
    )
    await stream.check()


async def test_referenced_code_goes_to_a_new_row(stream: Pipeline, run: Run) -> None:
    """The holder of a referenced code is deleted and a row with another key is inserted with it."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE child SET parent = NULL; DELETE FROM member; DELETE FROM parent WHERE id = 1;"
        "INSERT INTO parent (id, code) VALUES (8, 'a')"
    )
    await stream.check()


async def test_referenced_code_of_a_row_that_is_renamed_at_once(stream: Pipeline, run: Run) -> None:
    """Key and referenced code of two rows change hands in one transaction."""
    await begin(stream, PARENTS)
    await run(
        "UPDATE parent SET id = 90, code = 'x' WHERE id = 1; UPDATE parent SET id = 1, code = 'a' WHERE id = 2;"
        "UPDATE parent SET id = 2, code = 'b' WHERE id = 90"
    )
    await stream.check()


async def test_truncate_cascade(stream: Pipeline, run: Run) -> None:
    """Tables that refer to a truncated one are emptied with it; what is inserted afterwards is there."""
    await begin(stream, PARENTS)
    await run(
        "TRUNCATE parent CASCADE",
        "INSERT INTO parent (id, code) VALUES (1, 'a'); INSERT INTO child (id, parent) VALUES (10, 1)",
    )
    await stream.check()


async def test_truncate_and_reload(stream: Pipeline, run: Run) -> None:
    """Rows that come back after a TRUNCATE in the same transaction keep their nodes, with what users hung on them."""
    await begin(stream, PARENTS)
    stream.driver.execute_query("MATCH (p:Parent {id: 1}) CREATE (p)-[:NOTED]->(:Note {text: 'mine'})")
    await run(
        "TRUNCATE parent CASCADE; INSERT INTO parent (id, code) VALUES (1, 'z'), (7, 'q');"
        "INSERT INTO child (id, parent) VALUES (10, 7), (12, 1)"
    )
    await stream.caught_up()
    kept = stream.driver.execute_query(
        "MATCH (:Parent {id: 1})-[:NOTED]->(n:Note) DETACH DELETE n RETURN count(*) AS n"
    )
    assert kept.records[0]["n"] == 1
    await stream.check()


async def test_truncate_between_changes(stream: Pipeline, run: Run) -> None:
    """What came before a TRUNCATE in a transaction is gone, what comes after it stays."""
    await begin(stream, "INSERT INTO place VALUES (1, 'a', 'one'); INSERT INTO visit VALUES (1, 1, 'a'), (2, 5, 'e')")
    await run(
        "INSERT INTO place VALUES (2, 'b', 'two'); UPDATE place SET id = 3 WHERE id = 1; TRUNCATE place;"
        "INSERT INTO place VALUES (1, 'e', 'again'), (5, 'a', 'five'); DELETE FROM place WHERE id = 5"
    )
    await stream.check()


async def test_row_that_moves_between_partitions(stream: Pipeline, run: Run) -> None:
    """Postgres sends a row that changes its partition as DELETE and INSERT; other rows keep their relationships."""
    await begin(
        stream,
        "INSERT INTO event VALUES (1, '2019-05-05', 'x'), (2, '2019-06-06', 'y');"
        "INSERT INTO remark VALUES (1, 1, '2019-05-05', 'p'), (2, 2, '2019-06-06', 'q')",
    )
    await run(
        "UPDATE remark SET event = NULL WHERE id = 1; UPDATE event SET at = '2020-05-05' WHERE id = 1;"
        "UPDATE remark SET event = 1, at = '2020-05-05' WHERE id = 1"
    )
    await stream.check()
    await run("UPDATE event SET at = '2020-06-06' WHERE id = 2", "DELETE FROM event WHERE id = 1")
    await stream.check()


async def test_insert_and_update_without_the_large_value(stream: Pipeline, run: Run) -> None:
    """A large value that an UPDATE leaves alone is in the graph, whether or not the INSERT is in the same batch."""
    await run(
        f"INSERT INTO parent (id, label, body) VALUES (1, 'one', '{large()}')",
        "UPDATE parent SET label = 'changed' WHERE id = 1",
        "UPDATE parent SET label = NULL WHERE id = 1",
    )
    await stream.check()


async def test_key_change_without_the_large_value(stream: Pipeline, run: Run) -> None:
    """A renamed node keeps the large value that the stream leaves out."""
    await begin(stream, f"INSERT INTO parent (id, label, body) VALUES (1, 'one', '{large()}')")
    await run("UPDATE parent SET id = 2, code = 'b' WHERE id = 1", "UPDATE parent SET id = 3 WHERE id = 2")
    await stream.check()


async def test_relationship_row_changes_its_key_without_the_large_value(stream: Pipeline, run: Run) -> None:
    """A relationship that gets another end keeps the large value that the stream leaves out."""
    await begin(
        stream,
        "INSERT INTO region VALUES ('de', 1), ('fr', 2), ('it', 3); INSERT INTO person (id) VALUES (1), (2);"
        f"INSERT INTO likes VALUES (1, 'de', 1, '2020-01-01', '{large()}'), (2, 'fr', 2, NULL, '{large()}'),"
        " (2, 'de', 1, NULL, 'short')",
    )
    await run(
        "UPDATE likes SET country = 'fr', code = 2, since = NULL WHERE person = 1",
        "UPDATE likes SET person = 1, country = 'it', code = 3 WHERE person = 2 AND code = 2",
        "UPDATE likes SET since = '2021-02-02' WHERE person = 2",
        "DELETE FROM likes WHERE person = 1 AND code = 2; INSERT INTO likes VALUES (1, 'fr', 2, '2022-02-02', NULL)",
    )
    await stream.check()


async def test_referenced_keys_change_under_relationship_rows(stream: Pipeline, run: Run) -> None:
    """ON UPDATE CASCADE re-keys relationship rows: the relationships stay, with the large value."""
    await begin(
        stream,
        "INSERT INTO region VALUES ('de', 1), ('fr', 2); INSERT INTO person (id) VALUES (1), (2);"
        f"INSERT INTO likes VALUES (1, 'de', 1, '2020-01-01', '{large()}'), (2, 'fr', 2, NULL, NULL);"
        f"INSERT INTO calls VALUES (1, 'phone', '2020-01-01', '{large()}', 1, 2), (2, 'video', NULL, NULL, 2, 2)",
    )
    await run(
        "UPDATE person SET id = 10 WHERE id = 1",
        "UPDATE region SET code = 11 WHERE code = 1",
        "DELETE FROM likes WHERE person = 2",
    )
    await stream.check()


async def test_relationship_row_leaves_a_node_that_goes(stream: Pipeline, run: Run) -> None:
    """A row with a key of its own gets another end before the one that it had is deleted: its large value stays."""
    await begin(
        stream,
        "INSERT INTO person (id) VALUES (1), (2), (3), (4);"
        f"INSERT INTO calls VALUES (1, 'phone', '2020-01-01', '{large()}', 1, 2), (2, 'video', NULL, '{large()}', 3, 4)"
        f", (3, 'video', NULL, '{large()}', 3, 4)",
    )
    await run(
        "UPDATE calls SET caller = 3 WHERE id = 1; UPDATE calls SET at = '2022-01-01' WHERE id = 3;"
        "DELETE FROM person WHERE id = 1",
        "UPDATE calls SET kind = 'phone', callee = 3, at = NULL WHERE id = 2",
    )
    await stream.check()


async def test_relationship_row_is_re_pointed(stream: Pipeline, run: Run) -> None:
    """A row with a key of its own gets other ends, another type, no end, and its large value stays."""
    await begin(
        stream,
        "INSERT INTO person (id) VALUES (1), (2), (3);"
        f"INSERT INTO calls VALUES (1, 'phone', '2020-01-01', '{large()}', 1, 2), (2, 'video', NULL, NULL, 2, 3),"
        " (3, 'video', NULL, 'x', 3, 3), (4, 'phone', NULL, 'y', 1, 3)",
    )
    await run(
        "UPDATE calls SET caller = 3 WHERE id = 1",
        "UPDATE calls SET kind = 'video' WHERE id IN (1, 4)",
        "UPDATE calls SET callee = NULL WHERE id = 2",
        "UPDATE calls SET at = '2021-01-01' WHERE id = 3",
        "UPDATE calls SET id = 44, callee = 1 WHERE id = 4",
    )
    await stream.check()
    await run("UPDATE calls SET callee = 1 WHERE id = 2", "UPDATE calls SET id = 10, callee = 1 WHERE id = 1")
    await stream.check()


async def test_update_cascade_over_three_tables(stream: Pipeline, run: Run) -> None:
    """A changed key is carried into the keys of those who refer to it, and into those who refer to them."""
    await begin(
        stream,
        "INSERT INTO region VALUES ('de', 1, 'x'), ('fr', 1, 'y');"
        "INSERT INTO city VALUES ('de', 1, 1, 'a'), ('de', 1, 2, 'b'), ('fr', 1, 1, 'c');"
        "INSERT INTO street VALUES (1, 'de', 1, 1), (2, 'de', 1, 2), (3, 'fr', 1, 1), (4, NULL, 1, 1);"
        "INSERT INTO person (id, country, code) VALUES (1, 'de', 1), (2, 'fr', 1), (3, 'fr', NULL)",
    )
    await run(
        "UPDATE region SET code = 7 WHERE country = 'de'",
        "UPDATE city SET number = 20, name = NULL WHERE number = 2",
        "UPDATE region SET country = 'es' WHERE country = 'fr'",
    )
    await stream.check()
    await run("DELETE FROM city WHERE number = 20", "DELETE FROM region WHERE country = 'es'")
    await stream.check()


async def test_loose_reference_whose_target_comes_later(stream: Pipeline, run: Run) -> None:
    """A reference without a constraint is connected when its target appears, by key or code, in either direction."""
    await begin(stream, "INSERT INTO visit VALUES (1, 1, 'a'), (2, 1, NULL), (3, 9, 'z')")
    await run("INSERT INTO place VALUES (1, 'z', 'late')", "INSERT INTO place VALUES (2, 'b', 'other')")
    await stream.check()
    await run("UPDATE place SET code = 'a' WHERE id = 2", "UPDATE place SET id = 9 WHERE id = 1")
    await stream.check()
    await run("DELETE FROM place WHERE id = 9", "UPDATE visit SET place_code = NULL WHERE id = 1")
    await stream.check()


async def test_column_set_to_null(stream: Pipeline, run: Run) -> None:
    """A column that becomes NULL loses its property, one that was NULL gets it; a label goes with its discriminator."""
    await begin(
        stream, "INSERT INTO person (id, name, kind) VALUES (1, 'Ada', 'boss'), (2, NULL, NULL), (3, '', 'other')"
    )
    await run(
        "UPDATE person SET name = NULL, kind = NULL WHERE id = 1",
        "UPDATE person SET name = 'Bob', kind = 'clerk' WHERE id = 2",
        "UPDATE person SET kind = 'boss' WHERE id = 3",
        "UPDATE person SET kind = 'clerk' WHERE id = 3",
    )
    await stream.check()


async def test_key_that_is_stored_out_of_line(stream: Pipeline, run: Run) -> None:
    """A key so large that the stream leaves it out of an unchanged row, and references to it."""
    one, two, three = large(2_100), large(2_100), large(2_100)
    await begin(
        stream,
        f"INSERT INTO doc VALUES ('{one}', 'x', '{large()}'), ('{two}', 'y', NULL);"
        f"INSERT INTO link VALUES (1, '{one}', 'p'), (2, '{two}', NULL);"
        f"INSERT INTO page VALUES ('{one}', 1, '{large()}', NULL), ('{one}', 2, NULL, 1), ('{two}', 1, NULL, NULL)",
    )
    await run(
        "UPDATE doc SET title = 'changed'",
        "UPDATE link SET note = 'changed'",
        "UPDATE page SET up = 2 WHERE number = 1 AND length(body) > 0",
        "UPDATE page SET number = 3 WHERE number = 2",
        "UPDATE page SET up = NULL WHERE number = 3",
    )
    await stream.check()
    await run(f"UPDATE doc SET slug = '{three}' WHERE slug = '{one}'", f"DELETE FROM doc WHERE slug = '{two}'")
    await stream.check()


async def test_part_of_a_reference_changes_beside_a_large_part(stream: Pipeline, run: Run) -> None:
    """Of a reference of two columns the small one changes and the large one is left out of the stream."""
    slug = large(2_100)
    await begin(
        stream,
        f"INSERT INTO doc VALUES ('{slug}');"
        f"INSERT INTO page (slug, number) SELECT '{slug}', n FROM generate_series(1, 4) n;"
        f"INSERT INTO link VALUES (1, '{slug}', 'p', 1), (2, '{slug}', 'q', NULL), (3, '{slug}', 'r', 4)",
    )
    await run(
        "UPDATE page SET up = 1 WHERE number = 2",
        "UPDATE page SET up = 4 WHERE number = 3",
        "UPDATE link SET number = 2 WHERE id = 1",
        "UPDATE link SET number = 3 WHERE id = 2",
        "UPDATE link SET number = NULL WHERE id = 3",
    )
    await stream.check()
    await run(
        "UPDATE page SET up = 3 WHERE number = 2",
        "UPDATE page SET number = 9 WHERE number = 4",
        "UPDATE link SET id = 10, number = 1 WHERE id = 1",
    )
    await stream.check()


async def test_whole_old_rows(stream: Pipeline, run: Run) -> None:
    """Under replica identity FULL old rows come whole, large values included."""
    await begin(
        stream,
        "INSERT INTO person (id) VALUES (1), (2);"
        f"INSERT INTO whole VALUES (1, 'a', '{large()}', 1), (2, NULL, 'b', NULL)",
    )
    await run(
        "UPDATE whole SET a = 'changed' WHERE id = 1",
        "UPDATE whole SET id = 3, person = 2 WHERE id = 1",
        "DELETE FROM whole WHERE id = 2",
        "UPDATE person SET id = 20 WHERE id = 2",
    )
    await stream.check()


async def test_savepoints_and_rollbacks(stream: Pipeline, run: Run) -> None:
    """What was rolled back to a savepoint never happened."""
    await run(
        "INSERT INTO place VALUES (1, 'a'); SAVEPOINT s; INSERT INTO place VALUES (2, 'b'); ROLLBACK TO s;"
        "INSERT INTO place VALUES (3, 'c'); RELEASE s; SAVEPOINT t; DELETE FROM place; ROLLBACK TO t",
        "DELETE FROM place; ROLLBACK; BEGIN",
    )
    await stream.check()


async def test_hidden_reference(stream: Pipeline, run: Run) -> None:
    """A reference that is not kept as a property leads to the present owner all the same."""
    await begin(stream, "INSERT INTO person (id) VALUES (1), (2); INSERT INTO tag VALUES (1, 1, 'x'), (2, 1, 'y')")
    await run(
        "UPDATE tag SET owner = 2 WHERE id = 1", "UPDATE tag SET word = 'z'", "UPDATE tag SET id = 3 WHERE id = 2"
    )
    await stream.check()
    await run("DELETE FROM person WHERE id = 2")
    await stream.check()


async def test_conflicts_and_merges(stream: Pipeline, run: Run) -> None:
    """INSERT ON CONFLICT and MERGE send what they did."""
    await begin(stream, PARENTS)
    await run(
        "INSERT INTO parent (id, label) VALUES (1, 'new'), (7, 'seven')"
        " ON CONFLICT (id) DO UPDATE SET label = 'merged'",
        "MERGE INTO child USING (VALUES (10, 3), (77, 7)) v (id, parent) ON child.id = v.id"
        " WHEN MATCHED THEN UPDATE SET parent = v.parent"
        " WHEN NOT MATCHED THEN INSERT (id, parent) VALUES (v.id, v.parent)",
    )
    await stream.check()


async def test_key_that_somebody_else_has_taken(stream: Pipeline, world: World) -> None:
    """A node of others that has the label and key of a new row is adopted, with its own properties."""
    await world.graph.query("CREATE (:Place {id: 5, mine: 1})-[:MINE]->(:Place {id: 6, name: 'wrong'})")
    await stream.execute(
        "INSERT INTO visit VALUES (1, 5, 'e'); INSERT INTO place VALUES (4, 'd', 'x'), (5, 'e', NULL), (6, NULL, 'six')"
    )
    await stream.caught_up()
    assert not differences(stream.expected(), stream.actual(), ignore_foreign=True)
    assert await world.graph.query("MATCH (p:Place {id: 5})-[:MINE]->(o) RETURN p.mine AS mine, o.name AS name") == [
        {"mine": 1, "name": "six"}
    ]
