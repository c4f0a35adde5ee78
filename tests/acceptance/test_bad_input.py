"""What a person can get wrong, or find broken: each ends with an exit code, and with words that name the thing."""

import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import servers
from tests.acceptance.stream import CHECKPOINT, Stream

# Each test runs several commands in processes of their own, some with a server of their own.
pytestmark = pytest.mark.timeout(300)

PERSON, REPEAT, FINDING, DONE = 2, 3, 1, 0
WRONG = "not-the-password"
TABLES = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, note text)",
    "INSERT INTO customers VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO orders VALUES (1, 1, NULL)",
)
MAPPING = """version = 1
[[node]]
table = "public.customers"
label = "Customer"
key = ["id"]
[[node]]
table = "public.orders"
label = "Order"
key = ["id"]
[[node.relationship]]
columns = ["customer_id"]
type = "CUSTOMER"
target = "public.customers"
target_columns = ["id"]
"""

type Outcome = subprocess.CompletedProcess[str]


@pytest.fixture
def shop(stream: Stream) -> Stream:
    """Tables and a mapping, not yet a stream."""
    stream.execute(*TABLES)
    stream.mapping.write_text(MAPPING, "utf-8")
    return stream


@pytest.fixture
def begun(shop: Stream) -> Stream:
    """A stream that has copied its tables and was stopped."""
    done = run(shop)
    assert done.returncode == DONE, done.stderr
    return shop


@pytest.fixture
def reader(postgres: servers.Database) -> Iterator[tuple[str, str]]:
    """A role that may log in and nothing else, with its password."""
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), password))
    yield name, password
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def run(stream: Stream, *arguments: str, **tuning: object) -> Outcome:
    """`gpm-cdc run`, until it is current or refuses."""
    return stream.command("run", "--until-current", "--no-wait", *arguments, tuning=tuning)


def says(outcome: Outcome, code: int, *words: str) -> None:
    """The outcome has the exit code, names each of `words`, gives a remedy, and is no internal error."""
    assert outcome.returncode == code, outcome.stderr
    for word in words:
        assert word in outcome.stderr
    assert "  next: " in outcome.stderr
    assert "internal error" not in outcome.stderr
    assert "Traceback" not in outcome.stderr


def finds(stream: Stream, code: str, subject: str, *arguments: str, **tuning: object) -> None:
    """`gpm-cdc check` reports a finding that blocks, by its code, on `subject`, with a remedy."""
    done = stream.command("check", "--json", *arguments, tuning=tuning)
    assert done.returncode == FINDING, done.stderr
    document = json.loads(done.stdout)
    assert document["blocked"] is True
    found = {(finding["code"], finding["subject"]): finding for finding in document["findings"]}
    assert (code, subject) in found, list(found)
    assert found[code, subject]["severity"] == "blocks"
    assert found[code, subject]["remedy"]


def ails(stream: Stream, code: str) -> None:
    """`gpm-cdc status` shows the stream, and what keeps it from going on."""
    done = stream.command("status", "--json")
    assert done.returncode == FINDING, done.stderr
    assert json.loads(done.stdout)["problem"]["code"] == code


def untouched(stream: Stream) -> bool:
    """Whether the servers hold nothing of the stream."""
    made = stream.sql(
        "SELECT 1 FROM pg_publication WHERE pubname = %s"
        " UNION ALL SELECT 1 FROM pg_replication_slots WHERE slot_name = %s",
        [stream.name, stream.name],
    )
    return not made and not stream.cypher("MATCH (n) RETURN n LIMIT 1") and not stream.cypher("SHOW CONSTRAINTS")


def test_wrong_postgres_password(shop: Stream) -> None:
    """The refusal names the user and the setting, and does not repeat the password."""
    for command in ("run", "check"):
        done = shop.command(command, tuning={"postgres_dsn": make_conninfo(shop.postgres.dsn, password=WRONG)})
        says(done, PERSON, "password authentication failed for user", "GPM_POSTGRES_DSN")
        assert WRONG not in done.stderr + done.stdout


