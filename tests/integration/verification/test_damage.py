"""Each kind of damage to a graph is found, with its key and columns."""

from dataclasses import replace

import pytest

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.verify import TableNotMapped
from gpm_cdc.runtime.mapped import bind
from gpm_cdc.sink.reader import open_reader
from gpm_cdc.source.session import connect
from gpm_cdc.verification.facet import facets
from gpm_cdc.verification.report import Finding, Report, TableReport
from tests.integration.verification.conftest import ELEMENTS, World

PERSON = "MATCH (p:Person {id: 2})"

type Expectation = tuple[str, str, str, dict[str, object], tuple[str, ...]]

DAMAGE: dict[str, tuple[str, list[Expectation]]] = {
    "property changed": (
        f"{PERSON} SET p.`full name` = 'Bub'",
        [("public.people", "Person", "different", {"id": 2}, ("name",))],
    ),
    "property removed": (
        f"{PERSON} REMOVE p.`full name`",
        [("public.people", "Person", "different", {"id": 2}, ("name",))],
    ),
    "property that should be absent": (
        f"{PERSON} SET p.score = ''",
        [("public.people", "Person", "different", {"id": 2}, ("score",))],
    ),
    "integer to float": (
        f"{PERSON} SET p.boss = 1.0",
        [("public.people", "Person", "different", {"id": 2}, ("boss",))],
    ),
    "integer to string": (
        f"{PERSON} SET p.boss = '1'",
        [("public.people", "Person", "different", {"id": 2}, ("boss",))],
    ),
    "float to integer": (
        "MATCH (p:Person {id: 3}) SET p.weight = 0",
        [("public.people", "Person", "different", {"id": 3}, ("weight",))],
    ),
    "minus zero to zero": (
        # Neo4j takes 0.0 for no change of -0.0, and leaves it.
        "MATCH (p:Person {id: 4}) SET p.weight = null SET p.weight = 0.0",
        [("public.people", "Person", "different", {"id": 4}, ("weight",))],
    ),
    "date to its text": (
        "MATCH (p:Person {id: 1}) SET p.born = '1815-12-10'",
        [("public.people", "Person", "different", {"id": 1}, ("born",))],
    ),
    "text to a date": (
        f"{PERSON} SET p.`full name` = date()",
        [("public.people", "Person", "different", {"id": 2}, ("name",))],
    ),
    "moment in another zone": (
        "MATCH (p:Person {id: 1}) SET p.seen = datetime({datetime: p.seen, timezone: '+01:00'})",
        [("public.people", "Person", "different", {"id": 1}, ("seen",))],
    ),
    "list changed": (
        "MATCH (p:Person {id: 1}) SET p.tags = ['a', 'b', 'c']",
        [("public.people", "Person", "different", {"id": 1}, ("tags",))],
    ),
    "several properties": (
        f"{PERSON} SET p.boss = 9, p.`full name` = 'x'",
        [("public.people", "Person", "different", {"id": 2}, ("name", "boss"))],
    ),
    "node removed": (
        "MATCH (v:Visit {id: 2}) DELETE v",
        [("public.visits", "Visit", "missing", {"id": 2}, ())],
    ),
    "node with relationships removed": (
        "MATCH (v:Visit {id: 1}) DETACH DELETE v",
        [
            ("public.visits", "Visit", "missing", {"id": 1}, ()),
            ("public.visits", "SAW", "missing", {"id": 1}, ("slug",)),
        ],
    ),
    "node added": (
        "CREATE (:Region {country: 'it', code: 1, name: 'Nord'})",
        [("public.regions", "Region", "extra", {"country": "it", "code": 1}, ())],
    ),
    "node without key": (
        "CREATE (:Visit {at: 1})",
        [("public.visits", "Visit", "keyless", {"id": None}, ())],
    ),
    "node with half a key": (
        "CREATE (:Region {country: 'de', name: 'Nord'})",
        [("public.regions", "Region", "keyless", {"country": "de", "code": None}, ())],
    ),
    "key of another type": (
        "MATCH (v:Visit {id: 2}) SET v.id = 2.0",
        [("public.visits", "Visit", "different", {"id": 2}, ("id",))],
    ),
    "key of a type that is not found": (
        "MATCH (v:Visit {id: 2}) SET v.id = '2'",
        [
            ("public.visits", "Visit", "missing", {"id": 2}, ()),
            ("public.visits", "Visit", "extra", {"id": "2"}, ()),
        ],
    ),
    "label removed": (
        f"{PERSON} REMOVE p:Being",
        [("public.people", "Person", "label", {"id": 2}, ("kind",))],
    ),
    "label moved": (
        f"{PERSON} REMOVE p:Clerk SET p:Boss",
        [("public.people", "Person", "label", {"id": 2}, ("kind",))],
    ),
    "label that should be absent": (
        "MATCH (p:Person {id: 3}) SET p:Clerk",
        [("public.people", "Person", "label", {"id": 3}, ("kind",))],
    ),
    "key label removed": (
        "MATCH (v:Visit {id: 2}) REMOVE v:Visit SET v:Vizit",
        [("public.visits", "Visit", "missing", {"id": 2}, ())],
    ),
    "edge dropped": (
        f"{PERSON}-[e:REPORTS_TO]->() DELETE e",
        [("public.people", "REPORTS_TO", "missing", {"id": 2}, ("boss",))],
    ),
    "edge to another node": (
        f"{PERSON}-[e:REPORTS_TO]->() DELETE e WITH p MATCH (q:Person {{id: 3}}) CREATE (p)-[:REPORTS_TO]->(q)",
        [("public.people", "REPORTS_TO", "wrong_end", {"id": 2}, ("boss",))],
    ),
    "edge the other way round": (
        f"{PERSON}-[e:REPORTS_TO]->(q) DELETE e CREATE (q)-[:REPORTS_TO]->(p)",
        [
            ("public.people", "REPORTS_TO", "missing", {"id": 2}, ("boss",)),
            ("public.people", "REPORTS_TO", "extra", {"id": 1}, ("boss",)),
        ],
    ),
    "edge twice": (
        f"{PERSON}-[:REPORTS_TO]->(q) CREATE (p)-[:REPORTS_TO]->(q)",
        [("public.people", "REPORTS_TO", "duplicate", {"id": 2}, ("boss",))],
    ),
    "edge and another": (
        f"{PERSON} MATCH (q:Person {{id: 3}}) CREATE (p)-[:REPORTS_TO]->(q)",
        [("public.people", "REPORTS_TO", "extra", {"id": 2}, ("boss",))],
    ),
    "incoming edge of a composite key dropped": (
        f"{PERSON}<-[e:HOUSES]-() DELETE e",
        [("public.people", "HOUSES", "missing", {"id": 2}, ("home_country", "home_code"))],
    ),
    "edge that half a foreign key does not make": (
        "MATCH (p:Person {id: 3}) MATCH (r:Region {country: 'de', code: 2}) CREATE (r)-[:HOUSES]->(p)",
        [("public.people", "HOUSES", "extra", {"id": 3}, ("home_country", "home_code"))],
    ),
    "edge of a unique key dropped": (
        "MATCH (:Visit {id: 3})-[e:SAW]->() DELETE e",
        [("public.visits", "SAW", "missing", {"id": 3}, ("slug",))],
    ),
    "relationship property": (
        "MATCH (:Person {id: 1})-[e:MEMBER_OF]->(:Region {country: 'fr'}) SET e.weight = 3",
        [("public.memberships", "MEMBER_OF", "different", {"person": 1, "country": "fr", "code": 1}, ("weight",))],
    ),
    "relationship dropped": (
        "MATCH (:Person {id: 2})-[e:MEMBER_OF]->() DELETE e",
        [
            (
                "public.memberships",
                "MEMBER_OF",
                "missing",
                {"person": 2, "country": "de", "code": 1},
                ("person", "country", "code"),
            )
        ],
    ),
    "relationship twice": (
        "MATCH (p:Person {id: 2})-[e:MEMBER_OF]->(r) CREATE (p)-[f:MEMBER_OF]->(r) SET f = properties(e)",
        [
            (
                "public.memberships",
                "MEMBER_OF",
                "duplicate",
                {"person": 2, "country": "de", "code": 1},
                ("person", "country", "code"),
            )
        ],
    ),
    "keyed relationship to another node": (
        "MATCH (p {id: 1})-[e:PHONED]->(), (q {id: 4}) CREATE (p)-[f:PHONED]->(q) SET f = properties(e) DELETE e",
        [("public.calls", "MAILED|PHONED", "wrong_end", {"id": 1}, ("callee",))],
    ),
    "keyed relationship of another type": (
        "MATCH (p:Person {id: 1})-[e:PHONED]->(q) CREATE (p)-[f:MAILED]->(q) SET f = properties(e) DELETE e",
        [("public.calls", "MAILED|PHONED", "different", {"id": 1}, ("how",))],
    ),
    "keyed relationship twice": (
        "MATCH (p:Person)-[e:MAILED]->(q) CREATE (p)-[f:MAILED]->(q) SET f = properties(e)",
        [("public.calls", "MAILED|PHONED", "duplicate", {"id": 3}, ("caller", "callee"))],
    ),
    "keyed relationship without key": (
        "MATCH (p:Person {id: 4}) CREATE (p)-[:PHONED {seconds: 1}]->(p)",
        [("public.calls", "MAILED|PHONED", "extra", {"id": None}, ("caller", "callee"))],
    ),
    "keyed relationship dropped": (
        "MATCH ()-[e:MAILED]->() DELETE e",
        [("public.calls", "MAILED|PHONED", "missing", {"id": 3}, ("caller", "callee"))],
    ),
}


