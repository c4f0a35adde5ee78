"""The tables of a soak, their rows at the beginning, and their mapping.

Everything that makes following hard is there once: composite keys, a table that refers to itself, relationship tables
with and without a key of their own, a foreign key to a unique column, deferrable ones, partitions, jsonb, values that
are stored out of line, labels and types taken from columns.
"""

PEOPLE, COUNTRIES, CODES, VISITS, CALLS, EVENTS, SEATS = 1_500, 8, 20, 2_000, 1_500, 1_500, 500
"""Keys are drawn from 1 to these; some have a row at any time and some have none."""

DAYS = 8
"""Partitions of `events`, one for each day from 0 on. The first half always stay."""

LONG = 3_200
"""Characters of an essay: beyond what Postgres keeps in the row."""

SCHEMA = """
CREATE TABLE regions (country text, code int, name text, slug text UNIQUE, version bigint DEFAULT 0,
                      PRIMARY KEY (country, code));
CREATE TABLE people (
    id int PRIMARY KEY, name text, kind text, boss int REFERENCES people ON UPDATE CASCADE ON DELETE SET NULL
        DEFERRABLE INITIALLY DEFERRED,
    country text, code int, born date, awake interval, score float8, amount numeric(12, 2), tags text[], rank int,
    facts jsonb, essay text,
    FOREIGN KEY (country, code) REFERENCES regions ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE people ALTER essay SET STORAGE EXTERNAL;
CREATE INDEX ON people (boss);
CREATE INDEX ON people (country, code);
CREATE TABLE visits (id bigint PRIMARY KEY, slug text REFERENCES regions (slug) ON UPDATE CASCADE ON DELETE SET NULL,
                     at timestamptz);
CREATE INDEX ON visits (slug);
CREATE TABLE memberships (
    person int REFERENCES people ON UPDATE CASCADE ON DELETE CASCADE, country text, code int, since date, weight float8,
    essay text, PRIMARY KEY (person, country, code),
    FOREIGN KEY (country, code) REFERENCES regions ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE
);
ALTER TABLE memberships ALTER essay SET STORAGE EXTERNAL;
CREATE INDEX ON memberships (country, code);
CREATE TABLE calls (
    id int PRIMARY KEY, caller int NOT NULL REFERENCES people ON UPDATE CASCADE ON DELETE CASCADE,
    callee int REFERENCES people ON UPDATE CASCADE ON DELETE CASCADE, how text NOT NULL, seconds int
);
CREATE INDEX ON calls (caller);
CREATE INDEX ON calls (callee);
CREATE TABLE events (
    id int, day int, person int REFERENCES people ON UPDATE CASCADE ON DELETE SET NULL, note text, facts jsonb,
    PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE INDEX ON events (person);
CREATE TABLE seats (id int PRIMARY KEY, place int UNIQUE DEFERRABLE, person int REFERENCES people
                    ON UPDATE CASCADE ON DELETE SET NULL);
CREATE INDEX ON seats (person);
"""


def partition(day: int) -> str:
    """The statement that makes the partition of a day."""
    return f"CREATE TABLE events_{day} PARTITION OF events FOR VALUES FROM ({day}) TO ({day + 1})"


FILL = f"""
INSERT INTO regions SELECT 'c' || c, k, 'region', 's' || c || '-' || k FROM generate_series(1, {COUNTRIES}) AS c,
    generate_series(1, {CODES}) AS k WHERE (c + k) % 5 > 0;
INSERT INTO people SELECT i, 'n' || i, (ARRAY['boss', 'clerk', 'guest', NULL])[1 + i % 4], nullif(i / 3, 0), r.country,
    r.code, date '1990-01-01' + i, make_interval(hours => i), i / 7.0, i / 100.0, ARRAY['a', 'b' || i], i,
    jsonb_build_object('n', i, 'deep', jsonb_build_array(i, NULL, 'x')),
    CASE WHEN i % 4 = 0 THEN repeat(md5(i::text), {LONG // 32}) END
    FROM generate_series(1, {PEOPLE}, 2) AS i
    LEFT JOIN regions AS r ON r.country = 'c' || (1 + i % {COUNTRIES}) AND r.code = 1 + i % {CODES};
UPDATE people SET boss = NULL WHERE boss NOT IN (SELECT id FROM people);
INSERT INTO visits SELECT i, r.slug, '2020-01-01 12:00+02'::timestamptz + i * interval '1 hour'
    FROM generate_series(1, {VISITS}, 2) AS i LEFT JOIN regions AS r ON r.slug = 's' || (1 + i % {COUNTRIES}) || '-1';
INSERT INTO memberships SELECT p.id, r.country, r.code, '2000-01-01', 1.5,
    CASE WHEN p.id % 3 = 0 THEN repeat(md5(p.id::text), {LONG // 32}) END
    FROM people AS p, regions AS r WHERE r.code = 1 + p.id % {CODES} AND p.id % 2 = 1;
INSERT INTO calls SELECT i, p.id, q.id, 'phone', i FROM generate_series(1, {CALLS}, 2) AS i, people AS p, people AS q
    WHERE p.id = 1 + 2 * (i % 200) AND q.id = 1 + 2 * (i % 150);
INSERT INTO events SELECT i, i % {DAYS}, 1 + 2 * (i % 100), 'e' || i, '{{}}' FROM generate_series(1, {EVENTS}, 2) AS i;
INSERT INTO seats SELECT i, i, 1 + 2 * (i % 100) FROM generate_series(1, {SEATS}) AS i;
"""  # noqa: S608 - fixed texts

MAPPING = """
version = 1
[[node]]
table = "public.people"
label = "Person"
key = ["id"]
extra_labels = ["Being"]
labels_from = { column = "kind", values = { boss = "Boss", clerk = "Clerk", guest = "Guest" } }
[[node.relationship]]
columns = ["boss"]
type = "REPORTS_TO"
target = "public.people"
target_columns = ["id"]
[[node.relationship]]
columns = ["country", "code"]
type = "HOUSES"
target = "public.regions"
target_columns = ["country", "code"]
direction = "in"
[[node]]
table = "public.regions"
label = "Region"
key = ["country", "code"]
[[node]]
table = "public.visits"
label = "Visit"
key = ["id"]
[[node.relationship]]
columns = ["slug"]
type = "SAW"
target = "public.regions"
target_columns = ["slug"]
[[node]]
table = "public.events"
label = "Event"
key = ["id", "day"]
[[node.relationship]]
columns = ["person"]
type = "ABOUT"
target = "public.people"
target_columns = ["id"]
[[node]]
table = "public.seats"
label = "Seat"
key = ["id"]
[[node.relationship]]
columns = ["person"]
type = "TAKEN_BY"
target = "public.people"
target_columns = ["id"]
[[relationship]]
table = "public.memberships"
type = "MEMBER_OF"
key = ["person", "country", "code"]
start = { columns = ["person"], target = "public.people", target_columns = ["id"] }
end = { columns = ["country", "code"], target = "public.regions", target_columns = ["country", "code"] }
[[relationship]]
table = "public.calls"
type_from = { column = "how", values = { phone = "PHONED", mail = "MAILED" } }
key = ["id"]
start = { columns = ["caller"], target = "public.people", target_columns = ["id"] }
end = { columns = ["callee"], target = "public.people", target_columns = ["id"] }
"""


def statements() -> list[str]:
    """What makes the tables and fills them."""
    return [SCHEMA, *map(partition, range(DAYS)), FILL]
