"""The whole path against the oracle, over random histories of random transactions.

GPM_TEST_HISTORY_SECONDS says how long (default 20), GPM_TEST_HISTORY_SEED which histories. A failure prints the SQL
that led to it.
"""

import os
import random
import sys
import time
from unittest.mock import patch

import pytest

from gpm_cdc.cypher import statement
from tests.integration.core.histories import History, Writer
from tests.integration.core.pipeline import Pipeline, following
from tests.integration.core.world import MAPPING, SCHEMA, TABLES
from tests.servers import Database, Neo4jServer

SECONDS = float(os.environ.get("GPM_TEST_HISTORY_SECONDS", "20"))
ROUNDS = 8
"""After so many comparisons the tables are emptied, so that the SQL of a failure stays short."""


async def _rounds(stream: Pipeline, writer: Writer, dice: random.Random, deadline: float) -> int:
    """Transactions and comparisons; how many comparisons there were."""
    for done in range(ROUNDS):
        if time.monotonic() > deadline:
            return done
        if dice.random() < 0.7:
            writer.script.append("-- together")
            async with stream.held():
                for _ in range(dice.randint(1, 6)):
                    await writer.transaction()
        else:
            writer.script.append("-- apart")
            for _ in range(dice.randint(1, 3)):
                await writer.transaction()
        await stream.check()
    return ROUNDS


@pytest.mark.timeout(SECONDS + 100)
async def test_random_histories(postgres: Database, neo4j: Neo4jServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the transactions were, and however they were batched, the graph equals the tables."""
    seed = int(os.environ.get("GPM_TEST_HISTORY_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    dice = random.Random(seed)
    deadline = time.monotonic() + SECONDS
    async with await postgres.connect() as connection:
        await connection.execute(SCHEMA.encode())
    rounds = 0
    while time.monotonic() < deadline:
        batch_rows, statement_rows = dice.choice((1, 2, 5, 10_000)), dice.choice((1, 2, 10_000))
        elements = dice.choice((1, 3, 50_000))
        script: list[str] = []
        try:
            with patch.object(statement, "ROWS_PER_STATEMENT", statement_rows):
                async with following(
                    postgres, neo4j, MAPPING, batch_rows=batch_rows, batch_elements=elements
                ) as stream:
                    await stream.execute(f"TRUNCATE {', '.join(TABLES)}")
                    writer = Writer(History(dice), stream.connection)
                    script = writer.script
                    await writer.seed()
                    rounds += await _rounds(stream, writer, dice, deadline)
        except Exception as error:
            lines = ";\n".join(script)
            error.add_note(
                f"GPM_TEST_HISTORY_SEED={seed}, {batch_rows=}, {statement_rows=}, {elements=}, round {rounds}:\n{lines}"
            )
            raise
    with capsys.disabled():
        sys.stdout.write(f" histories of seed {seed}: {rounds} comparisons ")
    assert rounds
