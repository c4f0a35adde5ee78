from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.verification.scope import following
from tests.unit.verification.sides import PLAN, Memory, changes, deleted, inserted, truncated, updated

LATER = Lsn(200)


def _memory(**facts: object) -> Memory:
    """Three people in a line of command, one acquaintance; equal on both sides."""
    memory = Memory(
        rows={
            "people": [("1", "a", None), ("2", "b", "1"), ("3", None, "2")],
            "knows": [("1", "2", "7")],
        },
        graph={
            "Person": [["n1", 1, "a", None], ["n2", 2, "b", 1], ["n3", 3, None, 2]],
            "BOSS": [["e2", 2, 1], ["e3", 3, 2]],
            "KNOWS": [["k1", 1, 2, "KNOWS", 1, 2, 7]],
        },
    )
    for name, fact in facts.items():
        setattr(memory, name, fact)
    return memory


async def test_equal_sides_leave_nothing_open() -> None:
    """No finding, nothing in flight, equal digests that count every element."""
    memory = _memory()
    assert await memory.run() == {}
    assert memory.found() == []
    assert [tally.postgres.count for tally in memory.tallies.values()] == [3, 2, 1]
    assert all(tally.postgres == tally.neo4j for tally in memory.tallies.values())


async def test_a_difference_that_did_not_change_is_drift() -> None:
    """What differs and was not touched between both positions is told, and told apart in the digests."""
    memory = _memory()
    memory.graph["Person"][1][2] = "B"
    memory.graph["BOSS"].pop()
    assert await memory.run() == {}
    assert memory.found() == [("Person", "different", {"id": 2}), ("BOSS", "missing", {"id": 3})]
    assert [tally.postgres == tally.neo4j for tally in memory.tallies.values()] == [False, False, True]


async def test_a_difference_in_flight_is_no_drift() -> None:
    """A row that the stream changed up to where the graph was read is left to the next round, with what joins it."""
    memory = _memory(at=LATER, arrives=changes("people", updated(["2", "B", "3"])))
    memory.graph["Person"][1][2:] = ["B", 3]
    memory.graph["BOSS"][0][2] = 3
    pending = await memory.run()
    assert memory.found() == []
    assert memory.named(pending) == {"Person": [[2]], "BOSS": [[2], [3]], "KNOWS": [[1, 2]]}


async def test_an_equal_element_in_flight_is_not_proven() -> None:
    """Equal, but touched: it does not count as compared until a later round says so."""
    memory = _memory(at=LATER, arrives=changes("people", updated(["3", None, "2"])))
    pending = await memory.run()
    assert memory.named(pending) == {"Person": [[3]], "BOSS": [[3]]}
    assert [tally.postgres.count for tally in memory.tallies.values()] == [2, 1, 1]
    memory.touched = type(memory.touched)(PLAN)
    assert await memory.run(pending) == {}
    assert [tally.postgres.count for tally in memory.tallies.values()] == [3, 2, 1]
    assert all(tally.postgres == tally.neo4j for tally in memory.tallies.values())


async def test_changes_on_the_way_are_waited_for_before_judging() -> None:
    """The stream is followed to the graph's position first: judged earlier, a new node would be an extra one."""
    memory = _memory(at=LATER, arrives=changes("people", inserted("4", "d", "1"), deleted("3", None, None)))
    memory.graph["Person"] = [*memory.graph["Person"][:2], ["n4", 4, "d", 1]]
    memory.graph["BOSS"] = [memory.graph["BOSS"][0], ["e4", 4, 1]]
    pending = await memory.run()
    assert memory.found() == []
    assert memory.named(pending) == {"Person": [[3], [4]], "BOSS": [[3], [4]]}


async def test_both_keys_of_a_renamed_row_are_in_flight() -> None:
    """The node bears the new key already: neither is the old one missing nor the new one too many."""
    memory = _memory(at=LATER, arrives=changes("people", updated(["9", None, "2"], ["3", None, None])))
    memory.graph["Person"][2][1] = 9
    memory.graph["BOSS"][1][1] = 9
    pending = await memory.run()
    assert memory.found() == []
    assert memory.named(pending) == {"Person": [[3], [9]], "BOSS": [[3], [9]]}


async def test_a_relationship_is_in_flight_when_an_end_is() -> None:
    """An edge that went with its end, whose own row did not change, is no drift."""
    memory = _memory(at=LATER, arrives=changes("people", deleted("1", None, None)))
    memory.graph["Person"] = memory.graph["Person"][1:]
    memory.graph["BOSS"] = memory.graph["BOSS"][1:]
    memory.graph["KNOWS"] = []
    pending = await memory.run()
    assert memory.found() == []
    assert memory.named(pending) == {"Person": [[1]], "BOSS": [[1], [2]], "KNOWS": [[1, 2]]}


