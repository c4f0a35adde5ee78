"""How Neo4j means to run every statement that a batch or a copy can produce: by index, never by scanning."""

import itertools
import re
from collections.abc import Iterator
from typing import Any, cast

import neo4j
import pytest

from gpm_cdc.cypher import loading, nodes, retiring
from gpm_cdc.cypher.apply import How, statements
from gpm_cdc.cypher.journal import NOTE, bound
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL, schema
from gpm_cdc.cypher.statement import Record, Statement, Statements
from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Field, Insert, Relation, RelationColumn, Truncate, Update
from gpm_cdc.mapping.text import parse
from gpm_cdc.projection.batch import build
from gpm_cdc.projection.coalesce import Bindings, Coalescer
from gpm_cdc.projection.plan import GraphPlan, PlannedTable, RelationshipPlan
from gpm_cdc.runtime.mapped import bind
from gpm_cdc.source.session import connect
from gpm_cdc.verification.facet import facets
from tests.integration.core.world import MAPPING, SCHEMA
from tests.servers import Database, Neo4jServer

KINDS = {
    "empty nodes": r"^MATCH \(n:`[^`]+`\) DETACH DELETE n$",
    "read element ids": r"^MATCH \(n:`[^`]+`\) WITH collect\(n\) AS ns .* RETURN \[n IN .* \| elementId\(n\)\]$",
    "hide all nodes": r"^MATCH \(n:`[^`]+`\) WHERE.*REMOVE n:`[^`]+` RETURN elementId\(n\)$",
    "hide nodes": r"REMOVE n:`[^`]+` RETURN elementId\(n\)$",
    "empty relationships": r"^MATCH \(:.*DELETE e$",
    "find all relationships": r"^MATCH \(:.*RETURN elementId\(e\)$",
    "clear relationships": r"^MATCH .* WITH DISTINCT e LIMIT",
    "clear nodes": r"^MATCH .* WITH n LIMIT",
    "find takeovers": r"IN gone RETURN count",
    "find both ends": r"MATCH \(b:.*RETURN 1 LIMIT 1$",
    "delete nodes by id": r"elementId\(n\) = r DETACH DELETE n$",
    "delete nodes": r"DETACH DELETE n$",
    "find relationships": r"(?<!OPTIONAL )MATCH \(a.*RETURN r\[\d+\], elementId\(e\)$",
    "restore": r"SET e = o \{",
    "delete relationships by id": r"elementId\(e\) = r DELETE e$",
    "exchange keys": r"collect\(\[n, r\]\)",
    "rename": r"MATCH \(n[^-]*SET n\.",
    "merge nodes": r"MERGE \(n:",
    "create nodes": r"CREATE \(n:",
    "find nodes": r"^UNWIND.*MATCH \(n:.*RETURN elementId\(n\)$",
    "children": r"RETURN DISTINCT elementId\(c\)$(?<!DELETE e RETURN DISTINCT elementId\(c\))",
    "cut off": r"DELETE e RETURN DISTINCT elementId\(c\)$",
    "reattach": r"MATCH \(c\) WHERE elementId\(c\) = r",
    "connect": r"MATCH \(c:.*MATCH \(p:.*(MERGE|CREATE) \(c\)",
    "adopt": r"MATCH \(p:.*MATCH \(c:.*MERGE",
    "disconnect": r"MATCH \(c:.*\(p:[^)]*\) DELETE e$",
    "re-point": r"CREATE \(a\)-\[x:",
    "merge relationships": r"MERGE \(a\)-\[e:",
    "update relationships": r"OPTIONAL MATCH \(a\)-\[e:",
    "create relationships": r"CREATE \(a\)-\[:",
    "delete relationships": r"DELETE e$",
}
"""What each statement is, by the first pattern that it matches."""

