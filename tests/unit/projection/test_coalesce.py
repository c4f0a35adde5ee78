"""The net changes of a batch against a model that keeps every row in a dictionary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from gpm_cdc.domain.changes import UNCHANGED, Change, Delete, Field, Insert, Relation, Row, Truncate, Update
from gpm_cdc.errors.stream import RelationChanged, RowFieldUnknown
from gpm_cdc.projection.coalesce import Bindings, Coalescer, TableChanges
from gpm_cdc.projection.plan import GraphPlan
from tests.unit.mapping.tables import INT8, TEXT, column, table
from tests.unit.projection.plans import node, planned, relation

type Key = tuple[str, ...]
type Whole = tuple[str | None, ...]

# Key columns stand apart and in another order than in the key, as they may in a table.
NAMES = ("payload", "b", "note", "a", "extra")
SIMPLE = table("simple", [column(name, TEXT) for name in NAMES], key="a")
COMPOSITE = table("composite", [column(name, TEXT) for name in NAMES], key="a b")
PLAN = planned(
    """
    [[node]]
    table = "public.simple"
    label = "Simple"
    key = ["a"]
    [[node]]
    table = "public.composite"
    label = "Composite"
    key = ["a", "b"]
    """,
    SIMPLE,
    COMPOSITE,
)


def is_large(value: str | None) -> bool:
    """Whether the model's Postgres stores the value out of line."""
    return value is not None and value.startswith("L")


@dataclass
class Model:
    """A table as Postgres would keep it, which tells what it does as the stream would."""

    composite: bool
    identity: Literal["d", "f"]
    rows: dict[Key, Whole] = field(default_factory=dict)
    events: list[Change] = field(default_factory=list)

    @property
    def table_oid(self) -> int:
        """The table that is modelled."""
        return (COMPOSITE if self.composite else SIMPLE).oid

    def key(self, row: Whole) -> Key:
        """The key of a row."""
        a, b = row[NAMES.index("a")], row[NAMES.index("b")]
        return (str(a), str(b)) if self.composite else (str(a),)

    def _identity_of(self, row: Whole) -> Row:
        if self.identity == "f":
            return list(row)
        kept = {"a", "b"} if self.composite else {"a"}
        return [value if name in kept else None for name, value in zip(NAMES, row, strict=True)]

    def insert(self, row: Whole) -> None:
        """INSERT, unless the key is taken."""
        if self.key(row) not in self.rows:
            self.rows[self.key(row)] = row
            self.events.append(Insert(self.table_oid, list(row)))

    def update(self, key: Key, row: Whole) -> None:
        """UPDATE, if the row is there and its new key is free."""
        old = self.rows.get(key)
        if old is None or (self.key(row) != key and self.key(row) in self.rows):
            return
        del self.rows[key]
        self.rows[self.key(row)] = row
        sent: list[Field] = [
            UNCHANGED if now == before and is_large(now) else now for before, now in zip(old, row, strict=True)
        ]
        if self.identity == "f":
            self.events.append(Update(self.table_oid, "O", list(old), sent))
        elif self.key(row) != key or any(map(is_large, key)):
            self.events.append(Update(self.table_oid, "K", self._identity_of(old), sent))
        else:
            self.events.append(Update(self.table_oid, None, None, sent))

    def delete(self, key: Key) -> None:
        """DELETE, if the row is there."""
        old = self.rows.pop(key, None)
        if old is not None:
            kind: Literal["K", "O"] = "O" if self.identity == "f" else "K"
            self.events.append(Delete(self.table_oid, kind, self._identity_of(old)))

    def truncate(self) -> None:
        """TRUNCATE."""
        self.rows.clear()
        self.events.append(Truncate((self.table_oid,), cascade=False, restart_identity=False))


class Step(NamedTuple):
    """One thing to do: what, to which row, with which values (None in `change` keeps the old value)."""

    kind: str
    row: Whole
    other: Whole
    kept: tuple[bool, ...]


