"""Where the tour plays: the embedded servers, a directory for logs, and the environment of the programs."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gpm_cdc import sandbox
from gpm_cdc.config.loading import CONFIG_FILE, variable
from gpm_cdc.config.settings import Settings
from gpm_cdc.sandbox import Progress, Sandbox

_FOREIGN: Final = ("GPM_", "PG")
"""Variables that would lead our programs, or libpq, to servers of the user's own."""

SERVERS: Final = "servers"

_BATCH_ROWS: Final = 5_000
"""Small batches, so that one can watch the graph grow while Neo4j is still warming up."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Running servers and what programs need to find them. `directory` holds the logs and the mapping."""

    servers: Sandbox
    directory: Path

    @property
    def mapping(self) -> Path:
        """The mapping, once it is written: the programs find it, since it has its usual name where they run."""
        return self.directory / CONFIG_FILE

    @property
    def settings(self) -> Settings:
        """What the tour itself reads the graph with."""
        return Settings(
            postgres_dsn=SecretStr(self.servers.postgres_dsn),
            neo4j_uri=self.servers.neo4j_uri,
            neo4j_user=self.servers.neo4j_user,
            neo4j_password=SecretStr(self.servers.neo4j_password),
            config=self.mapping,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """Of programs that work on the stage."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {
            **inherited,
            variable("postgres_dsn"): self.servers.postgres_dsn,
            variable("neo4j_uri"): self.servers.neo4j_uri,
            variable("neo4j_user"): self.servers.neo4j_user,
            variable("neo4j_password"): self.servers.neo4j_password,
            variable("batch_rows"): str(_BATCH_ROWS),
        }

    def log(self, name: str) -> Path:
        """The log of the program that the tour calls `name`."""
        return self.directory / f"{name}.log"


@contextmanager
def workspace(*, keep: bool) -> Iterator[Path]:
    """A new directory. It goes when the tour ends or is broken off; it stays after a failure, and with `keep`."""
    directory = Path(tempfile.mkdtemp(prefix="gpm-cdc-demo-")).resolve()
    directory.chmod(0o711)  # the user that Postgres runs as must get through
    stays = False
    try:
        yield directory
        stays = keep
    except Exception:
        stays = True
        raise
    finally:
        if not stays:
            shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def stage(directory: Path, progress: Progress, *, keep: bool) -> AsyncIterator[Stage]:
    """The servers, in `directory`. They end with the block or with this process; with `keep` only when broken off."""
    place = directory / SERVERS
    servers = await sandbox.up(place, ephemeral=not keep, progress=progress)
    stay = False
    try:
        yield Stage(servers, directory)
        stay = keep
    except Exception:
        stay = keep
        _save_logs(place, directory)
        raise
    finally:
        if not stay:
            await sandbox.down(place)


def _save_logs(place: Path, directory: Path) -> None:
    """The servers' logs go with their data, and somebody will want to read them."""
    for log in place.rglob("*.log"):
        shutil.copy(log, directory / f"{SERVERS}-{log.name}")
