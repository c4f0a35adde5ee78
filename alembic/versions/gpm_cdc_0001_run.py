"""The history of `run` and `verify`."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from gpm_cdc.state.model import PgLsn

revision = "gpm_cdc_0001"
down_revision = None
branch_labels = ("gpm_cdc",)
depends_on = None

SCHEMA = "gpm_cdc"


def upgrade() -> None:
    """Make table run."""
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("first_lsn", PgLsn(), nullable=True),
        sa.Column("last_lsn", PgLsn(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("detail", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.CheckConstraint("command IN ('run', 'verify')", name=op.f("ck_run_command")),
        sa.CheckConstraint("outcome IN ('done', 'failed', 'stopped')", name=op.f("ck_run_outcome")),
        sa.CheckConstraint("verdict IN ('clean', 'drift', 'inconclusive')", name=op.f("ck_run_verdict")),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_run_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_run_stream_started_at"), "run", ["stream", "started_at"], schema=SCHEMA)


def downgrade() -> None:
    """Drop table run."""
    op.drop_index(op.f("ix_run_stream_started_at"), table_name="run", schema=SCHEMA)
    op.drop_table("run", schema=SCHEMA)
