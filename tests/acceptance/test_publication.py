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
def test_a_gap_in_the_publication_stops_the_stream(streamed: Stream, change: str) -> None:
    """The daemon that runs ends and says what to do, and so does every one that is started afterwards."""
    daemon = streamed.run()
    daemon.wait_line("streaming")
    for statement in change.format(name=streamed.name).split(";"):
        streamed.execute(statement)
    assert daemon.wait_end() == PERSON
    assert f"publication {streamed.name}" in daemon.said
    assert "gpm-cdc run --adopt" in daemon.said
    again = streamed.command("run", "--until-current")
    assert again.returncode == PERSON
    assert "publication" in again.stderr


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