def test_wrong_neo4j_password(shop: Stream) -> None:
    """The refusal names the address, the user and the setting, and does not repeat the password."""
    for command in ("run", "check"):
        done = shop.command(command, tuning={"neo4j_password": WRONG})
        says(done, PERSON, shop.neo4j.uri, shop.neo4j.user, "GPM_NEO4J_PASSWORD")
        assert WRONG not in done.stderr + done.stdout


def test_databases_that_do_not_exist(shop: Stream) -> None:
    """Both servers name the database that they do not have."""
    says(
        run(shop, postgres_dsn=make_conninfo(shop.postgres.dsn, dbname="nowhere")),
        PERSON,
        '"nowhere"',
        "GPM_POSTGRES_DSN",
    )
    says(run(shop, neo4j_database="nowhere"), PERSON, "nowhere", "SHOW DATABASES")


def test_servers_that_do_not_answer(shop: Stream) -> None:
    """A command that somebody waits for says at once which server does not answer; repeating it may help."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for command in ("check", "status"):
        away = make_conninfo(shop.postgres.dsn, host="127.0.0.1", port=port)
        says(
            shop.command(command, tuning={"postgres_dsn": away}),
            REPEAT,
            "Postgres cannot be reached",
            str(port),
            "GPM_POSTGRES_DSN",
        )
        says(
            shop.command(command, tuning={"neo4j_uri": f"bolt://127.0.0.1:{port}"}),
            REPEAT,
            f"127.0.0.1:{port}",
            "GPM_NEO4J_URI",
        )


def test_address_of_neo4j_where_something_else_answers(shop: Stream) -> None:
    """A port where Postgres listens is no Neo4j."""
    parts = conninfo_to_dict(shop.postgres.dsn)
    uri = f"bolt://{parts['host']}:{parts['port']}"
    says(shop.command("check", tuning={"neo4j_uri": uri}), REPEAT, uri, "GPM_NEO4J_URI")


async def test_wal_level_below_logical(shop: Stream) -> None:
    """Nothing is made on either server before the refusal."""
    async with servers.start_postgres(wal_level="replica") as other:
        elsewhere = replace(shop, postgres=other)
        elsewhere.execute(*TABLES)
        says(run(elsewhere), PERSON, "wal_level is replica", "ALTER SYSTEM SET wal_level = logical")
        assert untouched(elsewhere)
        finds(elsewhere, "wal_level_too_low", "wal_level")
        assert untouched(elsewhere)


def test_role_without_the_right_to_replicate(shop: Stream, reader: tuple[str, str]) -> None:
    """The message names the role and the statement that helps; check says what else the role lacks."""
    name, password = reader
    dsn = make_conninfo(shop.postgres.dsn, user=name, password=password)
    says(run(shop, postgres_dsn=dsn), PERSON, f'role "{name}"', f'ALTER ROLE "{name}" WITH REPLICATION')
    finds(shop, "replication_refused", f'"{name}"', postgres_dsn=dsn)
    finds(shop, "table_unreadable", "public.orders", postgres_dsn=dsn)
    finds(shop, "publication_uncreatable", shop.name, postgres_dsn=dsn)
    assert untouched(shop)


def test_rows_that_row_security_hides(shop: Stream, reader: tuple[str, str]) -> None:
    """A copy that would miss rows blocks."""
    name, password = reader
    shop.execute(
        f'GRANT SELECT ON customers, orders TO "{name}"',
        "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
    )
    finds(
        shop,
        "rows_hidden",
        "public.customers",
        postgres_dsn=make_conninfo(shop.postgres.dsn, user=name, password=password),
    )


def test_mapping_that_is_missing(stream: Stream) -> None:
    """The message shows the command that writes one."""
    says(run(stream), PERSON, "gpm-cdc.toml", "gpm-cdc map")
    finds(stream, "mapping_missing", "gpm-cdc.toml")


def test_table_without_a_primary_key(shop: Stream) -> None:
    """It is refused by name, with the statement that helps, before anything is made."""
    shop.execute("CREATE TABLE notes (body text)")
    shop.mapping.write_text(MAPPING + '[[node]]\ntable = "public.notes"\nlabel = "Note"\nkey = ["body"]\n', "utf-8")
    says(run(shop), PERSON, "public.notes", "ADD PRIMARY KEY")
    assert untouched(shop)


def test_mapping_of_a_column_that_does_not_exist(shop: Stream) -> None:
    """Table and column are named, and the nearest column that exists."""
    shop.mapping.write_text(MAPPING.replace('["customer_id"]', '["custmer_id"]'), "utf-8")
    says(run(shop), PERSON, "custmer_id", "public.orders", "customer_id")
    finds(shop, "column_unknown", "public.orders.custmer_id")
    assert untouched(shop)


def test_relationships_that_nothing_tells_apart(shop: Stream) -> None:
    """Both foreign keys are named, and the line to write is shown."""
    shop.execute("ALTER TABLE orders ADD payer_id int REFERENCES customers")
    second = MAPPING[MAPPING.index("[[node.relationship]]") :].replace("customer_id", "payer_id")
    shop.mapping.write_text(MAPPING + second, "utf-8")
    says(run(shop), PERSON, "customer_id", "payer_id", "CUSTOMER", "type = ")
    finds(shop, "relationship_ambiguous", "public.orders")


def test_slot_that_another_client_reads(begun: Stream) -> None:
    """The message names the slot and the Postgres process behind it."""
    with psycopg.connect(begun.postgres.dsn, replication="database", autocommit=True) as thief:
        reading = (
            f"START_REPLICATION SLOT {begun.name} LOGICAL 0/0 (proto_version '1', publication_names '{begun.name}')"
        )
        assert thief.pgconn.exec_(reading.encode()).status == pq.ExecStatus.COPY_BOTH
        pid = str(thief.info.backend_pid)
        says(run(begun), PERSON, begun.name, f"process {pid}", f"pid = {pid}")
        finds(begun, "slot_in_use", begun.name)
        ails(begun, "slot_in_use")
        says(begun.command("reset", "--yes"), PERSON, f"process {pid}")
        thief.pgconn.finish()
    assert run(begun).returncode == DONE


@pytest.mark.parametrize("started", [False, True])
def test_slot_of_another_plugin(shop: Stream, *, started: bool) -> None:
    """It is neither used nor dropped."""
    if started:
        assert run(shop).returncode == DONE
        shop.sql("SELECT pg_drop_replication_slot(%s)", [shop.name])
    shop.sql("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [shop.name])
    says(run(shop), PERSON, shop.name, "test_decoding", "--stream")
    finds(shop, "slot_foreign", shop.name)
    ails(shop, "slot_foreign")
    says(shop.command("reset", "--yes"), PERSON, "test_decoding")
    assert shop.sql("SELECT plugin FROM pg_replication_slots WHERE slot_name = %s", [shop.name]) == [("test_decoding",)]


def test_slot_without_a_checkpoint(begun: Stream) -> None:
    """A slot that the graph knows nothing of is not taken for a new stream's."""
    begun.cypher(f"{CHECKPOINT} DELETE s", stream=begun.name)
    begun.cypher("MATCH (n) DETACH DELETE n")
    says(run(begun), PERSON, begun.name, "no checkpoint")
    finds(begun, "slot_foreign", begun.name)
    ails(begun, "slot_foreign")


