"""A mapping from models differs from the one inferred from their tables only where annotations say so."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, override

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKeyConstraint,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    create_engine,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeEngine, UserDefinedType

from gpm_cdc import orm
from gpm_cdc.mapping.inference import infer
from gpm_cdc.mapping.model import GraphMapping, NodeTable, Properties, RelationshipTable
from tests.integration.mapping.database import Postgres, catalogue_of


class _Raw(UserDefinedType[Any]):
    """A type that SQLAlchemy knows only by what stands in CREATE TABLE."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    @override
    def get_col_spec(self, **_: object) -> str:
        return self.text


TYPES: tuple[Callable[[], TypeEngine[Any]], ...] = (
    *(Integer, BigInteger, SmallInteger, Text, Boolean, Date, Time, Float, LargeBinary, Uuid, Interval),
    *(String, lambda: String(7), lambda: Float(20), lambda: Float(40), lambda: DateTime(timezone=True), DateTime),
    *(Numeric, lambda: Numeric(10, 2), lambda: Numeric(18, 0), lambda: Numeric(30, 4), lambda: Numeric(5)),
    *(lambda: Time(timezone=True), lambda: ARRAY(Integer), lambda: ARRAY(Numeric(10, 2)), lambda: ARRAY(String(3))),
    *(postgresql.JSONB, postgresql.JSON, postgresql.INET, postgresql.CIDR, postgresql.MACADDR, postgresql.MONEY),
    *(postgresql.TSVECTOR, postgresql.INT4RANGE, postgresql.TSTZMULTIRANGE, lambda: postgresql.BIT(3), postgresql.OID),
    *(lambda: postgresql.BIT(5, varying=True), lambda: postgresql.TIMESTAMP(precision=3), postgresql.DOUBLE_PRECISION),
    *(lambda: postgresql.INTERVAL(fields="DAY TO SECOND", precision=2), lambda: postgresql.CHAR(4)),
    *(lambda: postgresql.DOMAIN("price", Numeric(12, 2)), lambda: Enum("sad", "ok", name="mood")),
    *(lambda: Enum("a", "b", native_enum=False), lambda: ARRAY(Enum("sad", "ok", name="mood")), postgresql.REGCLASS),
    *(lambda: _Raw("point"), lambda: _Raw("numeric(3, -2)"), lambda: _Raw("character varying(3)[]"), postgresql.HSTORE),
    *(lambda: _Raw("interval year to month"), lambda: _Raw("timestamp(2) with time zone"), lambda: _Raw("vector(3)")),
    *(lambda: _Raw('"char"'), lambda: _Raw("bit varying"), lambda: _Raw("double precision"), lambda: _Raw("citext")),
)
KEY_TYPES: tuple[Callable[[], TypeEngine[Any]], ...] = (
    *(Integer, BigInteger, Text, Uuid, lambda: String(9), lambda: Numeric(8, 2), Numeric, Date),
    *(lambda: postgresql.CHAR(3), postgresql.INTERVAL),
)
TABLE_NAMES = ("orders", "order_details", "customerNotes", "Data", "people", "news", "Größe", "a b", 'say "x"', "x.y")
COLUMN_NAMES = ("name", "customer_id", "reportsTo", "Id", "order", "été", "with space", "under_score_")
SCHEMAS = (None, None, "other")


class Reference(NamedTuple):
    """A foreign key in the making: to which table (itself too), whether to its unique column, and what is said."""

    target: int
    to_code: bool = False
    deferrable: bool = False
    says: tuple[str | None, str, bool] | None = None
    """Type, direction, whether on the constraint or on its first element."""


class Said(NamedTuple):
    """What annotations say of a column."""

    name: str | None
    type: str | None
    hidden: bool


class Shape(NamedTuple):
    """A table in the making."""

    schema: str | None
    key: tuple[int, ...]
    """Types of the key's columns."""
    columns: tuple[tuple[int, bool, Said | None], ...]
    """Type, whether generated, annotation."""
    references: tuple[Reference, ...]
    joins: bool
    """Whether its key is made of two foreign keys, if there are tables to refer to."""
    label: str | None
    extra: tuple[str, ...]


def _said() -> st.SearchStrategy[Said | None]:
    named = st.builds(Said, st.sampled_from((None, "called")), st.sampled_from((None, "string")), st.booleans())
    return st.none() | named


_references = st.builds(
    Reference,
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.none() | st.tuples(st.sampled_from((None, "KNOWS")), st.sampled_from(("out", "in")), st.booleans()),
)
_shapes = st.builds(
    Shape,
    st.sampled_from(SCHEMAS),
    st.lists(st.integers(0, len(KEY_TYPES) - 1), min_size=1, max_size=2).map(tuple),
    st.lists(st.tuples(st.integers(0, len(TYPES) - 1), st.booleans(), _said()), max_size=4).map(tuple),
    st.lists(_references, max_size=3).map(tuple),
    st.booleans(),
    st.sampled_from((None, None, "Annotated")),
    st.sampled_from(((), ("Extra",))),
)