def _brief(finding: Finding) -> Expectation:
    return (finding.table, finding.element, finding.kind, dict(finding.key), finding.columns)


async def test_a_graph_that_equals_its_tables_is_clean(filled: World) -> None:
    """Nodes and relationships of every kind are equal, also in their checksums, and counted."""
    report = await filled.verify(strict=True)
    assert (report.verdict, list(report.findings), report.unsettled) == ("clean", [], [])
    assert report.elements_checked == ELEMENTS
    assert {table.table: (table.rows, table.nodes, table.relationships) for table in report.tables} == {
        "public.people": (4, 4, 6),
        "public.regions": (3, 3, 0),
        "public.visits": (3, 3, 2),
        "public.memberships": (3, 0, 3),
        "public.calls": (3, 0, 3),
    }
    assert all(table.postgres == table.neo4j for table in report.tables)


@pytest.mark.timeout(600)  # each damage gets a graph of its own
def _contents(report: Report) -> list[TableReport]:
    """What was found of each table, whenever that was."""
    return [replace(table, began=None, position=None, seconds=0.0) for table in report.tables]


async def test_every_kind_of_damage_is_found(filled: World) -> None:
    """Damage is named by table, element, kind, key and columns; its tables' checksums differ; nothing else is told."""
    clean = await filled.verify()
    for name, (damage, expected) in DAMAGE.items():
        await filled.cypher(damage)
        report = await filled.verify()
        found = [_brief(finding) for finding in report.findings]
        assert sorted(found, key=repr) == sorted(expected, key=repr), name
        assert report.verdict == "drift", name
        damaged = {table for table, *_ in expected}
        assert {table.table for table in report.tables if table.postgres != table.neo4j} == damaged, name
        told = {
            table.table: (table.missing, table.extra, table.different)
            for table in report.tables
            if table.table in damaged
        }
        assert sum(map(sum, told.values())) == len(expected), name
        await filled.cypher("MATCH (n) DETACH DELETE n")
        await filled.begun_anew()
    assert _contents(await filled.verify()) == _contents(clean)


