"""A publication that changes under a stream: Postgres 18 leaves out what it does not publish without a word."""

import pytest

from tests.acceptance.stream import Stream

PERSON = 2


@pytest.fixture
def streamed(stream: Stream) -> Stream:
    """Two tables and their mapping."""
    stream.execute("CREATE TABLE one (id int PRIMARY KEY)", "CREATE TABLE two (id int PRIMARY KEY)")
    stream.map()
    return stream


@pytest.mark.parametrize(
    "change",
    [
        (
            "DROP PUBLICATION {name};"
            "CREATE PUBLICATION {name} FOR TABLE one, two WITH (publish_via_partition_root = true)"
        ),
        "ALTER PUBLICATION {name} DROP TABLE one; ALTER PUBLICATION {name} ADD TABLE one",
    ],
    ids=["made again", "table taken out and put back"],
)
def test_a_gap_in_the_publication_is_read_again(streamed: Stream, change: str) -> None:
    """What was written during the gap arrives, whether the daemon runs on or is started afterwards."""
    for running in (True, False):
        daemon = streamed.run()
        daemon.wait_line("streaming")
        if not running:
            assert daemon.stop() == 0
        before, after = change.format(name=streamed.name).split(";")
        # In one transaction: a daemon that looks in between would find the publication wanting, and stop.
        streamed.execute("BEGIN", before, "INSERT INTO one SELECT coalesce(max(id), 0) + 1 FROM one", after, "COMMIT")
        if running:
            daemon.wait_line("reading again")
            assert daemon.stop() == 0
        again = streamed.command("run", "--until-current")
        assert again.returncode == 0, again.stderr
        [found] = streamed.cypher("MATCH (n:One) RETURN count(n) AS count")
        assert found["count"] == len(streamed.sql("TABLE one"))


def test_a_table_that_is_not_published_stops_the_stream(streamed: Stream) -> None:
    """The daemon that runs ends before it writes anything else, and says what is missing; put back, it goes on."""
    daemon = streamed.run()
    daemon.wait_line("streaming")
    streamed.execute(f"ALTER PUBLICATION {streamed.name} DROP TABLE one", "INSERT INTO one VALUES (7)")
    assert daemon.wait_end() == PERSON
    assert f"publication {streamed.name}" in daemon.said
    again = streamed.command("run", "--until-current")
    assert again.returncode == PERSON
    assert "public.one" in again.stderr
    streamed.execute(f"ALTER PUBLICATION {streamed.name} ADD TABLE one")
    assert streamed.command("run", "--until-current").returncode == 0
    assert streamed.command("verify").returncode == 0


def test_a_further_table_in_the_publication_does_no_harm(streamed: Stream) -> None:
    """What else a publication holds is no concern of the stream."""
    daemon = streamed.run()
    daemon.wait_line("streaming")
    streamed.execute("CREATE TABLE three (id int PRIMARY KEY)", f"ALTER PUBLICATION {streamed.name} ADD TABLE three")
    assert daemon.stop() == 0
    assert streamed.command("run", "--until-current").returncode == 0


def test_a_publication_with_a_column_list_is_refused(stream: Stream) -> None:
    """What an operator published in part is no ground for a copy of the whole."""
    stream.execute("CREATE TABLE one (id int PRIMARY KEY, more int)")
    stream.map()
    stream.execute(f"CREATE PUBLICATION {stream.name} FOR TABLE one (id) WITH (publish_via_partition_root = true)")
    refused = stream.command("run", "--until-current")
    assert refused.returncode == PERSON
    assert "leaves out columns of public.one" in refused.stderr
