"""Damage by the thousand, drawn at random, beside writers: all is found and healed, and nothing else is touched."""

import asyncio
import os
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import neo4j
import psycopg
import pytest

from gpm_cdc.runtime.repair import Wanted, planned_repair, repair
from gpm_cdc.verification.report import Finding, Report
from tests.integration.verification.conftest import SCHEMA, World
from tests.integration.verification.pieces import KINDS, NODES, STAYING, Drawing, Expectation, Piece
from tests.integration.verification.rows import (
    KEYS,
    TABLES,
    ZONE,
    ZONE_REGIONS,
    ZONE_ROWS,
    Named,
    Rows,
    drawn,
    in_zone,
    store,
    transaction,
)
from tests.patience import PATIENCE

SEED_VARIABLE = "GPM_TEST_DAMAGE_SEED"

PIECES = 1_050

ROWS = 1_500
"""People, visits, calls and memberships, of each."""

WRITERS = 3

PAUSE = 0.03
"""Seconds between two transactions of a writer: the comparison is to be tested, not the machine."""

MINE = (
    (
        "UNWIND $people AS key MATCH (p:Person {id: key}) SET p.note = 'mine ' + key, p:Favourite"
        " CREATE (p)-[:LIKES {much: 1.5}]->(:Mine {id: key})"
    ),
    "UNWIND $people AS key MATCH (p:Person {id: key}), (q:Person {id: key % 7 + 1}) CREATE (p)-[:LIKES]->(q)",
    "UNWIND $visits AS key MATCH (v:Visit {id: key}) SET v.note = key, v:`My own`",
    "UNWIND $regions AS key MATCH (g:Region {country: key[0], code: key[1]}) SET g.note = [key[1]]",
    "CREATE (:Mine)-[:REPORTS_TO]->(:Mine), (:Mine {id: 1})-[:SAW]->(:Mine {country: 'c1', code: 1})",
    "UNWIND $edges AS key MATCH (:Person {id: key})-[e:REPORTS_TO]->() SET e.note = 'mine'",
    "UNWIND $calls AS key MATCH ()-[e:MAILED|PHONED {id: key}]->() SET e.note = 'mine'",
)
"""What users add to the graph: properties, labels, relationships and nodes."""


@pytest.fixture
def dice() -> random.Random:
    """Seeded by the environment, or anew; pytest shows the seed of a test that fails."""
    seed = os.environ.get(SEED_VARIABLE) or secrets.token_hex(4)
    print(f"{SEED_VARIABLE}={seed}")  # noqa: T201 - to draw the same again
    return random.Random(seed)


@dataclass(frozen=True)
class Node:
    """A node as somebody sees it who does not know where it came from."""

    labels: tuple[str, ...]
    properties: str


@dataclass(frozen=True)
class Relationship:
    """A relationship; `start` and `end` are element ids."""

    type: str
    start: str
    end: str
    properties: str


@dataclass(frozen=True)
class Copy:
    """The whole graph outside the writers' zone, by element id. Values are told with their types.

    `names` are those of what is the mapping's.
    """

    nodes: dict[str, Node]
    relationships: dict[str, Relationship]
    names: dict[str, Named]

    def told(self) -> Counter[object]:
        """The same without element ids."""
        joined = (
            (each.type, self.nodes[each.start], self.nodes[each.end], each.properties)
            for each in self.relationships.values()
        )
        return Counter((*self.nodes.values(), *joined))


async def copied(driver: neo4j.AsyncDriver) -> Copy:
    """Every node and relationship but the stream's own notes and what is the writers'."""
    copy = Copy({}, {}, {})
    found = await driver.execute_query("MATCH (n) RETURN elementId(n), labels(n), properties(n)")
    for key, labels, properties in found.records:
        named = _named(set(labels), properties)
        if {"GpmCdcCheckpoint", "GpmCdcTouched"} & set(labels) or (named is not None and in_zone(_parts(named))):
            continue
        copy.nodes[key] = Node(tuple(sorted(labels)), _told(properties))
        if named is not None:
            copy.names[key] = named
    found = await driver.execute_query(
        "MATCH (a)-[e]->(b) RETURN elementId(e), type(e), elementId(a), elementId(b), properties(e)"
    )
    for key, kind, start, end, properties in found.records:
        if start in copy.nodes and end in copy.nodes:
            copy.relationships[key] = Relationship(kind, start, end, _told(properties))
            ends = copy.names.get(start), copy.names.get(end)
            if None not in ends and kind != "LIKES":
                copy.names[key] = _joining(kind, properties, *ends)  # type: ignore[arg-type]
    return copy