async def test_what_the_mapping_does_not_own_is_reported_only_when_asked_for(filled: World) -> None:
    """Users' own properties and labels are drift under --strict alone; their own relationships and nodes never."""
    await filled.cypher("MATCH (p:Person {id: 2}) SET p.note = 1, p:Favourite")
    await filled.cypher("MATCH (:Person {id: 2})-[e:REPORTS_TO]->() SET e.note = 1")
    await filled.cypher("MATCH (p:Person {id: 2}), (v:Visit {id: 1}) CREATE (p)-[:LIKES]->(v)-[:REPORTS_TO]->(:Mine)")
    assert await filled.findings() == []
    found = [(finding.element, finding.kind, finding.columns) for finding in await filled.findings(strict=True)]
    assert sorted(found) == [("Person", "foreign", ("note", ":Favourite")), ("REPORTS_TO", "foreign", ("note",))]


async def test_only_the_named_tables_are_compared(filled: World) -> None:
    """--table leaves the damage of other tables alone, and refuses a table that is not mapped."""
    await filled.cypher("MATCH (p:Person {id: 2}) SET p.boss = 9")
    assert await filled.findings(tables=(TableName("public", "visits"), TableName("public", "calls"))) == []
    assert len(await filled.findings(tables=(TableName("public", "people"),))) == 1
    with pytest.raises(TableNotMapped):
        await filled.verify(tables=(TableName("public", "nobody"),))


