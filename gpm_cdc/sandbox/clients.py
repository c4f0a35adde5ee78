"""Talking to the servers of a running sandbox from the command line."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import neo4j
import psycopg
from neo4j.exceptions import Neo4jError

from gpm_cdc.errors.sandbox import QueryRefused
from gpm_cdc.sandbox import postgres
from gpm_cdc.sandbox.lifecycle import running


class Result(NamedTuple):
    """The answer to a query."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def psql(directory: Path | None) -> tuple[Path, dict[str, str]]:
    """Its path, and the environment that leads it to the sandbox of `directory`: no password in its arguments."""
    address = psycopg.conninfo.conninfo_to_dict(running(directory).postgres_dsn)
    variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return postgres.psql(), {**os.environ, **{variables[key]: str(value) for key, value in address.items()}}


async def cypher(directory: Path | None, query: str) -> Result:
    """Run `query` in a transaction of its own on the sandbox of `directory`; QueryRefused if Neo4j does."""
    found = running(directory)
    authentication = (found.neo4j_user, found.neo4j_password)
    async with (
        neo4j.AsyncGraphDatabase.driver(
            found.neo4j_uri, auth=authentication, notifications_min_severity="OFF"
        ) as driver,
        driver.session() as session,
    ):
        try:
            # Not a managed transaction: CALL ... IN TRANSACTIONS must be the outermost one.
            answer = await session.run(query)
            return Result(answer.keys(), [row.values() async for row in answer])
        except Neo4jError as error:
            raise QueryRefused(detail=error.message) from error
