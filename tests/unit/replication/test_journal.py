"""What a batch touches is what is read back, whatever its keys look like."""

from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.cypher.journal import TABLE_SIZE, Note
from gpm_cdc.domain.catalogue import Table, TableName
from gpm_cdc.domain.changes import Change, Delete, Insert, Relation, Row, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import RowKey
from gpm_cdc.replication.journal import Journal, Touches, read
from gpm_cdc.replication.rereading import Rereads
from tests.unit.mapping.tables import TEXT, column, reference, table
from tests.unit.projection.plans import planned, relation

REGIONS = table("regions", [column("land", TEXT), column("name", TEXT), column("slug", TEXT)], key="land name")
VISITS = table("visits", [column("id", TEXT), column("slug", TEXT)], reference("slug", "regions", "slug"))
HOMES = table(
    "homes",
    [column("land", TEXT), column("name", TEXT)],
    reference("land name", "regions", "land name"),
    key="land name",
)
PEOPLE = table("people", [column("id", TEXT), column("boss", TEXT)], reference("boss", "people"))
TAIL = """
[[node.relationship]]
columns = {own}
type = "R"
target = "{target}"
target_columns = {other}
"""
MAPPING = (
    '[[node]]\ntable = "regions"\nlabel = "Region"\nkey = ["land", "name"]\n'
    '[[node]]\ntable = "visits"\nlabel = "Visit"\nkey = ["id"]\n'
    + TAIL.format(own='["slug"]', target="regions", other='["slug"]')
    + '[[node]]\ntable = "homes"\nlabel = "Home"\nkey = ["land", "name"]\n'
    '[[node]]\ntable = "people"\nlabel = "Person"\nkey = ["id"]\n'
    + TAIL.format(own='["boss"]', target="people", other='["id"]')
)
PLAN = planned(MAPPING, REGIONS, VISITS, HOMES, PEOPLE)
JOURNAL = Journal("s", PLAN)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
keys = st.tuples(texts, texts)
"""The first is the key of a table with one column."""

KINDS = ("insert", "update", "rekey", "delete", "truncate")
few = st.lists(keys, min_size=1, max_size=4).flatmap(
    lambda pool: st.tuples(
        st.sets(st.sampled_from(pool)),
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(pool), st.sampled_from(pool)), max_size=12),
    )
)
"""Rows that are there, and what becomes of them: of few keys, so that they meet."""


def noted(*events: Relation | Change) -> list[Note]:
    """The notes of a batch."""
    coalescer = Coalescer(Bindings(PLAN))
    coalescer.add(events)
    return JOURNAL.of_changes(coalescer.tables, Lsn(7))


def told(notes: Iterable[Note], most: int = 1_000_000) -> dict[str, Touches]:
    """What is read back, from pages that hold several notes each."""
    pages: dict[TableName, str | None] = {}
    for stream, schema, name, position, text in notes:
        assert (stream, position) == ("s", 7)
        known = pages.setdefault(TableName(schema, name), "")
        pages[TableName(schema, name)] = None if known is None or text is None else known + text
    return {
        table.name: touches for table, touches in read([(*name, text) for name, text in pages.items()], most).items()
    }


@given(st.sampled_from([REGIONS, VISITS, HOMES, PEOPLE]), few)
def test_every_key_of_a_batch_is_read_back(
    source: Table, history: tuple[set[tuple[str, str]], list[tuple[str, tuple[str, str], tuple[str, str]]]]
) -> None:
    """All that was there before or is there after it and was changed; moved, what only one of both had."""
    before, steps = history
    shaped = relation(source)
    size = PLAN.tables[source.name].key_size
    width = len(source.columns)

    def row(key: RowKey) -> Row:
        return [*key, *(["x"] * (width - size))]

    start = {key[:size] for key in before}
    present, changed, emptied = set(start), set[RowKey](), False
    events: list[Relation | Change] = [shaped]
    for kind, first, second in steps:
        key, other = first[:size], second[:size]
        if kind == "insert" and key not in present:
            events.append(Insert(shaped.oid, row(key)))
            present.add(key)
            changed.add(key)
        elif kind == "update" and key in present:
            events.append(Update(shaped.oid, None, None, row(key)))
            changed.add(key)
        elif kind == "rekey" and key in present and other not in present:
            events.append(Update(shaped.oid, "K", row(key), row(other)))
            present = present - {key} | {other}
            changed |= {key, other}
        elif kind == "delete" and key in present:
            events.append(Delete(shaped.oid, "K", row(key)))
            present.discard(key)
            changed.add(key)
        elif kind == "truncate":
            events.append(Truncate((shaped.oid,), cascade=False, restart_identity=False))
            present, emptied = set(), True
    touches = told(noted(*events)).get(source.name.name, Touches())
    assert touches.whole == emptied
    if emptied:
        return
    assert touches.keys | touches.moved == changed & (start | present)
    if source.name.name in {"regions", "people"}:
        assert touches.moved >= changed & (start ^ present)
    else:
        assert not touches.moved