class Models:
    """Classes for shapes, and what their annotations should do to an inferred mapping."""

    def __init__(self, shapes: list[Shape], names: list[str]) -> None:
        self.registry = registry(metadata=MetaData())
        self._revisions: list[Callable[[GraphMapping], GraphMapping]] = []
        self._tables: list[Table] = []
        self._classes: list[type] = []  # the registry holds them weakly
        for number, (shape, name) in enumerate(zip(shapes, names, strict=True)):
            self._add(number, shape, name)

    def expected(self, inferred: GraphMapping) -> GraphMapping:
        """`inferred`, as the models say it should be."""
        for revision in self._revisions:
            inferred = revision(inferred)
        return inferred

    def _add(self, number: int, shape: Shape, name: str) -> None:
        joins = shape.joins and number > 0
        table = Table(
            name,
            self.registry.metadata,
            schema=shape.schema,
            info={} if joins else orm.as_node(label=shape.label, extra_labels=shape.extra),
        )
        self._tables.append(table)
        if joins:
            for side in ("one", "other"):
                self._refer(table, Reference(number - 1), side, primary=True)
        else:
            for place, kind in enumerate(shape.key):
                table.append_column(Column(f"k{place}", KEY_TYPES[kind](), primary_key=True))
            table.append_column(Column("code", Integer, nullable=False))
            table.append_constraint(UniqueConstraint("code"))
        said = dict(self._columns(table, shape))
        for place, reference in enumerate(shape.references):
            if reference.target <= number and not (reference.target == number and joins):
                self._refer(table, reference, f"r{place}", primary=False)
        title = f"Class{number}"
        made = type(title, (), {"__module__": "models"})
        self._classes.append(made)
        self.registry.map_imperatively(made, table)
        label = title if joins or shape.label is None else shape.label
        self._revise(table, said, label, () if joins else shape.extra)

    @staticmethod
    def _columns(table: Table, shape: Shape) -> Iterator[tuple[str, Said]]:
        for place, (kind, generated, said) in enumerate(shape.columns):
            computed = [Computed("1 + 1", persisted=True)] if generated and TYPES[kind] is Integer else []
            table.append_column(Column(COLUMN_NAMES[place], TYPES[kind](), *computed, info=_column_info(said)))
            if said is not None:
                yield COLUMN_NAMES[place], said

    def _refer(self, table: Table, reference: Reference, name: str, *, primary: bool) -> None:
        there = self._tables[reference.target].columns
        coded = [column for column in there if column.name == "code"]
        target = coded if reference.to_code and coded else [column for column in there if column.primary_key]
        names = [f"{name}_{place}_id" for place in range(len(target))]
        for made, column in zip(names, target, strict=True):
            table.append_column(Column(made, column.type, primary_key=primary))
        kind, direction, outer = reference.says or (None, "out", True)
        info = orm.reference(kind, direction=direction) if reference.says is not None else {}  # type: ignore[arg-type]
        constraint = ForeignKeyConstraint(
            names, target, deferrable=reference.deferrable or None, info=info if outer else {}
        )
        if not outer:
            constraint.elements[0].info.update(info)
        table.append_constraint(constraint)
        if reference.says is not None:
            self._revisions.append(_retyped(table, tuple(names), kind, direction))

    def _revise(self, table: Table, said: dict[str, Said], label: str, extra: tuple[str, ...]) -> None:
        def revised(mapping: GraphMapping) -> GraphMapping:
            return replace(
                mapping,
                nodes=tuple(
                    replace(node, label=label, extra_labels=extra, properties=_properties(node.properties, said))
                    if _is(node, table)
                    else node
                    for node in mapping.nodes
                ),
                relationships=tuple(
                    replace(each, properties=_properties(each.properties, said)) if _is(each, table) else each
                    for each in mapping.relationships
                ),
            )

        self._revisions.append(revised)


def _column_info(said: Said | None) -> dict[str, object]:
    if said is None:
        return {}
    return orm.hidden() if said.hidden else orm.as_property(said.name, type=said.type)


def _is(mapped: NodeTable | RelationshipTable, table: Table) -> bool:
    return mapped.table == (table.schema or "public", table.name)


def _properties(proposed: Properties, said: dict[str, Said]) -> Properties:
    shown = {name: each for name, each in said.items() if not each.hidden}
    typed = {name: each.type for name, each in shown.items() if each.type is not None}
    excluded = [name for name in proposed.exclude if name not in typed]
    return replace(
        proposed,
        exclude=tuple(dict.fromkeys([*excluded, *(name for name, each in said.items() if each.hidden)])),
        rename={name: each.name for name, each in shown.items() if each.name is not None},
        types=typed,
    )


def _retyped(
    table: Table, columns: tuple[str, ...], kind: str | None, direction: str
) -> Callable[[GraphMapping], GraphMapping]:
    def revised(mapping: GraphMapping) -> GraphMapping:
        nodes = [
            replace(
                node,
                relationships=tuple(
                    replace(each, type=kind or each.type, direction=direction)  # type: ignore[arg-type]
                    if _is(node, table) and each.columns == columns
                    else each
                    for each in node.relationships
                ),
            )
            for node in mapping.nodes
        ]
        return replace(mapping, nodes=tuple(nodes))

    return revised


# SQLAlchemy's own DOMAIN lacks what SQLAlchemy asks of types.
@pytest.mark.filterwarnings("ignore:Type object:sqlalchemy.exc.SADeprecationWarning")
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shapes=st.lists(_shapes, min_size=1, max_size=4),
    names=st.lists(st.sampled_from(TABLE_NAMES), min_size=4, max_size=4, unique=True),
)
def test_models_and_their_tables_agree(postgres: Postgres, shapes: list[Shape], names: list[str]) -> None:
    """Whatever the models are: keys, references to each other and themselves, join tables, types, names, schemas."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(
            "DROP SCHEMA IF EXISTS other CASCADE; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;"
            " CREATE SCHEMA other; CREATE EXTENSION vector; CREATE EXTENSION citext; CREATE EXTENSION hstore"
        )
    models = Models(shapes, names[: len(shapes)])
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres.dsn))
    try:
        models.registry.metadata.create_all(engine)
    finally:
        engine.dispose()
    inferred = infer(catalogue_of(postgres, "public", "other"))
    declared = orm.mapping(models.registry)
    assert declared.mapping == models.expected(inferred.mapping)