async def test_values_are_told_with_their_types(filled: World) -> None:
    """A finding tells expected and actual value by property, each with its type."""
    await filled.cypher("MATCH (p:Person {id: 1}) SET p.born = date('1815-12-11'), p.weight = 2, p.tags = null")
    (finding,) = await filled.findings()
    assert finding.expected == {
        "born": "DATE 1815-12-10",
        "weight": "FLOAT 1.5",
        "tags": 'LIST [STRING "a", STRING "b c"]',
    }
    assert finding.actual == {"born": "DATE 1815-12-11", "weight": "INTEGER 2", "tags": "NULL"}


async def test_an_orphan_makes_no_edge(filled: World) -> None:
    """A foreign key whose row is missing, which Postgres allows a superuser to make, is neither expected nor drift."""
    await filled.sql("SET session_replication_role = replica; UPDATE people SET boss = 77 WHERE id = 4")
    await filled.caught_up()
    assert await filled.findings() == []


async def test_the_id_of_a_relationship_that_has_gone_says_nothing_of_the_next(filled: World) -> None:
    """Neo4j gives ids again: one that was seen as an edge may lead to a relationship of another type later."""
    pairs = (("PHONED|MAILED", "REPORTS_TO"), ("LIKES", "MEMBER_OF"), ("LIKES", "PHONED|MAILED"))
    await filled.cypher(
        "MATCH (p:Person {id: 2}), (q:Person {id: 3}), (g:Region {code: 2})"
        " CREATE (p)-[:LIKES {id: 1}]->(q), (p)-[:LIKES]->(g)"
    )
    async with connect(filled.settings.conninfo) as postgres:
        plan = (await bind(postgres, filled.mapping)).plan
    readings = {"|".join(sorted(facet.name.split("|"))): facet.reading for facet in facets(plan, foreign=False)}
    graph = filled.graph
    async with open_reader(
        graph.uri, graph.user, graph.password, graph.database, stream=filled.settings.stream, transaction_timeout=30
    ) as reader:
        for kept, asked in pairs:
            rows = await filled.cypher(f"MATCH ()-[e:{kept}]->() RETURN elementId(e) AS id")
            reading = readings["|".join(sorted(asked.split("|")))]
            assert rows
            assert await reader.some(reading, [], [row["id"] for row in rows]) == []
