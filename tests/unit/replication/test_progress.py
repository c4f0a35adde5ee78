"""How far a copy is: what is kept of it, what makes it worthless, and which rows it has to look at again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.changes import Change, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.rows import CopiedRows
from gpm_cdc.ports.source import FIRST, Place
from gpm_cdc.projection.plan import FieldRow
from gpm_cdc.replication import progress
from gpm_cdc.replication.assembly import Transaction
from gpm_cdc.replication.progress import CHANGED_AT_MOST, Changes, Progress, around
from gpm_cdc.replication.snapshot import batches
from gpm_cdc.source.slices import stretches
from tests.unit.mapping.tables import TEXT, column, reference, table
from tests.unit.projection.plans import planned, relation

TEAMS = table("teams", [column("id", TEXT)])
PEOPLE = table("people", [column("id", TEXT), column("team", TEXT)], reference("team", "teams"))
PLAN = planned(
    """
    [[node]]
    table = "teams"
    label = "Team"
    key = ["id"]
    [[node]]
    table = "people"
    label = "Person"
    key = ["id"]
    [[node.relationship]]
    columns = ["team"]
    type = "TEAM"
    target = "teams"
    target_columns = ["id"]
    """,
    TEAMS,
    PEOPLE,
)
BEGUN = Progress("course", 2, Place(1, 4096), clean=True)
NAMES = (TEAMS.name, PEOPLE.name)
KEYS = st.frozensets(st.tuples(st.text(max_size=5)), min_size=1, max_size=5)


@given(
    st.builds(
        Progress,
        st.text(),
        st.integers(0, 99),
        st.builds(Place, st.integers(0, 9), st.integers(0, 2**32)),
        st.booleans(),
        st.dictionaries(st.sampled_from(NAMES), KEYS),
    )
)
def test_it_is_read_as_it_was_written(known: Progress) -> None:
    """Whatever keys look like."""
    assert progress.read(progress.write(known)) == known


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "[1, 2]", '{"a": 1}', "nonsense", '["c", 1, 2, 3, true, "nonsense"]']
)
def test_what_another_version_wrote_is_nothing(text: str) -> None:
    """A copy begins anew then."""
    assert progress.read(text) is None
    assert progress.write(None) == ""


def gathered(*events: Relation | Change, oversized: frozenset[int] = frozenset()) -> Progress | None:
    """What is known after a transaction with `events`."""
    changes = Changes(PLAN, BEGUN)
    changes.gather([])
    changes.gather([Transaction(Lsn(9), 0, [relation(TEAMS), relation(PEOPLE)], 0)])
    changes.gather([Transaction(Lsn(10), 0, [*events], 0, oversized=oversized)])
    return changes.progress


def test_keys_of_before_and_after_are_gathered() -> None:
    """Of every kind of change, beside what was known."""
    found = gathered(
        Insert(PEOPLE.oid, ["1", None]),
        Update(PEOPLE.oid, None, None, ["2", "x"]),
        Update(PEOPLE.oid, "K", ["3", None], ["4", None]),
        Delete(TEAMS.oid, "K", ["5"]),
    )
    changed = {PEOPLE.name: frozenset({("1",), ("2",), ("3",), ("4",)}), TEAMS.name: frozenset({("5",)})}
    assert found == replace(BEGUN, changed=changed)


def test_nothing_is_gone_on_with_where_keys_are_not_known() -> None:
    """A table that was emptied, a transaction of which nothing was kept, another shape, too many rows."""
    truncate = Truncate((PEOPLE.oid,), cascade=False, restart_identity=False)
    other = relation(table("people", [column("id", TEXT)]))._replace(oid=PEOPLE.oid)
    many = [Insert(PEOPLE.oid, [str(number), None]) for number in range(CHANGED_AT_MOST + 1)]
    assert gathered(truncate) is None
    assert gathered(oversized=frozenset({PEOPLE.oid})) is None
    assert gathered(other) is None
    assert gathered(*many) is None
    assert gathered(*many[1:]) is not None
    assert gathered(oversized=frozenset({12345})) == BEGUN


def test_what_a_table_refers_to_matters_and_what_refers_to_it() -> None:
    """Relationships between both are copied, and change with either; not so what is farther away."""
    assert {*around(PLAN, [PEOPLE.name]).tables} == {*NAMES}
    assert {*around(PLAN, [TEAMS.name]).tables} == {*NAMES}
    assert not around(PLAN, []).tables


class Blocks:
    """The rows of some leaves, in stretches."""

    def __init__(self, sizes: Sequence[Sequence[int]]) -> None:
        self.sizes = sizes

    async def rows(self) -> AsyncIterator[CopiedRows | Place]:
        """Blocks of rows that tell their place: leaf, stretch, number."""
        for leaf, stretch_sizes in enumerate(self.sizes):
            for stretch, size in enumerate(stretch_sizes):
                if size:
                    yield CopiedRows("\n".join(f"{leaf}\t{stretch}" for _ in range(size)))
                yield Place(leaf, stretch + 1)
            yield Place(leaf + 1, 0)


@given(st.lists(st.lists(st.integers(0, 7), max_size=4), max_size=4), st.integers(1, 9))
def test_a_batch_tells_the_last_place_before_which_all_was_given(sizes: list[list[int]], size: int) -> None:
    """No row is left out if the copy goes on from there, and no place is told later than it could be."""

    async def given_out() -> list[tuple[list[FieldRow], Place]]:
        return [each async for each in batches(Blocks(sizes).rows(), size, FIRST)]

    rows = [
        (leaf, stretch) for leaf, inner in enumerate(sizes) for stretch, count in enumerate(inner) for _ in range(count)
    ]
    given_rows: list[tuple[int, int]] = []
    for batch, reached in asyncio.run(given_out()):
        given_rows += [(int(str(leaf)), int(str(stretch))) for leaf, stretch in batch]
        assert len(batch) == size or len(given_rows) == len(rows)
        left = rows[len(given_rows) :]
        assert all(Place(*row) >= reached for row in left)
        if left:
            assert reached <= Place(*left[0])
    assert given_rows == rows


@given(st.lists(st.integers(0, 50), max_size=5), st.integers(1, 20))
def test_stretches_cover_every_block_once(sizes: list[int], blocks: int) -> None:
    """Each leaf from its first block on, the last stretch of each without an end: it may grow."""
    leaves = [(TableName("public", f"t{number}"), size) for number, size in enumerate(sizes)]
    found = list(stretches(leaves, blocks))
    for number, (leaf, size) in enumerate(leaves):
        own = [stretch for at, stretch in found if at == number]
        assert own[0].first == 0
        assert own[-1].stop is None
        assert [stretch.stop for stretch in own[:-1]] == [stretch.first for stretch in own[1:]]
        assert all(stretch.table == leaf for stretch in own)
        assert own[-1].first < max(size, 1)
