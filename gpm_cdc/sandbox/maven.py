"""Files from Maven Central, fetched once and then used without the network."""

import asyncio
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from gpm_cdc.errors.sandbox import DownloadBroken, ExtraMissing
from gpm_cdc.sandbox.download import Coordinate, Download
from gpm_cdc.sandbox.steps import Progress, require_space

_MANIFEST = "manifest.json"


async def fetch(coordinate: Coordinate, cache: Path, progress: Progress) -> list[Path]:
    """The jars of `coordinate`, with those it depends on if it is transitive: from `cache` or, once, from the network.

    The artifact's own jar comes first. The caller holds the lock of the cache. NoNetwork, VersionUnknown,
    DownloadBroken, NoSpace or ExtraMissing if that fails.
    """
    download = Download(coordinate, progress)
    fetching = asyncio.create_task(asyncio.to_thread(_fetch, download, cache))
    try:
        return await asyncio.shield(fetching)
    finally:
        # When broken off, the thread may not go on writing after the lock is given back.
        download.stop.set()
        await asyncio.wait([fetching])


def pinned(coordinate: Coordinate) -> Mapping[str, str] | None:
    """The jars of `coordinate` as they were when this program was released; None if that was not written down.

    Paths below the root of a Maven repository, in class path order, each with the SHA-256 of its content.
    """
    listed = resources.files("gpm_cdc.sandbox") / f"{coordinate.name}-{coordinate.version}.json"
    if not listed.is_file():
        return None
    pins: dict[str, str] = json.loads(listed.read_text("utf-8"))
    return pins


def _fetch(download: Download, cache: Path) -> list[Path]:
    coordinate = download.coordinate
    home = cache / f"{coordinate.name}-{coordinate.version}"
    jars = _read_manifest(home)
    if jars is None:
        partial = home.with_name(home.name + ".partial")
        for leftover in (partial, home):
            shutil.rmtree(leftover, ignore_errors=True)
        require_space(cache, coordinate.needed_mb)
        names = _download(download, partial)
        _write_manifest(partial, names)
        partial.rename(home)
        jars = [home / name for name in names]
    return jars


def _download(download: Download, repository: Path) -> list[str]:
    try:
        from gpm_cdc.sandbox import transfer  # noqa: PLC0415 - imports the optional extra
    except ImportError as error:
        raise ExtraMissing(package=error.name) from error
    pins = pinned(download.coordinate)
    names = transfer.get_pinned(download, repository, pins) if pins else transfer.resolve(download, repository)
    for name in names:
        _prove_whole(repository / name)
    return names


def _prove_whole(jar: Path) -> None:
    try:
        with zipfile.ZipFile(jar) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise DownloadBroken(file=jar.name, detail=str(error)) from error
    if damaged is not None:
        raise DownloadBroken(file=jar.name, detail=damaged)


def _read_manifest(home: Path) -> list[Path] | None:
    """The jars that were fetched into `home`; None unless every one is there in its full size."""
    try:
        sizes: dict[str, int] = json.loads((home / _MANIFEST).read_text("utf-8"))
        complete = all((home / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return None
    return [home / name for name in sizes] if complete else None


def _write_manifest(home: Path, names: Iterable[str]) -> None:
    sizes = {name: (home / name).stat().st_size for name in names}
    (home / _MANIFEST).write_text(json.dumps(sizes, indent=1), "utf-8")
