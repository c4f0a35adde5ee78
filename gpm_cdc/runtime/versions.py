"""The versions of what a report is about."""

from gpm_cdc import __version__
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.sink.preflight import read_graph
from gpm_cdc.source.session import connect


async def read_versions(settings: Settings) -> dict[str, str]:
    """Of gpm-cdc, and of both servers as they state it; one that does not answer is left out."""
    found = {"gpm_cdc": __version__}
    try:
        async with connect(settings.conninfo) as postgres:
            found["postgres"] = str(postgres.info.parameter_status("server_version"))
        async with open_graph(settings) as graph:
            found["neo4j"] = (await read_graph(graph, settings.neo4j_database)).version
    except GpmCdcError:
        return found
    return found
