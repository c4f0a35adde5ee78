"""What is compared of each kind of element, given what the stream has touched."""

from datetime import UTC, datetime

import pytest

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.verify import NeverVerified, VerifiedTooLongAgo
from gpm_cdc.ports.verification import Baseline
from gpm_cdc.replication.journal import Touches
from gpm_cdc.runtime import incremental
from gpm_cdc.runtime.incremental import Narrowing, require_recent
from tests.unit.verification.sides import Memory, changes, deleted
from tests.unit.verification.test_round import _memory

EVERYTHING = {"Person": None, "BOSS": None, "KNOWS": None}
NOTHING: dict[str, object] = {"Person": [], "BOSS": [], "KNOWS": []}


async def _scope(memory: Memory, **touches: Touches) -> dict[str, list[list[object]] | None]:
    named = {TableName("public", name): touched for name, touched in touches.items()}
    rows, graph = memory.readers()
    return memory.named(await Narrowing(rows, graph, named).scope(memory.tallies))


async def test_what_was_not_touched_is_not_compared() -> None:
    """Nor is a table that the mapping does not know any more."""
    assert await _scope(_memory()) == NOTHING
    assert await _scope(_memory(), gone=Touches(whole=True)) == NOTHING


async def test_rows_that_were_touched_are_compared_by_their_keys() -> None:
    """With the elements that they make; what refers to them stays as it is."""
    assert await _scope(_memory(), people=Touches(keys={("2",), ("8",)})) == {
        "Person": [[2], [8]],
        "BOSS": [[2], [8]],
        "KNOWS": [],
    }
    assert await _scope(_memory(), knows=Touches(keys={("1", "2")})) == {"Person": [], "BOSS": [], "KNOWS": [[1, 2]]}


async def test_whoever_refers_to_a_row_that_moved_is_compared_too() -> None:
    """By what the rows say, and by what the graph holds at its node."""
    memory = _memory()
    memory.graph["BOSS"].append(["f1", 1, 2])
    memory.graph["KNOWS"].append(["k9", 3, 2, "KNOWS", 3, 2, None])
    assert await _scope(memory, people=Touches(moved={("2",)})) == {
        "Person": [[2]],
        "BOSS": [[1], [2], [3]],
        "KNOWS": [[1, 2], [3, 2]],
    }


async def test_what_refers_to_a_row_that_moved_is_missed_where_it_is_missing() -> None:
    """The graph holds nothing at its node."""
    memory = _memory(graph={"Person": [], "BOSS": [], "KNOWS": []})
    assert await _scope(memory, people=Touches(moved={("2",)})) == {
        "Person": [[2]],
        "BOSS": [[2], [3]],
        "KNOWS": [[1, 2]],
    }


async def test_what_only_the_graph_shows_in_flight_is_looked_up_again_by_its_key() -> None:
    """The row came and went meanwhile: its key is known from what was asked for."""
    memory = _memory(at=Lsn(200), arrives=changes("people", deleted("8", None, None)), joining=True)
    memory.graph["Person"].append(["n8", 8, "h", None])
    rows, graph = memory.readers()
    touches = {TableName("public", "people"): Touches(keys={("8",)})}
    scope = await Narrowing(rows, graph, touches).scope(memory.tallies)
    pending = await memory.run(scope)
    assert memory.named(pending) == {"Person": [[8]], "BOSS": [[8]]}
    memory.reads.clear()
    await memory.run(pending)
    assert set(memory.reads) == {"people by key", "judged"}


async def test_elements_that_only_the_graph_has_are_found_again_by_id() -> None:
    """One whose key is no row's is judged as well as any other."""
    memory = _memory()
    memory.graph["BOSS"].append(["f1", None, 2])
    rows, graph = memory.readers()
    touches = {TableName("public", "people"): Touches(moved={("2",)})}
    scope = await Narrowing(rows, graph, touches).scope(memory.tallies)
    assert await memory.run(scope) == {}
    assert memory.found() == [("BOSS", "extra", {"id": None})]


async def test_a_whole_table_is_compared_with_all_that_refers_to_it() -> None:
    """Since none of its rows is known to be as it was."""
    assert await _scope(_memory(), people=Touches(whole=True)) == EVERYTHING
    assert await _scope(_memory(), people=Touches(many=True)) == {"Person": None, "BOSS": None, "KNOWS": []}
    assert await _scope(_memory(), knows=Touches(whole=True)) == {"Person": [], "BOSS": [], "KNOWS": None}


async def test_too_many_rows_are_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it the table's own, those that refer to some, or what the graph holds there."""
    monkeypatch.setattr(incremental, "LOOKED_UP_MOST", 2)
    some = await _scope(_memory(), people=Touches(keys={("1",), ("2",)}))
    assert some == {"Person": [[1], [2]], "BOSS": [[1], [2]], "KNOWS": []}
    many = await _scope(_memory(), people=Touches(keys={("1",), ("2",), ("3",)}))
    assert many == {"Person": None, "BOSS": None, "KNOWS": []}
    referring = await _scope(_memory(), people=Touches(keys={("1",)}, moved={("2",)}))
    assert referring == {"Person": [[1], [2]], "BOSS": None, "KNOWS": [[1, 2]]}
    monkeypatch.setattr(incremental, "AT_ENDS_MOST", 1)
    held = await _scope(_memory(), people=Touches(moved={("2",)}))
    assert held == {"Person": [[2]], "BOSS": None, "KNOWS": None}


async def test_keys_that_cannot_be_read_make_it_whole() -> None:
    """Their column had another type then."""
    assert (await _scope(_memory(), people=Touches(keys={("x",)})))["Person"] is None


def test_the_baseline_must_be_there_and_recent() -> None:
    """Days are counted to the second."""
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(NeverVerified):
        require_recent(None, "s", 7)
    with pytest.raises(VerifiedTooLongAgo, match=r"7\.0 days ago, and 7 are"):
        require_recent(Baseline(Lsn(1), ended, 7 * 86_400 + 1.0), "s", 7)
    recent = Baseline(Lsn(1), ended, 7 * 86_400.0)
    assert require_recent(recent, "s", 7) is recent


async def test_rows_are_looked_up_where_their_keys_are_known() -> None:
    """Neither before nor after the judgement is a table gone through."""
    memory = _memory(joining=True)
    memory.graph["Person"][1][2] = "B"
    rows, graph = memory.readers()
    touches = {TableName("public", "people"): Touches(keys={("2",)})}
    scope = await Narrowing(rows, graph, touches).scope(memory.tallies)
    memory.reads.clear()
    assert await memory.run(scope) == {}
    assert memory.found() == [("Person", "different", {"id": 2})]
    assert set(memory.reads) == {"people by key", "judged"}
    assert [tally.rows for tally in memory.tallies.values()] == [1, 1, 0]
