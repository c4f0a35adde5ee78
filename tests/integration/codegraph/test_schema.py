"""The tables of source code: their migrations, and that nobody gets them unasked."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from gpm_cdc import orm
from gpm_cdc.codegraph import Base, migrate
from gpm_cdc.codegraph.migration import VERSION_TABLE
from gpm_cdc.state import migration
from tests.servers import Database


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    """No difference between the models and the database; a second time changes nothing."""
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_heads() == ("codegraph_0001",)


def test_our_own_schema_comes_without_them(postgres: Database) -> None:
    """`gpm-cdc db upgrade` puts no table of source code into anybody's database; both can live in one."""
    migration.upgrade(postgres.dsn)
    with psycopg.connect(postgres.dsn) as connection:
        query = "SELECT count(*) FROM pg_class WHERE relname LIKE 'code%'"
        assert connection.execute(query).fetchone() == (0,)


def test_both_in_one_database(engine: Engine, postgres: Database) -> None:
    """The branches know nothing of each other."""
    assert migration.upgrade(postgres.dsn).standing == "missing"
    assert migration.revisions(postgres.dsn).standing == "current"
    migrate(engine)


def test_the_models_are_a_mapping() -> None:
    """Nothing blocks; what is not for the graph is ignored on purpose."""
    found = orm.mapping(Base)
    assert not [finding for finding in found.findings if finding.blocks]
    assert [node.label for node in found.mapping.nodes] == ["Definition", "Source"]
    assert sorted(table.type or "" for table in found.mapping.relationships) == ["CALLS", "IMPORTS", "INHERITS"]
    assert [str(name) for name in found.mapping.ignore] == ["public.code_alias", "public.code_reference"]
