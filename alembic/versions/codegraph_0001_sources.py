"""Sources, definitions, the names that they use, and the resolved ones."""

import sqlalchemy as sa
from alembic import op

revision = "codegraph_0001"
down_revision = None
branch_labels = ("codegraph",)
depends_on = None


def upgrade() -> None:
    """Make the tables of source code."""
    op.create_table(
        "code_source",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_code_source")),
    )
    op.create_index(op.f("ix_code_source_project"), "code_source", ["project"], unique=False)
    op.create_table(
        "code_alias",
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_head", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["source_key"], ["code_source.key"], name=op.f("fk_code_alias_source_key_code_source")),
        sa.PrimaryKeyConstraint("source_key", "name", name=op.f("pk_code_alias")),
    )
    op.create_index(op.f("ix_code_alias_project_name"), "code_alias", ["project", "name"], unique=False)
    op.create_index(op.f("ix_code_alias_project_target"), "code_alias", ["project", "target"], unique=False)
    op.create_index(op.f("ix_code_alias_project_target_head"), "code_alias", ["project", "target_head"], unique=False)
    op.create_table(
        "code_definition",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("parent_key", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("qualname", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=True),
        sa.Column("docstring", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("lineno", sa.Integer(), nullable=False),
        sa.Column("col", sa.Integer(), nullable=False),
        sa.Column("end_lineno", sa.Integer(), nullable=False),
        sa.Column("end_col", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('class', 'function', 'method', 'module')", name=op.f("ck_code_definition_kind")),
        sa.ForeignKeyConstraint(
            ["parent_key"], ["code_definition.key"], name=op.f("fk_code_definition_parent_key_code_definition")
        ),
        sa.ForeignKeyConstraint(
            ["source_key"], ["code_source.key"], name=op.f("fk_code_definition_source_key_code_source")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_code_definition")),
    )
    op.create_index(op.f("ix_code_definition_parent_key"), "code_definition", ["parent_key"], unique=False)
    op.create_index(
        op.f("ix_code_definition_project_qualname"), "code_definition", ["project", "qualname"], unique=False
    )
    op.create_index(op.f("ix_code_definition_source_key"), "code_definition", ["source_key"], unique=False)
    op.create_table(
        "code_call",
        sa.Column("start_key", sa.Text(), nullable=False),
        sa.Column("end_key", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["end_key"], ["code_definition.key"], name=op.f("fk_code_call_end_key_code_definition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["start_key"],
            ["code_definition.key"],
            name=op.f("fk_code_call_start_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("start_key", "end_key", name=op.f("pk_code_call")),
    )
    op.create_index(op.f("ix_code_call_end_key"), "code_call", ["end_key"], unique=False)
    op.create_table(
        "code_import",
        sa.Column("start_key", sa.Text(), nullable=False),
        sa.Column("end_key", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["end_key"],
            ["code_definition.key"],
            name=op.f("fk_code_import_end_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["start_key"],
            ["code_definition.key"],
            name=op.f("fk_code_import_start_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("start_key", "end_key", name=op.f("pk_code_import")),
    )
    op.create_index(op.f("ix_code_import_end_key"), "code_import", ["end_key"], unique=False)
    op.create_table(
        "code_inheritance",
        sa.Column("start_key", sa.Text(), nullable=False),
        sa.Column("end_key", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["end_key"],
            ["code_definition.key"],
            name=op.f("fk_code_inheritance_end_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["start_key"],
            ["code_definition.key"],
            name=op.f("fk_code_inheritance_start_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("start_key", "end_key", name=op.f("pk_code_inheritance")),
    )
    op.create_index(op.f("ix_code_inheritance_end_key"), "code_inheritance", ["end_key"], unique=False)
    op.create_table(
        "code_reference",
        sa.Column("definition_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('calls', 'imports', 'inherits')", name=op.f("ck_code_reference_kind")),
        sa.ForeignKeyConstraint(
            ["definition_key"],
            ["code_definition.key"],
            name=op.f("fk_code_reference_definition_key_code_definition"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("definition_key", "kind", "name", name=op.f("pk_code_reference")),
    )
    op.create_index(op.f("ix_code_reference_project_head"), "code_reference", ["project", "head"], unique=False)
    op.create_index(op.f("ix_code_reference_project_name"), "code_reference", ["project", "name"], unique=False)
    op.create_index(op.f("ix_code_reference_source_key"), "code_reference", ["source_key"], unique=False)


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("ix_code_reference_source_key"), table_name="code_reference")
    op.drop_index(op.f("ix_code_reference_project_name"), table_name="code_reference")
    op.drop_index(op.f("ix_code_reference_project_head"), table_name="code_reference")
    op.drop_table("code_reference")
    op.drop_index(op.f("ix_code_inheritance_end_key"), table_name="code_inheritance")
    op.drop_table("code_inheritance")
    op.drop_index(op.f("ix_code_import_end_key"), table_name="code_import")
    op.drop_table("code_import")
    op.drop_index(op.f("ix_code_call_end_key"), table_name="code_call")
    op.drop_table("code_call")
    op.drop_index(op.f("ix_code_definition_source_key"), table_name="code_definition")
    op.drop_index(op.f("ix_code_definition_project_qualname"), table_name="code_definition")
    op.drop_index(op.f("ix_code_definition_parent_key"), table_name="code_definition")
    op.drop_table("code_definition")
    op.drop_index(op.f("ix_code_alias_project_target_head"), table_name="code_alias")
    op.drop_index(op.f("ix_code_alias_project_target"), table_name="code_alias")
    op.drop_index(op.f("ix_code_alias_project_name"), table_name="code_alias")
    op.drop_table("code_alias")
    op.drop_index(op.f("ix_code_source_project"), table_name="code_source")
    op.drop_table("code_source")