keys = st.sampled_from(["1", "2", "3", "L4", "L5"])
values = st.sampled_from([None, "", "x", "y", "Lone", "Ltwo"])
wholes = st.tuples(values, keys, values, keys, values)
kinds = st.sampled_from([*["insert"] * 4, *["update"] * 4, *["rekey"] * 3, *["delete"] * 3, "replace", "truncate"])
steps = st.builds(Step, kinds, wholes, wholes, st.tuples(*[st.booleans()] * len(NAMES)))
histories = st.lists(steps, max_size=25)


def perform(model: Model, step: Step) -> None:
    """Do `step` where the table allows it."""
    key = model.key(step.row)
    match step.kind:
        case "insert":
            model.insert(step.row)
        case "delete":
            model.delete(key)
        case "replace":
            model.delete(key)
            model.insert(step.row)
        case "truncate":
            model.truncate()
        case kind:
            old = model.rows.get(key)
            if old is None:
                return
            kept = [keep or (kind == "update" and name in "ab") for keep, name in zip(step.kept, NAMES, strict=True)]
            chosen = zip(kept, old, step.other, strict=True)
            model.update(key, tuple(before if keep else now for keep, before, now in chosen))


def net_changes(model: Model, events: Iterable[Relation | Change]) -> TableChanges | None:
    """What the coalescer makes of `events`."""
    coalescer = Coalescer(Bindings(PLAN))
    coalescer.add([relation(COMPOSITE if model.composite else SIMPLE), *events])
    return coalescer.tables.get(node(PLAN, "composite" if model.composite else "simple"))


def in_field_order(changes: TableChanges, row: Whole) -> Whole:
    """A row with its values where the plan has them."""
    return tuple(row[NAMES.index(name)] for name in changes.plan.columns)


def as_key(key: str | tuple[Field, ...]) -> Key:
    """A key of the coalescer as the model has it."""
    return (key,) if isinstance(key, str) else tuple(str(part) for part in key)


def applied(changes: TableChanges, before: dict[Key, Whole]) -> dict[Key, Whole]:
    """`before`, in field order, after the net changes. Refuses changes that contradict each other."""
    origins = [as_key(origin) for origin, _ in changes.rows.values() if origin is not None]
    gone = [as_key(key) for key in changes.gone]
    assert len(set(origins)) == len(origins), "a row of before became two"
    assert set(origins).isdisjoint(gone), "a row of before is gone and still there"
    assert {*origins, *gone} <= before.keys(), "a row that was not there changed"
    assert not (changes.emptied and (origins or gone)), "an emptied table has no rows of before"
    after = {} if changes.emptied else dict(before)
    for left in (*gone, *origins):
        del after[left]
    for key, (origin, changed) in changes.rows.items():
        found = as_key(key)
        assert found not in after, "two rows have one key"
        assert origin is not None or found not in gone, "a key that was deleted and inserted is one row"
        base: Sequence[Field] = changed if origin is None else before[as_key(origin)]
        filled = [old if new is UNCHANGED else new for old, new in zip(base, changed, strict=True)]
        after[found] = tuple(value if value is None else str(value) for value in filled)
        assert UNCHANGED not in filled, "a new row lacks a value"
    return after


@given(st.booleans(), st.sampled_from(["d", "f"]), histories, histories)
@settings(max_examples=300, deadline=None)
def test_net_changes_lead_where_the_changes_led(
    composite: bool,  # noqa: FBT001 - drawn
    identity: Literal["d", "f"],
    earlier: list[Step],
    steps: list[Step],
) -> None:
    """Applied to the rows of before, the net changes give the rows of after, under either replica identity."""
    model = Model(composite, identity)
    for step in earlier:
        perform(model, step)
    model.events.clear()
    before = dict(model.rows)
    for step in steps:
        perform(model, step)
    changes = net_changes(model, model.events)
    if changes is None:
        assert model.rows == before
        return
    ordered = {key: in_field_order(changes, row) for key, row in before.items()}
    after = {key: in_field_order(changes, row) for key, row in model.rows.items()}
    assert applied(changes, ordered) == after


@given(histories)
def test_one_batch_or_many(steps: list[Step]) -> None:
    """Events that are folded in piece by piece, transaction after transaction, give the same net changes."""
    model = Model(composite=True, identity="d")
    for step in steps:
        perform(model, step)
    whole = net_changes(model, model.events)
    coalescer = Coalescer(Bindings(PLAN))
    coalescer.add([relation(COMPOSITE)])
    for event in model.events:
        coalescer.add([event])
    pieces = coalescer.tables.get(node(PLAN, "composite"))
    if whole is None or pieces is None:
        assert whole is pieces
    else:
        assert (pieces.rows, pieces.gone, pieces.emptied) == (whole.rows, whole.gone, whole.emptied)


