"""What a `verify` needs to know of one that broke off, to go on with it."""

import sqlalchemy as sa
from alembic import op

from gpm_cdc.state.model import PgLsn

revision = "gpm_cdc_0003"
down_revision = "gpm_cdc_0002"
branch_labels = None
depends_on = None

SCHEMA = "gpm_cdc"

_ADDED = {
    "verify_pass": ("state", "mapping_hash", "filled_lsn", "chosen", "resumed_pass"),
    "verify_table": ("from_lsn", "as_of_lsn", "seconds", "settled", "resumed"),
}

_KNOWN = """
UPDATE gpm_cdc.verify_table AS t
SET from_lsn = r.first_lsn, as_of_lsn = r.last_lsn,
    settled = NOT EXISTS (SELECT FROM gpm_cdc.unsettled AS u
                          WHERE u.run_id = r.id AND (u.table_name IS NULL OR u.table_name = t.table_name))
FROM gpm_cdc.run AS r WHERE r.id = t.run_id
"""


def upgrade() -> None:
    """Add the columns, and fill in what is known of earlier passes: all of their tables have the pass's positions."""
    for name, kind in (
        ("mapping_hash", sa.Text()),
        ("filled_lsn", PgLsn()),
        ("chosen", sa.JSON()),
        ("resumed_pass", sa.BigInteger()),
    ):
        op.add_column("verify_pass", sa.Column(name, kind, nullable=True), schema=SCHEMA)
    for name in ("from_lsn", "as_of_lsn"):
        op.add_column("verify_table", sa.Column(name, PgLsn(), nullable=True), schema=SCHEMA)
    _add_filled("verify_pass", "state", sa.Text(), "'ended'")
    _add_filled("verify_table", "seconds", sa.Double(), "0")
    _add_filled("verify_table", "settled", sa.Boolean(), "true")
    _add_filled("verify_table", "resumed", sa.Boolean(), "false")
    op.create_check_constraint(
        op.f("ck_verify_pass_state"), "verify_pass", "state IN ('open', 'interrupted', 'ended')", schema=SCHEMA
    )
    op.execute(_KNOWN)


def _add_filled(table: str, name: str, kind: sa.types.TypeEngine[object], value: str) -> None:
    """A column with a value in the rows that are there already, which later ones must be given."""
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text(value)), schema=SCHEMA)
    op.alter_column(table, name, server_default=None, schema=SCHEMA)


def downgrade() -> None:
    """Drop the columns, and passes that never ended, which an earlier version would take for others."""
    op.execute("DELETE FROM gpm_cdc.verify_pass WHERE state = 'open'")
    op.drop_constraint(op.f("ck_verify_pass_state"), "verify_pass", schema=SCHEMA)
    for table, names in _ADDED.items():
        for name in names:
            op.drop_column(table, name, schema=SCHEMA)
