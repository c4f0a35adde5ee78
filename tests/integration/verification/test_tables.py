"""Tables are settled one after the other: what is known of one stays known, whatever happens to the next."""

import asyncio
from collections.abc import Callable
from typing import override

import pytest

from tests.integration.verification.conftest import Silent, World
from tests.integration.verification.meddling import A_MOMENT, execute, graph, wait_until

PEOPLE = "MATCH (p:Person {id: 2}) SET p.score = '7'"
CALLS = "MATCH ()-[c:PHONED {id: 1}]->() SET c.seconds = 61"


class AtTable(Silent):
    """A VerifyObserver that does something when something of a table was read for the first time."""

    def __init__(self, table: str, meddle: Callable[[], None]) -> None:
        self._table = table
        self._meddle: Callable[[], None] | None = meddle

    @override
    def compared(self, what: str, count: int) -> None:
        if what == self._table and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()


@pytest.mark.parametrize("held", [60.0, A_MOMENT], ids=["one snapshot", "a snapshot per slice"])
async def test_what_is_settled_stays_so_when_the_rest_cannot_be_told(filled: World, held: float) -> None:
    """The publication goes while the last table is read: the damage before is told, and that table is open."""
    await filled.cypher(PEOPLE)
    await filled.cypher(CALLS)
    text = f"DROP PUBLICATION {filled.settings.publication_name}"
    observer = AtTable("public.calls", lambda: execute(filled, text))
    report = await asyncio.to_thread(lambda: asyncio.run(filled.verify(observer=observer, max_snapshot=held)))
    assert [(finding.element, finding.columns) for finding in report.findings] == [("Person", ("score",))]
    assert [(entry.table, entry.key) for entry in report.unsettled] == [("public.calls", None)]
    assert [table.table for table in report.tables if table.position is None] == ["public.calls"]
    assert [table.rows for table in report.tables] == [4, 3, 3, 3, 0]
    assert {table.position for table in report.tables} == {report.position, None}


async def test_what_happens_after_a_table_is_no_question_of_it(filled: World) -> None:
    """Rows of a table that was settled change from then on: only what ends at them is compared again."""
    await filled.cypher(PEOPLE)

    def meddle() -> None:
        execute(filled, "UPDATE people SET score = 7 WHERE id = 2")
        wait_until(lambda: graph(filled, "MATCH (p:Person {id: 2}) RETURN p.score = '7.0000000000'") == [[True]])

    async with filled.running():
        observer = AtTable("public.calls", meddle)
        report = await asyncio.to_thread(lambda: asyncio.run(filled.verify(observer=observer)))
    assert [(finding.element, finding.columns) for finding in report.findings] == [("Person", ("score",))]
    assert report.unsettled == []
    assert [table.table for table in report.tables if table.position == report.position] == ["public.calls"]
    assert all(table.position == report.began for table in report.tables if table.table != "public.calls")
