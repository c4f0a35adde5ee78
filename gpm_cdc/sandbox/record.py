"""The state file of a sandbox: what is in the directory and which processes serve it. Readable by its owner only."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

from gpm_cdc.errors.sandbox import RecordUnreadable
from gpm_cdc.sandbox.processes import Identity

FILE = "sandbox.json"
_FORMAT = 1


class Wanted(NamedTuple):
    """The version that a start asks for, and whether somebody named it or it is the default."""

    version: str
    explicit: bool


@dataclass(frozen=True, slots=True)
class Server:
    """One server: its version, the port it listens on, the password of its administrator, its process."""

    version: str
    port: int
    password: str
    process: Identity | None = None
    complete: bool = False
    """Whether it has been up once; data of a first start that broke off is not worth keeping."""

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive


@dataclass(frozen=True, slots=True)
class Record:
    """The content of the state file."""

    postgres: Server
    neo4j: Server
    ephemeral: bool
    supervisor: Identity | None = None

    @property
    def running(self) -> bool:
        """Whether both servers and their supervisor run."""
        return bool(self.supervisor and self.supervisor.alive and self.postgres.alive and self.neo4j.alive)

    @property
    def processes(self) -> list[Identity]:
        """Every process that was written down, whether it still lives or not; the supervisor first."""
        named = (self.supervisor, self.postgres.process, self.neo4j.process)
        return [process for process in named if process is not None]

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The record of `directory`; None if it is not a sandbox. RecordUnreadable if this program cannot know it."""
        path = directory / FILE
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            stored = json.loads(text)
            if stored.pop("format") != _FORMAT:
                raise RecordUnreadable(path=path)
            return cls(
                postgres=_server(stored["postgres"]),
                neo4j=_server(stored["neo4j"]),
                ephemeral=stored["ephemeral"],
                supervisor=_identity(stored["supervisor"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RecordUnreadable(path=path) from error

    def write(self, directory: Path) -> None:
        """Put this in place of what `directory` says now, all at once."""
        path = directory / FILE
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, **asdict(self)}, file, indent=1)
        temporary.replace(path)


def _server(stored: dict[str, object]) -> Server:
    process = _identity(stored.pop("process"))
    return Server(process=process, **stored)  # type: ignore[arg-type]  # a wrong key or type is a TypeError above


def _identity(stored: object) -> Identity | None:
    match stored:
        case None:
            return None
        case [int(pid), str(since)]:
            return Identity(pid, since)
        case _:
            raise TypeError