async def test_slot_that_has_lost_its_log(shop: Stream) -> None:
    """The message names the slot, why it is lost and the setting behind it; after a reset the stream begins again."""
    async with servers.start_postgres(max_slot_wal_keep_size="1MB", min_wal_size="32MB", max_wal_size="32MB") as other:
        begun = replace(shop, postgres=other)
        begun.execute(*TABLES)
        assert run(begun).returncode == DONE
        for _ in range(3):
            begun.execute(
                "SELECT pg_logical_emit_message(false, 'filler', 'x')", "SELECT pg_switch_wal()", "CHECKPOINT"
            )
        says(run(begun), PERSON, begun.name, "wal_removed", "max_slot_wal_keep_size", "gpm-cdc reset")
        finds(begun, "slot_lost", begun.name)
        ails(begun, "slot_lost")
        assert begun.command("reset", "--yes").returncode == DONE
        assert run(begun, "--adopt").returncode == DONE


def test_slot_that_is_gone(begun: Stream) -> None:
    """The message says how far the graph is."""
    begun.sql("SELECT pg_drop_replication_slot(%s)", [begun.name])
    says(run(begun), PERSON, begun.name, "does not exist", "gpm-cdc reset")
    finds(begun, "slot_missing", begun.name)
    ails(begun, "slot_missing")


