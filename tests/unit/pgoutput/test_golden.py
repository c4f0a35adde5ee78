"""Frames that real servers sent (tests/golden/pgoutput), decoded and compared with their expected meaning."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gpm_cdc.domain.changes import UNCHANGED, Delete, Field, Insert, Relation, RelationColumn, Row, Truncate, Update
from gpm_cdc.domain.lsn import ZERO, render
from gpm_cdc.errors.protocol import MessageTruncated, TrailingBytes
from gpm_cdc.pgoutput.decoder import decode
from gpm_cdc.pgoutput.framing import Keepalive, XLogData, parse_frame, payload_of
from gpm_cdc.pgoutput.messages import POSTGRES_EPOCH_UNIX_US, Begin, Commit, LogicalMessage, Message, Origin, Type

GOLDEN = Path(__file__).parents[2] / "golden" / "pgoutput"
CAPTURES = sorted(GOLDEN.glob("[0-9]*.txt"))
SHOWN = 40
YEAR_2020_US = 1_577_836_800_000_000 - POSTGRES_EPOCH_UNIX_US
YEAR_2100_US = 4_102_444_800_000_000 - POSTGRES_EPOCH_UNIX_US
CAPTURE_NAMES = [path.stem for path in CAPTURES]


class Line(NamedTuple):
    """A frame, or the heading above some."""

    heading: str
    frame: bytes


def read_capture(path: Path) -> Iterator[Line]:
    """The lines of a golden file."""
    for line in path.read_text().splitlines():
        yield Line(line, b"") if line.startswith("#") else Line("", bytes.fromhex(line))


class Rendering:
    """Frames as text without what differs from run to run: positions, transaction ids, times and oids.

    A Relation that says what the last one of its oid said has no text: a server sends one whenever its caches were
    reset, which background work may do at any time.
    """

    def __init__(self) -> None:
        self.relations: dict[int, Relation] = {}
        self.types: dict[int, str] = {}

    def frame(self, data: bytes) -> str:
        """One line, or nothing for a repeated Relation."""
        frame = parse_frame(data)
        if isinstance(frame, Keepalive):
            return f"keepalive, reply_requested={frame.reply_requested}"
        message = decode(frame.payload)
        if isinstance(message, Relation) and self.relations.get(message.oid) == message:
            return ""
        return self.message(message)

    def message(self, message: Message) -> str:  # noqa: PLR0911 - one return for each kind
        """One line."""
        match message:
            case Begin() | Commit():
                return type(message).__name__.lower()
            case Origin(commit_lsn, name):
                return f"origin {name} {render(commit_lsn)}"
            case Type(oid, schema, name):
                self.types[oid] = f"{schema}.{name}"
                return f"type {schema}.{name}"
            case Relation(oid):
                self.relations[oid] = message
                return self.relation(message)
            case Insert(oid, new):
                return f"insert {self.name(oid)} {row(new)}"
            case Update(oid, kind, old, new):
                return f"update {self.name(oid)} {'' if old is None else f'{kind} {row(old)} '}N {row(new)}"
            case Delete(oid, kind, old):
                return f"delete {self.name(oid)} {kind} {row(old)}"
            case Truncate(oids, cascade, restart_identity):
                names = ", ".join(self.name(oid) for oid in oids)
                return f"truncate {names}; {cascade=} {restart_identity=}"
            case LogicalMessage(transactional, _, prefix, content):
                return f"message {transactional=} {prefix!r} {content!r}"

    def relation(self, relation: Relation) -> str:
        """A relation with its columns; the key's are starred."""
        columns = ", ".join(self.column(column) for column in relation.columns)
        return f"relation {relation.schema}.{relation.name} {relation.replica_identity} ({columns})"

    def column(self, column: RelationColumn) -> str:
        """A column with the name of its type where the stream told it, else with the type's fixed oid."""
        star = "*" if column.in_identity else ""
        return f"{star}{column.name} {self.types.get(column.type_oid, column.type_oid)}/{column.type_modifier}"

    def name(self, oid: int) -> str:
        """The name of a relation that was announced before."""
        relation = self.relations[oid]
        return f"{relation.schema}.{relation.name}"


def row(values: Row) -> str:
    """The values of a row, long ones shortened."""
    return "(" + ", ".join(value(field) for field in values) + ")"


def value(field: Field) -> str:
    """One value."""
    if field is None:
        return "NULL"
    if field is UNCHANGED:
        return "unchanged"
    return repr(field) if len(field) <= SHOWN else f"{field[:4]!r}.. {len(field)} characters"


def test_every_supported_version_is_captured() -> None:
    """There are golden frames of each major version that is supported."""
    assert CAPTURE_NAMES == ["15", "16", "17", "18"]


@pytest.mark.parametrize("path", CAPTURES, ids=CAPTURE_NAMES)
def test_golden_frames_mean_what_is_expected(path: Path) -> None:
    """Whatever the version of the server, the scenario's frames have one meaning."""
    rendering = Rendering()
    lines = [line.heading or rendering.frame(line.frame) for line in read_capture(path)]
    assert lines[0].startswith(f"# server_version {path.stem}.")
    expected = (GOLDEN / "expected.txt").read_text().splitlines()
    actual = [line for line in lines[1:] if line]
    difference = "\n".join(difflib.unified_diff(expected, actual, "expected.txt", path.name, lineterm=""))
    assert not difference, difference


@pytest.mark.parametrize("path", CAPTURES, ids=CAPTURE_NAMES)
def test_golden_transactions_are_consistent(path: Path) -> None:
    """Positions, times and transaction ids are read from the right bytes: Begin, Commit and headers agree."""
    begin: Begin | None = None
    end = ZERO
    for line in read_capture(path):
        frame = parse_frame(line.frame) if line.frame else None
        if not isinstance(frame, XLogData):
            continue
        assert YEAR_2020_US < frame.send_time_us < YEAR_2100_US
        match decode(frame.payload):
            case Begin() as begin:
                assert begin.final_lsn >= end
                assert begin.xid > 0
            case Commit(commit_lsn, end_lsn, commit_time_us):
                assert begin is not None
                assert (commit_lsn, commit_time_us) == (begin.final_lsn, begin.commit_time_us)
                assert frame.end == end_lsn > commit_lsn
                begin, end = None, end_lsn
            case Relation() | Type():
                assert frame.start == frame.end == ZERO
            case LogicalMessage(transactional=False):
                assert begin is None
            case LogicalMessage(lsn=lsn):
                assert begin is not None
                assert lsn == frame.start < begin.final_lsn
            case _:
                assert begin is not None
    assert begin is None
    assert end > ZERO


@pytest.mark.parametrize("path", CAPTURES, ids=CAPTURE_NAMES)
def test_every_strict_prefix_of_a_golden_frame_is_refused(path: Path) -> None:
    """A message cut anywhere is never taken for a shorter one."""
    for payload in golden_payloads(path):
        for length in range(len(payload)):
            with pytest.raises(MessageTruncated):
                decode(payload[:length])


@pytest.mark.parametrize("path", CAPTURES, ids=CAPTURE_NAMES)
def test_a_byte_more_than_a_golden_frame_is_refused(path: Path) -> None:
    """What follows a complete message is never ignored."""
    for payload in golden_payloads(path):
        with pytest.raises(TrailingBytes):
            decode(payload + b"\0")


def golden_payloads(path: Path) -> list[bytes]:
    """The messages of a golden file, each once."""
    payloads = {payload_of(line.frame) for line in read_capture(path) if line.frame}
    return sorted(payload for payload in payloads if payload is not None)