JOINED_SCHEMA = """
CREATE TABLE road (id numeric PRIMARY KEY, code char(4) UNIQUE);
CREATE TABLE mile (id int PRIMARY KEY, road int REFERENCES road, code text REFERENCES road (code));
CREATE TABLE fork (a numeric REFERENCES road, b char(5) REFERENCES road (code), sign text, PRIMARY KEY (a, b));
"""
JOINED_MAPPING = """
version = 1
[[node]]
table = "public.road"
label = "Road"
key = ["id"]
[[node]]
table = "public.mile"
label = "Mile"
key = ["id"]
[[node.relationship]]
columns = ["road"]
type = "ON"
target = "public.road"
target_columns = ["id"]
[[node.relationship]]
columns = ["code"]
type = "OF"
target = "public.road"
target_columns = ["code"]
enforced = false
[[relationship]]
table = "public.fork"
type = "FORK"
key = ["a", "b"]
start = { columns = ["a"], target = "public.road", target_columns = ["id"] }
end = { columns = ["b"], target = "public.road", target_columns = ["code"] }
"""

WHOLE = {"empty nodes", "empty relationships", "read element ids", "clear relationships", "clear nodes"}
WHOLE |= {"hide all nodes", "find all relationships"}
"""Statements about all elements of a kind."""

EAGER = {
    "delete nodes": "nothing is read after something was deleted",
    "delete nodes by id": "the same",
    "delete relationships": "the same",
    "disconnect": "the same",
    "cut off": "the same",
    "restore": "the former relationship is read while others are created",
    "delete relationships by id": "nothing is read after something was deleted",
    "find relationships": "no mark is set before all are found",
    "hide nodes": "nothing is found by a label after one was taken away",
    "rename": "a key is set by which others are found",
    "exchange keys": "every key is taken off before one is set",
    "merge nodes": "what was there before is compared with what is there now",
    "create relationships": "ends are found among nodes that relationships are created on",
    "merge relationships": "the same; a relationship of another type is replaced",
    "re-point": "a relationship is found by the key that the new one gets",
    "update relationships": "ends are compared after the properties are set",
}
"""Statements that may hold all their rows before they go on, and why."""

SCANS = re.compile(
    r"(AllNodes|NodeByLabel|ByLabels|NodeIndex|AllRelationships|RelationshipTypes?|RelationshipIndex)Scan"
)


async def plan_of(postgres: Database, tables: str, mapping: str) -> GraphPlan:
    """The plan of a mapping of tables."""
    async with await postgres.connect() as connection:
        await connection.execute(tables.encode())
    async with connect(postgres.dsn) as session:
        return (await bind(session, parse(mapping, where="test"))).plan


_TEXTS = {
    "integer": "1",
    "float": "1.5",
    "boolean": "t",
    "bytes": r"\x00",
    "date": "2020-01-01",
    "list<integer>": "{1}",
}
_TEXTS |= {
    "zoned_datetime": "2020-01-01 00:00:00+00",
    "local_datetime": "2020-01-01 00:00:00",
    "local_time": "01:02:03",
}
_TEXTS |= {"duration": "1 day", "point": "(1,2)", "list<string>": "{a}", "string": "x"}


def rows_of(planned: PlannedTable, key: int, selected: str | None) -> list[Field]:
    """A row of `planned` in field order, every value there; `key` makes it another row."""
    values: list[Field] = []
    for place, field in enumerate(planned.fields):
        if (same := planned.columns.index(field.column)) < place:
            values.append(values[same])
            continue
        text = _TEXTS[field.type.name]
        if place < planned.key_size:
            text = text.replace("1", str(key)) if field.type.name == "integer" else f"{text[:-1]}{key}"
        values.append(selected if place == planned.selector_index else text)
    return values


