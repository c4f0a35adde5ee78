"""Passes of `verify` that compare what the stream has written since a full one."""

import sqlalchemy as sa
from alembic import op

from gpm_cdc.state.model import PgLsn

revision = "gpm_cdc_0004"
down_revision = "gpm_cdc_0003"
branch_labels = None
depends_on = None

SCHEMA = "gpm_cdc"
KIND = "ck_verify_pass_kind"


def upgrade() -> None:
    """Allow for the kind, and for what such a pass rests on."""
    op.add_column("verify_pass", sa.Column("since_lsn", PgLsn(), nullable=True), schema=SCHEMA)
    op.add_column("verify_pass", sa.Column("since", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA)
    _allow("kind IN ('full', 'incremental')")


def downgrade() -> None:
    """Take it back, with the incremental passes, which an earlier version would take for full ones."""
    op.execute("DELETE FROM gpm_cdc.verify_pass WHERE kind <> 'full'")
    _allow("kind IN ('full')")
    for name in ("since_lsn", "since"):
        op.drop_column("verify_pass", name, schema=SCHEMA)


def _allow(condition: str) -> None:
    op.drop_constraint(op.f(KIND), "verify_pass", schema=SCHEMA)
    op.create_check_constraint(op.f(KIND), "verify_pass", condition, schema=SCHEMA)