def test_slot_that_somebody_moved(begun: Stream) -> None:
    """A slot ahead of the graph has lost what lies between."""
    begun.execute("INSERT INTO customers VALUES (3, 'three')")
    begun.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [begun.name])
    says(run(begun), PERSON, begun.name, "ahead of the graph", "gpm-cdc reset")
    finds(begun, "slot_ahead", begun.name)
    ails(begun, "slot_ahead")


def test_publication_that_is_gone(begun: Stream) -> None:
    """Somebody must have meant it, so it is not simply made again."""
    begun.execute(f"DROP PUBLICATION {begun.name}")
    says(run(begun), PERSON, begun.name, "does not exist", "sql/publication.sql")
    finds(begun, "publication_missing", begun.name)
    ails(begun, "publication_missing")


def test_publication_that_leaves_something_out(shop: Stream) -> None:
    """A publication made by hand is examined, and said what it lacks."""
    shop.execute(f"CREATE PUBLICATION {shop.name} FOR TABLE customers WITH (publish_via_partition_root = true)")
    says(run(shop), PERSON, shop.name, "public.orders", "sql/publication.sql")
    finds(shop, "publication_unfit", shop.name)


def test_graph_of_another_cluster(begun: Stream) -> None:
    """Both clusters are named by their identifiers."""
    begun.cypher(f"{CHECKPOINT} SET s.system_identifier = '4711'", stream=begun.name)
    here = str(begun.sql("SELECT system_identifier FROM pg_control_system()")[0][0])
    says(run(begun), PERSON, "4711", here, "GPM_POSTGRES_DSN")
    finds(begun, "system_changed", begun.name)


def test_log_that_ends_before_the_graph(begun: Stream) -> None:
    """A cluster that was set back has lost commits that the graph has."""
    begun.cypher(f"{CHECKPOINT} SET s.lsn = s.lsn + 1000000000", stream=begun.name)
    says(run(begun), PERSON, "the log of this Postgres ends at", "gpm-cdc reset")
    finds(begun, "log_behind", begun.name)
    ails(begun, "log_behind")


def test_graph_that_already_holds_mapped_labels(shop: Stream) -> None:
    """Label and number are named; a key that is there twice does not hide it. `--adopt` makes the graph equal."""
    shop.cypher("UNWIND [1, 1, 9] AS id CREATE (:Customer {id: id, name: 'old'})")
    says(run(shop), PERSON, "3 nodes", "Customer", "gpm-cdc run --adopt")
    finds(shop, "graph_not_empty", "Customer")
    assert shop.command("check", "--adopt").returncode == DONE
    shop.cypher("MATCH (n:Customer {id: 1}) WITH n LIMIT 1 DELETE n")
    assert run(shop, "--adopt").returncode == DONE
    assert shop.cypher("MATCH (n:Customer) RETURN collect(n.id)")[0][0] in ([1, 2], [2, 1])


def test_index_where_a_constraint_has_to_be(shop: Stream) -> None:
    """Neo4j makes no constraint beside an index on the same property."""
    shop.cypher("CREATE INDEX customer_id FOR (n:Customer) ON (n.id)")
    finds(shop, "index_in_the_way", "Customer")
    says(run(shop), PERSON, "index")
    shop.cypher("DROP INDEX customer_id")
    assert run(shop).returncode == DONE


