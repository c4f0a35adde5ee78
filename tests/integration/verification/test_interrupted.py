"""A pass that loses a connection, or the graph itself, in the middle: never clean, never an invented difference."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from gpm_cdc.sink import reader
from gpm_cdc.verification import sums
from gpm_cdc.verification.report import Report
from tests.integration.verification.conftest import World
from tests.integration.verification.meddling import Meddler, execute, graph, verify_aside
from tests.proxy import Proxy

DAMAGE = "MATCH (p:Person {id: 2}) SET p.weight = 7.5"

SNAPSHOT_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND backend_xmin IS NOT NULL AND state = 'idle in transaction'
"""


async def compared(world: World, meddle: Callable[[], object]) -> Report:
    """A pass in the middle of which something happens."""
    return await verify_aside(world, Meddler(meddle), seconds=3.0)


def reason(report: Report) -> str:
    """Why nothing was told: neither that all is equal, nor that something is not."""
    assert (report.verdict, report.position, list(report.findings)) == ("inconclusive", None, [])
    return report.unsettled[0].reason


async def test_the_session_of_the_snapshot_ends(filled: World) -> None:
    """Nothing can be read of the tables as they were; a pass under another snapshot tells the damage."""
    await filled.cypher(DAMAGE)
    assert "Postgres" in reason(await compared(filled, lambda: execute(filled, SNAPSHOT_SESSIONS)))
    assert (await filled.verify()).verdict == "drift"


async def test_the_walsender_of_the_changes_ends(filled: World) -> None:
    """Without the changes nothing can be judged."""
    await filled.cypher(DAMAGE)
    text = (
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"  # noqa: S608 - a name of ours
        f" WHERE slot_name LIKE '{filled.settings.stream}\\_v%'"
    )
    assert "Postgres" in reason(await compared(filled, lambda: execute(filled, text)))


async def test_the_connections_to_the_graph_are_cut(filled: World, proxy: Proxy) -> None:
    """What was read so far is forgotten and read again: the damage is found, and nothing else."""
    world = replace(filled, settings=filled.settings.model_copy(update={"neo4j_uri": proxy.uri()}))
    assert (await compared(world, proxy.cut)).verdict == "clean"
    await filled.cypher(DAMAGE)
    report = await compared(world, proxy.cut)
    assert [(finding.key, finding.columns) for finding in report.findings] == [({"id": 2}, ("weight",))]


async def test_the_graph_cannot_be_reached_any_more(
    filled: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is waited out for a while, and then said."""
    monkeypatch.setattr(sums, "_WAITS", (0.1,))
    monkeypatch.setattr(reader, "PATIENCE_SECONDS", 1.0)
    world = replace(filled, settings=filled.settings.model_copy(update={"neo4j_uri": proxy.uri()}))
    await filled.cypher(DAMAGE)

    def leave() -> None:
        proxy.refuse()
        proxy.cut()

    assert "Neo4j" in reason(await compared(world, leave))


async def test_the_graph_is_emptied(filled: World) -> None:
    """Everything is missing, and so is what says whose graph it is: no drift."""
    assert "checkpoint" in reason(await compared(filled, lambda: graph(filled, "MATCH (n) DETACH DELETE n")))


async def test_the_graph_is_filled_anew(filled: World) -> None:
    """From the same tables: what differed before does not any more, and the verdict is that of the new graph."""
    await filled.cypher(DAMAGE)

    def fill() -> None:
        graph(filled, "MATCH (n) DETACH DELETE n")
        # The pass runs in a loop of this thread.
        filling = threading.Thread(target=lambda: asyncio.run(filled.begun_anew()))
        filling.start()
        filling.join()

    report = await compared(filled, fill)
    assert report.verdict != "drift", list(report.findings)
    assert (await filled.verify()).verdict == "clean"