def events_of(planned: PlannedTable) -> Iterator[Relation | Change]:
    """Changes that make every kind of statement for one table: each field known or left out, keys moved and swapped."""
    shape = [RelationColumn(name, oid, modifier, in_identity=True) for name, oid, modifier in planned.shape]
    yield Relation(planned.oid, *planned.table, "f", tuple(shape))
    names = [column.name for column in shape]

    def stream(row: list[Field]) -> list[Field]:
        by_name = dict(zip(planned.columns, row, strict=True))
        return [by_name.get(name) for name in names]

    chosen: list[str | None] = list(planned.selector.values) if planned.selector is not None else [None]
    for number, value in enumerate(chosen):
        row = rows_of(planned, 1 + number, value)
        empty: list[Field] = [
            field if place < planned.key_size or place == planned.selector_index else None
            for place, field in enumerate(rows_of(planned, 3 + number, value))
        ]
        yield Insert(planned.oid, stream(row))
        yield Update(planned.oid, None, None, stream(rows_of(planned, 5 + number, value)))
        yield Update(planned.oid, None, None, stream(empty))
    last = len(planned.fields) - 1
    if isinstance(planned, RelationshipPlan):
        # Its ends are the last fields: a row without a relationship whose ends are not told ends the stream.
        last = max(place for place, field in enumerate(planned.fields) if field.name is not None)
    if last >= planned.key_size and last != planned.selector_index:
        partial = rows_of(planned, 7, chosen[0])
        moved = rows_of(planned, 8, chosen[0])
        partial[last] = moved[last] = UNCHANGED
        yield Update(planned.oid, None, None, stream(partial))
        yield Update(planned.oid, "K", stream(rows_of(planned, 9, chosen[0])), stream(moved))


def renames_of(planned: PlannedTable, *, swapped: bool) -> Iterator[Change]:
    """A rename, or two keys exchanged."""
    selected = next(iter(planned.selector.values)) if planned.selector is not None else None
    names = [name for name, _, _ in planned.shape]

    def stream(key: int) -> list[Field]:
        by_name = dict(zip(planned.columns, rows_of(planned, key, selected), strict=True))
        return [by_name.get(name) for name in names]

    pairs = [(1, 9), (2, 1), (9, 2)] if swapped else [(1, 2)]
    for old, new in pairs:
        yield Update(planned.oid, "K", stream(old), stream(new))
    yield Delete(planned.oid, "K", stream(4))


def answer(statement: Statement) -> list[Record]:
    """Records that make the application do all that it may have to."""
    text = statement.text
    if not statement.returns:
        return []
    if "RETURN i, changed" in text:
        flags = text.count(" AS o") + text.count(" AS e")
        return [[row[-1], [True] * flags] for row in statement.rows]
    if text.endswith(", elementId(e)"):
        return [[row[-1], "4:x:1"] for row in statement.rows]
    if "elementId" in text and "CREATE (a)-[x:" not in text:
        return [["4:x:1"]]
    if "count(*)" in text:
        return [[0]]
    return [[row[-1]] for row in statement.rows] if text.startswith("UNWIND $rows AS r OPTIONAL") else []


def texts_of(running: Statements) -> Iterator[str]:
    """Every text of a run of statements."""
    records: list[Record] | None = None
    while True:
        try:
            statement = next(running) if records is None else running.send(records)
        except StopIteration:
            return
        yield statement.text
        records = answer(statement)


def every_text(plan: GraphPlan) -> dict[str, str]:
    """Every statement of batches and copies of all tables, with what it is."""
    found: list[str] = []

    def batch(*events: Relation | Change) -> None:
        coalescer = Coalescer(Bindings(plan))
        coalescer.add(events)
        for create in (False, True):
            found.extend(texts_of(statements(plan, build(coalescer), How(create=create))))

    ends = {end.target for table in plan.relationships for end in (table.start, table.end)}
    for planned in plan.tables.values():
        described, *changes = events_of(planned)
        batch(described, *changes)
        batch(described, *renames_of(planned, swapped=False))
        emptied = Truncate((planned.oid,), cascade=False, restart_identity=False)
        batch(described, emptied)
        batch(described, emptied, next(event for event in changes if isinstance(event, Insert)))
        batch(described, *(event for event in renames_of(planned, swapped=False) if isinstance(event, Delete)))
        if planned not in ends:
            batch(described, *renames_of(planned, swapped=True))
            old = next(event.old for event in renames_of(planned, swapped=False) if isinstance(event, Delete))
            taken = next(event for event in renames_of(planned, swapped=False) if isinstance(event, Update))
            batch(described, Delete(planned.oid, "K", old), taken._replace(new=[*old[:0], *_with_key(planned, 4)]))
    found.extend(_copies(plan))
    return {text: next((name for name, pattern in KINDS.items() if re.search(pattern, text)), "?") for text in found}


