"""Pieces of damage to the graph, drawn at random, each with what a comparison must say of it.

What is expected follows from the rows and from what is done, by this file and `rows` alone.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from tests.integration.verification.rows import JOINING, KEYS, TABLES, Named, Rows

type Expectation = tuple[str, str, str, tuple[tuple[str, object], ...], tuple[str, ...]]
"""Table, element, kind, key by column, columns."""

PERSON = "MATCH (n:Person {id: r.id})"
REGION = "MATCH (n:Region {country: r.country, code: r.code})"
VISIT = "MATCH (n:Visit {id: r.id})"
NODES = {"Person": PERSON, "Region": REGION, "Visit": VISIT}
TO_PERSON = "MATCH (q:Person {id: r.to})"
TO_REGION = "MATCH (q:Region {country: r.to[0], code: r.to[1]})"

EDGES = {
    "REPORTS_TO": (PERSON, "(n)-[{}:REPORTS_TO]->({})", TO_PERSON),
    "HOUSES": (PERSON, "(n)<-[{}:HOUSES]-({})", TO_REGION),
    "SAW": (VISIT, "(n)-[{}:SAW]->({})", TO_REGION),
}
"""Where the relationship of a foreign key begins, its pattern by variable and other end, and what it can be led to."""

KEYED = {
    "MEMBER_OF": "MATCH (a:Person {id: r.id[0]})-[e:MEMBER_OF]->(b:Region {country: r.id[1], code: r.id[2]})",
    "MAILED|PHONED": "MATCH (a)-[e:MAILED|PHONED {id: r.id}]->(b)",
}
"""How the relationship of a row is found."""


@dataclass(slots=True)
class Piece:
    """One thing done to the graph: `statement` with `row` as r, the findings that it makes, and whom it concerns.

    `keeps` are nodes that stay in the graph as nobody's, because they have lost the label that made them the mapping's.
    """

    statement: str
    row: Mapping[str, object]
    findings: list[Expectation]
    claims: set[Named]
    keeps: bool = False
    kind: str = field(default="", kw_only=True)


class Change(NamedTuple):
    """Another value for a property: of which column, under which name."""

    column: str
    name: str
    value: object


def expectation(named: Named, kind: str, columns: tuple[str, ...] = ()) -> Expectation:
    """What is to be said of an element."""
    table = TABLES[named.element]
    values = named.key if isinstance(named.key, tuple) else (named.key,)
    return (table, named.element, kind, tuple(zip(KEYS[table], values, strict=True)), columns)


class Drawing:
    """Draws pieces; no element is damaged twice. `cherished` nodes bear what users added and are never removed."""

    def __init__(self, dice: random.Random, rows: Rows, cherished: set[Named]) -> None:
        self._dice = dice
        self._rows = rows
        self._cherished = cherished | {Named("Person", key) for key in rows.calm_people}
        self._cherished |= {Named("Region", key) for key in rows.calm_regions}
        self._claimed: set[Named] = set()
        self._number = itertools.count(50_000)
        self._incident: dict[Named, set[Named]] = {}
        for named, *ends in rows.ends():
            for end in ends:
                self._incident.setdefault(end, set()).add(named)

    def draw(self, kinds: Sequence[str], count: int) -> Iterator[Piece]:
        """`count` pieces of `kinds`, each kind as often as any other or once more."""
        for kind in itertools.islice(itertools.cycle(kinds), count):
            while True:
                piece = KINDS[kind](self)
                if piece is not None and not piece.claims & self._claimed:
                    break
            piece.kind = kind
            self._claimed |= piece.claims
            yield piece

    def _node(self) -> tuple[Named, Mapping[str, Any], Mapping[str, object]]:
        """A node, its row, and the parameters that find it."""
        label = self._dice.choice(("Person", "Person", "Visit", "Visit", "Region"))
        if label == "Region":
            region = self._dice.choice(list(self._rows.regions))
            return Named(label, region), self._rows.regions[region], {"country": region[0], "code": region[1]}
        table = self._rows.people if label == "Person" else self._rows.visits
        key = self._dice.choice(list(table))
        return Named(label, key), table[key], {"id": key}

    def _altered(self, changes: Callable[[random.Random, Named, Mapping[str, Any]], list[Change]]) -> Piece | None:
        named, row, found = self._node()
        possible = changes(self._dice, named, row)
        if not possible:
            return None
        change = self._dice.choice(possible)
        return Piece(
            f"{NODES[named.element]} SET n += r.change",
            {**found, "change": {change.name: change.value}},
            [expectation(named, "different", (change.column,))],
            {named},
        )

    def changed(self) -> Piece | None:
        """A property has another value of its type."""
        return self._altered(_other_values)

    def retyped(self) -> Piece | None:
        """A property has the same value as another type."""
        return self._altered(_other_types)

    def unset(self) -> Piece | None:
        """A property is gone."""
        return self._altered(lambda _, named, row: [Change(*names, None) for names in _names(named, row, there=True)])

    def set(self) -> Piece | None:
        """A property is there that should not be."""
        return self._altered(
            lambda dice, named, row: [
                Change(*names, dice.choice(("", 0, date(2000, 1, 1), [1]))) for names in _names(named, row, there=False)
            ]
        )

    def removed(self) -> Piece | None:
        """A node is gone, and its relationships with it."""
        named, _, found = self._node()
        if named in self._cherished:
            return None
        gone = self._incident.get(named, set())
        findings = [expectation(each, "missing", JOINING[each.element]) for each in gone]
        return Piece(
            f"{NODES[named.element]} DETACH DELETE n",
            found,
            [expectation(named, "missing"), *findings],
            {named, *gone, *(Named(element, named.key) for element, _ in _slots(named))},
        )

    def added(self) -> Piece:
        """A node that no row makes."""
        number = next(self._number)
        label = self._dice.choice(("Person", "Visit", "Region"))
        key: Any = ("xx", number) if label == "Region" else number
        found = {"country": "xx", "code": number} if label == "Region" else {"id": number}
        named = Named(label, key)
        return Piece(
            f"CREATE (n:{label}) SET n = r.properties",
            {"properties": {**found, "name": "nobody"}},
            [expectation(named, "extra")],
            {named},
        )

    def keyless(self) -> Piece:
        """A node without a key."""
        number = next(self._number)
        return Piece(
            "CREATE (:Visit {at: r.number})", {"number": number}, [expectation(Named("Visit", None), "keyless")], set()
        )

    def unlabelled(self) -> Piece | None:
        """A node has lost the label that its table has; it stays as a node of nobody's."""
        visit = self._lonely()
        named = Named("Visit", visit)
        if named in self._cherished:
            return None
        claims = {named, Named("SAW", visit)}
        return Piece(f"{VISIT} REMOVE n:Visit", {"id": visit}, [expectation(named, "missing")], claims, keeps=True)

    def rekeyed(self) -> Piece | None:
        """A node's key has another type: a number that Cypher calls equal, or a text."""
        visit = self._lonely()
        named, claims = Named("Visit", visit), {Named("Visit", visit), Named("SAW", visit)}
        text = f"{VISIT} SET n.id = r.key"
        if self._dice.random() < 0.5:
            return Piece(text, {"id": visit, "key": float(visit)}, [expectation(named, "different", ("id",))], claims)
        if named in self._cherished:
            return None
        other = expectation(Named("Visit", str(visit)), "extra")
        return Piece(text, {"id": visit, "key": str(visit)}, [expectation(named, "missing"), other], claims)

    def _lonely(self) -> int:
        return self._dice.choice([key for key, row in self._rows.visits.items() if row["slug"] is None])

    def relabelled(self) -> Piece:
        """A label is missing, is there too much, or is that of another value."""
        key = self._dice.choice(list(self._rows.people))
        kind = self._rows.people[key]["kind"]
        change = self._dice.choice(
            {
                None: ("REMOVE n:Being", "SET n:Clerk", "SET n:Boss"),
                "clerk": ("REMOVE n:Being", "REMOVE n:Clerk", "REMOVE n:Clerk SET n:Boss", "SET n:Boss"),
                "boss": ("REMOVE n:Being", "REMOVE n:Boss", "REMOVE n:Boss SET n:Clerk", "SET n:Clerk"),
            }[kind]
        )
        named = Named("Person", key)
        return Piece(f"{PERSON} {change}", {"id": key}, [expectation(named, "label", ("kind",))], {named})

    def _edge(self) -> tuple[Named, Any, Any]:
        """A relationship of a foreign key, where it leads, and a calm node where it does not."""
        rows = self._rows
        element = self._dice.choice(list(EDGES))
        if element == "REPORTS_TO":
            key = self._dice.choice(list(rows.people))
            leads = rows.people[key]["boss"]
            others: Sequence[Any] = rows.calm_people
        elif element == "HOUSES":
            key = self._dice.choice(list(rows.people))
            leads, others = rows.people[key]["home"], rows.calm_regions
        else:
            key = self._dice.choice(list(rows.visits))
            slug = rows.visits[key]["slug"]
            found = [region for region, row in rows.regions.items() if slug is not None and row["slug"] == slug]
            leads, others = found[0] if found else None, rows.calm_regions
        return Named(element, key), leads, self._dice.choice([other for other in others if other != leads])

    def _keyed(self) -> tuple[Named, Mapping[str, Any]]:
        element = self._dice.choice(list(KEYED))
        table: Mapping[Any, Mapping[str, Any]] = self._rows.memberships if element == "MEMBER_OF" else self._rows.calls
        key = self._dice.choice(list(table))
        return Named(element, key), table[key]

    def repointed(self) -> Piece | None:
        """A relationship joins another node than it should."""
        if self._dice.random() < 0.4:
            return self._repointed_keyed()
        named, leads, other = self._edge()
        if leads is None:
            return None
        start, pattern, target = EDGES[named.element]
        columns = JOINING[named.element]
        if named.element == "HOUSES":
            columns = tuple(name for name, one, two in zip(columns, leads, other, strict=True) if one != two)
        return Piece(
            f"{start} MATCH {pattern.format('e', '')} DELETE e WITH n, r {target} CREATE {pattern.format('', 'q')}",
            {"id": named.key, "to": other},
            [expectation(named, "wrong_end", columns)],
            {named},
        )

    def _repointed_keyed(self) -> Piece | None:
        named, row = self._keyed()
        text = KEYED[named.element]
        if named.element == "MEMBER_OF":
            other = Named("MEMBER_OF", (named.key[0], *self._dice.choice(self._rows.calm_regions)))
            if other.key in self._rows.memberships:
                return None
            kinds = ((named, "missing"), (other, "extra"))
            return Piece(
                f"{text} {TO_REGION} CREATE (a)-[f:MEMBER_OF]->(q) SET f = properties(e) DELETE e",
                {"id": named.key, "to": other.key[1:]},
                [expectation(each, kind, JOINING["MEMBER_OF"]) for each, kind in kinds],
                {named, other},
            )
        person = self._dice.choice(self._rows.calm_people)
        end = self._dice.choice(("caller", "callee"))
        if person == row[end]:
            return None
        kind = "PHONED" if row["how"] == "phone" else "MAILED"
        ends = f"(a)-[f:{kind}]->(q)" if end == "callee" else f"(q)-[f:{kind}]->(b)"
        return Piece(
            f"{text} {TO_PERSON} CREATE {ends} SET f = properties(e) DELETE e",
            {"id": named.key, "to": person},
            [expectation(named, "wrong_end", (end,))],
            {named},
        )

    def reversed(self) -> Piece | None:
        """A relationship points the other way."""
        key = self._dice.choice(list(self._rows.people))
        boss = self._rows.people[key]["boss"]
        if boss in {None, key} or self._rows.people[boss]["boss"] == key:
            return None
        named, other = Named("REPORTS_TO", key), Named("REPORTS_TO", boss)
        columns = JOINING["REPORTS_TO"]
        return Piece(
            f"{PERSON} MATCH (n)-[e:REPORTS_TO]->(q) DELETE e CREATE (q)-[:REPORTS_TO]->(n)",
            {"id": key},
            [expectation(named, "missing", columns), expectation(other, "extra", columns)],
            {named, other},
        )

    def _whole(self, ends: str, keyed: str, kind: str) -> Piece | None:
        """Something done to a relationship as a whole."""
        if self._dice.random() < 0.4:
            named, row = self._keyed()
            made = "MEMBER_OF" if named.element == "MEMBER_OF" else "PHONED" if row["how"] == "phone" else "MAILED"
            text = f"{KEYED[named.element]} {keyed.format(made)}"
        else:
            named, leads, _ = self._edge()
            if leads is None:
                return None
            start, pattern, _ = EDGES[named.element]
            text = f"{start} MATCH {pattern.format('e', 'q')} {ends.format(pattern.format('', 'q'))}"
        return Piece(text, {"id": named.key}, [expectation(named, kind, JOINING[named.element])], {named})

    def dropped(self) -> Piece | None:
        """A relationship is gone."""
        return self._whole("DELETE e", "DELETE e", "missing")

    def duplicated(self) -> Piece | None:
        """A relationship is there twice."""
        return self._whole("CREATE {}", "CREATE (a)-[f:{}]->(b) SET f = properties(e)", "duplicate")

    def joined(self) -> Piece | None:
        """A relationship that no row makes, beside the right one where there is one."""
        chosen = self._dice.choice(("edge", "edge", "call", "membership"))
        if chosen == "edge":
            named, _, other = self._edge()
            start, pattern, target = EDGES[named.element]
            text = f"{start} {target} CREATE {pattern.format('', 'q')}"
            row: Mapping[str, object] = {"id": named.key, "to": other}
        elif chosen == "call":
            named = Named("MAILED|PHONED", next(self._number))
            one, two = self._dice.choices(self._rows.calm_people, k=2)
            text = f"MATCH (n:Person {{id: r.from}}) {TO_PERSON} CREATE (n)-[:PHONED {{id: r.id}}]->(q)"
            row = {"id": named.key, "from": one, "to": two}
        else:
            one = self._dice.choice(self._rows.calm_people)
            region = self._dice.choice(self._rows.calm_regions)
            named = Named("MEMBER_OF", (one, *region))
            if named.key in self._rows.memberships:
                return None
            text = f"{PERSON} {TO_REGION} CREATE (n)-[:MEMBER_OF {{weight: 1.0}}]->(q)"
            row = {"id": one, "to": region}
        return Piece(text, row, [expectation(named, "extra", JOINING[named.element])], {named})

    def respent(self) -> Piece | None:
        """A property of a relationship has another value or type, is gone, or is there although it should not be."""
        named, row = self._keyed()
        columns = ("since", "weight") if named.element == "MEMBER_OF" else ("seconds",)
        column = self._dice.choice(columns)
        value = row[column]
        if value is None:
            other: object = self._dice.choice(("", 7, 7.0, date(2000, 1, 1)))
        elif isinstance(value, date):
            other = self._dice.choice((value + timedelta(1), str(value), None))
        elif isinstance(value, float):
            other = self._dice.choice((value + 0.5, int(value), str(value), None))
        else:
            other = self._dice.choice((value + 1, float(value), str(value), None))
        return Piece(
            f"{KEYED[named.element]} SET e += r.change",
            {"id": named.key, "change": {column: other}},
            [expectation(named, "different", (column,))],
            {named},
        )

    def retitled(self) -> Piece:
        """A relationship of a table has the type of another value."""
        key = self._dice.choice(list(self._rows.calls))
        other = "MAILED" if self._rows.calls[key]["how"] == "phone" else "PHONED"
        named = Named("MAILED|PHONED", key)
        return Piece(
            f"{KEYED[named.element]} CREATE (a)-[f:{other}]->(b) SET f = properties(e) DELETE e",
            {"id": key},
            [expectation(named, "different", ("how",))],
            {named},
        )


