"""Runs the shop's migrations on the database that DATABASE_URL names."""

import os

from alembic import context
from sqlalchemy import create_engine

from shop.model import Base

engine = create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