def test_mapping_that_changed(begun: Stream) -> None:
    """The graph was filled with another mapping; the former one still serves."""
    begun.mapping.write_text(MAPPING.replace('type = "CUSTOMER"', 'type = "BUYER"'), "utf-8")
    says(run(begun), PERSON, begun.name, "mapping", "gpm-cdc run --remap")
    finds(begun, "mapping_changed", begun.name)
    begun.mapping.write_text(MAPPING, "utf-8")
    assert run(begun).returncode == DONE


def test_table_that_changed_its_columns(begun: Stream) -> None:
    """It is read again, unless the mapping names a column that is gone."""
    begun.execute("ALTER TABLE orders ALTER note TYPE varchar(9)")
    assert run(begun).returncode == DONE
    begun.execute("ALTER TABLE orders RENAME customer_id TO buyer_id")
    says(run(begun), PERSON, "public.orders has no column customer_id", "gpm-cdc map --check")
    finds(begun, "column_unknown", "public.orders.customer_id")
    begun.execute("ALTER TABLE orders RENAME buyer_id TO customer_id")
    assert run(begun).returncode == DONE


def test_transaction_that_keeps_a_slot_from_being_made(begun: Stream) -> None:
    """The process is named; making the slot is given up after the lock timeout."""
    with psycopg.connect(begun.postgres.dsn) as writer:
        writer.execute("INSERT INTO customers VALUES (7, 'open')")
        pid = str(writer.info.backend_pid)
        says(
            begun.command("tail", "--limit", "1", tuning={"lock_timeout": 0.5}),
            REPEAT,
            "0.5 seconds",
            pid,
            "GPM_LOCK_TIMEOUT",
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[settings]\nbatch_rowz = 1\n", ("batch_rowz", "batch_rows")),
        ("[settings]\nbatch_rows = 0\n", ("batch_rows", "gpm-cdc.toml")),
        ("[settings\n", ("gpm-cdc.toml", "line")),
        ('[settings]\nneo4j_uri = "http://localhost"\n', ("neo4j_uri", "bolt://")),
        ('[settings]\nstream = "My Stream"\n', ("stream", "gpm-cdc.toml")),
        ('[[node]]\ntable = "public.customers"\nlable = "Customer"\n', ("lable", "label")),
    ],
    ids=["unknown", "too small", "no TOML", "scheme", "name", "mapping key"],
)
def test_configuration_that_is_wrong(stream: Stream, text: str, words: tuple[str, ...]) -> None:
    """File and setting are named, and what would be right."""
    stream.mapping.write_text(f"version = 1\n{text}", "utf-8")
    says(_without_variables(stream, "run", words), PERSON, *words)


def _without_variables(stream: Stream, command: str, words: tuple[str, ...]) -> Outcome:
    """The environment goes over the file, so what the file says wrong must not be set there."""
    return stream.command(command, tuning={name: "" for name in words if name in {"neo4j_uri", "stream"}})


def test_configuration_file_that_is_not_there(stream: Stream, tmp_path: Path) -> None:
    """The path is named, and who named it."""
    missing = tmp_path / "absent.toml"
    says(stream.command("run", "--config", str(missing)), PERSON, str(missing), "--config")


def test_arguments_that_are_wrong(shop: Stream) -> None:
    """A usage error says which argument."""
    done = shop.command("wait", "--lsn", "yesterday")
    assert done.returncode == PERSON
    assert "yesterday" in done.stderr
    assert shop.command("run", "--until-current", "--until-lsn", "0/1").returncode == PERSON


def test_nobody_to_confirm_a_reset(begun: Stream) -> None:
    """Without a terminal and without --yes nothing is dropped."""
    says(begun.command("reset"), PERSON, begun.name, "--yes")
    assert begun.command("status").returncode == DONE
