from dataclasses import replace

import pytest

from gpm_cdc.domain.catalogue import Catalogue, TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.source import (
    LogBehind,
    MappingChanged,
    PublicationMissing,
    PublicationUnfit,
    SlotAhead,
    SlotForeign,
    SlotInUse,
    SlotLost,
    SlotMissing,
    SystemChanged,
)
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.ports.graph import Checkpoint, Position
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.runtime.continuity import contradictions, owner_text, publication_problem, slot_problem
from gpm_cdc.runtime.mapped import Mapped
from gpm_cdc.runtime.wait import includes
from gpm_cdc.source.publication import PublicationState
from gpm_cdc.source.slot import SlotState
from gpm_cdc.source.stream import SystemIdentity

PLAN = GraphPlan((), ())
MAPPED = Mapped(GraphMapping(), Catalogue({}, 180_000), PLAN, "hash")
HERE = SystemIdentity("4711", 1, Lsn(500))
ORDERS = TableName("public", "orders")
PUBLISHED = PublicationState(
    oid=1,
    version="1",
    memberships={ORDERS: "2"},
    every_operation=True,
    generated=False,
    via_root=True,
    tables=frozenset({ORDERS}),
    filtered=frozenset(),
    partial=frozenset(),
)
FOUND = Checkpoint(
    stream="shop",
    position=Position(Lsn(100)),
    epoch=1,
    phase="streaming",
    system_identifier="4711",
    timeline=1,
    mapping_hash="hash",
    owner="host:1",
)
COPYING = replace(FOUND, phase="snapshot")
SLOT = SlotState(
    name="shop",
    slot_type="logical",
    plugin="pgoutput",
    database="shop",
    here=True,
    active_pid=None,
    confirmed=Lsn(100),
    restart=Lsn(90),
    wal_status="reserved",
    two_phase=False,
    temporary=False,
    retained=10,
    invalidation=None,
)


@pytest.mark.parametrize(
    ("slot", "found", "runner", "expected"),
    [
        (None, None, None, None),
        (SLOT, FOUND, None, None),
        (replace(SLOT, active_pid=7), FOUND, "7", None),
        (replace(SLOT, active_pid=7), FOUND, None, SlotInUse),
        (replace(SLOT, active_pid=7), COPYING, None, SlotInUse),
        (replace(SLOT, active_pid=7), COPYING, "7", None),
        (SLOT, COPYING, None, None),
        (None, COPYING, None, None),
        (None, FOUND, None, SlotMissing),
        (SLOT, None, None, SlotForeign),
        (SLOT, None, "7", None),
        (replace(SLOT, plugin="test_decoding"), None, None, SlotForeign),
        (replace(SLOT, plugin="test_decoding"), FOUND, "7", SlotForeign),
        (replace(SLOT, wal_status="lost"), FOUND, None, SlotLost),
        (replace(SLOT, invalidation="idle_timeout"), FOUND, None, SlotLost),
        (replace(SLOT, confirmed=Lsn(101)), FOUND, None, SlotAhead),
        (replace(SLOT, confirmed=Lsn(101)), COPYING, None, None),
    ],
)
def test_slot(
    slot: SlotState | None, found: Checkpoint | None, runner: str | None, expected: type[GpmCdcError] | None
) -> None:
    """A slot has to be ours, whole and not ahead of a stream that has begun; only its own runner may read it."""
    problem = slot_problem(slot, "shop", found, runner)
    assert (None if problem is None else type(problem)) is expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"system_identifier": "1"}, [SystemChanged]),
        ({"position": Position(Lsn(501))}, [LogBehind]),
        ({"position": Position(Lsn(500))}, []),
        ({"mapping_hash": "other"}, [MappingChanged]),
        ({"system_identifier": "1", "mapping_hash": "other"}, [SystemChanged, MappingChanged]),
    ],
)
def test_contradictions(changed: dict[str, object], expected: list[type[GpmCdcError]]) -> None:
    """Every contradiction between the checkpoint and what is there is told, each once."""
    found = replace(FOUND, **changed)  # type: ignore[arg-type]
    assert [type(problem) for problem in contradictions(found, MAPPED, HERE)] == expected


@pytest.mark.parametrize(
    ("state", "found", "expected"),
    [
        (None, None, None),
        (None, COPYING, None),
        (None, FOUND, PublicationMissing),
        (PUBLISHED, FOUND, None),
        (replace(PUBLISHED, memberships={ORDERS: "2", TableName("public", "more"): "9"}), FOUND, None),
        (replace(PUBLISHED, oid=9), COPYING, None),
        (replace(PUBLISHED, tables=frozenset()), None, PublicationUnfit),
        (replace(PUBLISHED, via_root=False), FOUND, PublicationUnfit),
    ],
)
def test_publication(
    state: PublicationState | None, found: Checkpoint | None, expected: type[GpmCdcError] | None
) -> None:
    """A stream that has not begun may do without a publication; one that is there has to fit."""
    problem = publication_problem(state, "shop", found, [ORDERS])
    assert (None if problem is None else type(problem)) is expected


def test_graph_includes_a_position_only_while_it_streams() -> None:
    """In the middle of a copy or of a transaction no position is promised."""
    assert includes(FOUND, Lsn(100))
    assert not includes(FOUND, Lsn(101))
    assert not includes(COPYING, Lsn(1))
    assert not includes(replace(FOUND, phase="chunked"), Lsn(1))


def test_owner_is_named_by_what_is_known() -> None:
    """The checkpoint knows host and process, Postgres the connection; before the first write only the latter."""
    assert owner_text(FOUND, "7 from ::1") == "host:1 (Postgres process 7 from ::1)"
    assert owner_text(FOUND, None) == "host:1"
    assert "7" in owner_text(None, "7")
