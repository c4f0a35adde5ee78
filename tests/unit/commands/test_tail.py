import json
from datetime import datetime

from gpm_cdc.cli import status as status_command, tail as tail_command
from gpm_cdc.cypher.statement import Statement
from gpm_cdc.domain.changes import UNCHANGED, Delete, Insert, Relation, RelationColumn, Truncate, Update
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.replication.assembly import Event, Transaction
from gpm_cdc.runtime.tail import TracedChange, TracedTransaction, _Tracer

NOTES = Relation(
    5,
    "public",
    "notes",
    "d",
    (RelationColumn("id", 23, -1, in_identity=True), RelationColumn("body", 25, -1, in_identity=False)),
)


def traced(*events: Event) -> tuple[TracedChange, ...]:
    """The changes of one transaction on a table that no mapping names."""
    transaction = Transaction(Lsn(1), 0, [NOTES, *events], 0)
    return _Tracer(GraphPlan((), ())).trace(transaction).changes


def test_insert_and_delete_show_what_the_stream_sent() -> None:
    """A delete carries the identity only: what is empty beside it means nothing and is not shown."""
    assert traced(Insert(5, ["1", None]), Delete(5, "K", ["1", None]), Delete(5, "O", ["2", None])) == (
        TracedChange("insert", "public.notes", new={"id": "1", "body": None}),
        TracedChange("delete", "public.notes", old={"id": "1"}),
        TracedChange("delete", "public.notes", old={"id": "2", "body": None}),
    )


def test_unchanged_value_is_neither_null_nor_shown() -> None:
    """A large value that was left out is named apart."""
    assert traced(Update(5, "K", ["1", None], ["2", UNCHANGED])) == (
        TracedChange("update", "public.notes", old={"id": "1"}, new={"id": "2"}, unchanged=("body",)),
    )


def test_truncate_names_each_table() -> None:
    """One change per emptied table."""
    assert traced(Truncate((5,), cascade=False, restart_identity=False)) == (TracedChange("truncate", "public.notes"),)


def test_transaction_as_json_and_as_text() -> None:
    """What JSON has no form for becomes text; both forms hold position, time, change and statement."""
    transaction = TracedTransaction(
        Lsn(0x1_0000_0002),
        1_000_000,
        (TracedChange("update", "public.notes", new={"id": "1"}, unchanged=("body",)),),
        (Statement("UNWIND $rows AS r", [[1, b"\x00\xff", float("nan"), [float("-inf")], None]]),),
    )
    document = json.loads(json.dumps(tail_command._document(transaction), allow_nan=False))
    assert document["lsn"] == "1/2"
    assert datetime.fromisoformat(document["committed_at"]).year == 2000
    assert document["changes"] == [
        {"kind": "update", "table": "public.notes", "new": {"id": "1"}, "unchanged": ["body"]}
    ]
    assert document["statements"] == [{"cypher": "UNWIND $rows AS r", "rows": [[1, "00ff", "nan", ["-inf"], None]]}]
    text = tail_command._text(transaction)
    assert text.splitlines()[0].startswith("-- 1/2, committed 2000-01-01")
    assert 'update public.notes {"id": "1"} (unchanged: body)' in text
    assert '[1, "00ff", "nan", ["-inf"], null]' in text


def test_sizes_are_readable() -> None:
    """As Postgres counts: 1024 to the next unit."""
    sizes = {0: "0 B", 1023: "1023 B", 1536: "1.5 kB", 1024**2: "1.0 MB", 5 * 1024**5: "5120.0 TB"}
    assert {count: status_command._size(count) for count in sizes} == sizes