def _with_key(planned: PlannedTable, key: int) -> list[Field]:
    selected = next(iter(planned.selector.values)) if planned.selector is not None else None
    by_name = dict(zip(planned.columns, rows_of(planned, key, selected), strict=True))
    return [by_name.get(name) for name, _, _ in planned.shape]


def _copies(plan: GraphPlan) -> Iterator[str]:
    for node in plan.nodes:
        row = tuple(rows_of(node, 1, None))
        for fresh in (True, False):
            yield from texts_of(loading.load_nodes(node, [row], fresh=fresh))
        for edge, fresh in itertools.product(node.edges, (True, False)):
            ends = tuple(row[place] for place in loading.edge_places(edge))
            yield from texts_of(loading.load_edges(edge, [ends], fresh=fresh))
        yield from texts_of(loading.node_ids(node, lambda _: None))
        yield from texts_of(loading.keyed_ids(node, [row[: node.key_size]], lambda _: None))
        yield from texts_of(retiring.retire_nodes(node.label, lambda _: None))
        yield from texts_of(retiring.retire_from_nodes(node.label, ["former"], ["Former"], lambda _: None))
    for table in plan.relationships:
        selected = next(iter(table.selector.values)) if table.selector is not None else None
        yield from texts_of(loading.load_relationships(table, [tuple(rows_of(table, 1, selected))]))
    for pattern in loading.mapped_relationship_patterns(plan):
        yield from texts_of(loading.delete_some(pattern, lambda _: None))
    yield from texts_of(nodes.delete_by_id(["4:x:1"]))
    yield from texts_of(nodes.delete_by_id(["4:x:1"], "Parent"))


def operators(plan: dict[str, Any]) -> Iterator[str]:
    """The names of all operators of a plan."""
    yield str(plan["operatorType"]).partition("@")[0]
    for child in plan.get("children", ()):
        yield from operators(child)


@pytest.fixture(params=["empty", "filled"])
def filled(request: pytest.FixtureRequest) -> bool:
    """Whether there is anything in the graph: the planner counts before it chooses."""
    return bool(request.param == "filled")


def prepare(session: neo4j.Session, plan: GraphPlan, *, filled: bool) -> None:
    """The plan's constraints and indexes, and if asked for a thousand elements of each kind."""
    for each in schema(plan):
        session.run(cast("Any", each.text)).consume()
    session.run("CALL db.awaitIndexes(300)").consume()
    if not filled:
        return
    for node in plan.nodes:
        properties = ", ".join(f"`{field.name}`: i" for field in node.fields if field.name)
        session.run(cast("Any", f"UNWIND range(1, 1000) AS i CREATE (:`{node.label}` {{{properties}}})")).consume()
    ends = [(edge.type, node, edge.end.target) for node in plan.nodes for edge in node.edges]
    ends += [(kind, table.start.target, table.end.target) for table in plan.relationships for kind in table.types]
    for kind, start, end in ends:
        session.run(
            cast(
                "Any",
                f"UNWIND range(1, 1000) AS i MATCH (a:`{start.label}` {{`{start.key_names[0]}`: i}})"
                f" MATCH (b:`{end.label}` {{`{end.key_names[0]}`: i}}) CREATE (a)-[:`{kind}` {{id: i}}]->(b)",
            )
        ).consume()
    session.run("CALL db.prepareForReplanning()").consume()