def simple(*events: Change) -> TableChanges:
    """The net changes of events on the simple table."""
    changes = net_changes(Model(composite=False, identity="d"), events)
    assert changes is not None
    return changes


def row(key: Field, payload: Field = "p", note: Field = "n") -> Row:
    """A row of the simple table as the stream has it."""
    return [payload, "b", note, key, None]


def old(key: str) -> Row:
    """The identity of a row of the simple table."""
    return [None, None, None, key, None]


def fields(key: Field, payload: Field = "p", note: Field = "n") -> tuple[Field, ...]:
    """A row of the simple table in field order."""
    return (key, payload, "b", note, None)


OID = SIMPLE.oid


def test_delete_and_insert_of_one_key_is_an_update() -> None:
    """The row takes the place of the one that had its key."""
    changes = simple(Delete(OID, "K", old("1")), Insert(OID, row("1")))
    assert changes.rows == {"1": ("1", fields("1"))}
    assert not changes.gone


def test_insert_and_delete_leave_nothing() -> None:
    """A row that came and went within the batch was never there."""
    changes = simple(Insert(OID, row("1")), Update(OID, None, None, row("1")), Delete(OID, "K", old("1")))
    assert not changes.rows
    assert not changes.gone


def test_swap_through_a_temporary_key() -> None:
    """Two rows that exchange their keys are two renames."""
    changes = simple(
        Update(OID, "K", old("1"), row("9", "one")),
        Update(OID, "K", old("2"), row("1", "two")),
        Update(OID, "K", old("9"), row("2", "one")),
    )
    assert changes.rows == {"1": ("2", fields("1", "two")), "2": ("1", fields("2", "one"))}
    assert not changes.gone


def test_rename_then_delete_is_a_delete_of_the_first_key() -> None:
    """What is gone is what was there before."""
    changes = simple(Update(OID, "K", old("1"), row("2")), Delete(OID, "K", old("2")))
    assert not changes.rows
    assert list(changes.gone) == ["1"]


def test_new_row_at_a_key_whose_row_moved_away_and_went() -> None:
    """A row moves off its key, a new one comes there, the first is deleted: that is one row that changed."""
    changes = simple(Update(OID, "K", old("1"), row("2")), Insert(OID, row("1", "new")), Delete(OID, "K", old("2")))
    assert changes.rows == {"1": ("1", fields("1", "new"))}
    assert not changes.gone


def test_new_row_that_moves_to_a_deleted_key() -> None:
    """A row that was inserted elsewhere and moves to a deleted key takes the place of the deleted row."""
    changes = simple(
        Delete(OID, "K", old("1")), Insert(OID, row("5", "new")), Update(OID, "K", old("5"), row("1", "new"))
    )
    assert changes.rows == {"1": ("1", fields("1", "new"))}
    assert not changes.gone


def test_unchanged_values_are_filled_from_the_batch_and_else_stay() -> None:
    """A value that an update leaves out is the one that an event before it told, or stays left out."""
    changes = simple(
        Insert(OID, row("1", "large")),
        Update(OID, None, None, row("1", UNCHANGED, "second")),
        Update(OID, None, None, row("2", UNCHANGED, "first")),
        Update(OID, None, None, row("2", UNCHANGED, UNCHANGED)),
    )
    assert changes.rows == {
        "1": (None, fields("1", "large", "second")),
        "2": ("2", fields("2", UNCHANGED, "first")),
    }


def test_key_that_is_left_out_comes_from_the_old_tuple() -> None:
    """A key stored out of line is left out of the new row, and the old tuple is sent although it did not change."""
    changes = simple(Update(OID, "K", old("L1"), row(UNCHANGED, "p")))
    assert changes.rows == {"L1": ("L1", fields("L1"))}


