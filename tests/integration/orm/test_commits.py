"""Read your own write: the position of a session's commit, without a further round trip, and never too early."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, ForeignKey, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from gpm_cdc.domain.lsn import Lsn, parse
from gpm_cdc.errors.models import CommitAmbiguous, CommitsUntracked
from gpm_cdc.orm import commit_lsn, track_commits
from gpm_cdc.runtime.wait import watching
from tests.integration.core.pipeline import following, settings_for
from tests.patience import PATIENCE
from tests.servers import Database, Neo4jServer

MAPPING = """
version = 1
[[node]]
table = "public.note"
label = "Note"
key = ["id"]
"""


class Base(DeclarativeBase):
    """Of this module's models."""


class Note(Base):
    """A row that somebody waits for."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    after: Mapped[int | None] = mapped_column(ForeignKey("note.id", deferrable=True, initially="DEFERRED"))


def _engine(dsn: str, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), **options)


@pytest.fixture
def engine(postgres: Database) -> Iterator[Engine]:
    """An engine on the test's database, its commits tracked."""
    made = _engine(postgres.dsn)
    Base.metadata.create_all(made)
    track_commits(made)
    yield made
    made.dispose()


def _end_of_log(postgres: Database) -> Lsn:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert row is not None
        return parse(row[0])


@contextmanager
def _busy(postgres: Database) -> Iterator[None]:
    """Others write all the time."""
    done = threading.Event()

    def write() -> None:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            number = 1_000_000
            while not done.is_set():
                number += 1
                connection.execute("INSERT INTO note VALUES (%s, 'other')", [number])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


@pytest.mark.parametrize("synchronous", ["on", "off"])
async def test_the_row_is_there(engine: Engine, postgres: Database, neo4j: Neo4jServer, synchronous: str) -> None:
    """After every wait the graph has the row, whoever else writes and whenever the log reaches the disk."""
    with Session(engine) as session:
        session.execute(text(f"ALTER DATABASE {postgres.name} SET synchronous_commit = {synchronous}"))
        session.commit()
    engine.dispose()
    make = sessionmaker(engine)
    async with following(postgres, neo4j, MAPPING), watching(settings_for(postgres, neo4j)) as graph:
        with _busy(postgres):
            for number in range(50):
                with make.begin() as session:
                    session.add(Note(id=number, text="mine"))
                position = commit_lsn(session)
                assert position is not None
                await graph.reached(position, timeout=PATIENCE)
                assert await neo4j.query(f"MATCH (n:Note {{id: {number}}}) RETURN n.text AS text") == [{"text": "mine"}]


async def test_an_idle_source(engine: Engine, postgres: Database, neo4j: Neo4jServer) -> None:
    """Nothing else has to be written for the position to be reached: within a second, typically 30 ms."""
    async with following(postgres, neo4j, MAPPING), watching(settings_for(postgres, neo4j)) as graph:
        for number in range(40):
            with Session(engine) as session:
                session.add(Note(id=number, text="x" * (number * 97)))
                session.commit()
                await graph.reached(commit_lsn(session), timeout=5)


async def test_the_position_is_not_before_the_commit(engine: Engine, postgres: Database, neo4j: Neo4jServer) -> None:
    """The stream's own position of the commit is at or before it; the log's end before the commit is not enough."""
    async with following(postgres, neo4j, MAPPING, keepalive_interval=5) as stream:
        for number in range(100):
            before = _end_of_log(postgres)
            async with stream.held():
                with Session(engine) as session:
                    session.add(Note(id=number, text="mine"))
                    session.commit()
                await stream.drained()
            await stream.caught_up(told=False)
            committed = stream.progress.batches[-1].position
            position = commit_lsn(session)
            assert position is not None
            assert before < committed <= position


@pytest.mark.parametrize("tracked", [True, False])
def test_no_further_round_trip(postgres: Database, *, tracked: bool) -> None:
    """As many answers of the server are waited for as without it."""
    counted: list[int] = []
    engine = _engine(postgres.dsn)
    Base.metadata.create_all(engine)
    if tracked:
        track_commits(engine)
    with Session(engine) as session:
        session.add(Note(id=1, text="mine"))
        session.flush()
        driver: Any = session.connection().connection.driver_connection
        wait = driver.wait

        def counting(*arguments: object, **options: object) -> object:
            idle = driver.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
            counted.append(0 if idle else 1)  # a connection without a transaction is not asked anything
            return wait(*arguments, **options)

        driver.wait = counting
        session.commit()
        assert (commit_lsn(session) is not None) is tracked
    assert sum(counted) == 1
    engine.dispose()


