"""The Python of docs/: it works as it stands there."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from gpm_cdc.cli.main import outcome
from tests.integration.core.pipeline import following
from tests.servers import Database, Neo4jServer

_DOCS = Path(__file__).parents[3] / "docs"


def _source(page: str) -> str:
    """The page's only block of Python."""
    text = (_DOCS / page).read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return str(source)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's models as `library.py` in the current directory, forgotten afterwards."""
    (tmp_path / "library.py").write_text(_source("models.md"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "library", raising=False)
    return tmp_path


async def test_the_page(library: Path, postgres: Database, neo4j: Neo4jServer) -> None:
    """`gpm-cdc map --models` writes a mapping; through it the graph follows what sessions commit."""
    path = library / "gpm-cdc.toml"
    assert outcome(["map", "--models", "library:Base", "--output", str(path)]) == 0
    import library as models  # type: ignore[import-not-found]  # noqa: PLC0415 - it was written a moment ago

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres.dsn))
    models.Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(models.Author(id=1, name="Ada", password="secret"))
        session.flush()
        session.add(models.Person(id=2, name="Bob", mentor_id=1))
        session.add(models.Book(isbn="x", title="Notes", author_id=1))
        session.flush()
        session.add(models.Loan(id=1, person_id=2, isbn="x", days=14))
        session.commit()
        async with following(postgres, neo4j, path.read_text(encoding="utf-8")) as stream:
            await stream.check()
            patterns = {
                "MATCH (:Person:Author {called: 'Ada'})-[:WROTE]->(b:Book:Work) RETURN b.title AS found": "Notes",
                "MATCH (:Author)-[:MENTORS]->(p:Person) WHERE NOT p:Author RETURN p.called AS found": "Bob",
                "MATCH (:Person)-[l:BORROWED]->(:Book) RETURN l.days AS found": 14,
                "MATCH (p:Author) RETURN p.password AS found": None,
            }
            for query, found in patterns.items():
                assert await neo4j.query(query) == [{"found": found}]
            loan = session.get_one(models.Loan, 1)
            loan.person_id = 1
            session.get_one(models.Person, 2).kind = "author"
            session.commit()
            await stream.check()
            assert await neo4j.query("MATCH (:Author {called: 'Ada'})-[:BORROWED]->() RETURN count(*) AS n") == [
                {"n": 1}
            ]
            session.delete(loan)
            session.commit()
            await stream.check()
    engine.dispose()


def test_the_command_names_the_class(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake in a model ends with 2, the class and the attribute."""
    source = (library / "library.py").read_text(encoding="utf-8")
    (library / "shelf.py").write_text(source.replace('start="person_id"', 'start="person"'), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "shelf", raising=False)
    assert outcome(["map", "--models", "shelf:Base"]) == 2
    told = capsys.readouterr().err
    assert "shelf.Loan: start names person" in told
    assert "person_id" in told
    assert outcome(["map", "--models", "shelf:Base", "--check"]) == 2


async def test_reading_ones_own_write(
    tmp_path: Path, postgres: Database, neo4j: Neo4jServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of docs/read-your-own-write.md, beside a stream."""
    async with await postgres.connect() as connection:
        await connection.execute("CREATE TABLE customers (id int PRIMARY KEY, city text)")
        await connection.execute("INSERT INTO customers VALUES (1, 'Porto')")
    for name, value in {
        "DATABASE_URL": "postgresql+psycopg://",
        "GPM_NEO4J_URI": neo4j.uri,
        "GPM_NEO4J_USER": neo4j.user,
        "GPM_NEO4J_PASSWORD": neo4j.password,
        "GPM_STREAM": postgres.name,
    }.items():
        monkeypatch.setenv(name, value)
    facts = psycopg.conninfo.conninfo_to_dict(postgres.dsn)
    for name in ("host", "port", "user", "password", "dbname"):
        monkeypatch.setenv("PGDATABASE" if name == "dbname" else f"PG{name.upper()}", str(facts[name]))
    program = tmp_path / "program.py"
    program.write_text(_source("read-your-own-write.md"), encoding="utf-8")
    mapping = 'version = 1\n[[node]]\ntable = "public.customers"\nlabel = "Customer"\nkey = ["id"]\n'
    async with following(postgres, neo4j, mapping):
        running = await asyncio.create_subprocess_exec(sys.executable, str(program), cwd=tmp_path, stdout=PIPE)
        output, _ = await running.communicate()
        assert (running.returncode, output) == (0, b"The graph has it.\n")
        assert await neo4j.query("MATCH (c:Customer) RETURN c.city AS city") == [{"city": "Lisbon"}]
