"""Damage to a graph that is repaired by commands, while a daemon runs; passes that a daemon makes by itself."""

import json

import pytest

from tests.acceptance.stream import Stream

REPEAT = 3
DRIFT = 1
PERSON = 2


@pytest.fixture
def streamed(stream: Stream) -> Stream:
    """Two tables with a foreign key, filled, and their mapping."""
    stream.execute(
        "CREATE TABLE one (id int PRIMARY KEY, name text)",
        "CREATE TABLE two (id int PRIMARY KEY, one int REFERENCES one)",
        "INSERT INTO one SELECT i, 'n' || i FROM generate_series(1, 50) i",
        "INSERT INTO two SELECT i, i FROM generate_series(1, 50) i",
    )
    stream.map()
    return stream


def damage(stream: Stream) -> None:
    """Something of every kind: a value, a node with its relationship, a relationship, a node too many."""
    stream.cypher("MATCH (n:One {id: 3}) SET n.name = 'damaged'")
    stream.cypher("MATCH (n:One {id: 4}) DETACH DELETE n")
    stream.cypher("MATCH (:Two {id: 5})-[e]->() DELETE e")
    stream.cypher("CREATE (:Two {id: 99})")


def test_what_verify_finds_is_repaired(streamed: Stream) -> None:
    """At once, and in steps over a file with a look at what would be done; a cap on deletes is kept."""
    daemon = streamed.run()
    daemon.wait_line("streaming")
    damage(streamed)
    refused = streamed.command("verify", "--repair", "--max-delete", "0")
    assert refused.returncode == PERSON
    assert "--max-delete 1" in refused.stderr
    repaired = streamed.command("verify", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "verify: clean" in repaired.stdout
    damage(streamed)
    assert streamed.command("verify", "--jsonl", "found.jsonl").returncode == DRIFT
    planned = streamed.command("repair", "--report", "found.jsonl", "--dry-run")
    assert planned.returncode == 0
    assert "public.one" in planned.stdout
    assert streamed.command("verify").returncode == DRIFT
    assert streamed.command("repair", "--report", "found.jsonl").returncode == 0
    assert streamed.command("verify").returncode == 0
    assert daemon.stop() == 0


def test_rows_and_tables_are_repaired_by_name(streamed: Stream) -> None:
    """By key and as a whole; what is not mapped, is no key, or has nobody to do it is refused."""
    assert streamed.command("run", "--until-current").returncode == 0
    assert streamed.command("repair", "--table", "one").returncode == REPEAT
    assert streamed.command("repair").returncode == PERSON
    daemon = streamed.run()
    daemon.wait_line("streaming")
    assert streamed.command("repair", "--table", "nobody").returncode == PERSON
    assert streamed.command("repair", "--key", "one", '["1", "2"]').returncode == PERSON
    streamed.cypher("MATCH (n:One {id: 7}) DETACH DELETE n")
    assert streamed.command("repair", "--key", "one", "7").returncode == 0
    assert streamed.command("verify").returncode == 0
    streamed.cypher("MATCH (n:One) WHERE n.id > 40 DETACH DELETE n")
    assert streamed.command("repair", "--table", "one", "--table", "two", "--where", "id > 40").returncode == PERSON
    refused = streamed.command("repair", "--table", "one", "--where", "nobody > 40")
    assert (refused.returncode, 'column "nobody" does not exist' in refused.stderr) == (PERSON, True)
    planned = streamed.command("repair", "--table", "one", "--where", "id > 40", "--dry-run")
    assert planned.stdout.split()[-2:] == ["public.one", "10"]
    assert streamed.command("repair", "--table", "one", "--where", "id > 40").returncode == 0
    assert streamed.command("verify").returncode == 0
    streamed.cypher("MATCH (n:One) WHERE n.id > 20 DETACH DELETE n")
    assert streamed.command("repair", "--table", "one").returncode == 0
    assert streamed.command("verify").returncode == 0
    assert daemon.stop() == 0


def test_an_edited_mapping(streamed: Stream) -> None:
    """Refused by name of the option that accepts it; accepted, the graph is that of the new mapping."""
    assert streamed.command("run", "--until-current").returncode == 0
    streamed.mapping.write_text(streamed.mapping.read_text().replace('"One"', '"Single"'))
    refused = streamed.command("run", "--until-current")
    assert refused.returncode == PERSON
    assert "run --remap" in refused.stderr
    assert streamed.command("run", "--until-current", "--remap").returncode == 0
    assert streamed.command("verify").returncode == 0
    [found] = streamed.cypher("MATCH (n) RETURN count(CASE WHEN n:One THEN 1 END) AS old, count(n:Single) AS new")
    assert found["old"] == 0
    assert streamed.command("run", "--until-current").returncode == 0


def test_a_daemon_verifies_by_itself(streamed: Stream) -> None:
    """Its verdicts are log lines, and the last one is in the status where schema gpm_cdc is."""
    assert streamed.command("db", "upgrade").returncode == 0
    daemon = streamed.run("--verify-every", "1s")
    daemon.wait_line("streaming")
    daemon.wait_line("verified")
    assert '"verdict": "clean"' in daemon.said
    damage(streamed)

    def verdict() -> object:
        shown = json.loads(streamed.command("status", "--json").stdout)["verified"]
        return None if shown is None else shown["verdict"]

    while verdict() != "drift":
        assert daemon.running
    assert streamed.command("verify", "--repair").returncode == 0
    assert daemon.stop() == 0
    assert streamed.command("run", "--verify-every", "soon").returncode == PERSON


def test_a_daemon_verifies_what_changed(streamed: Stream) -> None:
    """A full pass first, since none was made yet; then what was written since, as the status and the list tell."""
    assert streamed.command("db", "upgrade").returncode == 0
    daemon = streamed.run("--verify-changes-every", "1s")
    passes = [daemon.wait_line("verified", count=number) for number in (1, 2)]
    assert [(each["kind"], each["verdict"]) for each in passes] == [("full", "clean"), ("incremental", "clean")]
    assert daemon.stop() == 0
    assert json.loads(streamed.command("status", "--json").stdout)["verified"]["kind"] == "incremental"
    kinds = [found["kind"] for found in json.loads(streamed.command("findings", "--json").stdout)]
    assert (kinds[0], kinds[-1]) == ("incremental", "full")
    newest = json.loads(streamed.command("findings", "--json").stdout)[0]
    again = json.loads(streamed.command("findings", "--pass", str(newest["pass"]), "--json").stdout)
    assert (again["kind"], again["since_lsn"]) == ("incremental", newest["since_lsn"])
    assert again["since"] is not None