async def test_an_asynchronous_session(engine: Engine, postgres: Database, neo4j: Neo4jServer) -> None:
    """AsyncSession and its engine, many at once."""
    del engine
    asynchronous = create_async_engine(
        "postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(postgres.dsn)
    )
    track_commits(asynchronous)
    async with following(postgres, neo4j, MAPPING), watching(settings_for(postgres, neo4j)) as graph:

        async def write(number: int) -> None:
            async with AsyncSession(asynchronous) as session:
                session.add(Note(id=number, text="mine"))
                await session.commit()
                position = commit_lsn(session)
            assert position is not None
            await graph.reached(position, timeout=PATIENCE)
            assert await neo4j.query(f"MATCH (n:Note {{id: {number}}}) RETURN count(n) AS n") == [{"n": 1}]

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(write(number))
    await asynchronous.dispose()


def test_what_has_no_position(engine: Engine) -> None:
    """Nothing done, a rollback, autocommit, an untracked engine: None, and never the position of another commit."""
    with Session(engine) as session:
        assert commit_lsn(session) is None
        session.commit()
        assert commit_lsn(session) is None
        session.add(Note(id=1, text="one"))
        session.commit()
        first = commit_lsn(session)
        assert first is not None
        session.add(Note(id=2, text="two"))
        session.flush()
        session.rollback()
        assert commit_lsn(session) == first
        with session.begin_nested():
            session.add(Note(id=3, text="three"))
        assert commit_lsn(session) == first
        session.commit()
        second = commit_lsn(session)
        assert second is not None
        assert second > first
    with Session(engine) as session, session.begin_nested():
        session.add(Note(id=4, text="four"))
        session.flush()
    assert commit_lsn(session) is None
    with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        session.add(Note(id=5, text="five"))
        session.commit()
        assert commit_lsn(session) is None


def test_a_commit_that_fails(engine: Engine) -> None:
    """A deferred constraint: SQLAlchemy's error as ever, no position, and the session goes on."""
    with Session(engine) as session:
        session.add(Note(id=1, text="one"))
        session.commit()
        assert commit_lsn(session) is not None
        session.add(Note(id=2, text="two", after=99))
        with pytest.raises(IntegrityError):
            session.commit()
        assert commit_lsn(session) is None
        session.rollback()
        session.add(Note(id=3, text="three"))
        session.commit()
        assert commit_lsn(session) is not None


def test_two_databases(engine: Engine, postgres_server: Any, postgres: Database) -> None:  # noqa: ANN401 - the fixture's
    """Each has its own positions, so the session has to be told which."""
    del postgres_server
    with psycopg.connect(postgres.server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"{postgres.name}_b")))
    other = _engine(psycopg.conninfo.make_conninfo(postgres.dsn, dbname=f"{postgres.name}_b"))
    try:
        Base.metadata.create_all(other)
        track_commits(other)
        with Session() as session:
            session.execute(text("INSERT INTO note VALUES (1, 'a')"), bind_arguments={"bind": engine})
            session.execute(text("INSERT INTO note VALUES (1, 'b')"), bind_arguments={"bind": other})
            session.commit()
            with pytest.raises(CommitAmbiguous):
                commit_lsn(session)
            assert commit_lsn(session, engine) is not None
            assert commit_lsn(session, other) is not None
    finally:
        other.dispose()
        with psycopg.connect(postgres.server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(f"{postgres.name}_b")))


def test_another_driver() -> None:
    """An engine that cannot tell is refused, with what to do."""
    with pytest.raises(CommitsUntracked, match="sqlite"):
        track_commits(create_engine("sqlite://"))


def test_twice_is_once(engine: Engine) -> None:
    """Tracking again changes nothing."""
    commit = engine.dialect.do_commit
    track_commits(engine)
    assert engine.dialect.do_commit is commit
    with Session(engine) as session:
        session.add(Note(id=1, text="one"))
        session.commit()
        assert commit_lsn(session) is not None


def test_an_answer_that_fails_after_the_commit(engine: Engine) -> None:
    """The commit stands; only its position is unknown."""
    with Session(engine) as session:
        session.add(Note(id=1, text="one"))
        session.flush()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gpm_cdc.orm.commits._COMMIT", b"COMMIT; SELECT 1/0")
            session.commit()
        assert commit_lsn(session) is None
        assert session.get_one(Note, 1).text == "one"
