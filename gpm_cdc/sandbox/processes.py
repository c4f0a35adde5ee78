"""Processes of the sandbox: who they are, and the supervisor that holds them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from gpm_cdc.errors.sandbox import SupervisorDied
from gpm_cdc.sandbox import supervisor
from gpm_cdc.sandbox.accounts import Account

_KILL_SECONDS = 5.0


class Identity(NamedTuple):
    """A process: its number, and when it started, so that a later process with the same number is not taken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this number now; None if there is none."""
        since = supervisor.started(pid)
        return None if since is None else cls(pid, since)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return supervisor.started(self.pid) == self.started


async def ended(process: Identity, seconds: float) -> bool:
    """Wait until `process` is gone, at most `seconds`; whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while process.alive:  # a process of somebody else's tells nobody when it ends
                with suppress(ChildProcessError):  # collect it, should it be our own child
                    os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - WNOHANG does not wait
                await asyncio.sleep(0.02)
    return not process.alive


async def stop(process: Identity, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """End `process`: each signal with the seconds to wait after it, at last SIGKILL."""
    for number, seconds in (*signals, (signal.SIGKILL, _KILL_SECONDS)):
        if not process.alive:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        await ended(process, seconds)


@dataclass(frozen=True, slots=True)
class Command:
    """A server to start. `environment` is all it gets, and its output is appended to `log`."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    account: Account | None
    """The user to run it as; None for the present one."""
    stop: Sequence[tuple[signal.Signals, float]]
    orphaned: signal.Signals
    """What the kernel sends it when the supervisor is killed."""


@dataclass(slots=True)
class Started:
    """A server that the supervisor has started."""

    identity: Identity
    ended: asyncio.Future[str]
    """Done, with a description of its exit status, when it has ended."""


@dataclass(slots=True)
class Supervisor:
    """The running supervisor of one sandbox, as the process that started it sees it."""

    identity: Identity
    log: Path
    _commands: IO[bytes]
    _started: dict[str, asyncio.Future[Started]] = field(default_factory=dict)
    _ended: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    kept: bool = False
    """Whether the servers may outlive this process."""

    async def start(self, command: Command) -> Started:
        """Start a server; an earlier one of that name must have ended. SupervisorDied if the supervisor is gone."""
        loop = asyncio.get_running_loop()
        self._started[command.name] = loop.create_future()
        self._ended[command.name] = loop.create_future()
        account = command.account
        self._send(
            do="start",
            name=command.name,
            argv=list(command.argv),
            environment=dict(command.environment),
            directory=str(command.directory),
            log=str(command.log),
            uid=account.uid if account else None,
            gid=account.gid if account else None,
            stop=[[int(number), seconds] for number, seconds in command.stop],
            orphaned=int(command.orphaned),
        )
        return await asyncio.shield(self._started[command.name])  # the answer comes, whoever is cancelled

    async def stop(self, name: str) -> None:
        """Stop the server `name` and wait until it is gone."""
        self._send(do="stop", name=name)
        await asyncio.shield(self._ended[name])

    async def keep(self, owner: Identity | None) -> None:
        """Let the servers outlive this process; until `owner` ends, if one is given."""
        self._send(do="keep", owner=list(owner) if owner else None)
        await self._answered.wait()
        if not self.kept:
            raise SupervisorDied(log=self.log)

    def _send(self, **command: object) -> None:
        try:
            self._commands.write(json.dumps(command).encode() + b"\n")
            self._commands.flush()
        except BrokenPipeError:
            raise SupervisorDied(log=self.log) from None

    async def _listen(self, output: asyncio.StreamReader) -> None:
        async for line in output:
            self._hear(json.loads(line))
        for name, future in self._started.items():
            if not future.done():
                future.set_exception(SupervisorDied(log=self.log))
            if not self._ended[name].done():
                self._ended[name].set_result("ended")
        self._answered.set()

    def _hear(self, event: dict[str, Any]) -> None:
        name = event.get("name", "")
        match event["event"]:
            case "started":
                identity = Identity(event["pid"], event["started"] or "")
                self._started[name].set_result(Started(identity, self._ended[name]))
            case "ended":
                if not self._started[name].done():
                    self._started[name].set_result(Started(Identity(0, ""), self._ended[name]))
                self._ended[name].set_result(event["status"])
            case "kept":
                self.kept = True
                self._answered.set()
            case other:
                message = f"the supervisor tells of {other!r}"
                raise AssertionError(message)


@asynccontextmanager
async def supervised(directory: Path, *, remove: Path | None = None) -> AsyncIterator[Supervisor]:
    """A supervisor whose servers end with this block, unless it was told to `keep` them.

    `directory` takes its log. `remove` is a directory that it deletes when it ends.
    """
    log = directory / "supervisor.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - starting it takes no time; it outlives asyncio's own kind
            [sys.executable, "-IS", supervisor.__file__, *(["--remove", str(remove)] if remove else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            cwd="/",
        )
    identity = Identity.of(process.pid)
    if identity is None or process.stdin is None or process.stdout is None:
        raise SupervisorDied(log=log)
    held = Supervisor(identity, log, process.stdin)
    output = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), process.stdout
    )
    listening = asyncio.create_task(held._listen(output))  # noqa: SLF001 - the other half of the class
    try:
        yield held
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        if held.kept:
            listening.cancel()
            process.returncode = 0  # it lives on; without this, Popen would warn about that
        else:
            await listening
            await asyncio.to_thread(process.wait)
        transport.close()