async def test_every_key_of_a_truncated_table_is_in_flight() -> None:
    """Also what refers to it: all of that is compared whole in the next round."""
    memory = _memory(at=LATER, arrives=changes("people", truncated))
    memory.graph = {"Person": [], "BOSS": [], "KNOWS": []}
    pending = await memory.run()
    assert memory.found() == []
    assert memory.named(pending) == {"Person": None, "BOSS": None, "KNOWS": None}
    assert all(tally.postgres.count == 0 for tally in memory.tallies.values())


async def test_what_a_reader_saw_by_halves_is_read_again_under_the_lock() -> None:
    """A difference that is none under the checkpoint's lock is none, and counts as equal."""
    memory = _memory()
    memory.locked["Person"] = [list(record) for record in memory.graph["Person"]]
    memory.graph["Person"] = [["n1", 1, "?", None], ["n3", 3, None, 2], ["n3", 3, None, 2]]
    assert await memory.run() == {}
    assert memory.found() == []
    tally = memory.tallies[memory.facets["Person"]]
    assert (tally.postgres.count, tally.postgres) == (3, tally.neo4j)


async def test_duplicates_and_wrong_ends_are_told_apart() -> None:
    """The same relationship twice, another beside the right one, and one that leads elsewhere."""
    memory = _memory()
    memory.graph["BOSS"] = [["e2", 2, 1], ["f2", 2, 1], ["g2", 2, 3], ["e3", 3, 1]]
    memory.graph["KNOWS"].append(["k2", 2, 1, "KNOWS", 2, 1, None])
    assert await memory.run() == {}
    assert sorted(memory.found()) == [
        ("BOSS", "duplicate", {"id": 2}),
        ("BOSS", "extra", {"id": 2}),
        ("BOSS", "wrong_end", {"id": 3}),
        ("KNOWS", "extra", {"a": 2, "b": 1}),
    ]


async def test_a_key_of_another_type_is_one_finding() -> None:
    """1.0 is found by the key 1, so it is that node with a wrong value, not one missing and one too many."""
    memory = _memory()
    memory.graph["Person"][0][1] = 1.0
    await memory.run()
    assert [found for found in memory.found() if found[0] == "Person"] == [("Person", "different", {"id": 1})]


async def test_a_foreign_key_to_no_row_makes_no_edge() -> None:
    """An orphan is not expected to have an edge; one that is there all the same is too many."""
    memory = _memory()
    memory.rows["people"][1] = ("2", "b", "8")
    memory.graph["Person"][1][3] = 8
    await memory.run()
    assert memory.found() == [("BOSS", "extra", {"id": 2})]


async def test_the_next_round_compares_only_what_was_open() -> None:
    """Drift elsewhere that came up meanwhile is another run's; what was open is judged."""
    memory = _memory(at=LATER, arrives=changes("people", updated(["3", "x", "2"])))
    pending = await memory.run()
    memory.touched = type(memory.touched)(PLAN)
    memory.rows["people"][2] = ("3", "x", "2")
    memory.graph["Person"][0][2] = "other"
    assert await memory.run(pending) == {}
    assert memory.found() == [("Person", "different", {"id": 3})]


async def test_an_open_row_is_followed_to_its_next_key() -> None:
    """A row that is renamed between two rounds is compared under its new key: nothing wrong can hide in it."""
    memory = _memory(at=LATER, arrives=changes("people", updated(["4", None, "2"], ["3", None, None])))
    memory.graph["Person"][2][1] = 4
    memory.graph["BOSS"][1][1] = 4
    pending = await memory.run()
    memory.touched.add(changes("people", updated(["5", None, "2"], ["4", None, None])))
    scope = following(pending, memory.touched)
    assert memory.named(scope) == {"Person": [[3], [4], [5]], "BOSS": [[3], [4], [5]]}
    memory.touched = type(memory.touched)(PLAN)
    memory.rows["people"][2] = ("5", None, "2")
    memory.graph["Person"][2] = ["n3", 5, "wrong", 2]
    memory.graph["BOSS"][1] = ["e3", 5, 2]
    assert await memory.run(scope) == {}
    assert memory.found() == [("Person", "different", {"id": 5})]


async def test_a_table_is_judged_before_the_next_is_read() -> None:
    """One table after the other, with what its rows make; what tells which ends exist is read once for all of them."""
    memory = _memory()
    assert await memory.run() == {}
    first, second = memory.reads.index("judged"), len(memory.reads) - 1
    assert sorted(memory.reads[:first]) == ["BOSS", "Person", "people", "people"]
    assert sorted(memory.reads[first + 1 : second]) == ["KNOWS", "knows"]
    assert memory.reads[second] == "judged"
