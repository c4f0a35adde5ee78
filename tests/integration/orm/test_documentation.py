"""The models of docs/models.md: mapped by the command, written through the ORM, followed, and equal by the oracle."""

import re
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from gpm_cdc.cli.main import outcome
from tests.integration.core.pipeline import following
from tests.servers import Database, Neo4jServer

_PAGE = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's models as `library.py` in the current directory, forgotten afterwards."""
    (source,) = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "library.py").write_text(source, encoding="utf-8")
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
