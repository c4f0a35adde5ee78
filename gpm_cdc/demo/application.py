"""The application of the tour, `examples/shop`: an ordinary SQLAlchemy program, run as one in a process of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpm_cdc.errors.demo import ProgramFailed

_PACKAGED: Final = Path(__file__).with_name("shop")
_CHECKOUT: Final = Path(__file__).parents[2] / "examples" / "shop"

MIGRATE: Final = ("alembic", "upgrade", "head")
FILL: Final = ("shop", "fill")
CHANGE: Final = ("shop", "change", "--ask")


def directory() -> Path:
    """The shop's directory: within the package where it was installed from a wheel, beside it in a checkout."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def mapping_file() -> Path:
    """The shop's gpm-cdc.toml."""
    return directory() / "gpm-cdc.toml"


def environment(dsn: str) -> Mapping[str, str]:
    """What the shop reads: where its database is, and where Python finds it."""
    path = os.pathsep.join(filter(None, (str(directory()), os.environ.get("PYTHONPATH"))))
    return {"DATABASE_URL": dsn, "PYTHONPATH": path}


@dataclass(frozen=True, slots=True)
class Application:
    """A running program of the shop that tells what it does, one JSON object a line."""

    _process: Process

    async def ask(self) -> dict[str, Any] | None:
        """Have the program make its next change; what it did, None when it has ended."""
        if self._process.stdin is not None:
            with suppress(ConnectionError):  # it has ended, and the end of its output says so
                self._process.stdin.write(b"\n")
                await self._process.stdin.drain()
        return await self.hear()

    async def hear(self) -> dict[str, Any] | None:
        """The next thing that the program tells, None when it has ended."""
        if self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        return json.loads(line) if line else None


@asynccontextmanager
async def started(module: str, *arguments: str, environ: Mapping[str, str], log: Path) -> AsyncIterator[Application]:
    """A program of the shop, its errors in `log`. The block is left when it has ended; ProgramFailed if badly.

    An exception in the block ends the program.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=errors, cwd=directory(), env=dict(environ),
        )  # fmt: skip
    try:
        yield Application(process)
        if process.stdin is not None:
            process.stdin.close()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        raise ProgramFailed(program=" ".join(("python -m", module, *arguments)), status=status, log=log)