KINDS: Mapping[str, Callable[[Drawing], Piece | None]] = {
    "property changed": Drawing.changed,
    "property's type changed": Drawing.retyped,
    "property removed": Drawing.unset,
    "property added": Drawing.set,
    "node removed": Drawing.removed,
    "node added": Drawing.added,
    "node without key": Drawing.keyless,
    "label of the table removed": Drawing.unlabelled,
    "key's type changed": Drawing.rekeyed,
    "label removed, added or moved": Drawing.relabelled,
    "relationship re-pointed": Drawing.repointed,
    "relationship reversed": Drawing.reversed,
    "relationship dropped": Drawing.dropped,
    "relationship duplicated": Drawing.duplicated,
    "relationship added": Drawing.joined,
    "relationship's property changed": Drawing.respent,
    "relationship's type changed": Drawing.retitled,
}

STAYING = tuple(
    kind
    for kind in KINDS
    if kind
    not in {
        "node removed",
        "node without key",
        "label of the table removed",
        "key's type changed",
        "relationship reversed",
    }
)
"""Damage that stays with its element, and is done to no other, whatever a writer does to the row."""


def _slots(node: Named) -> Iterator[tuple[str, str]]:
    return ((element, start) for element, (start, _, _) in EDGES.items() if NODES[node.element] == start)


