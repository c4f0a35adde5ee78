"""Where the sandbox keeps things: its default directory, and the cache of what it downloads."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gpm_cdc.errors.sandbox import DirectoryUnwritable, ExtraMissing

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

CACHE_VARIABLE = "GPM_SANDBOX_CACHE"
_ENTER = 0o011
_PROGRAM = "gpm-cdc"
_LOCK_POLL_SECONDS = 0.1


def default_directory() -> Path:
    """The sandbox that is meant when none is named: below the user's data, for root below /var/lib.

    Root's home is closed to the user that Postgres runs as.
    """
    dirs = _platform_dirs()
    return (dirs.site_state_path if os.geteuid() == 0 else dirs.user_data_path) / "sandbox"


def cache_directory() -> Path:
    """Where downloads are kept: GPM_SANDBOX_CACHE, else the user's cache directory, for root /var/cache/gpm-cdc."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()
    dirs = _platform_dirs()
    return Path(dirs.site_cache_path if os.geteuid() == 0 else dirs.user_cache_path)


def make(directory: Path) -> None:
    """Make `directory` and its parents; DirectoryUnwritable if that is not possible."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            for path in missing:  # whatever the umask is, the user of Postgres must get through
                path.chmod(path.stat().st_mode | _ENTER)
    except OSError as error:
        raise DirectoryUnwritable(directory=directory, detail=error.strerror) from error


def temporary_directory() -> Path:
    """A new directory for a sandbox that does not last; for root one that others may enter, though not list."""
    made = Path(tempfile.mkdtemp(prefix="gpm-cdc-")).resolve()
    if os.geteuid() == 0:
        made.chmod(made.stat().st_mode | _ENTER)
    return made


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock file `path` alone among all processes; its directory must exist. Waits as long as it takes."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DirectoryUnwritable(directory=path.parent, detail=error.strerror) from error
        try:
            await _lock(descriptor)
            if _is_still(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


async def _lock(descriptor: int) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one at `path`: its directory may have been removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _platform_dirs() -> "PlatformDirs":
    try:
        from platformdirs import PlatformDirs  # noqa: PLC0415 - comes with the optional extra
    except ImportError as error:
        raise ExtraMissing(package=error.name) from error
    return PlatformDirs(_PROGRAM, appauthor=False)