def _named(labels: set[str], properties: dict[str, Any]) -> Named | None:
    for label in labels & {"Person", "Visit", "Region"}:
        return Named(label, (properties["country"], properties["code"]) if label == "Region" else properties["id"])
    return None


def _joining(kind: str, properties: dict[str, Any], start: Named, end: Named) -> Named:
    if kind == "MEMBER_OF":
        return Named(kind, (start.key, *end.key))
    if kind in {"MAILED", "PHONED"}:
        return Named("MAILED|PHONED", properties["id"])
    return Named(kind, end.key if kind == "HOUSES" else start.key)


def _parts(named: Named) -> tuple[object, ...]:
    return named.key if isinstance(named.key, tuple) else (named.key,)


def _told(properties: dict[str, Any]) -> str:
    return repr(sorted((name, type(value).__name__, repr(value)) for name, value in properties.items()))


async def inject(driver: neo4j.AsyncDriver, pieces: Iterable[Piece]) -> None:
    """Do all of it, those of one statement together."""
    together: defaultdict[str, list[Any]] = defaultdict(list)
    for piece in pieces:
        together[piece.statement].append(piece.row)
    for statement, rows in together.items():
        await driver.execute_query(f"UNWIND $rows AS r {statement}", {"rows": rows})


@asynccontextmanager
async def writing(world: World, seed: int, first: int) -> AsyncIterator[None]:
    """Transactions on rows from the id `first` on: a hundred are written by each alone, another hundred by all."""

    async def write(number: int) -> None:
        dice = random.Random(seed + number)
        own = range(first + 100 * number, first + 100 * number + 100)
        everybodys = range(first + 100 * WRITERS, first + 100 * WRITERS + 100)
        async with await world.database.connect() as connection:
            while True:
                # What a foreign key forbids, or whoever loses a deadlock, is rolled back.
                with suppress(psycopg.IntegrityError, psycopg.errors.DeadlockDetected):
                    async with connection.transaction():
                        for text in transaction(dice, own, everybodys):
                            await connection.execute(text.encode())
                await asyncio.sleep(PAUSE)

    writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
    try:
        yield
    finally:
        for writer in writers:
            writer.cancel()
        for ended in await asyncio.gather(*writers, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended


async def filled_with(world: World, rows: Rows, zone: str) -> None:
    """The tables with these rows and those that the statements of `zone` make, and a graph that equals them."""
    async with await world.database.connect() as connection:
        await connection.execute(SCHEMA[: SCHEMA.index("INSERT INTO")].encode())
        await store(connection, rows)
        await connection.execute(zone.encode())
    await world.caught_up()


def told(finding: Finding) -> Expectation:
    """A finding in the form of what is expected; its key as the graph holds it, since 1, 1.0 and "1" differ."""
    key = tuple((column, finding.exact_key[column]) for column in KEYS[finding.table])
    return (finding.table, finding.element, finding.kind, key, finding.columns)


def typed(expectations: Iterable[Expectation]) -> Counter[str]:
    """For comparison without Python's opinion that 1 is 1.0."""
    return Counter(map(repr, expectations))


async def repaired(world: World, report: Report) -> None:
    """What `verify --repair` does with a report that shows drift."""
    plan = await planned_repair(world.settings, world.mapping, Wanted(findings=report.findings))
    await repair(world.settings, plan.rereads, timeout=PATIENCE)


def assert_open_in_zone(report: Report) -> None:
    """Whatever a report could not tell is of rows that are written."""
    assert all(each.key is not None and in_zone(each.key.values()) for each in report.unsettled), report.unsettled


def made_again(rows: Rows, pieces: Iterable[Piece]) -> set[Named]:
    """Relationships that are damaged, or that a repair makes anew though nothing is wrong with them.

    Those of a foreign key at a row that is read again, as all visits are because of nodes without a key.
    """
    read = {(table, tuple(value for _, value in key)) for piece in pieces for table, _, _, key, _ in piece.findings}
    damaged = {named for piece in pieces for named in piece.claims}

    def is_read(named: Named) -> bool:
        return (TABLES[named.element], _parts(named)) in read

    return {
        named
        for named, _, end in rows.ends()
        if named in damaged
        or named.element == "SAW"
        or is_read(named)
        or (named.element in {"REPORTS_TO", "HOUSES"} and is_read(end))
    }


def assert_only_healed(before: Copy, after: Copy, pieces: Iterable[Piece], remade: Collection[Named]) -> None:
    """Both are the same value by value, and element by element where a repair had nothing to make anew."""
    left = {named for piece in pieces if piece.keeps for named in piece.claims}
    strays = [
        Node(tuple(label for label in before.nodes[key].labels if label != "Visit"), before.nodes[key].properties)
        for key, named in before.names.items()
        if named in left and key in before.nodes
    ]
    is_there, should_be = after.told(), before.told() + Counter[object](strays)
    assert (is_there - should_be, should_be - is_there) == (Counter(), Counter())
    gone = {(f[1], tuple(v for _, v in f[3])) for piece in pieces for f in piece.findings if f[2] == "missing"}
    for key, node in before.nodes.items():
        named = before.names.get(key)
        if named is None or (named.element, _parts(named)) not in gone:
            assert after.nodes.get(key) == node, named
    for key, relationship in before.relationships.items():
        if before.names.get(key) not in remade:
            assert after.relationships.get(key) == relationship, (before.names.get(key), relationship)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_thousand_pieces_of_damage(world: World, dice: random.Random) -> None:
    """Of every kind, beside writers: the next pass names each and nothing else, one repair heals all and only that."""
    rows = drawn(dice, ROWS)
    await filled_with(world, rows, ZONE_ROWS)
    cherished = {Named("Person", key) for key in dice.sample(list(rows.people), ROWS // 5)}
    cherished |= {Named("Visit", key) for key in dice.sample(list(rows.visits), ROWS // 5)}
    cherished |= {Named("Region", key) for key in dice.sample(list(rows.regions), ROWS // 20)}
    pieces = list(Drawing(dice, rows, cherished).draw(tuple(KINDS), PIECES))
    remade = made_again(rows, pieces)
    loved = {label: [named.key for named in cherished if named.element == label] for label in ("Person", "Visit")}
    async with world.graph.driver() as driver:
        for text in MINE:
            await driver.execute_query(
                text,
                people=loved["Person"],
                visits=loved["Visit"],
                regions=[list(named.key) for named in cherished if named.element == "Region"],
                edges=[key for key in rows.people if Named("REPORTS_TO", key) not in remade],
                calls=[key for key in rows.calls if Named("MAILED|PHONED", key) not in remade],
            )
        before = await copied(driver)
        async with world.running(), writing(world, dice.randrange(10**6), ZONE):
            dice.shuffle(pieces)
            third = len(pieces) // 3
            for part in (pieces[:third], pieces[third : 2 * third], pieces[2 * third :]):
                await inject(driver, part)
            report = await world.verify(timeout=PATIENCE, rounds=2)
            found = typed(map(told, report.findings))
            for piece in pieces:
                assert not typed(piece.findings) - found, piece
            assert found == typed(finding for piece in pieces for finding in piece.findings)
            assert_open_in_zone(report)
            await repaired(world, report)
            report = await world.verify(timeout=PATIENCE, rounds=2)
            assert list(report.findings) == []
            assert_open_in_zone(report)
        await world.caught_up()
        assert (await world.verify(timeout=PATIENCE)).verdict == "clean"
        assert_only_healed(before, await copied(driver), pieces, remade)


@pytest.mark.timeout(600)
async def test_damage_to_rows_that_are_written(world: World, dice: random.Random) -> None:
    """Writers may heal it or not: nothing is found that was not damaged, and one repair heals what is left."""
    rows = drawn(dice, 100 * WRITERS + 100)
    await filled_with(world, rows, ZONE_REGIONS)
    drawing = Drawing(dice, rows, set())
    damaged: set[Named] = set()
    async with world.graph.driver() as driver, world.running():
        async with writing(world, dice.randrange(10**6), 1):
            for _ in range(3):
                pieces = [piece for piece in drawing.draw(STAYING, 30) if not spreads(piece)]
                await inject(driver, pieces)
                damaged |= {named for piece in pieces for named in piece.claims}
                report = await world.verify(timeout=PATIENCE, rounds=2)
                for finding in report.findings:
                    key = tuple(finding.exact_key.values())
                    named = Named(finding.element, key if len(key) > 1 else key[0])
                    assert named in damaged or moved_back(named) in damaged, finding
        await repaired(world, await world.verify(timeout=PATIENCE))
        assert (await world.verify(timeout=PATIENCE)).verdict == "clean"


REFERENCES = {"boss", "home_country", "home_code", "slug"}


def spreads(piece: Piece) -> bool:
    """Whether writing to rows makes more of it: the stream sees by a node's own properties that a reference changes.

    Whoever takes `boss` off a node keeps the relationship there when the row's boss becomes NULL. A region is found by
    its slug.
    """
    return any(element in NODES and not REFERENCES.isdisjoint(columns) for _, element, _, _, columns in piece.findings)


def moved_back(named: Named) -> Named:
    """The same under the key that it had before a writer changed it."""
    return Named(named.element, named.key - 1000 if isinstance(named.key, int) else named.key)
