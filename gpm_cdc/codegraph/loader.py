"""Directories and single files into the tables: read by several processes, stored by difference."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from gpm_cdc.codegraph.extraction import Extract, digest_of, extract
from gpm_cdc.codegraph.model import Call, Definition, Import, Inheritance, Source
from gpm_cdc.codegraph.storing import Written, digests, lock, store

FILES_AT_ONCE: Final = 64
"""Sources in one transaction of `load`, so that the graph follows while it goes on."""

_WORTH_PROCESSES: Final = 400_000
"""Bytes of Python that take longer to read than processes take to start."""
_FILES_PER_TASK: Final = 8


@dataclass(frozen=True, slots=True)
class Step:
    """How far a load is, after each of its transactions. `files_in_all` are those that are new or changed."""

    files: int
    files_in_all: int
    definitions: int
    """Written so far."""
    rows: int
    """Of all tables, written so far."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a load or a store did. `seconds` end with its last commit."""

    files: int
    """That were given."""
    unchanged: int
    deleted: int
    written: Written
    seconds: float


@dataclass(frozen=True, slots=True)
class Size:
    """What a project holds. Edges are calls, imports, inheritance, and a definition within another."""

    sources: int
    failed: int
    """Sources that are not Python."""
    definitions: int
    edges: int


class Loader:
    """Stores the Python sources of one project. Loaders of the same project wait for each other."""

    def __init__(self, engine: Engine, project: str, *, processes: int | None = None) -> None:
        """`engine` is the caller's; `processes` read sources at a time, as many as there are processors by default."""
        self._engine = engine
        self._project = project
        self._processes = processes or os.cpu_count() or 1

    def load(
        self, root: Path, files: Iterable[str] | None = None, *, progress: Callable[[Step], None] = lambda _: None
    ) -> Report:
        """Make the project what stands below `root`: new and changed files are stored, vanished ones deleted.

        `files` are the paths that count, relative to `root` with slashes; all `*.py` by default. Every transaction
        leaves a consistent state. Raises OSError for a file that cannot be read.
        """
        began = time.monotonic()
        paths = sorted(files) if files is not None else sorted(_python_files(root))
        with Session(self._engine) as session:
            stored = digests(session, self._project)
        contents = {path: (root / path).read_bytes() for path in paths}
        changed = _changed(contents, stored)
        vanished = sorted(stored.keys() - contents.keys())
        written, done, definitions = Written(), 0, 0
        pending = [*batched(vanished, FILES_AT_ONCE)]
        with self._extracts(changed) as extracts:
            for some in batched(extracts, FILES_AT_ONCE):
                _add(written, self._store(some, pending.pop() if pending else ()))
                done += len(some)
                definitions += sum(len(one.definitions) for one in some)
                progress(Step(done, len(changed), definitions, written.inserted + written.updated + written.resolved))
        for paths_gone in pending:
            _add(written, self._store((), paths_gone))
        seconds = time.monotonic() - began
        return Report(len(contents), len(contents) - len(changed), len(vanished), written, seconds)

    def store(self, files: Mapping[str, str | bytes | None]) -> Report:
        """Store some files by path in one transaction; None deletes one."""
        began = time.monotonic()
        contents = {
            path: content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            for path, content in files.items()
            if content is not None
        }
        with Session(self._engine) as session:
            stored = digests(session, self._project, files.keys())
        changed = _changed(contents, stored)
        gone = [path for path in files if path not in contents and path in stored]
        written = Written()
        if changed or gone:
            written = self._store([extract(path, content) for path, content in changed.items()], gone)
        seconds = time.monotonic() - began
        return Report(len(files), len(files) - len(changed) - len(gone), len(gone), written, seconds)

    def _store(self, extracts: Sequence[Extract], gone: Sequence[str]) -> Written:
        with Session(self._engine) as session, session.begin():
            lock(session, self._project)
            return store(session, self._project, extracts, gone)

    @contextmanager
    def _extracts(self, changed: Mapping[str, bytes]) -> Iterator[Iterator[Extract]]:
        """Each changed source, read, in the order of their paths."""
        if self._processes == 1 or sum(map(len, changed.values())) < _WORTH_PROCESSES:
            yield (extract(path, content) for path, content in changed.items())
            return
        with ProcessPoolExecutor(self._processes, multiprocessing.get_context("spawn")) as pool:
            yield pool.map(extract, changed.keys(), changed.values(), chunksize=_FILES_PER_TASK)

    def size(self) -> Size:
        """Count what the project holds now."""
        own = Definition.project == self._project
        with Session(self._engine) as session:
            sources, failed = session.execute(
                select(func.count(), func.count(Source.error)).where(Source.project == self._project)
            ).one()
            definitions, within = session.execute(
                select(func.count(), func.count(Definition.parent_key)).select_from(Definition).where(own)
            ).one()
            edges = sum(
                session.execute(
                    select(func.count()).select_from(edge).join(Definition, edge.start_key == Definition.key).where(own)
                ).scalar_one()
                for edge in (Call, Import, Inheritance)
            )
        return Size(sources, failed, definitions, within + edges)


def _python_files(root: Path) -> Iterator[str]:
    for path in root.rglob("*.py"):
        if path.is_file():
            yield PurePosixPath(path.relative_to(root)).as_posix()


def _changed(contents: Mapping[str, bytes], stored: Mapping[str, str]) -> dict[str, bytes]:
    """Of `contents` by path, those that are new or have another digest than what is stored."""
    return {path: content for path, content in contents.items() if stored.get(path) != digest_of(content)}


def _add(total: Written, more: Written) -> None:
    total.inserted += more.inserted
    total.updated += more.updated
    total.removed += more.removed
    total.resolved += more.resolved
