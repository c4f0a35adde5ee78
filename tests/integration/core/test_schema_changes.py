"""What happens to tables beside the changes of their rows is followed, or stops the stream before a wrong write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gpm_cdc.errors.mapping import MappingInvalid
from gpm_cdc.errors.source import MappingChanged
from gpm_cdc.errors.stream import SelectorValueUnlisted
from gpm_cdc.runtime.daemon import Orders
from tests import servers
from tests.integration.core.pipeline import Pipeline, following
from tests.servers import Database, Neo4jServer, PostgresServer

SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE team (id int PRIMARY KEY, name text);
CREATE TABLE person (
    id int PRIMARY KEY, name text, size int, feels mood, team int REFERENCES team, boss int REFERENCES person
);
CREATE TABLE knows (a int REFERENCES person, b int REFERENCES person, since int, PRIMARY KEY (a, b));
CREATE TABLE event (id int, day date, note text, person int REFERENCES person, PRIMARY KEY (id, day))
    PARTITION BY RANGE (day);
CREATE TABLE event_early PARTITION OF event FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE event_late PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
INSERT INTO team VALUES (1, 'one'), (2, 'two');
INSERT INTO person VALUES (1, 'ann', 7, 'calm', 1, NULL), (2, 'bob', 8, 'cross', 1, 1), (3, 'cy', NULL, NULL, 2, 1);
INSERT INTO knows VALUES (1, 2, 2001), (2, 3, 2002);
INSERT INTO event VALUES (1, '2019-05-05', 'old', 1), (2, '2021-05-05', 'new', 2), (3, '2022-05-05', 'newer', 3);
"""

MAPPING = """
version = 1
[[node]]
table = "public.team"
label = "Team"
key = ["id"]
[[node]]
table = "public.person"
label = "Person"
key = ["id"]
[[node.relationship]]
columns = ["team"]
type = "TEAM"
target = "public.team"
target_columns = ["id"]
[[node.relationship]]
columns = ["boss"]
type = "BOSS"
target = "public.person"
target_columns = ["id"]
[[node]]
table = "public.event"
label = "Event"
key = ["id", "day"]
[[node.relationship]]
columns = ["person"]
type = "PERSON"
target = "public.person"
target_columns = ["id"]
[[relationship]]
table = "public.knows"
type = "KNOWS"
key = ["a", "b"]
start = { columns = ["a"], target = "public.person", target_columns = ["id"] }
end = { columns = ["b"], target = "public.person", target_columns = ["id"] }
"""


@asynccontextmanager
async def streamed(server: PostgresServer, graph: Neo4jServer) -> AsyncIterator[Pipeline]:
    """A stream of the tables above."""
    graph.wipe()
    with servers.database(server) as database:
        async with await database.connect() as connection:
            await connection.execute(SCHEMA.encode())
        async with following(database, graph, MAPPING) as stream:
            await stream.check()
            yield stream


