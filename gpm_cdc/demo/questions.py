"""Three questions about source code, each in Cypher and in the SQL that Cypher replaces."""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from gpm_cdc.errors.demo import AnswersDiffer
from gpm_cdc.wording import say

_TIMES: Final = 3
_PRIVATE: Final = "_"
_TESTS: Final = ("test.", "idlelib.idle_test.")


class Question(NamedTuple):
    """What somebody may want to know. The first column of both answers holds the same names, in whatever order."""

    text: str
    cypher: str
    sql: str


_REACH: Final = Question(
    "Who can reach subprocess.run, and so start another program, through whatever calls?",
    """\
MATCH (caller)-[:CALLS]->+(f:Definition)
WHERE f.key = 'python/subprocess.py#run'
RETURN DISTINCT caller.qualname""",
    """\
WITH RECURSIVE caller (key) AS (
  SELECT start_key FROM code_call
  WHERE end_key = 'python/subprocess.py#run'
  UNION
  SELECT code_call.start_key
  FROM caller JOIN code_call
    ON code_call.end_key = caller.key
)
SELECT DISTINCT qualname
FROM caller JOIN code_definition USING (key)""",
)

_CIRCLES: Final = Question(
    "Which modules import each other in a circle, and how?",
    """\
MATCH circle = SHORTEST 1
      (m:Module)-[:IMPORTS]->+(m)
RETURN m.qualname,
       [n IN nodes(circle) | n.qualname]""",
    """\
WITH RECURSIVE reached (start, key) AS (
  SELECT start_key, end_key FROM code_import
  UNION
  SELECT reached.start, code_import.end_key
  FROM reached JOIN code_import
    ON code_import.start_key = reached.key
)
SELECT qualname
FROM reached JOIN code_definition USING (key)
WHERE reached.start = reached.key""",
)

_BELOW: Final = Question(
    "What hangs below the class socketserver.BaseServer?",
    """\
MATCH (below)-[:INHERITS]->+(c:Definition)
WHERE c.key = 'python/socketserver.py#BaseServer'
RETURN DISTINCT below.qualname""",
    """\
WITH RECURSIVE below (key) AS (
  SELECT start_key FROM code_inheritance
  WHERE end_key =
        'python/socketserver.py#BaseServer'
  UNION
  SELECT code_inheritance.start_key
  FROM below JOIN code_inheritance
    ON code_inheritance.end_key = below.key
)
SELECT DISTINCT qualname
FROM below JOIN code_definition USING (key)""",
)

QUESTIONS: Final = (_REACH, _CIRCLES, _BELOW)

type Rows = Sequence[Sequence[object]]
type Ask = Callable[[str], Awaitable[Rows]]
"""Runs one statement on a server; the rows of the answer."""


class Answer(NamedTuple):
    """What both servers said, the same. Times in seconds, the median of a few."""

    names: list[str]
    ways: list[list[str]]
    """Where the question asks for them: each the names on a way, of which the last is the first again."""
    cypher_seconds: float
    sql_seconds: float


async def answer(question: Question, graph: Ask, tables: Ask) -> Answer:
    """Ask both servers. Raises AnswersDiffer unless they say the same."""
    found, cypher_seconds = await _timed(graph, question.cypher)
    replaced, sql_seconds = await _timed(tables, question.sql)
    names = sorted(str(row[0]) for row in found)
    if names != sorted(str(row[0]) for row in replaced):
        raise AnswersDiffer(question=say(question.text), graph=len(found), tables=len(replaced))
    ways = [[str(name) for name in row[1]] for row in found if len(row) > 1 and isinstance(row[1], list)]
    return Answer(names, ways, cypher_seconds, sql_seconds)


async def _timed(ask: Ask, statement: str) -> tuple[Rows, float]:
    seconds = []
    rows: Rows = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        rows = await ask(statement)
        seconds.append(time.perf_counter() - began)
    return rows, statistics.median(seconds)


def well_known(names: Iterable[str]) -> list[str]:
    """Those that a reader may have met, the shortest first: neither private nor a test."""
    public = [
        name
        for name in names
        if not name.startswith(_TESTS) and not any(part.startswith(_PRIVATE) for part in name.split("."))
    ]
    return sorted(public, key=lambda name: (name.count("."), len(name), name))


def longest(ways: Iterable[list[str]], count: int) -> list[list[str]]:
    """The longest circles; of those that go through the same modules, one."""
    told = {frozenset(way): way for way in sorted(ways, reverse=True)}
    return sorted(told.values(), key=lambda way: (-len(way), way))[:count]