def test_whole_old_row_fills_every_value() -> None:
    """Under replica identity FULL nothing stays unknown."""
    changes = simple(Update(OID, "O", row("1", "Lp", "Ln"), row("1", UNCHANGED, UNCHANGED)))
    assert changes.rows == {"1": ("1", fields("1", "Lp", "Ln"))}


def test_truncate_forgets_everything_before_it() -> None:
    """After a TRUNCATE only what came later counts, and it is new."""
    changes = simple(
        Delete(OID, "K", old("1")),
        Update(OID, "K", old("2"), row("3")),
        Truncate((OID,), cascade=True, restart_identity=False),
        Insert(OID, row("1")),
    )
    assert changes.emptied
    assert changes.rows == {"1": (None, fields("1"))}
    assert not changes.gone


def bound(*events: Relation | Change, plan: GraphPlan = PLAN) -> Coalescer:
    """A coalescer that has seen `events`."""
    coalescer = Coalescer(Bindings(plan))
    coalescer.add(events)
    return coalescer


def test_unmapped_relations_are_skipped() -> None:
    """Rows and truncations of a table that is not mapped change nothing."""
    stranger = table("stranger", "id")
    coalescer = bound(
        relation(stranger),
        Insert(stranger.oid, ["1"]),
        Update(stranger.oid, None, None, ["1"]),
        Delete(stranger.oid, "K", ["1"]),
        Truncate((stranger.oid,), cascade=False, restart_identity=False),
    )
    assert not coalescer.tables


def test_truncate_of_several_tables() -> None:
    """Every mapped table that the message names is emptied, the others are passed over."""
    stranger = table("stranger", "id")
    together = Truncate((SIMPLE.oid, stranger.oid, COMPOSITE.oid), cascade=True, restart_identity=True)
    coalescer = bound(relation(SIMPLE), relation(stranger), relation(COMPOSITE), together)
    assert [(changes.plan.label, changes.emptied) for changes in coalescer.tables.values()] == [  # type: ignore[union-attr]
        ("Simple", True),
        ("Composite", True),
    ]


@pytest.mark.parametrize(
    "event", [Insert(77, ["1"]), Delete(77, "K", ["1"]), Truncate((77,), cascade=False, restart_identity=False)]
)
def test_undescribed_relation_is_an_error(event: Change) -> None:
    """A row of a relation that was never described cannot be understood."""
    with pytest.raises(RowFieldUnknown):
        bound(event)


SHAPE = relation(SIMPLE)


@pytest.mark.parametrize(
    ("changed", "details"),
    [
        (SHAPE._replace(columns=SHAPE.columns[:-1]), "-extra"),
        (SHAPE._replace(columns=(*SHAPE.columns, SHAPE.columns[0]._replace(name="more"))), "+more"),
        (SHAPE._replace(columns=(SHAPE.columns[0]._replace(type_oid=INT8.oid), *SHAPE.columns[1:])), "payload"),
        (SHAPE._replace(columns=(SHAPE.columns[0]._replace(type_modifier=9), *SHAPE.columns[1:])), "payload"),
        (SHAPE._replace(columns=SHAPE.columns[::-1]), "order"),
        (relation(SIMPLE, identity="b"), "identity lost a"),
        (relation(SIMPLE, identity=""), "identity lost a"),
        (SHAPE._replace(oid=SHAPE.oid + 100_000), "oid"),
    ],
)
def test_changed_shape_is_an_error(changed: Relation, details: str) -> None:
    """Columns, types, their order, the replica identity or the oid: what the plan relies on must not change."""
    with pytest.raises(RelationChanged) as caught:
        bound(changed)
    assert details in str(caught.value)
    assert "public.simple" in str(caught.value)


def test_columns_that_a_full_identity_adds_are_no_change() -> None:
    """Under replica identity FULL every column is flagged, and the table is still the same."""
    assert not bound(relation(SIMPLE, identity=" ".join(NAMES))).tables


def test_relation_may_be_described_again() -> None:
    """The stream repeats descriptions; changes before and after one are of one table."""
    changes = bound(
        relation(SIMPLE), Insert(OID, row("1")), relation(SIMPLE), Delete(OID, "K", old("1")), Insert(OID, row("2"))
    ).tables[node(PLAN, "simple")]
    assert list(changes.rows) == ["2"]
