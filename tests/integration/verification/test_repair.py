"""What a pass finds, the running stream makes right, and nothing else."""

import asyncio
import random
import re
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.run import WaitExpired
from gpm_cdc.errors.verify import ConditionRefused, KeyUnfit, RepairTooWide, RepairUnattended, TableNotMapped
from gpm_cdc.replication.rereading import Rereads, prefix_of, together, whole, write
from gpm_cdc.runtime import repair as runtime_repair
from gpm_cdc.runtime.mapped import bind
from gpm_cdc.runtime.repair import RepairPlan, Wanted, plan_of_findings, plan_of_keys, planned_repair, repair
from gpm_cdc.runtime.rereading import Rereading
from gpm_cdc.source.session import connect
from gpm_cdc.verification.report import Report
from tests import servers
from tests.integration.verification.conftest import SCHEMA, World
from tests.integration.verification.test_damage import DAMAGE
from tests.patience import PATIENCE

PEOPLE = TableName("public", "people")
MEMBERSHIPS = TableName("public", "memberships")
MINE = (
    "MATCH (p:Person {id: 1}), (q:Person {id: 2}), (v:Visit {id: 1}) SET p.note = 'mine', q:Favourite"
    " CREATE (p)-[:LIKES {much: 1}]->(q), (v)-[:LIKES]->(:Mine {id: 1})"
)
"""What the mapping does not own, on nodes that are repaired again and again."""

MINE_LEFT = (
    "MATCH (p:Person {id: 1, note: 'mine'})-[:LIKES {much: 1}]->(:Favourite {id: 2}), (m:Mine {id: 1})"
    " RETURN count(*) AS count"
)


WRITING = """
INSERT INTO people (id, name, boss) VALUES ({key}, '{name}', 1)
ON CONFLICT (id) DO UPDATE SET name = '{name}', boss = {boss};
UPDATE people SET boss = NULL WHERE boss = {gone};
DELETE FROM people WHERE id = {gone} AND NOT EXISTS (SELECT FROM people AS p WHERE p.boss = people.id)
"""


async def wanted(world: World, report: Report) -> Rereads:
    """What the findings of a report ask for."""
    async with connect(world.settings.conninfo) as postgres:
        plan = (await bind(postgres, world.mapping)).plan
    return plan_of_findings(plan, report.findings).rereads


async def repaired(world: World, rereads: Rereads) -> None:
    """Ask the running stream for it, and wait."""
    await repair(world.settings, rereads, timeout=PATIENCE)


@pytest.mark.long
@pytest.mark.timeout(600)  # each damage is found, repaired, and looked for again
async def test_every_kind_of_damage_is_repaired(filled: World) -> None:
    """One after the other, while the stream runs; the users' own things stay."""
    await filled.cypher(MINE)
    async with filled.running():
        for name, (damage, expected) in DAMAGE.items():
            await filled.cypher(damage)
            report = await filled.verify()
            assert len(report.findings) == len(expected), name
            await repaired(filled, await wanted(filled, report))
            after = await filled.verify()
            assert (after.verdict, [*after.findings]) == ("clean", []), name
    assert (await filled.cypher(MINE_LEFT))[0]["count"] == 1


async def test_everything_at_once_is_repaired(filled: World) -> None:
    """All damages together, in several orders, are mended by one repair of what is found."""
    async with filled.running():
        for seed in range(3):
            damages = [damage for damage, _ in DAMAGE.values()]
            random.Random(seed).shuffle(damages)
            for damage in damages:
                await filled.cypher(damage)
            report = await filled.verify()
            assert report.verdict == "drift"
            await repaired(filled, await wanted(filled, report))
            assert (await filled.verify()).verdict == "clean", seed


async def test_a_whole_table_is_read_again(filled: World) -> None:
    """Whatever happened to it, with the relationships that end at its nodes."""
    async with filled.running():
        await filled.cypher("MATCH (p:Person) SET p.`full name` = 'x' WITH p WHERE p.id > 2 DETACH DELETE p")
        await filled.cypher("CREATE (:Person {id: 99}), (:Person:Boss {`full name`: 'nobody'})")
        await repaired(filled, whole([PEOPLE]))
        assert (await filled.verify()).verdict == "clean"


async def test_a_row_is_repaired_by_its_key(filled: World) -> None:
    """A deleted parent comes back with the relationships of its children, though only its own key was named."""
    async with filled.running():
        await filled.cypher("MATCH (p:Person {id: 1}) DETACH DELETE p")
        calls = TableName("public", "calls")
        rows = {
            PEOPLE: frozenset([("1",)]),
            calls: frozenset([("1",), ("2",), ("3",)]),
            MEMBERSHIPS: frozenset([("1", "de", "1"), ("1", "fr", "1")]),
        }
        await repaired(filled, rows)
        assert (await filled.verify()).verdict == "clean"


