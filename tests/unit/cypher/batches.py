"""Batches that between them need every kind of statement, and what is sent for them.

`python -m tests.unit.cypher.batches` writes tests/golden/statements.txt anew: read the difference before committing it.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gpm_cdc.cypher import loading, pieces, repairing, retiring, statement
from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.schema import schema
from gpm_cdc.cypher.statement import Record, Statement, Statements, no_statements
from gpm_cdc.domain.catalogue import PgType, UniqueKey
from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Insert, Row, Truncate, Update
from gpm_cdc.errors.stream import EndpointTakenOver, ValueLeftOut
from gpm_cdc.errors.values import KeyTooLong
from gpm_cdc.projection.batch import build
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan
from tests.unit.mapping.tables import FLOAT8, TEXT, column, reference, table
from tests.unit.projection.plans import node, planned, relation, relationship

GOLDEN = Path(__file__).parents[2] / "golden" / "statements.txt"
DATE = PgType(1082, "pg_catalog", "date")

CITY = table(
    "city",
    [column("land", TEXT), column("no"), column("code", TEXT), column("size", FLOAT8)],
    key="land no",
    unique=[
        UniqueKey("city_code", ("code",), immediate=True),
        UniqueKey("city_land_code", ("land", "code"), immediate=True),
    ],
)
PERSON = table(
    "person",
    [
        column("id"),
        column("kind", TEXT),
        column("born", DATE),
        column("weight", FLOAT8),
        column("land", TEXT),
        column("no"),
        column("code", TEXT),
        column("boss"),
        column("secret", TEXT),
    ],
    reference("land no", "city", "land no"),
    reference("code", "city", "code"),
    reference("boss", "person"),
)
HOUSE = table(
    "house",
    [column("id"), column("owner"), column("no"), column("land", TEXT), column("code", TEXT)],
    reference("owner", "person"),
    reference("land code", "city", "land code"),
    key="id owner",
)
DAY = table("day", [column("day", DATE), column("name", TEXT), column("made", TEXT, generated="s")], key="day")
SPOT = table("spot", [column("at", FLOAT8)], key="at")
WORD = table("word", [column("word", TEXT), column("note", TEXT)], key="word")
FLAT = table("flat", [column("id"), column("city", TEXT)], reference("city", "city", "code"))
LIKES = table(
    "likes",
    [
        column("a"),
        column("b"),
        column("kind", TEXT),
        column("day", DATE),
        column("why", TEXT),
        column("much", FLOAT8),
        column("deep", FLOAT8),
    ],
    key="a b",
)
CALLS = table(
    "calls",
    [column("id"), column("kind", TEXT), column("day", DATE), column("why", TEXT), column("a"), column("code", TEXT)],
)
VISITS = table("visits", [column("id"), column("land", TEXT), column("code", TEXT), column("day", DATE)])
TABLES = (CITY, PERSON, HOUSE, FLAT, DAY, SPOT, WORD, LIKES, CALLS, VISITS)
_NODES = """
    [[node]]
    table = "public.city"
    label = "City"
    key = ["land", "no"]
    rename = { no = "number", code = "zip" }
    [[node]]
    table = "public.flat"
    label = "Flat"
    key = ["id"]
    keep_foreign_keys = false
    [[node.relationship]]
    columns = ["city"]
    type = "IN"
    target = "public.city"
    target_columns = ["code"]
    [[node]]
    table = "public.person"
    label = "Person"
    key = ["id"]
    extra_labels = ["Being"]
    exclude = ["secret"]
    rename = { weight = "kg" }
    labels_from = { column = "kind", values = { a = "Kind A", b = "Kind B", c = "Being" } }
    [[node.relationship]]
    columns = ["land", "no"]
    type = "LIVES"
    target = "public.city"
    target_columns = ["land", "no"]
    [[node.relationship]]
    columns = ["code"]
    type = "WORKS"
    target = "public.city"
    target_columns = ["code"]
    direction = "in"
    [[node.relationship]]
    columns = ["boss"]
    type = "BOSS"
    target = "public.person"
    target_columns = ["id"]
    enforced = false
    [[node]]
    table = "public.house"
    label = "House"
    key = ["id", "owner"]
    rename = { id = "number" }
    [[node.relationship]]
    columns = ["owner"]
    type = "OWNER"
    target = "public.person"
    target_columns = ["id"]
    [[node.relationship]]
    columns = ["land", "code"]
    type = "STANDS"
    target = "public.city"
    target_columns = ["land", "code"]
    [[node]]
    table = "public.day"
    label = "Day"
    key = ["day"]
    [[node]]
    table = "public.spot"
    label = "Spot"
    key = ["at"]
    [[node]]
    table = "public.word"
    label = "Word"
    key = ["word"]
    """
_RELATIONSHIPS = """
    [[relationship]]
    table = "public.likes"
    key = ["a", "b"]
    type_from = { column = "kind", values = { a = "LIKES", b = "LOVES" } }
    start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
    end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
    [[relationship]]
    table = "public.calls"
    key = ["id"]
    rename = { id = "number" }
    type_from = { column = "kind", values = { a = "CALLS", b = "RINGS" } }
    start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
    end = { columns = ["code"], target = "public.city", target_columns = ["code"] }
    [[relationship]]
    table = "public.visits"
    key = ["id"]
    type = "VISITS"
    start = { columns = ["land", "code"], target = "public.city", target_columns = ["land", "code"] }
    end = { columns = ["day"], target = "public.day", target_columns = ["day"] }
    """
PLAN = planned(_NODES + _RELATIONSHIPS, *TABLES)
WITHOUT = planned(_NODES, *TABLES)
"""Nodes whose keys may change hands, since no relationship table ends there."""

C, P, H, F, D, S, W, L, R, V = (each.oid for each in TABLES)
LONG = "x" * 9_000
U = UNCHANGED
_USUAL, _CREATING, _THINNED = How(), How(create=True), How(thinned=True, limit=0)
_REFUSALS = (EndpointTakenOver, ValueLeftOut, KeyTooLong)
A_PERSON: Row = ["1", "a", "2020-01-01", "1.5", "de", "1", "x", "2", "s"]

BATCHES: dict[str, tuple[Change, ...]] = {
    "nothing": (),
    "inserts": (
        Insert(C, ["de", "1", "x", "0"]),
        Insert(C, ["fr", "2", None, None]),
        Insert(P, A_PERSON),
        Insert(P, ["2", "b", None, "-0", None, "1", None, None, None]),
        Insert(P, ["3", "c", "infinity", "7", "de", "1", "x", "3", None]),
        Insert(H, ["1", "1", "5", "de", "x"]),
        Insert(F, ["1", "x"]),
        Insert(F, ["2", None]),
        Insert(L, ["1", "2", "a", "2020-01-01", "w", "0", "0"]),
        Insert(L, ["2", "1", "b", None, None, None, "0"]),
        Insert(R, ["1", "a", "2020-01-01", "w", "1", "x"]),
        Insert(R, ["2", "b", "infinity", "w", None, None]),
        Insert(D, ["2020-01-01", "x"]),
        Insert(S, ["0"]),
        Insert(W, ["word", None]),
        Insert(V, ["1", "de", "x", "2020-01-01"]),
    ),
    "updates": (
        Update(C, None, None, ["de", "1", "y", "0"]),
        Update(P, None, None, ["1", "b", None, "0", "fr", "2", "y", None, "s"]),
        Update(P, None, None, ["2", "zzz", "2020-01-01", "1", "de", None, "x", "1", "s"]),
        Update(P, None, None, ["3", U, "2020-01-01", "1", U, "1", U, "1", U]),
        Update(H, None, None, ["1", "1", "6", "de", "x"]),
        Update(F, None, None, ["1", "y"]),
        Update(F, None, None, ["2", U]),
        Update(L, None, None, ["1", "2", "b", "2021-01-01", "v", "-0", "0"]),
        Update(L, None, None, ["2", "1", "b", None, U, U, "0"]),
        Update(L, None, None, ["2", "3", "b", None, U, "2", U]),
        Update(R, None, None, ["1", "b", "2021-01-01", "v", "2", "y"]),
        Update(R, None, None, ["2", "b", None, U, "2", "y"]),
        Update(R, None, None, ["5", "b", "2021-01-01", "v", "2", "y"]),
        Update(R, None, None, ["6", "b", "2021-01-01", "v", None, "y"]),
        Update(R, None, None, ["7", "b", None, U, None, "y"]),
        Update(R, None, None, ["8", "b", None, U, "3", "y"]),
        Update(D, None, None, ["infinity", "y"]),
        Update(W, None, None, [LONG, "its key was there before"]),
        Update(V, None, None, ["1", "de", "y", "infinity"]),
        Update(V, None, None, ["2", "fr", "y", "2020-01-01"]),
    ),
    "like updates": (
        Update(P, None, None, ["1", "a", "2020-01-01", "1.5", "fr", "1", "x", "2", "s"]),
        Update(P, None, None, ["2", "a", "2020-01-01", "1.5", "de", "2", "x", "3", "s"]),
        Update(P, None, None, ["3", "a", "2020-01-01", "1.5", "de", "1", "y", "4", "s"]),
    ),
    "deletes": (
        Delete(R, "K", ["1", None, None, None, None, None]),
        Delete(L, "K", ["1", "2", None, None, None, None, None]),
        Delete(F, "K", ["1", None]),
        Delete(H, "K", ["1", "1", None, None, None]),
        Delete(P, "K", ["1", *(None for _ in range(8))]),
        Delete(C, "K", ["de", "1", None, None]),
        Update(R, None, None, ["2", "a", "2021-01-01", U, "2", "y"]),
        Update(R, None, None, ["3", "a", None, "all", "2", "y"]),
        Update(R, None, None, ["4", "a", None, U, "2", U]),
    ),
    "a relationship is deleted": (Delete(V, "K", ["1", None, None, None]),),
    "a relationship of several types is deleted": (Delete(R, "K", ["1", None, None, None, None, None]),),
    "key changes": (
        Update(C, "K", ["de", "1", None, None], ["de", "3", "y", None]),
        Update(P, "K", ["9", *(None for _ in range(8))], ["8", *A_PERSON[1:]]),
        Update(H, "K", ["1", "1", None, None, None], ["1", "3", "5", "de", "x"]),
        Update(F, "K", ["1", None], ["2", "x"]),
        Update(F, "K", ["3", None], ["1", "x"]),
        Update(L, "K", ["1", "2", None, None, None, None, None], ["1", "3", "a", None, U, "0", "0"]),
        Update(L, "K", ["2", "1", None, None, None, None, None], ["3", "1", "b", None, "w", "0", "0"]),
        Update(R, "K", ["1", *(None for _ in range(5))], ["4", "a", "2020-01-01", U, "1", "y"]),
        Update(R, "K", ["2", *(None for _ in range(5))], ["5", "a", "2020-01-01", U, "1", "y"]),
        Update(R, "K", ["3", *(None for _ in range(5))], ["6", "a", "2020-01-01", U, None, "y"]),
    ),
    "keys change at once": (
        Update(P, "K", ["1", *(None for _ in range(8))], ["-1", *A_PERSON[1:]]),
        Update(P, "K", ["2", *(None for _ in range(8))], ["1", *A_PERSON[1:]]),
        Update(P, "K", ["-1", *(None for _ in range(8))], ["2", *A_PERSON[1:]]),
    ),
    "keys change at once beside relationships": (
        Update(D, "K", ["2020-01-01", None], ["2000-01-01", U]),
        Update(D, "K", ["2020-01-02", None], ["2020-01-01", U]),
        Update(D, "K", ["2000-01-01", None], ["2020-01-02", U]),
        Update(R, None, None, ["1", "b", "2021-01-01", "v", "2", "y"]),
        Update(V, None, None, ["2", "de", "y", "2020-01-01"]),
        Update(V, None, None, ["3", "de", "y", "2020-01-02"]),
    ),
    "keys change otherwise": (
        Update(S, "K", ["0"], ["-0"]),
        Update(S, "K", ["2"], ["3"]),
        Update(D, "K", ["2020-01-01", None], ["2020-01-02", "x"]),
        Update(V, "K", ["1", None, None, None], ["2", "de", "x", "2020-01-02"]),
        Delete(W, "K", ["a", None]),
        Insert(W, ["a", "again"]),
        Insert(W, ["b", "came and went"]),
        Delete(W, "K", ["b", None]),
        Update(W, "K", ["c", None], ["d", U]),
        Update(W, "O", ["e", "known"], ["f", U]),
        Insert(W, ["g", "first"]),
        Update(W, None, None, ["g", U]),
        Update(W, "K", ["g", None], ["h", "second"]),
    ),
    "a long key": (Insert(W, [LONG, None]),),
    "a long new key": (Update(W, "K", ["a", None], [LONG, None]),),
    "a long key with another": (Insert(C, [LONG, "1", None, None]),),
    "a long code": (Insert(C, ["de", "1", LONG, None]),),
    "a long code later": (Update(C, None, None, ["de", "1", LONG, U]),),
    "a long reference": (Update(P, None, None, ["1", "a", None, None, LONG, U, U, None, None]),),
    "a code changes hands": (
        Delete(C, "K", ["de", "1", None, None]),
        Update(C, None, None, ["fr", "2", "x", None]),
        Update(C, "K", ["it", "1", None, None], ["de", "1", "z", None]),
    ),
    "emptied": (
        Truncate((C, P, H, F, L, R), cascade=False, restart_identity=False),
        Insert(C, ["de", "1", "x", "0"]),
        Insert(P, A_PERSON),
        Insert(P, ["2", "b", *A_PERSON[2:]]),
        Insert(H, ["1", "1", "5", "de", "x"]),
        Insert(F, ["1", "x"]),
        Insert(L, ["1", "2", "a", "2020-01-01", "w", "0", "0"]),
    ),
    "emptied for good": (Truncate((F,), cascade=False, restart_identity=False), Insert(C, ["de", "1", "x", "0"])),
}


def text() -> str:
    """Everything that is sent, readable."""
    lines = ["== schema", *(each.text for each in schema(PLAN))]
    lines += ["== two rows per statement", *_cut()]
    for plan, name, how in itertools.product((PLAN, WITHOUT), BATCHES, (_USUAL, _CREATING, _THINNED)):
        if plan is PLAN or how is not _CREATING:
            lines += [f"== {name}, {len(plan.relationships)} relationship tables, {how}", *_batch(plan, name, how)]
    lines += ["== loading", *(line for running in _loading() for line in _told(running)), *_told(no_statements())]
    return "\n".join([*lines, *loading.mapped_relationship_patterns(PLAN)]) + "\n"


def _cut() -> Iterator[str]:
    with patch.object(statement, "ROWS_PER_STATEMENT", 2):
        for name in ("inserts", "updates", "like updates", "key changes", "deletes"):
            yield from _batch(PLAN, name, _USUAL)


def _batch(plan: GraphPlan, name: str, how: How) -> Iterator[str]:
    coalescer = Coalescer(Bindings(plan))
    coalescer.add([*map(relation, TABLES), *BATCHES[name]])
    try:
        batch = build(coalescer)
        yield f"{batch.row_count} rows"
        yield from _told(statements(plan, batch, how), found=how is _THINNED)
    except _REFUSALS as refused:
        yield f"{refused.code}: {refused}"
        return
    if how is _USUAL:
        for piece in pieces.pieces(plan, batch):
            yield from _told(piece.statements(5))
            yield f"left: {piece.left}"


def texts(plan: GraphPlan, name: str) -> list[str]:
    """The texts that are sent for the batch `name`, up to where it is refused."""
    found: list[str] = []
    coalescer = Coalescer(Bindings(plan))
    coalescer.add([*map(relation, TABLES), *BATCHES[name]])
    with contextlib.suppress(*_REFUSALS):
        found += (line for line in _told(statements(plan, build(coalescer), How())) if not line.startswith("    "))
    return found


def _loading() -> Iterator[Statements]:
    city, person, calls = node(PLAN, "public.city"), node(PLAN, "public.person"), relationship(PLAN, "public.calls")
    rows = [tuple(A_PERSON[:8])]
    for fresh in (True, False):
        yield loading.load_nodes(person, rows, fresh=fresh)
    lives = person.edges[0]
    for fresh in (True, False):
        yield loading.load_edges(lives, [("1", "de", "1"), ("2", None, "1")], fresh=fresh)
    yield loading.load_relationships(calls, [("1", "a", "2020-01-01", "w", "1", "x")])
    yield repairing.replace_relationships(calls, [("1", "a", "2020-01-01", "w", "1", "x")])
    counts: list[int] = []
    yield loading.delete_some("()-[e:X]->()", counts.append)
    yield retiring.retire_nodes(city.label, counts.append)
    yield retiring.retire_from_nodes(city.label, ["former"], ["Former"], counts.append)
    yield loading.node_ids(city, lambda ids: counts.append(len(list(ids))))
    yield loading.keyed_ids(city, [("de", "1")], lambda ids: counts.append(len(list(ids))))
    assert counts == [0, 0, 0, 3, 2]


def _told(running: Statements, *, found: bool = False) -> Iterator[str]:
    """What is sent, with what the graph answers. Without an answer wanted there must be none needed."""
    records: list[Record] | None = None
    while True:
        try:
            sent = next(running) if records is None else running.send(records)
        except StopIteration:
            return
        yield sent.text
        yield f"    {sent.returns} {str(list(sent.rows)).replace(LONG, '<long>')}"
        records = _answer(sent, found=found) if sent.returns else []


def _answer(sent: Statement, *, found: bool) -> list[Record]:
    """Whatever is watched changed in the first row, every other thing in the next; half of what is sought is there.

    `found`: both ends of rows that lack values are there.
    """
    returned = sent.text.rpartition("RETURN ")[2]
    if returned == "i, changed":
        flags = len(set(re.findall(r" AS [oe]\d+", sent.text)))
        return [[row[-1], [not turn or place % 2 == turn % 2 for place in range(flags)]] for turn, row in _turns(sent)]
    if "OPTIONAL MATCH" in sent.text:
        return [[row[-1], f"astray {row[-1]}" if turn % 2 == 0 else None] for turn, row in _turns(sent)]
    if returned.endswith(", elementId(e)"):
        return [[row[-1], f"former {row[-1]}"] for turn, row in _turns(sent) if turn % 2 == 0]
    if returned.startswith("r["):
        return [[row[-1]] for row in sent.rows[:1] if "e:`CALLS`" in sent.text]
    if returned == "1 LIMIT 1":
        return [[1]] if found else []
    ids: list[Record] = [[["one", "two"]], [["three"]]] if returned.startswith("[") else [["one"], ["two"]]
    return ids if "elementId" in returned else [[0]]


def _turns(sent: Statement) -> Iterator[tuple[int, Sequence[Any]]]:
    return enumerate(sent.rows)


if __name__ == "__main__":
    GOLDEN.write_text(text(), encoding="utf-8")
