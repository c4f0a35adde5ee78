"""Alembic's environment: runs the scripts on the connection, and with the options, that it is given.

Called as `alembic` from a checkout, it opens a connection of its own, on the database that the settings name.
"""

import os
from pathlib import Path

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql

from gpm_cdc.config.loading import load
from gpm_cdc.state.database import transaction
from gpm_cdc.state.model import SCHEMA, Base, PgLsn

postgresql.base.ischema_names["pg_lsn"] = PgLsn  # autogenerate compares only types that reflection knows


OPTIONS = {
    "target_metadata": Base.metadata,
    "version_table_schema": SCHEMA,
    "include_schemas": True,
    "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
}
"""Of schema `gpm_cdc`."""


def migrate(connection: Connection) -> None:
    """Run what was asked for, in the transaction that `connection` is in."""
    context.configure(connection=connection, **(context.config.attributes.get("options") or OPTIONS))
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with transaction(load({}, os.environ, Path.cwd()).state_conninfo) as own:
        migrate(own)
