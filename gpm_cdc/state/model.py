"""The tables of schema `gpm_cdc`. The migrations in `alembic/` make exactly these; a test compares them."""

from datetime import datetime
from typing import Any, Final, override

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

SCHEMA: Final = "gpm_cdc"

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names that a migration can rely on; without them each server version would choose its own."""


class PgLsn(UserDefinedType[str]):
    """A column of Postgres's type pg_lsn; in Python its text, as `domain.lsn.render` gives it."""

    cache_ok = True

    @override
    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "PG_LSN"


class Base(DeclarativeBase):
    """The parent of the models of schema `gpm_cdc`."""

    metadata = MetaData(schema=SCHEMA, naming_convention=NAMING)


class Run(Base):
    """One `run` or `verify`. `ended_at` stays empty while it goes on, and where it was killed."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint("command IN ('run', 'verify')", name="command"),
        CheckConstraint("outcome IN ('done', 'failed', 'stopped')", name="outcome"),
        CheckConstraint("verdict IN ('clean', 'drift', 'inconclusive')", name="verdict"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        Index(None, "stream", "started_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    stream: Mapped[str] = mapped_column(Text)
    command: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    """Host and process number, as in the checkpoint's `owner`."""
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(Text)
    first_lsn: Mapped[str | None] = mapped_column(PgLsn)
    """Where the graph was when the command began to work, and `last_lsn` when it ended; for `verify` the positions of
    its first and its last comparison."""
    last_lsn: Mapped[str | None] = mapped_column(PgLsn)
    verdict: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Counts by name, and the code of the error that ended it. Never row values."""


class VerifyPass(Base):
    """What a `verify` found, in numbers; `run` has its time, its positions and the verdict.

    `state` is `open` from when the first table is settled: until the pass ends, its numbers here are 0, and those of
    each table come as it is settled. `interrupted`: it ended, but before it could settle the rest.
    """

    __tablename__ = "verify_pass"
    __table_args__ = (
        CheckConstraint("kind IN ('full', 'incremental')", name="kind"),
        CheckConstraint("state IN ('open', 'interrupted', 'ended')", name="state"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey(Run.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    """`full`: every row of the tables that `verify_table` names. `incremental`: what the stream wrote after `since`."""
    strict: Mapped[bool]
    version: Mapped[str] = mapped_column(Text)
    """Of gpm-cdc."""
    seconds: Mapped[float] = mapped_column(Double)
    elements_checked: Mapped[int] = mapped_column(BigInteger)
    finding_count: Mapped[int] = mapped_column(BigInteger)
    """All there were; table `finding` has those that were kept. The same holds of `unsettled_count`."""
    unsettled_count: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    mapping_hash: Mapped[str | None] = mapped_column(Text)
    """This and the next two, empty in passes of earlier versions, say what a later pass must have in common with it."""
    filled_lsn: Mapped[str | None] = mapped_column(PgLsn)
    chosen: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """The tables to compare, in the report's order."""
    resumed_pass: Mapped[int | None] = mapped_column(BigInteger)
    """The run whose pass this one went on with; that one has none any more."""
    since_lsn: Mapped[str | None] = mapped_column(PgLsn)
    """Up to where the full pass that an incremental one rests on has proved the graph."""
    since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When that pass ended."""


class VerifyTable(Base):
    """One table in a pass. The digests are equal where the contents are."""

    __tablename__ = "verify_table"

    run_id: Mapped[int] = mapped_column(ForeignKey(VerifyPass.run_id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Its place in the report, as in the tables below."""
    table_name: Mapped[str] = mapped_column(Text)
    row_count: Mapped[int] = mapped_column(BigInteger)
    node_count: Mapped[int] = mapped_column(BigInteger)
    relationship_count: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[int] = mapped_column(BigInteger)
    extra: Mapped[int] = mapped_column(BigInteger)
    different: Mapped[int] = mapped_column(BigInteger)
    postgres_digest: Mapped[str] = mapped_column(Text)
    neo4j_digest: Mapped[str] = mapped_column(Text)
    from_lsn: Mapped[str | None] = mapped_column(PgLsn)
    as_of_lsn: Mapped[str | None] = mapped_column(PgLsn)
    seconds: Mapped[float] = mapped_column(Double)
    settled: Mapped[bool]
    resumed: Mapped[bool]
    """An earlier run of the pass settled it."""


class FindingRow(Base):
    """One finding of a pass. Keys, and `expected` and `actual` unless left out, are values of the user's rows.

    JSON and not JSONB, which refuses a text with a zero character and a number that no `numeric` holds.
    """

    __tablename__ = "finding"

    run_id: Mapped[int] = mapped_column(ForeignKey(VerifyPass.run_id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    table_name: Mapped[str] = mapped_column(Text)
    element: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    key: Mapped[dict[str, object]] = mapped_column(JSON)
    exact_key: Mapped[dict[str, object]] = mapped_column(JSON)
    """The key in the form of `domain.portable`."""
    columns: Mapped[list[str]] = mapped_column(JSON)
    expected: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    actual: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))


class UnsettledRow(Base):
    """One question that a pass left open. `key` holds values of the user's rows."""

    __tablename__ = "unsettled"

    run_id: Mapped[int] = mapped_column(ForeignKey(VerifyPass.run_id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    table_name: Mapped[str | None] = mapped_column(Text)
    key: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str] = mapped_column(Text)