async def test_every_statement_goes_by_index(postgres: Database, neo4j: Neo4jServer, *, filled: bool) -> None:
    """No statement with rows scans a label, a type or everything, and only those that are named here hold up rows."""
    plan = await plan_of(postgres, SCHEMA, MAPPING)
    texts = every_text(plan)
    assert set(texts.values()) == set(KINDS), "every kind of statement is produced"
    _require_indexes(neo4j, plan, texts, filled=filled)


async def test_join_forms_are_found_by_index(postgres: Database, neo4j: Neo4jServer, *, filled: bool) -> None:
    """The same where references are matched by join forms."""
    plan = await plan_of(postgres, JOINED_SCHEMA, JOINED_MAPPING)
    _require_indexes(neo4j, plan, every_text(plan), filled=filled)


async def test_the_journal_is_kept_by_index(postgres: Database, neo4j: Neo4jServer, *, filled: bool) -> None:
    """A batch finds its page at once, however many there are."""
    plan = await plan_of(postgres, SCHEMA, MAPPING)
    moving = f"MATCH (s:{CHECKPOINT_LABEL} {{stream: 's'}}) SET s.lsn = 1 {NOTE.format(notes='$rows')} RETURN s.epoch"
    bounding = next(bound([["s", "public", "person"]])).text
    with _driver(neo4j) as driver, driver.session(database=neo4j.database) as session:
        prepare(session, plan, filled=filled)
        if filled:
            pages = (
                "CREATE (:GpmCdcTouched {stream: 's', schema: 'public', table: i, state: 'open', upto: 1, keys: ''})"
            )
            session.run(cast("Any", f"UNWIND range(1, 10000) AS i {pages}")).consume()
            session.run("CALL db.prepareForReplanning()").consume()
        for text in (moving, bounding):
            names = _explained(session, text)
            assert not any(map(SCANS.search, names)), (text, names)
            assert "NodeIndexSeek" in " ".join(names), (text, names)


async def test_relationships_at_nodes_are_found_by_index(
    postgres: Database, neo4j: Neo4jServer, *, filled: bool
) -> None:
    """As a verify looks for what may have moved with its end."""
    plan = await plan_of(postgres, SCHEMA, MAPPING)
    texts = [text for facet in facets(plan, foreign=False) for text in facet.reading.by_end]
    assert len(texts) == sum(len(node.edges) for node in plan.nodes) + 2 * len(plan.relationships)
    with _driver(neo4j) as driver, driver.session(database=neo4j.database) as session:
        prepare(session, plan, filled=filled)
        for text in texts:
            names = _explained(session, text)
            assert not any(map(SCANS.search, names)), (text, names)


def _explained(session: neo4j.Session, text: str) -> list[str]:
    summary = session.run(cast("Any", f"EXPLAIN {text}"), rows=[]).consume()
    assert summary.plan is not None
    return list(operators(cast("dict[str, Any]", summary.plan)))


def _require_indexes(server: Neo4jServer, plan: GraphPlan, texts: dict[str, str], *, filled: bool) -> None:
    unknown = [text for text, kind in texts.items() if kind == "?"]
    assert not unknown, "\n".join(unknown)
    problems: list[str] = []
    eager: set[str] = set()
    with (
        _driver(server) as driver,
        driver.session(database=server.database) as session,
    ):
        prepare(session, plan, filled=filled)
        for text, kind in texts.items():
            summary = session.run(cast("Any", f"EXPLAIN {text}"), rows=[]).consume()
            assert summary.plan is not None
            names = set(operators(cast("dict[str, Any]", summary.plan)))
            scans = sorted(name for name in names if SCANS.search(name))
            if scans and kind not in WHOLE:
                problems.append(f"{kind}: {', '.join(scans)}: {text}")
            if "Eager" in names and kind not in WHOLE:
                eager.add(kind)
    assert not problems, "\n".join(problems)
    assert eager <= set(EAGER)


def _driver(server: Neo4jServer) -> neo4j.Driver:
    return neo4j.GraphDatabase.driver(server.uri, auth=(server.user, server.password), notifications_min_severity="OFF")
