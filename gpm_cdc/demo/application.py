"""The application of the tour: it keeps source code in Postgres through SQLAlchemy, and knows nothing of the graph.

`python -m gpm_cdc.demo.application TASK` runs in a process of its own, since its work must not share an interpreter
with the measurement. `protocol` says what it tells.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

from gpm_cdc.codegraph import Loader, Step, migrate
from gpm_cdc.config.loading import variable
from gpm_cdc.demo import edits, library, protocol
from gpm_cdc.demo.protocol import Announced, Committed, Loaded, Loading


def main(task: str, environment: Mapping[str, str]) -> None:
    """Do one task on the database that the environment names."""
    # libpq's scheme stands for SQLAlchemy's usual driver, which need not be this one.
    url = make_url(environment[variable("postgres_dsn")]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, hide_parameters=True)
    match task:
        case protocol.MIGRATE:
            migrate(engine)
        case protocol.LOAD:
            _load(engine)
        case protocol.EDIT:
            for line in _edit(engine):
                _tell(line)
                sys.stdin.readline()
        case other:
            raise ValueError(other)


def _load(engine: Engine) -> None:
    """Bring the tables to what the files of the library hold."""

    def tell(step: Step) -> None:
        _tell(Loading(files=step.files, of=step.files_in_all, definitions=step.definitions, rows=step.rows))

    loader = Loader(engine, edits.PROJECT)
    report = loader.load(library.root(), library.files(), progress=tell)
    size = loader.size()
    _tell(
        Loaded(
            looked_at=report.files,
            unchanged=report.unchanged,
            deleted=report.deleted,
            failed=size.failed,
            definitions=size.definitions,
            edges=size.edges,
            seconds=report.seconds,
        )
    )


def _edit(engine: Engine) -> Iterator[Announced | Committed]:
    """Make the edits: the files stay as they are, the tables get what an editor would have saved."""
    loader = Loader(engine, edits.PROJECT)
    texts = {path: (library.root() / path).read_text(encoding="utf-8") for path in edits.FILES}
    committed = _last_commit()
    for edit in edits.edits(texts):
        yield Announced(file=edit.file, what=edit.what, signs=edit.signs._asdict())
        written = loader.store(edit.files).written
        rows = written.inserted + written.updated + written.removed + written.resolved
        yield Committed(committed_at=committed(), rows=rows)


def _last_commit() -> Callable[[], float]:
    """A function that says when the last COMMIT of a session returned."""
    moment = time.monotonic()

    @event.listens_for(Session, "after_commit")
    def note(_: Session) -> None:
        nonlocal moment
        moment = time.monotonic()

    return lambda: moment


def _tell(line: Loading | Loaded | Announced | Committed) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
