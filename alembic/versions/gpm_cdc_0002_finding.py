"""What each `verify` found: its numbers, its findings, and the questions that it left open."""

import sqlalchemy as sa
from alembic import op

revision = "gpm_cdc_0002"
down_revision = "gpm_cdc_0001"
branch_labels = None
depends_on = None

SCHEMA = "gpm_cdc"


def _of_a_pass() -> tuple[sa.Column[int], sa.Column[int]]:
    """The key of what a pass has many of."""
    return sa.Column("run_id", sa.BigInteger(), nullable=False), sa.Column("number", sa.Integer(), nullable=False)


def _constraints(table: str) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(
            ["run_id"],
            [f"{SCHEMA}.verify_pass.run_id"],
            name=op.f(f"fk_{table}_run_id_verify_pass"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f(f"pk_{table}")),
    )


def upgrade() -> None:
    """Make the tables of a pass."""
    op.create_table(
        "verify_pass",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("strict", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("elements_checked", sa.BigInteger(), nullable=False),
        sa.Column("finding_count", sa.BigInteger(), nullable=False),
        sa.Column("unsettled_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('full')", name=op.f("ck_verify_pass_kind")),
        sa.ForeignKeyConstraint(
            ["run_id"], [f"{SCHEMA}.run.id"], name=op.f("fk_verify_pass_run_id_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_verify_pass")),
        schema=SCHEMA,
    )
    op.create_table(
        "verify_table",
        *_of_a_pass(),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("node_count", sa.BigInteger(), nullable=False),
        sa.Column("relationship_count", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("extra", sa.BigInteger(), nullable=False),
        sa.Column("different", sa.BigInteger(), nullable=False),
        sa.Column("postgres_digest", sa.Text(), nullable=False),
        sa.Column("neo4j_digest", sa.Text(), nullable=False),
        *_constraints("verify_table"),
        schema=SCHEMA,
    )
    op.create_table(
        "finding",
        *_of_a_pass(),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("element", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.JSON(), nullable=False),
        sa.Column("exact_key", sa.JSON(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("expected", sa.JSON(), nullable=True),
        sa.Column("actual", sa.JSON(), nullable=True),
        *_constraints("finding"),
        schema=SCHEMA,
    )
    op.create_table(
        "unsettled",
        *_of_a_pass(),
        sa.Column("table_name", sa.Text(), nullable=True),
        sa.Column("key", sa.JSON(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        *_constraints("unsettled"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop them, and with them what was found."""
    for table in ("unsettled", "finding", "verify_table", "verify_pass"):
        op.drop_table(table, schema=SCHEMA)