def test_what_only_keeps_its_key_has_not_moved() -> None:
    """Unless it is referred to by something else, which may have changed with it."""
    people, regions = relation(PEOPLE), relation(REGIONS)
    change = told(noted(people, Update(people.oid, None, None, ["1", "2"])))
    assert change == {"people": Touches(keys={("1",)})}
    again = told(noted(people, Delete(people.oid, "K", ["1", None]), Insert(people.oid, ["1", "2"])))
    assert again == change
    change = told(noted(regions, Update(regions.oid, None, None, ["a", "b", "c"])))
    assert change == {"regions": Touches(moved={("a", "b")})}


def test_swapped_keys_have_moved() -> None:
    """Both rows are there before and after, but each is another one."""
    people = relation(PEOPLE)
    pairs = [("1", "9"), ("2", "1"), ("9", "2")]
    events = [Update(people.oid, "K", [old, None], [new, None]) for old, new in pairs]
    assert told(noted(people, *events)) == {"people": Touches(moved={("1",), ("2",)})}


def test_a_row_that_came_and_went_is_not_noted() -> None:
    """Nor is a table of which nothing is left to write."""
    people = relation(PEOPLE)
    assert noted(people, Insert(people.oid, ["1", None]), Delete(people.oid, "K", ["1", None])) == []


def test_more_keys_than_pages_may_hold_are_the_whole_table() -> None:
    """A text of that length is not even made into pages."""
    people = relation(PEOPLE)
    long = "x" * 1_000
    events = [Insert(people.oid, [f"{long}{number}", None]) for number in range(TABLE_SIZE // 1_000 + 1)]
    assert told(noted(people, *events)) == {"people": Touches(whole=True)}


@pytest.mark.parametrize("asked", [None, frozenset([("a", "b"), ('"', "\n")]), frozenset([("a", "b")])])
def test_what_is_read_again_has_moved(asked: frozenset[RowKey] | None) -> None:
    """Whoever refers to it is made anew, too."""
    rereads: Rereads = {REGIONS.name: asked}
    touches = told(JOURNAL.of_rereads(rereads, Lsn(7)))["regions"]
    assert touches == (Touches(whole=True) if asked is None else Touches(moved=set(asked)))


def test_the_size_of_a_table_is_looked_at_now_and_then() -> None:
    """Not in every batch, and before there can be twice as much."""
    journal = Journal("s", PLAN)
    part = TABLE_SIZE // 16
    looks = [
        journal.grown([["s", "public", "people", 1, "x" * part], ["s", "public", "visits", 1, None]]) for _ in range(16)
    ]
    assert [look for look in looks if look] == [[["s", "public", "people"]]] * 3


def test_more_keys_than_are_looked_up_are_not_kept() -> None:
    """Of those that stayed where they are it is enough to know that; of too many that moved, all of the table did."""
    people = relation(PEOPLE)

    def batch(*events: Change) -> dict[str, Touches]:
        return told(noted(people, *events), most=2)

    changed = [Update(people.oid, None, None, [key, None]) for key in "abc"]
    came = [Insert(people.oid, [key, None]) for key in "def"]
    assert batch(*changed[:2], *came[:2]) == {"people": Touches(keys={("a",), ("b",)}, moved={("d",), ("e",)})}
    assert batch(*changed, *came[:2]) == {"people": Touches(many=True, moved={("d",), ("e",)})}
    assert batch(*came)["people"].whole
