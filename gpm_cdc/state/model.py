"""The tables of schema `gpm_cdc`. The migrations in `alembic/` make exactly these; a test compares them."""

from datetime import datetime
from typing import Any, Final, override

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, MetaData, Text, text
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
    """Where the graph was when the command began to work, and `last_lsn` when it ended; for `verify` both are the
    position that it compared at."""
    last_lsn: Mapped[str | None] = mapped_column(PgLsn)
    verdict: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Counts by name, and the code of the error that ended it. Never row values."""
