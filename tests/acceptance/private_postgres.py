"""A Postgres of one test's own, which can be stopped, killed and started again on the same data and port."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gpm_cdc.sandbox import accounts, places, postgres as embedded
from gpm_cdc.sandbox.processes import Started, Supervisor, ended, supervised
from gpm_cdc.sandbox.readiness import free_port
from gpm_cdc.sandbox.steps import silent


@dataclass(slots=True)
class PrivatePostgres:
    """The server; `dsn` leads to its one database."""

    dsn: str
    _install: embedded.Installation
    _supervisor: Supervisor
    _directory: Path
    _port: int
    _password: str
    _started: Started | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._started = await embedded.start(
            self._install,
            self._supervisor,
            self._directory,
            port=self._port,
            password=self._password,
            settings=embedded.SETTINGS,
        )

    async def stop(self, number: signal.Signals, seconds: float) -> None:
        """Send what `pg_ctl stop` sends: SIGINT is fast, SIGQUIT immediate. TimeoutError if it takes longer."""
        assert self._started is not None
        os.kill(self._started.identity.pid, number)
        if not await ended(self._started.identity, seconds):
            message = f"Postgres did not end within {seconds} seconds"
            raise TimeoutError(message)


@asynccontextmanager
async def private_postgres() -> AsyncIterator[PrivatePostgres]:
    """A running one, gone with its data when this is left."""
    cache = places.cache_directory()
    places.make(cache)
    install = await embedded.installation(embedded.chosen(None).version, accounts.unprivileged(), cache, silent)
    directory = await asyncio.to_thread(places.temporary_directory)
    password, port = secrets.token_hex(8), free_port()
    async with supervised(directory, remove=directory) as supervisor:
        await embedded.initialise(install, directory, password)
        made = PrivatePostgres(embedded.dsn(port, password), install, supervisor, directory, port, password)
        await made.start()
        yield made
