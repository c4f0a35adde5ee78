"""What the mapping's tests need of the `postgres` fixture, and how they fill its database."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Protocol

import psycopg

from gpm_cdc.domain.catalogue import Catalogue, TableName
from gpm_cdc.source.catalogue import read_catalogue
from gpm_cdc.source.session import connect


class Postgres(Protocol):
    """A database of the test's own."""

    @property
    def dsn(self) -> str:
        """How to connect to it."""


def execute(postgres: Postgres, script: str) -> None:
    """Run an SQL script."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(script.encode())


def server_version(postgres: Postgres) -> int:
    """As 180004."""
    with psycopg.connect(postgres.dsn) as connection:
        return connection.info.server_version


def load(postgres: Postgres, script: Path) -> None:
    """Load a dump, which only psql understands."""
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", postgres.dsn, "-f", str(script)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ, timeout=60)


def catalogue_of(postgres: Postgres, *schemas: str, tables: tuple[TableName, ...] = ()) -> Catalogue:
    """The catalogue as the commands read it."""

    async def read() -> Catalogue:
        async with connect(postgres.dsn) as connection:
            return await read_catalogue(connection, schemas or ("public",), tables)

    return asyncio.run(read())
