"""Whether the oracle and `gpm-cdc verify` both call a graph right."""

from gpm_cdc.mapping.text import parse
from gpm_cdc.runtime.verify import VerifyOrders, verify
from tests.integration.core.pipeline import Pipeline, settings_for
from tests.integration.values.matrix import Silent
from tests.servers import Database, Neo4jServer


async def verdict(database: Database, graph: Neo4jServer, mapping: str) -> str:
    """What a strict pass of verify says."""
    report = await verify(
        settings_for(database, graph), parse(mapping, where="test"), VerifyOrders(strict=True), Silent()
    )
    return report.verdict


async def require_equal(stream: Pipeline, database: Database, graph: Neo4jServer, mapping: str) -> None:
    """Both say that the graph equals the tables, once everything is in it; AssertionError otherwise."""
    await stream.check()
    assert await verdict(database, graph, mapping) == "clean"