_PROPERTIES = {
    "Person": {"name": "full name", "boss": "boss", "born": "born", "weight": "weight", "tags": "tags"},
    "Region": {"name": "name", "slug": "slug", "opened": "opened"},
    "Visit": {"slug": "slug", "at": "at"},
}


def _names(named: Named, row: Mapping[str, Any], *, there: bool) -> list[tuple[str, str]]:
    """Column and property of every value that is there, or is not."""
    return [names for names in _PROPERTIES[named.element].items() if (row[names[0]] is not None) is there]


def _other_values(dice: random.Random, named: Named, row: Mapping[str, Any]) -> list[Change]:
    def other(column: str, value: Any) -> object:  # noqa: ANN401 - a property's value
        if column == "opened":
            return date(1999, 9, 9)
        if isinstance(value, date):
            return value + timedelta(dice.randint(1, 9))
        if isinstance(value, list):
            return [*value, "more"]
        return f"{value}!" if isinstance(value, str) else value + dice.randint(1, 9)

    return [Change(*names, other(names[0], row[names[0]])) for names in _names(named, row, there=True)]


def _other_types(dice: random.Random, named: Named, row: Mapping[str, Any]) -> list[Change]:
    changes: list[Change] = []
    for column, name in _names(named, row, there=True):
        value = row[column]
        if isinstance(value, int):
            changes.append(Change(column, name, dice.choice((float(value), str(value)))))
        elif isinstance(value, float):
            changes.append(Change(column, name, int(value) if value.is_integer() else str(value)))
        elif isinstance(value, date):
            changes.append(Change(column, name, str(value)))
        elif isinstance(value, str) and column != "opened":
            changes.append(Change(column, name, [value]))
    return changes