WITHOUT_TEAM = MAPPING.replace(
    """[[node]]
table = "public.team"
label = "Team"
key = ["id"]
""",
    "",
).replace(
    """[[node.relationship]]
columns = ["team"]
type = "TEAM"
target = "public.team"
target_columns = ["id"]
""",
    "",
)
FOLLOWED = {
    "a column with a constant default": ["ALTER TABLE person ADD COLUMN rank int DEFAULT 5"],
    "a column with a volatile default": ["ALTER TABLE person ADD COLUMN luck float8 DEFAULT random()"],
    "a column of nulls": [
        "ALTER TABLE person ADD COLUMN nick text",
        "UPDATE person SET nick = 'n' WHERE id = 1",
    ],
    "a column dropped": ["ALTER TABLE person DROP COLUMN size"],
    "a column renamed": ["ALTER TABLE person RENAME COLUMN size TO height"],
    "a column retyped": ["ALTER TABLE person ALTER COLUMN size TYPE text USING 'n' || size"],
    "a column rewritten in its own type": ["ALTER TABLE person ALTER COLUMN name TYPE text USING upper(name)"],
    "an enum's label renamed": ["ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'"],
    "an enum's label added and renamed": [
        "ALTER TYPE mood ADD VALUE 'glad'",
        "UPDATE person SET feels = 'glad'",
        "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'",
    ],
    "a leaf truncated": ["TRUNCATE event_late"],
    "a partition detached": ["ALTER TABLE event DETACH PARTITION event_late"],
    "a partition dropped": ["DROP TABLE event_early"],
    "a partition with rows attached": [
        "CREATE TABLE event_far (LIKE event); INSERT INTO event_far VALUES (9, '2031-01-01', 'far', 1)",
        "ALTER TABLE event ATTACH PARTITION event_far FOR VALUES FROM ('2030-01-01') TO ('2040-01-01')",
    ],
    "a partition made": [
        "CREATE TABLE event_far PARTITION OF event FOR VALUES FROM ('2030-01-01') TO ('2040-01-01')",
        "INSERT INTO event VALUES (9, '2031-01-01', 'far', 1)",
    ],
    "another replica identity": ["ALTER TABLE person REPLICA IDENTITY FULL"],
    "the publication made again": [
        "DROP PUBLICATION {name}",
        "UPDATE team SET name = 'unseen'",
        "CREATE PUBLICATION {name} FOR TABLE team, person, knows, event WITH (publish_via_partition_root = true)",
    ],
    "a table taken out of the publication and put back": [
        "ALTER PUBLICATION {name} DROP TABLE team",
        "UPDATE team SET name = 'unseen'",
        "ALTER PUBLICATION {name} ADD TABLE team",
    ],
    "the same table made again with other columns": [
        (
            "DROP TABLE knows;"
            " CREATE TABLE knows (a int REFERENCES person, b int REFERENCES person, since text, PRIMARY KEY (a, b));"
            " ALTER PUBLICATION {name} ADD TABLE knows; INSERT INTO knows VALUES (3, 1, 'now')"
        ),
    ],
    "a partition detached, filled and put back in one transaction": [
        (
            "ALTER TABLE event DETACH PARTITION event_late; INSERT INTO event_late VALUES (8, '2023-01-01', 'in', 1);"
            "ALTER TABLE event ATTACH PARTITION event_late FOR VALUES FROM ('2020-01-01') TO ('2030-01-01')"
        ),
    ],
    "a column dropped and made again in one transaction": [
        "ALTER TABLE team DROP COLUMN name; ALTER TABLE team ADD COLUMN name text DEFAULT 'fresh'",
    ],
    "a schema taken out of the publication and put back": [
        "ALTER PUBLICATION {name} SET TABLES IN SCHEMA public",
        (
            "ALTER PUBLICATION {name} DROP TABLES IN SCHEMA public; UPDATE team SET name = 'unseen';"
            "ALTER PUBLICATION {name} ADD TABLES IN SCHEMA public"
        ),
    ],
    "rows stored anew": ["CLUSTER person USING person_pkey"],
    "a foreign key added and dropped": [
        "ALTER TABLE team ADD COLUMN lead int",
        "ALTER TABLE team ADD FOREIGN KEY (lead) REFERENCES person",
        "ALTER TABLE team DROP CONSTRAINT team_lead_fkey",
    ],
}
"""What is followed, each as transactions."""

DURING = (
    "UPDATE person SET name = name || '!', team = 2 WHERE id = 2",
    "INSERT INTO person (id, name, team, boss) VALUES (4, 'di', 2, 2)",
    "UPDATE event SET note = note || '!', person = 4",
    "INSERT INTO knows (a, b) VALUES (4, 1)",
    "DELETE FROM knows WHERE b = 2",
    "UPDATE person SET id = 30 WHERE id = 4 AND false",
)
"""Ordinary changes before, between and after."""


@pytest.mark.parametrize("change", FOLLOWED.values(), ids=FOLLOWED.keys())
async def test_it_is_followed(postgres_server: PostgresServer, neo4j_server: Neo4jServer, change: list[str]) -> None:
    """The graph equals the tables afterwards, whatever was written before and after it, in one batch or in several."""
    async with streamed(postgres_server, neo4j_server) as stream:
        name = stream.name
        await stream.execute(*(text.format(name=name) for text in change))
        await stream.check()
        await stream.execute(*DURING[:3])
        await stream.check()


@pytest.mark.parametrize("change", FOLLOWED.values(), ids=FOLLOWED.keys())
async def test_it_is_followed_among_other_changes(
    postgres_server: PostgresServer, neo4j_server: Neo4jServer, change: list[str]
) -> None:
    """As above, with the changes waiting while it happens, so that the catalogue is far ahead of the graph."""
    async with streamed(postgres_server, neo4j_server) as stream:
        texts = [text.format(name=stream.name) for text in change]
        stream.gate.clear()
        await stream.execute(DURING[0], *texts, *DURING[1:])
        stream.gate.set()
        await stream.check()


