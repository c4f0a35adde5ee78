"""Downloading from Maven Central, in threads. Needs the packages of the `sandbox` extra."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import override

import requests
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import Artifact, Dependency, MavenContext, PythonResolver
from requests.adapters import HTTPAdapter

from gpm_cdc.errors.sandbox import DownloadBroken, NoNetwork, VersionUnknown
from gpm_cdc.sandbox.download import Download, Stopped

_CONNECTIONS = 16
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3


def get_pinned(download: Download, repository: Path, pins: Mapping[str, str]) -> list[str]:
    """Fetch the files `pins` names (path -> SHA-256) into `repository`; their paths below it.

    NoNetwork, or DownloadBroken when a file has another content.
    """
    download.begin(len(pins))

    def get(path: str) -> None:
        answer = session.get(f"{MAVEN_CENTRAL_URL}/{path}", timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        if hashlib.sha256(answer.content).hexdigest() != pins[path]:
            raise DownloadBroken(file=path, detail="its SHA-256 is not the one that was written down")
        file = repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)

    with requests.Session() as session, _explained(download):
        session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
        _in_parallel(download, lambda path: _again(download, lambda: get(path)), list(pins))
    return list(pins)


def resolve(download: Download, repository: Path) -> list[str]:
    """Find out what the artifact depends on, and fetch it all into `repository`; the paths of the jars below it.

    In class path order. NoNetwork or VersionUnknown if that fails.
    """
    logging.getLogger("jgo").setLevel(logging.CRITICAL)
    wanted = download.coordinate
    context = MavenContext(_Resolver(download), repo_cache=repository, timeout=_TIMEOUT_SECONDS)
    artifacts = [context.project(wanted.group, wanted.name).at_version(wanted.version).artifact()]
    with _explained(download):
        if wanted.transitive:
            download.say_looking_up()
            _, inherited = context.resolver.resolve([Dependency(artifacts[0], scope="compile")])
            used = (each.artifact for each in inherited if each.scope in {"compile", "runtime"})
            artifacts += [artifact for artifact in used if artifact.packaging == "jar"]
        download.begin(len(artifacts))
        paths = _in_parallel(download, lambda artifact: Path(artifact.resolve()), artifacts)
    return [str(path.relative_to(repository)) for path in paths]


class _Resolver(PythonResolver):
    """jgo's resolver, patient with a bad line, and to be broken off: a thread cannot be cancelled."""

    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download

    @override
    def download(self, artifact: Artifact) -> Path | None:
        def get() -> Path | None:
            # jgo leaves the part that arrived before the line broke where it would look for the whole.
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            return super(_Resolver, self).download(artifact)

        return _again(self._download, get)


def _in_parallel[Item, Result](download: Download, get: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    def one(item: Item) -> Result:
        result = get(item)
        download.one_more()
        return result

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        try:
            return list(pool.map(one, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _again[Result](download: Download, get: Callable[[], Result]) -> Result:
    """What `get` gives, tried again when the connection breaks; Stopped as soon as nobody waits for it."""
    for attempt in range(1, _ATTEMPTS + 1):
        if download.stop.is_set():
            raise Stopped
        try:
            return get()
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError  # the last attempt returns or raises


@contextmanager
def _explained(download: Download) -> Iterator[None]:
    coordinate = download.coordinate
    try:
        yield
    except requests.RequestException as error:
        raise NoNetwork(what=coordinate.title, detail=_innermost(error)) from error
    except RuntimeError as error:  # what jgo raises for an artifact that the repository does not have
        raise VersionUnknown(server=coordinate.product, version=coordinate.version, known=coordinate.known) from error


def _innermost(error: BaseException) -> str:
    """The first cause of `error` in words: an HTTP library wraps it several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
