"""What a start tells while it goes on, and what it must have before it begins."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gpm_cdc.errors.sandbox import NoSpace, TooLittleMemory

MEGABYTE = 1024 * 1024
_MACHINE = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")
_CGROUP_COUNTERS = Path("/sys/fs/cgroup/memory.stat")


class Step(NamedTuple):
    """One sentence of progress. `detail` marks those that only a live display wants to show all of."""

    text: str
    detail: bool = False


type Progress = Callable[[Step], None]


def silent(_step: Step) -> None:
    """The progress callback of somebody who does not want to know."""


def require_space(path: Path, needed_mb: int) -> None:
    """NoSpace unless the disk of `path`, which need not exist yet, has `needed_mb` megabytes left."""
    present = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    free_mb = shutil.disk_usage(present).free // MEGABYTE
    if free_mb < needed_mb:
        raise NoSpace(path=path, needed_mb=needed_mb, free_mb=free_mb)


def require_memory(needed_mb: int) -> None:
    """TooLittleMemory unless the machine and the container leave `needed_mb` megabytes, as far as they say."""
    known = [mb for mb in (_machine_mb(), _container_mb()) if mb is not None]
    if known and min(known) < needed_mb:
        raise TooLittleMemory(needed_mb=needed_mb, available_mb=min(known))


def _machine_mb() -> int | None:
    """What Linux thinks can still be used without swapping."""
    try:
        fields = dict(line.split(":", 1) for line in _MACHINE.read_text("ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError):
        return None


def _container_mb() -> int | None:
    """What the limit of the control group leaves; its page cache counts as used, but can be given back."""
    try:
        limit = int(_CGROUP_LIMIT.read_text("ascii"))
        used = int(_CGROUP_USED.read_text("ascii"))
        counters = dict(line.split() for line in _CGROUP_COUNTERS.read_text("ascii").splitlines())
        return (limit - used + int(counters["inactive_file"])) // MEGABYTE
    except (OSError, ValueError, KeyError):  # not version 2, or no limit ("max")
        return None
