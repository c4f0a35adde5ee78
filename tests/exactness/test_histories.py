"""Random histories over random schemas, for a while, other ones each time.

The seed is in the summary of the run, in the report of the tests, and in the message of a failure, with the script that
replays it. GPM_TEST_EXACTNESS_SEED draws the same again, GPM_TEST_EXACTNESS_SECONDS says how long (default 40).
"""

import os
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests import servers
from tests.exactness.ledger import Record
from tests.exactness.machine import Machine
from tests.exactness.running import KEPT, Budget, fresh_seed, run_seed
from tests.servers import Neo4jServer

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
    machine: Machine, record_property: Callable[[str, object], None]
) -> None:
    """Whatever the tables, the mapping and the transactions are, the graph equals the tables."""
    seed = os.environ.get("GPM_TEST_EXACTNESS_SEED") or fresh_seed()
    record_property("exactness seed", seed)
    record = Record(18, seed)
    budget = Budget(1_000_000, time.monotonic() + SECONDS, SHRINKING_SECONDS)
    await run_seed(machine, record, budget, lambda _: None, KEPT)
    record_property("exactness", f"{record.histories} histories, {record.transactions} transactions")
    assert record.transactions
