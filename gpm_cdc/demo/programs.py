"""The programs of the tour, each in a process of its own: commands of gpm-cdc, and the application that writes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpm_cdc.demo.stage import Stage
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.demo import ProgramFailed

COMMAND: Final = (sys.executable, "-m", "gpm_cdc")
"""This program, whether or not a directory on the path has its command."""

_APPLICATION: Final = (sys.executable, "-m", "gpm_cdc.demo.application")


@dataclass(frozen=True, slots=True)
class Application:
    """The running application, which tells what it does, one JSON object a line."""

    _process: Process

    async def go_on(self) -> None:
        """Let it do what it said it would do next."""
        if self._process.stdin is not None:
            with suppress(ConnectionError):  # it has ended, and the end of its output says so
                self._process.stdin.write(b"\n")
                await self._process.stdin.drain()

    async def hear(self) -> dict[str, Any] | None:
        """The next thing that it tells, None when it has ended."""
        if self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        return json.loads(line) if line else None


@asynccontextmanager
async def application(stage: Stage, task: str) -> AsyncIterator[Application]:
    """The application at its `task`. The block is left when it has ended; ProgramFailed if badly.

    An exception in the block ends the application.
    """
    log = stage.log("application")
    async with _running(stage, (*_APPLICATION, task), log) as process:
        yield Application(process)
        if process.stdin is not None:
            process.stdin.close()
        status = await process.wait()
    if status != 0:
        raise ProgramFailed(program=f"gpm_cdc.demo.application {task}", status=status, log=log)


async def command(stage: Stage, *arguments: str) -> tuple[int, str]:
    """Run a command of gpm-cdc: its exit code, and what it printed. ProgramFailed where a person would have to act."""
    log = stage.log(arguments[0])
    async with _running(stage, (*COMMAND, *arguments), log) as process:
        output, _ = await process.communicate()
    status = await process.wait()
    if status not in (ExitCode.DONE, ExitCode.FINDING, ExitCode.REPEAT):
        raise ProgramFailed(program=" ".join(("gpm-cdc", *arguments)), status=status, log=log)
    return status, output.decode()


@asynccontextmanager
async def _running(stage: Stage, arguments: tuple[str, ...], log: Path) -> AsyncIterator[Process]:
    """A process of the stage, its errors in `log`; killed if it still runs when the block is left."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=PIPE, stdout=PIPE, stderr=errors, cwd=stage.directory, env=dict(stage.environment),
            process_group=0,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started itself
            await process.wait()
