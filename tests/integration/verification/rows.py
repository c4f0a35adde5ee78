"""Rows of the small world's tables by the thousand, and what the graph must make of them, told by this file alone."""
# ruff: noqa: S608 - the statements are made of numbers and names of this file

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg

type RegionKey = tuple[str, int]

ZONE = 90_000
"""From this id on, and in this country, rows are the writers': nothing there is damaged beforehand or compared."""

ZONE_COUNTRY = "zz"

CALM = 40
"""The first so many people and regions always stay, so that what is made wrong can lead to them."""


class Named(NamedTuple):
    """An element by what it is called and the key of its row."""

    element: str
    key: Any


JOINING = {
    "REPORTS_TO": ("boss",),
    "HOUSES": ("home_country", "home_code"),
    "SAW": ("slug",),
    "MEMBER_OF": ("person", "country", "code"),
    "MAILED|PHONED": ("caller", "callee"),
}
"""The columns that make each kind of relationship."""

TABLES = {
    "Person": "public.people",
    "Region": "public.regions",
    "Visit": "public.visits",
    "REPORTS_TO": "public.people",
    "HOUSES": "public.people",
    "SAW": "public.visits",
    "MEMBER_OF": "public.memberships",
    "MAILED|PHONED": "public.calls",
}

KEYS = {
    "public.people": ("id",),
    "public.regions": ("country", "code"),
    "public.visits": ("id",),
    "public.memberships": ("person", "country", "code"),
    "public.calls": ("id",),
}


@dataclass(slots=True)
class Rows:
    """The rows outside the zone: column by column, as Python values, by key."""

    people: dict[int, dict[str, Any]] = field(default_factory=dict)
    regions: dict[RegionKey, dict[str, Any]] = field(default_factory=dict)
    visits: dict[int, dict[str, Any]] = field(default_factory=dict)
    memberships: dict[tuple[int, str, int], dict[str, Any]] = field(default_factory=dict)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def homes(self) -> dict[int, RegionKey]:
        """The region of each person who has one in full."""
        return {key: row["home"] for key, row in self.people.items() if row["home"] is not None}

    @property
    def calm_people(self) -> list[int]:
        """People who stay."""
        return sorted(self.people)[:CALM]

    @property
    def calm_regions(self) -> list[RegionKey]:
        """Regions that stay."""
        return sorted(self.regions)[:CALM]

    def ends(self) -> Iterator[tuple[Named, Named, Named]]:
        """Every relationship with the two nodes that it joins, that of its row or start first."""
        slugs = {row["slug"]: key for key, row in self.regions.items() if row["slug"] is not None}
        for key, row in self.people.items():
            if row["boss"] is not None:
                yield Named("REPORTS_TO", key), Named("Person", key), Named("Person", row["boss"])
            if row["home"] is not None:
                yield Named("HOUSES", key), Named("Person", key), Named("Region", row["home"])
        for key, row in self.visits.items():
            if row["slug"] is not None:
                yield Named("SAW", key), Named("Visit", key), Named("Region", slugs[row["slug"]])
        for person, country, code in self.memberships:
            named = Named("MEMBER_OF", (person, country, code))
            yield named, Named("Person", person), Named("Region", (country, code))
        for key, row in self.calls.items():
            yield Named("MAILED|PHONED", key), Named("Person", row["caller"]), Named("Person", row["callee"])