async def plan_of(world: World, table: TableName, condition: str) -> RepairPlan:
    """What repairing the rows that a condition holds for would do."""
    return await planned_repair(world.settings, world.mapping, Wanted(conditions={table: condition}))


async def test_rows_are_repaired_by_a_condition(filled: World) -> None:
    """Those that it holds for, of nodes and of relationships, and no others."""
    async with filled.running():
        await filled.cypher("MATCH (p:Person) SET p.`full name` = 'damaged'")
        await filled.cypher("MATCH ()-[e:MEMBER_OF]->() SET e.weight = 99.0")
        people = await plan_of(filled, PEOPLE, "name LIKE '%o%' OR kind = 'boss' -- two of them {}")
        assert people.rereads == {PEOPLE: frozenset([("1",), ("2",), ("3",)])}
        members = await plan_of(filled, MEMBERSHIPS, "since IS NULL OR weight = 1")
        assert members.rereads == {MEMBERSHIPS: frozenset([("1", "de", "1"), ("1", "fr", "1")])}
        await repaired(filled, together(people.rereads, members.rereads))
        left = await filled.verify()
        keys = sorted((found.table, tuple(found.exact_key.values())) for found in left.findings)
        assert keys == [("public.memberships", (2, "de", 1)), ("public.people", (4,))]


