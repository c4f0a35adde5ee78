"""Doing something between the steps of a comparison, from the thread that it runs in."""

import asyncio
import time
from collections.abc import Callable
from typing import override

import neo4j
import psycopg

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.verification.report import Report
from tests.integration.verification.conftest import Silent, World
from tests.patience import PATIENCE

A_MOMENT = 1e-6
"""A bound for snapshots that is over before anything is read under them, but for one slice."""


class Meddler(Silent):
    """A VerifyObserver that does something when a comparison begins, once."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle: Callable[[], object] | None = meddle
        self.rounds = 0

    @override
    def comparing(self, number: int, position: Lsn) -> None:
        """The comparison begins: the snapshot is taken, nothing was read yet."""
        self.rounds = number
        meddle, self._meddle = self._meddle, None
        if meddle is not None:
            meddle()


def execute(world: World, text: str) -> None:
    """Run SQL statements, each committed by itself unless they come together."""
    with psycopg.connect(world.database.dsn, autocommit=True, options="-c lock_timeout=5s") as connection:
        connection.execute(text.encode())


def graph(world: World, text: str) -> list[list[object]]:
    """The rows of one Cypher query."""
    auth = (world.graph.user, world.graph.password)
    with neo4j.GraphDatabase.driver(world.graph.uri, auth=auth) as driver, driver.session() as session:
        return session.run(text).values()


def wait_until(condition: Callable[[], bool]) -> None:
    """For code that runs in a thread of its own."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def verify_aside(world: World, meddler: Meddler, *, seconds: float = 10.0) -> Report:
    """Compare in a thread, so that the meddler may wait for the stream, which runs in this one."""
    return await asyncio.to_thread(lambda: asyncio.run(world.verify(observer=meddler, timeout=seconds)))