def drawn(dice: random.Random, size: int) -> Rows:
    """`size` people, visits, memberships and calls, and a fifth as many regions."""
    rows = Rows()
    for number in range(size // 5):
        opened = None if number % 3 else "2001-02-03 04:05:06.7"
        slug = f"s{number}" if number % 4 else None
        rows.regions[f"c{number % 7}", number] = {"name": f"r{number}", "slug": slug, "opened": opened}
    regions, slugs = list(rows.regions), [row["slug"] for row in rows.regions.values() if row["slug"]]
    for key in range(1, size + 1):
        rows.people[key] = {
            "name": f"n{key}",
            "kind": dice.choice(("boss", "clerk", None)),
            "boss": dice.choice((None, *[dice.randint(1, key)] * 4)),
            "home": dice.choice((None, *[dice.choice(regions)] * 4)),
            "born": dice.choice((None, date(1900, 1, 1) + timedelta(dice.randint(0, 30_000)))),
            "weight": dice.choice((None, float(dice.randint(1, 99)), dice.random())),
            "tags": dice.choice((None, [], ["a", f"b {key}"])),
        }
        rows.visits[key] = {
            "slug": dice.choice((None, dice.choice(slugs), dice.choice(slugs))),
            "at": dice.choice((None, date(2020, 1, 1) + timedelta(dice.randint(0, 999)))),
        }
        rows.calls[key] = {
            "caller": dice.randint(1, key),
            "callee": dice.randint(1, key),
            "how": dice.choice(("phone", "mail")),
            "seconds": dice.choice((None, dice.randint(1, 999))),
        }
        rows.memberships[key, *dice.choice(regions)] = {
            "since": dice.choice((None, date(2000, 1, 1) + timedelta(dice.randint(0, 999)))),
            "weight": dice.choice((None, float(dice.randint(1, 99)))),
        }
    return rows


async def store(connection: psycopg.AsyncConnection[Any], rows: Rows) -> None:
    """Put the rows into the tables, which exist and are empty."""
    await _copy(
        connection,
        "COPY regions (country, code, name, slug, opened) FROM STDIN",
        ((*key, row["name"], row["slug"], row["opened"]) for key, row in rows.regions.items()),
    )
    await _copy(
        connection,
        "COPY people (id, name, kind, boss, home_country, home_code, born, weight, tags) FROM STDIN",
        (
            (
                *(key, row["name"], row["kind"], row["boss"], *(row["home"] or (None, None))),
                *(row["born"], row["weight"], row["tags"]),
            )
            for key, row in rows.people.items()
        ),
    )
    await _copy(
        connection,
        "COPY visits (id, slug, at) FROM STDIN",
        ((key, row["slug"], row["at"]) for key, row in rows.visits.items()),
    )
    await _copy(
        connection,
        "COPY memberships (person, country, code, since, weight) FROM STDIN",
        ((*key, row["since"], row["weight"]) for key, row in rows.memberships.items()),
    )
    await _copy(
        connection,
        "COPY calls (id, caller, callee, how, seconds) FROM STDIN",
        ((key, row["caller"], row["callee"], row["how"], row["seconds"]) for key, row in rows.calls.items()),
    )


async def _copy(
    connection: psycopg.AsyncConnection[Any], text: LiteralString, rows: Iterator[tuple[object, ...]]
) -> None:
    async with connection.cursor() as cursor, cursor.copy(text) as copy:
        for row in rows:
            await copy.write_row(row)


ZONE_REGIONS = f"INSERT INTO regions SELECT '{ZONE_COUNTRY}', i, 'zone', 'z' || i FROM generate_series(1, 9) AS i"

ZONE_ROWS = f"""
{ZONE_REGIONS};
INSERT INTO people (id, name, boss) SELECT {ZONE} + i, 'zone', {ZONE} + i / 2 FROM generate_series(0, 400) AS i;
INSERT INTO visits SELECT {ZONE} + i, 'z' || i % 9 + 1 FROM generate_series(0, 400) AS i;
INSERT INTO calls SELECT {ZONE} + i, {ZONE} + i, {ZONE}, 'mail' FROM generate_series(0, 400) AS i;
INSERT INTO memberships SELECT {ZONE} + i, '{ZONE_COUNTRY}', 1 FROM generate_series(0, 400) AS i;
"""

_WRITES = (
    "UPDATE people SET weight = {b}, name = 'w{b}' WHERE id = {a}",
    "UPDATE people SET boss = {b} WHERE id = {a}",
    "UPDATE people SET kind = (ARRAY['boss', 'clerk', NULL])[{b} % 3 + 1] WHERE id = {a}",
    "UPDATE people SET home_country = '{zone}', home_code = {b} % 9 + 1 WHERE id = {a}",
    "UPDATE regions SET slug = 'z{b} ' || code WHERE country = '{zone}' AND code = {b} % 9 + 1",
    (
        "UPDATE visits SET slug = (SELECT slug FROM regions WHERE country = '{zone}' ORDER BY random() LIMIT 1)"
        " WHERE id = {a}"
    ),
    "INSERT INTO visits VALUES ({a}, NULL) ON CONFLICT (id) DO UPDATE SET at = now()",
    "UPDATE visits SET id = id + 1000 WHERE id = {a} AND NOT EXISTS (SELECT FROM visits WHERE id = {a} + 1000)",
    "DELETE FROM visits WHERE id = {a} + 1000",
    (
        "WITH gone AS (DELETE FROM calls WHERE id IN ({a}, {b}) RETURNING *)"
        " INSERT INTO calls SELECT {a} + {b} - id, caller, callee, how, seconds FROM gone"
    ),
    "INSERT INTO calls VALUES ({a}, {a}, {b}, 'phone') ON CONFLICT (id) DO UPDATE SET callee = {b}, how = 'phone'",
    "DELETE FROM memberships WHERE person = {a}",
    (
        "INSERT INTO memberships VALUES ({a}, '{zone}', {b} % 9 + 1) ON CONFLICT (person, country, code)"
        " DO UPDATE SET weight = {b}"
    ),
    "INSERT INTO people (id, name, boss) VALUES ({a} + 1000, 'new', {b}) ON CONFLICT (id) DO UPDATE SET boss = {b}",
    "DELETE FROM people AS p WHERE id = {a} + 1000 AND NOT EXISTS (SELECT FROM people WHERE boss = p.id)",
)


def transaction(dice: random.Random, ours: range, everybodys: range) -> Iterator[str]:
    """Some statements on people, visits and what belongs to them: `ours` are written by nobody else."""
    for _ in range(dice.randint(1, 4)):
        one, two = (dice.choice((dice.choice(ours), dice.choice(everybodys))) for _ in range(2))
        yield dice.choice(_WRITES).format(a=one, b=two, zone=ZONE_COUNTRY)


def in_zone(key: Iterable[object]) -> bool:
    """Whether the row with this key is the writers'."""
    return any(part == ZONE_COUNTRY or (isinstance(part, int) and part >= ZONE) for part in key)
