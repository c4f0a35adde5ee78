import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.cypher import statement
from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.expressions import guarded
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.schema import schema
from gpm_cdc.cypher.statement import Statement, Statements, chunks
from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.projection.batch import build
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan
from tests.unit.mapping.tables import TEXT, column, reference, table
from tests.unit.projection.plans import node, planned, relation

PERSON = table("person", [column("id"), column("name", TEXT), column("boss")], reference("boss", "person"))
LIKES = table("likes", [column("a"), column("b"), column("why", TEXT)], key="a b")
PLAN = planned(
    """
    [[node]]
    table = "public.person"
    label = "Per`son"
    key = ["id"]
    [[node.relationship]]
    columns = ["boss"]
    type = "BO`SS"
    target = "public.person"
    target_columns = ["id"]
    enforced = false
    [[relationship]]
    table = "public.likes"
    type = "LIKES"
    key = ["a", "b"]
    start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
    end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
    """,
    PERSON,
    LIKES,
)
P, L = PERSON.oid, LIKES.oid


def run(*events: Relation | Change, plan: GraphPlan = PLAN, create: bool = False) -> list[Statement]:
    """The statements of a batch of `events`, to which the graph answers that every watched value changed."""
    coalescer = Coalescer(Bindings(plan))
    coalescer.add([relation(PERSON), relation(LIKES), *events])
    return sent(statements(plan, build(coalescer), How(create=create)))


def sent(running: Statements) -> list[Statement]:
    """All statements of `running`."""
    found: list[Statement] = []
    records = None
    while True:
        try:
            found.append(next(running) if records is None else running.send(records))
        except StopIteration:
            return found
        records = answer(found[-1])


def answer(asked: Statement) -> list[list[Any]]:
    """What the graph says: everything that is looked for is there, and every watched value changed."""
    if "RETURN i, changed" in asked.text:
        return [[row[-1], [True]] for row in asked.rows]
    if asked.text.endswith("RETURN r[2], elementId(e)"):
        return [[row[-1], f"e{place}"] for place, row in enumerate(asked.rows)]
    return [[f"n{place}"] for place, _ in enumerate(asked.rows)] if asked.text.endswith("RETURN elementId(n)") else []


@given(st.text(min_size=1))
def test_quoted_names_cannot_end_the_quotes(name: str) -> None:
    """Inside the quotes every backtick is doubled, so that no name becomes Cypher."""
    quoted = quote(name)
    assert quoted[0] == quoted[-1] == "`"
    assert quoted[1:-1].replace("``", "") == name.replace("`", "")
    assert quoted[1:-1].replace("``", "`") == name
    assert labels(name, "B") == f":{quoted}:`B`"


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_chunks_hold_every_row_once(rows: list[int], size: int) -> None:
    """Rows are cut into pieces of the size that a statement takes, in order, none empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statement, "ROWS_PER_STATEMENT", size)
        pieces = list(chunks(rows))
    assert [row for piece in pieces for row in piece] == rows
    assert all(0 < len(piece) <= size for piece in pieces)


def test_order_of_a_batch() -> None:
    """What goes is found first, keys change before nodes are written, and nodes are deleted last."""
    texts = [
        step.text
        for step in run(
            Insert(P, ["1", "x", "2"]),
            Update(P, None, None, ["3", "y", "1"]),
            Update(P, "K", ["4", None, None], ["5", "z", None]),
            Delete(P, "K", ["6", None, None]),
            Delete(L, "K", ["1", "2", None]),
            Update(L, "K", ["7", "8", None], ["7", "9", UNCHANGED]),
            Insert(L, ["1", "3", None]),
        )
    ]
    order = [
        r"e:`LIKES`\]->\(b.*RETURN r\[2\], elementId\(e\)$",
        r"REMOVE n:`Per``son` RETURN elementId\(n\)$",
        r"SET n.`id` = r\[1\]$",
        r"MERGE \(n",
        r"CREATE \(a\)-\[:`LIKES`",
        r"DELETE e$",
        r"(MERGE|CREATE) \(c\)-\[:`BO``SS`\]",
        r"MATCH \(p.*MATCH \(c.*MERGE \(c\)",
        r"elementId\(n\) = r DETACH DELETE n$",
    ]
    places: list[int] = []
    for pattern in order:
        after = places[-1] + 1 if places else 0
        found = [place for place in range(after, len(texts)) if re.search(pattern, texts[place])]
        assert found, f"{pattern} is missing after {texts[:after]}"
        places.append(found[0])


def test_texts_do_not_depend_on_values() -> None:
    """Batches of one shape share their texts, which Neo4j plans once; every value travels as a parameter."""
    one = run(Insert(P, ["1", "a", "2"]), Insert(P, ["2", "b", None]))
    other = run(Insert(P, ["7", "'}) DETACH DELETE n //", "9"]), Insert(P, ["9", "b", None]))
    assert [step.text for step in one] == [step.text for step in other]
    assert not any("DETACH" in step.text for step in other)


def test_left_out_values_are_not_set() -> None:
    """No statement names a value that the stream left out, and none of it reaches the driver."""
    steps = run(Update(P, None, None, ["1", UNCHANGED, "2"]))
    merge = next(step for step in steps if "MERGE (n" in step.text)
    assert "`name`" not in merge.text
    assert all(value is not UNCHANGED for row in merge.rows for value in row)


def test_truncate_needs_no_rows() -> None:
    """An emptied table is one statement, whatever was in it, if there is nothing to write."""
    steps = run(Truncate((P, L), cascade=True, restart_identity=False))
    assert [step.text for step in steps] == [
        "MATCH (:`Per``son`)-[e:`LIKES`]->(:`Per``son`) DELETE e",
        "MATCH (n:`Per``son`) DETACH DELETE n",
    ]


def test_empty_batch_has_no_statements() -> None:
    """A transaction without mapped rows only moves the checkpoint."""
    assert run() == []
    assert run(Insert(P, ["1", None, None]), Delete(P, "K", ["1", None, None])) == []


def test_only_what_needs_it_is_guarded() -> None:
    """NULL or text in a place whose type is built by an expression asks for the longer form."""
    dates = table("d", [column("id"), column("note", TEXT), column("day", PgType(1082, "pg_catalog", "date"))])
    plan = planned('[[node]]\ntable = "public.d"\nlabel = "D"\nkey = ["id"]', dates)
    assert guarded(node(plan, "d"), [[1, None, 7], [2, "x", 8]]) == frozenset()
    assert guarded(node(plan, "d"), [[1, None, 7], [2, "x", None]]) == {2}
    assert guarded(node(plan, "d"), [[1, None, 7], [2, "x", "infinity"]]) == {2}


def test_schema_names_every_index_once() -> None:
    """Those of the key, of the loose reference, of the checkpoint and of the journal; again they do nothing."""
    texts = [each.text for each in schema(PLAN)]
    assert len(texts) == len(set(texts)) == 4
    assert all(" IF NOT EXISTS " in text for text in texts)
    assert sum("IS UNIQUE" in text for text in texts) == 2
    assert any("FOR (n:`Per``son`) ON (n.`boss`)" in text for text in texts)
