"""What may happen in the middle of a pass, each time the same."""
# ruff: noqa: S608 - the statements are made of numbers and names of this file

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gpm_cdc.runtime.reference import Tail
from gpm_cdc.sink.reader import Neo4jReader
from tests.integration.verification.conftest import MAPPING, World
from tests.integration.verification.meddling import A_MOMENT, execute, graph, wait_until

type Act = Callable[[World, int], object]
"""Something done in the turn with the check, 1, and in the turn without it, 2."""

type Patch = Callable[[pytest.MonkeyPatch], None]


def nothing(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Scenario:
    """What happens: `before` a pass, when its first comparison begins, `between` its first and its second.

    `running`: a stream runs meanwhile. `surroundings` are what both turns have in common. `after` undoes it.
    """

    before: Act = nothing
    during: Act = nothing
    between: Act = nothing
    after: Act = nothing
    running: bool = False
    surroundings: Patch = nothing
    orders: Mapping[str, Any] = field(default_factory=dict)
    caught_up: bool = False
    """The stream runs until it is current, before each turn."""
    mapping: str = MAPPING


def applied(world: World, sql: str, cypher: str) -> None:
    """Run statements, and wait until a query of the graph finds something: the stream has done it."""
    execute(world, sql)
    wait_until(lambda: bool(graph(world, cypher)))


def rename(world: World, turn: int) -> None:
    """A row is changed, nothing else."""
    name = f"turn {turn}"
    applied(
        world, f"UPDATE people SET name = '{name}' WHERE id = 4", f"MATCH (p:Person {{`full name`: '{name}'}}) RETURN 1"
    )


def orphan(world: World, turn: int) -> None:
    """A row goes to which others refer, as a superuser can have it: they stay as they are."""
    country, code = [("fr", 1), ("de", 2)][turn - 1]
    execute(
        world,
        f"SET session_replication_role = replica; DELETE FROM regions WHERE country = '{country}' AND code = {code}",
    )
    gone = f"OPTIONAL MATCH (r:Region {{country: '{country}', code: {code}}}) WITH r WHERE r IS NULL RETURN 1"
    wait_until(lambda: bool(graph(world, gone)))


def await_parent(world: World, turn: int) -> None:
    """A row refers to one that does not exist."""
    execute(world, f"UPDATE people SET boss = {70 + turn} WHERE id = 4")


def bear_parent(world: World, turn: int) -> None:
    """The row that another one refers to comes."""
    key = 70 + turn
    found = f"MATCH (:Person {{id: 4}})-[:REPORTS_TO]->(:Person {{id: {key}}}) RETURN 1"
    applied(world, f"INSERT INTO people (id) VALUES ({key})", found)


def damaging(text: str) -> Act:
    """Something done to the graph in the first turn; it stays."""
    return lambda world, turn: graph(world, text) if turn == 1 else None


def cypher(text: str) -> Act:
    """Something done to the graph in each turn."""
    return lambda world, _: graph(world, text)


def sql(text: str) -> Act:
    """Something done to the tables in each turn."""
    return lambda world, turn: execute(world, text.format(turn=turn, publication=world.settings.publication_name))


CHECKPOINT = "MATCH (s:GpmCdcCheckpoint) "
WRONG = "MATCH (v:Visit {id: 3}) SET v.at = date()"
RIGHT = "MATCH (v:Visit {id: 3}) REMOVE v.at"


def checkpoint_with(name: str, value: str) -> Scenario:
    """The checkpoint says something else at last, and the graph is something else."""
    return Scenario(
        during=cypher(f"{CHECKPOINT} SET s.kept = s.{name}, s.{name} = {value} WITH s {WRONG}"),
        after=cypher(f"{CHECKPOINT} SET s.{name} = s.kept REMOVE s.kept WITH s {RIGHT}"),
    )


def lazily(patch: pytest.MonkeyPatch) -> None:
    """The changes come no earlier than they are asked for, as from a server that has much to do."""
    follow, reach = Tail.follow, Tail.reach
    asked: dict[Tail, asyncio.Event] = {}

    @asynccontextmanager
    async def following(tail: Tail) -> AsyncIterator[None]:
        asked[tail] = asyncio.Event()
        consume = tail._consume

        async def consume_later() -> None:
            await asked[tail].wait()
            await consume()

        patch.setattr(tail, "_consume", consume_later)
        async with follow(tail):
            yield

    async def reaching(tail: Tail, position: Any) -> None:  # noqa: ANN401 - an Lsn
        if position > tail._received:
            asked[tail].set()
        await reach(tail, position)

    patch.setattr(Tail, "follow", following)
    patch.setattr(Tail, "reach", reaching)


def by_halves(patch: pytest.MonkeyPatch) -> None:
    """A reader without the lock never sees the last element of a list, as beside a batch that is being committed."""
    every, some = Neo4jReader.every, Neo4jReader.some

    async def every_but_one(reader: Neo4jReader, *arguments: Any, **options: Any) -> AsyncIterator[list[Any]]:  # noqa: ANN401 - as every
        async for records in every(reader, *arguments, **options):
            yield records[:-1]

    async def some_but_one(reader: Neo4jReader, *arguments: Any) -> list[Any]:  # noqa: ANN401 - as some
        return (await some(reader, *arguments))[:-1]

    patch.setattr(Neo4jReader, "every", every_but_one)
    patch.setattr(Neo4jReader, "some", some_but_one)


CHANGED = Scenario(during=rename, running=True)
CHANGED_LAZILY = replace(CHANGED, surroundings=lazily)
BEHIND = Scenario(before=sql("UPDATE people SET name = 'behind {turn}' WHERE id = 4"), orders={"timeout": 0.5})
LATER_ROWS = Scenario(
    during=sql("UPDATE people SET name = 'later {turn}' WHERE id = 4"),
    surroundings=lazily,
    orders={"timeout": 0.5, "max_snapshot": A_MOMENT},
    caught_up=True,
)
REWRITTEN = Scenario(
    during=sql("ALTER TABLE visits ALTER COLUMN at TYPE date USING at + {turn}"),
    orders={"max_snapshot": A_MOMENT},
    caught_up=True,
)
UNPUBLISHED = Scenario(
    during=sql("ALTER PUBLICATION {publication} DROP TABLE visits; UPDATE visits SET at = date '2021-01-01' + {turn}"),
    after=sql("ALTER PUBLICATION {publication} ADD TABLE ONLY visits"),
    orders={"max_snapshot": A_MOMENT},
    caught_up=True,
)


def republish(world: World, turn: int) -> None:
    """Rows are changed while their table is not published, so that the stream reads it again."""
    name = world.settings.publication_name
    applied(
        world,
        f"ALTER PUBLICATION {name} DROP TABLE visits; UPDATE visits SET at = date '2022-01-01' + {turn};"
        f" ALTER PUBLICATION {name} ADD TABLE ONLY visits; UPDATE people SET weight = weight + 1 WHERE id = 1",
        f"{CHECKPOINT}, (v:Visit {{id: 1, at: date('2022-01-01') + duration({{days: {turn}}})}})"
        " WHERE s.phase = 'streaming' RETURN 1",
    )


REPUBLISHED = Scenario(during=republish, running=True)
VISITED = "UPDATE visits SET at = date '2023-01-01' + {turn} WHERE id = 1"
VISIT_THERE = "MATCH (v:Visit {{id: 1, at: date('2023-01-01') + duration({{days: {turn}}})}}) RETURN 1"


def visit(world: World, turn: int) -> None:
    """A row of another table is changed."""
    applied(world, VISITED.format(turn=turn), VISIT_THERE.format(turn=turn))


def visit_beside_damage(world: World, turn: int) -> None:
    """So that one row is in flight, and another one is settled: it differs."""
    visit(world, turn)
    graph(world, "MATCH (v:Visit {id: 2}) SET v.at = date()")


def move_and_damage(world: World, _: int) -> None:
    """A row gets another key, and its node is damaged."""
    applied(world, "UPDATE visits SET id = 9 WHERE id = 1", "MATCH (v:Visit {id: 9}) RETURN 1")
    graph(world, "MATCH (v:Visit {id: 9}) SET v.at = date('1999-09-09')")


def move_unpublished(world: World, _: int) -> None:
    """A row gets another key while its table is not published, so that the stream reads it again."""
    name = world.settings.publication_name
    applied(
        world,
        f"ALTER PUBLICATION {name} DROP TABLE visits; UPDATE visits SET id = 9 WHERE id = 1;"
        f" ALTER PUBLICATION {name} ADD TABLE ONLY visits; UPDATE people SET weight = weight + 1 WHERE id = 1",
        f"{CHECKPOINT}, (v:Visit {{id: 9}}) WHERE s.phase = 'streaming' RETURN 1",
    )
    graph(world, "MATCH (v:Visit {id: 9}) SET v.at = date('1999-09-09')")


EMPTIED = Scenario(
    before=sql("INSERT INTO visits VALUES (1, 'nord', NULL), (2, NULL, NULL) ON CONFLICT DO NOTHING"),
    during=visit_beside_damage,
    between=lambda world, _: applied(
        world, "TRUNCATE visits", "OPTIONAL MATCH (v:Visit) WITH v WHERE v IS NULL RETURN 1"
    ),
    running=True,
    orders={"max_snapshot": A_MOMENT},
    caught_up=True,
)
RENAMED = Scenario(
    before=sql("UPDATE visits SET id = 1, at = NULL WHERE id IN (1, 9)"),
    during=visit,
    between=move_and_damage,
    running=True,
    caught_up=True,
)
RENAMED_UNPUBLISHED = replace(RENAMED, between=move_unpublished)
TARGET = 'target_columns = ["id"]\n'
UNENFORCED = MAPPING.replace(f"{TARGET}[[node.rel", f"{TARGET}enforced = false\n[[node.rel")
PARENT_TO_COME = Scenario(
    before=await_parent,
    during=bear_parent,
    running=True,
    caught_up=True,
    mapping=UNENFORCED,
)
