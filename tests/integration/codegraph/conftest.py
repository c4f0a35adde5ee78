"""An engine on a database with the tables of source code."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from gpm_cdc.codegraph import migrate
from tests.servers import Database


@pytest.fixture
def engine(postgres: Database) -> Iterator[Engine]:
    """The tables are there, and empty."""
    made = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres.dsn))
    migrate(made)
    yield made
    made.dispose()