REMAPPED = {
    "a table added": (WITHOUT_TEAM, MAPPING),
    "a table removed": (MAPPING, WITHOUT_TEAM),
    "a relationship table removed": (MAPPING, MAPPING.partition("[[relationship]]")[0]),
    "another label": (MAPPING, MAPPING.replace('"Person"', '"Human"')),
    "another type": (MAPPING, MAPPING.replace('"BOSS"', '"CHIEF"').replace('"KNOWS"', '"MET"')),
    "another direction": (MAPPING, MAPPING.replace('type = "BOSS"', 'type = "BOSS"\ndirection = "in"')),
    "properties left out and renamed": (
        MAPPING,
        MAPPING.replace('label = "Person"', 'label = "Person"\nexclude = ["size"]\nrename = { name = "called" }'),
    ),
    "labels by a column": (
        MAPPING.replace('label = "Person"', 'label = "Person"\nextra_labels = ["Being", "Thing"]'),
        MAPPING.replace(
            'label = "Person"',
            'label = "Person"\nextra_labels = ["Being"]\n'
            'labels_from = { column = "feels", values = { calm = "Calm", cross = "Cross" } }',
        ),
    ),
    "another type of value": (MAPPING, MAPPING.replace('"Person"', '"Person"\ntypes = { size = "string" }')),
}
"""A mapping, and another one that follows it."""


@pytest.mark.parametrize(("before", "after"), REMAPPED.values(), ids=REMAPPED.keys())
async def test_another_mapping_is_followed(postgres: Database, neo4j: Neo4jServer, before: str, after: str) -> None:
    """Refused at first; with `remap` the graph becomes that of the new mapping, with what was written meanwhile."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, before) as stream:
        await stream.check()
        await stream.execute(*DURING[:2])
    async with await postgres.connect() as connection:
        await connection.execute("UPDATE team SET name = 'meanwhile'")
    with pytest.raises(MappingChanged):
        async with following(postgres, neo4j, after):
            pass
    async with following(postgres, neo4j, after, Orders(remap=True)) as stream:
        await stream.check()
        await stream.execute(*DURING[2:])
        await stream.check()


async def test_a_renamed_table_stops_the_stream_until_the_mapping_follows(
    postgres: Database, neo4j: Neo4jServer
) -> None:
    """Nothing is written before a person said what the table is called now; then nothing is lost."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.execute("UPDATE team SET name = 'before'", "ALTER TABLE team RENAME TO crew")
        await stream.execute("INSERT INTO crew VALUES (3, 'after')")
        with pytest.raises(MappingInvalid):
            await stream.caught_up()
    async with following(postgres, neo4j, MAPPING.replace("public.team", "public.crew"), Orders(remap=True)) as stream:
        await stream.check()


async def test_a_dropped_foreign_key_stops_the_stream(postgres: Database, neo4j: Neo4jServer) -> None:
    """A reference that Postgres does not vouch for any more is another mapping."""
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    async with following(postgres, neo4j, MAPPING) as stream:
        await stream.execute("ALTER TABLE person DROP CONSTRAINT person_team_fkey")
        await stream.execute("INSERT INTO person (id, team) VALUES (9, 99)", "INSERT INTO team VALUES (99)")
        with pytest.raises(MappingInvalid):
            await stream.caught_up()
    loose = MAPPING.replace('type = "TEAM"', 'type = "TEAM"\nenforced = false')
    async with following(postgres, neo4j, loose, Orders(remap=True)) as stream:
        await stream.check()
        await stream.execute("INSERT INTO person (id, team) VALUES (10, 100)", "INSERT INTO team VALUES (100)")
        await stream.check()


async def test_an_unlisted_relationship_type_stops_the_stream_until_it_is_listed(
    postgres: Database, neo4j: Neo4jServer
) -> None:
    """Nothing is written before a person said which type the value is; then the stream goes on, with nothing lost."""
    before, after = (
        MAPPING.replace('type = "KNOWS"', f"type_from = {{ column = 'how', values = {{ {values} }} }}")
        for values in ("work = 'WORKS_WITH'", "work = 'WORKS_WITH', home = 'LIVES_WITH'")
    )
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
        await connection.execute("ALTER TABLE knows ADD how text NOT NULL DEFAULT 'work'")
    async with following(postgres, neo4j, before) as stream:
        await stream.check()
        await stream.execute("UPDATE team SET name = 'before'")
        await stream.execute("INSERT INTO knows VALUES (3, 1, 2003, 'home')", "UPDATE team SET name = 'after'")
        with pytest.raises(SelectorValueUnlisted) as caught:
            await stream.caught_up()
    assert "run --remap" in caught.value.advice
    with pytest.raises(MappingChanged):
        async with following(postgres, neo4j, after):
            pass
    async with following(postgres, neo4j, after, Orders(remap=True)) as stream:
        await stream.check()
        await stream.execute("UPDATE knows SET how = 'home' WHERE a = 1", "DELETE FROM knows WHERE a = 3")
        await stream.check()