async def test_a_condition_that_many_rows_meet_is_the_whole_table(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many findings are; one that no row meets asks for nothing."""
    monkeypatch.setattr(runtime_repair, "KEYS_PER_TABLE", 3)
    assert (await plan_of(filled, PEOPLE, "id > 1")).rereads == {PEOPLE: frozenset([("2",), ("3",), ("4",)])}
    every = await plan_of(filled, PEOPLE, "true")
    assert (every.rereads, every.reasons) == (whole([PEOPLE]), {PEOPLE: "many rows"})
    assert (await plan_of(filled, PEOPLE, "id > 9")).rereads == {}


@pytest.mark.parametrize(
    "condition", ["nobody = 1", "", "1", "id > 1 AND (", "nextval('seen') > 0", "id > 1) OR (1 / 0 > 1"]
)
async def test_a_condition_that_is_none_is_refused(filled: World, condition: str) -> None:
    """With Postgres's reason; what it calls writes nothing."""
    await filled.sql("CREATE SEQUENCE seen")
    with pytest.raises(ConditionRefused, match=re.escape(f"the condition {condition} on public.people: ")):
        await plan_of(filled, PEOPLE, condition)
    with pytest.raises(TableNotMapped):
        await plan_of(filled, TableName("public", "nobody"), "true")


async def test_what_is_no_request_stops_nothing(filled: World) -> None:
    """Anybody may write messages: nonsense is passed over, unknown tables too, and a key that is none reads a table."""
    prefix = prefix_of(filled.settings.stream)
    async with filled.running():
        for content in ("", "nonsense", "{}", '[["public", "people", [["a"]]]]', '[["public", "nobody", null]]', "[1]"):
            await filled.sql(f"SELECT pg_logical_emit_message(true, '{prefix}', '{content}')")
        await filled.sql("UPDATE people SET name = 'Zoe' WHERE id = 4")
        await repaired(filled, {PEOPLE: frozenset([("4",)])})
        assert (await filled.verify()).verdict == "clean"


async def test_a_repair_needs_a_running_stream(filled: World) -> None:
    """Nobody would do it; asked for by hand it is done by whoever runs the stream next."""
    with pytest.raises(RepairUnattended):
        await repaired(filled, whole([PEOPLE]))
    await filled.cypher("MATCH (p:Person {id: 2}) SET p.`full name` = 'Bub'")
    prefix = prefix_of(filled.settings.stream)
    await filled.sql(f"""SELECT pg_logical_emit_message(true, '{prefix}', '[["public", "people", null]]')""")
    await filled.caught_up()
    assert (await filled.verify()).verdict == "clean"


async def test_requests_that_come_meanwhile_join(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for rows before the position at which others are read is done there too, also for what is no key."""
    begun, run = 0, Rereading.run

    async def counting(*arguments: object, **named: object) -> Rereads:
        nonlocal begun
        begun += 1
        return await run(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Rereading, "run", counting)
    await filled.cypher("MATCH (p:Person) SET p.`full name` = 'damaged'")
    prefix = prefix_of(filled.settings.stream)
    asked = [write({PEOPLE: frozenset([(str(key),)])}) for key in range(1, 5)]
    for content in asked:
        await filled.sql(f"SELECT pg_logical_emit_message(true, '{prefix}', '{content}')")
    await filled.caught_up()
    assert (await filled.verify()).verdict == "clean"
    assert begun == 1
    await filled.cypher("MATCH (p:Person) SET p.`full name` = 'damaged'")
    for content in (*asked[:2], write({PEOPLE: frozenset([("none",)])})):
        await filled.sql(f"SELECT pg_logical_emit_message(true, '{prefix}', '{content}')")
    await filled.caught_up()
    assert (await filled.verify()).verdict == "clean"
    assert begun == 3


async def test_a_plan_is_refused_where_it_is_wrong(filled: World) -> None:
    """Too many deletes, and keys that are no keys, before anything is asked for."""
    await filled.cypher("UNWIND range(100, 119) AS i CREATE (:Visit {id: i})")
    report = await filled.verify()
    async with connect(filled.settings.conninfo) as postgres:
        plan = (await bind(postgres, filled.mapping)).plan
    found = plan_of_findings(plan, report.findings)
    assert found.deletes == 20
    found.require_narrow(20)
    with pytest.raises(RepairTooWide):
        found.require_narrow(19)
    with pytest.raises(KeyUnfit):
        plan_of_keys(plan, [(TableName("public", "memberships"), ("1",))])


@pytest.mark.timeout(300)
async def test_repairs_under_fire(filled: World) -> None:
    """Rows that are repaired while writers change them end as the writers left them."""
    done = asyncio.Event()

    async def write(number: int) -> int:
        written = 0
        draw = random.Random(number)
        while not done.is_set():
            key = draw.randrange(1, 60)
            name, gone = f"w{number} {written}", draw.randrange(40, 60)
            await filled.sql(WRITING.format(key=key, name=name, boss=1 + (key + written) % 3, gone=gone))
            written += 1
        return written

    async with filled.running():
        writers = [asyncio.create_task(write(number)) for number in range(2)]
        try:
            for turn in range(15):
                await filled.cypher(f"MATCH (p:Person) WHERE p.id % 7 = {turn % 7} SET p.`full name` = 'damaged'")
                await filled.cypher(f"MATCH (p:Person)-[e:REPORTS_TO]->() WHERE p.id % 5 = {turn % 5} DELETE e")
                keys = frozenset((str(key),) for key in range(1, 60))
                await repaired(filled, {PEOPLE: keys} if turn % 3 else whole([PEOPLE]))
        finally:
            done.set()
            written = await asyncio.gather(*writers)
        await repaired(filled, {PEOPLE: frozenset([("1",)])})
        assert min(written) > 5
        assert (await filled.verify()).verdict == "clean"


async def test_a_repair_waits_for_no_standby(world: World) -> None:
    """A synchronous standby that does not answer holds up every commit, but not the one that asks for a repair."""
    async with servers.start_postgres() as server:
        update = {"postgres_dsn": SecretStr(server.dsn), "stream": "no_standby"}
        alone = replace(
            world,
            database=servers.Database(server.dsn, server.dsn, "postgres"),
            settings=world.settings.model_copy(update=update),
        )
        await alone.sql(SCHEMA)
        await alone.caught_up()
        await alone.cypher("MATCH (p:Person {id: 2}) SET p.`full name` = 'Bub'")
        async with await alone.database.connect() as ruler:
            await ruler.execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
            await ruler.execute("SELECT pg_reload_conf()")
        while not await _is_required(alone):
            pass
        async with alone.running():
            await repaired(alone, {PEOPLE: frozenset([("2",)])})
        assert (await alone.verify()).verdict == "clean"


async def _is_required(world: World) -> bool:
    async with await world.database.connect() as connection:
        return await (await connection.execute("SHOW synchronous_standby_names")).fetchone() == ("absent",)


async def test_an_unfinished_wait_does_not_undo_a_request(filled: World) -> None:
    """Whoever gives up waiting has asked all the same."""
    async with filled.running():
        await filled.cypher("MATCH (p:Person {id: 2}) SET p.`full name` = 'Bub'")
        with pytest.raises(WaitExpired):
            await repair(filled.settings, whole([PEOPLE]), timeout=0.0001)
        await repaired(filled, whole([PEOPLE]))
        assert (await filled.verify()).verdict == "clean"
