"""Alembic's offline output, made by Alembic from a history of two revisions."""

import io
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from gpm_cdc.ddl import Surroundings, judge
from gpm_cdc.mapping.text import parse

_SHOP = Path(__file__).parents[3] / "examples" / "shop"
_ENVIRONMENT = """
from alembic import context

context.configure(url="postgresql://", literal_binds=True, dialect_opts={"paramstyle": "named"})
with context.begin_transaction():
    context.run_migrations()
"""
_SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("customers", sa.Column("note", sa.Text(), comment="it's; theirs"))
    op.alter_column("products", "name", type_=sa.String(80), nullable=False)
    op.create_index("ix_customers_note", "customers", ["note"])
    op.execute("UPDATE orders SET id = id")
    op.rename_table("categories", "kinds")
    op.create_table("reviews", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def offline(tmp_path: Path) -> str:
    """What `alembic upgrade 0001:head --sql` prints, behind what it prints for the shop's own first revision."""
    (tmp_path / "versions").mkdir()
    shutil.copy(_SHOP / "migrations" / "versions" / "0001_tables.py", tmp_path / "versions")
    (tmp_path / "versions" / "0002_changes.py").write_text(_SECOND, encoding="utf-8")
    (tmp_path / "env.py").write_text(_ENVIRONMENT, encoding="utf-8")
    printed = io.StringIO()
    config = Config(output_buffer=printed)
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "0001:head", sql=True)
    return printed.getvalue()


def test_a_migration_of_the_shop_is_judged(offline: str) -> None:
    """What a person reads before the second revision is deployed under the stream of the shop's own mapping."""
    mapping = parse((_SHOP / "gpm-cdc.toml").read_text(encoding="utf-8"), where="test")
    report = judge(offline, Surroundings(mapping), where="test")
    assert [(verdict.outcome, verdict.judgements[0].code, verdict.statement) for verdict in report.verdicts] == [
        ("unaffected", "nothing", "BEGIN"),
        ("rereads", "column_added", "ALTER TABLE customers ADD COLUMN note TEXT"),
        ("unaffected", "nothing", "COMMENT ON COLUMN customers.note IS '…'"),
        ("rereads", "column_retyped", "ALTER TABLE products ALTER COLUMN name TYPE VARCHAR(80)"),
        ("unaffected", "nothing", "ALTER TABLE products ALTER COLUMN name SET NOT NULL"),
        ("unaffected", "nothing", "CREATE INDEX ix_customers_note ON customers (note)"),
        ("follows", "rows_written", "UPDATE orders SET id = id"),
        ("stops", "table_renamed", "ALTER TABLE categories RENAME TO kinds"),
        ("unaffected", "table_created", "CREATE TABLE reviews ( id SERIAL NOT NULL, PRIMARY KEY (id) )"),
        (
            "unaffected",
            "table_unmapped",
            "UPDATE alembic_version SET version_num='…' WHERE alembic_version.version_num = '…'",
        ),
        ("unaffected", "nothing", "COMMIT"),
    ]
    lines = offline.splitlines()
    for verdict in report.verdicts:
        word = verdict.statement.split()[0]
        assert lines[verdict.line - 1][verdict.column - 1 :].startswith(word)
