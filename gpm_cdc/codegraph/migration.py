"""The tables of source code over time: Alembic's branch `codegraph`, which nobody gets without asking for it."""

from typing import Final

from alembic import command
from sqlalchemy import Engine, text

from gpm_cdc.codegraph.model import Base
from gpm_cdc.state.migration import LOCK_KEY, configuration

BRANCH: Final = "codegraph"
VERSION_TABLE: Final = "code_version"
"""Of its own, so that the migrations of the application around it are not disturbed."""


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest revision, making them if need be, in the schema that the connection works in.

    All or nothing; a second one at the same time waits for the first.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        options = {"target_metadata": Base.metadata, "version_table": VERSION_TABLE}
        command.upgrade(configuration(connection, options), f"{BRANCH}@head")
