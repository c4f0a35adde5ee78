"""One question, three answers: the graph's, recursive SQL's, and one worked out from the `ast` alone."""

import os
import random
import sysconfig
from collections import defaultdict
from pathlib import Path

from sqlalchemy import Engine, text

from gpm_cdc import orm
from gpm_cdc.codegraph import Base, Loader
from gpm_cdc.mapping.text import render
from tests.integration.codegraph.independent import program
from tests.integration.core.pipeline import following
from tests.servers import Database, Neo4jServer

PACKAGES = (
    "asyncio",
    "concurrent",
    "email",
    "html",
    "http",
    "importlib",
    "json",
    "logging",
    "unittest",
    "urllib",
    "xml",
)
SAMPLE = 200

WHO_REACHES_CYPHER = "MATCH (d:Definition)-[:CALLS]->+(:Definition {key: $key}) RETURN DISTINCT d.key AS key"
WHO_REACHES_SQL = """
WITH RECURSIVE caller (key) AS (
    SELECT start_key FROM code_call WHERE end_key = :key
    UNION
    SELECT code_call.start_key FROM caller JOIN code_call ON code_call.end_key = caller.key
)
SELECT key FROM caller
"""


def library() -> dict[str, str]:
    """Some packages of the standard library, and the modules beside them."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = [*root.glob("*.py"), *(path for name in PACKAGES for path in (root / name).rglob("*.py"))]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def reaching(calls: set[tuple[str, str]], key: str) -> set[str]:
    """Everything from which a way of calls leads to `key`."""
    callers = defaultdict(set)
    for start, end in calls:
        callers[end].add(start)
    found: set[str] = set()
    open_ = [key]
    while open_:
        new = callers[open_.pop()] - found
        found |= new
        open_ += new
    return found


async def test_who_can_reach_this_function(engine: Engine, postgres: Database, neo4j: Neo4jServer) -> None:
    """Of 200 functions, drawn at random: all three agree, and every call that is stored is in the text."""
    seed = int(os.environ.get("GPM_TEST_ANSWERS_SEED", "0")) or random.SystemRandom().randrange(1_000_000)
    files = library()
    Loader(engine, "p").store(files)
    calls = {(f"p/{start}", f"p/{end}") for start, end in program(files).calls()}
    with engine.connect() as connection:
        assert {tuple(row) for row in connection.execute(text("SELECT start_key, end_key FROM code_call"))} == calls
    mapping = render(orm.mapping(Base).mapping, orm.mapping(Base).notes)
    drawn = random.Random(seed).sample(sorted({end for _, end in calls}), SAMPLE)
    async with following(postgres, neo4j, mapping, batch_rows=5_000) as stream:
        await stream.check()
        with engine.connect() as connection:
            for key in drawn:
                in_graph = {row["key"] for row in stream.driver.execute_query(WHO_REACHES_CYPHER, key=key).records}
                in_tables = set(connection.scalars(text(WHO_REACHES_SQL), {"key": key}))
                assert in_graph == in_tables == reaching(calls, key), f"GPM_TEST_ANSWERS_SEED={seed}: {key}"
