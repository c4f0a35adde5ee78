"""Random histories over random schemas, for a while, always the same ones.

So a red test is about the change at hand. GPM_TEST_EXACTNESS_SEED draws others, GPM_TEST_EXACTNESS_SECONDS says how
long (default 40); `make exactness` goes on with fresh ones and counts them.
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import servers
from tests.exactness.ledger import Record
from tests.exactness.machine import Machine
from tests.exactness.running import Budget, run_seed
from tests.servers import Neo4jServer

SEED = "20261126"
SECONDS = float(os.environ.get("GPM_TEST_EXACTNESS_SECONDS") or "40")
SHRINKING_SECONDS = 60.0


@pytest_asyncio.fixture
async def machine(neo4j_server: Neo4jServer) -> AsyncIterator[Machine]:
    """A machine with a server that allows prepared transactions."""
    async with servers.start_postgres(max_prepared_transactions="10") as server:
        with servers.database(server) as database:
            yield Machine(database, neo4j_server)


@pytest.mark.timeout(SECONDS + SHRINKING_SECONDS + 120)
async def test_random_histories_of_random_schemas(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the tables, the mapping and the transactions are, the graph equals the tables, or the stream stops."""
    seed = os.environ.get("GPM_TEST_EXACTNESS_SEED") or SEED
    record = Record(18, seed)
    budget = Budget(1_000_000, time.monotonic() + SECONDS, SHRINKING_SECONDS)
    await run_seed(machine, record, budget, lambda _: None, tmp_path)
    with capsys.disabled():
        sys.stdout.write(f" exactness seed {seed}: {record.histories} histories, {record.transactions} transactions ")
    assert record.transactions
