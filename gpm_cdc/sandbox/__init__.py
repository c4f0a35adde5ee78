"""A real Postgres and a real Neo4j that come with the Python packages of the `sandbox` extra, started from a directory.

`up` starts or finds them, `down` stops them, `status` looks. Nothing is installed on the machine, and no Docker is
needed.
"""

from gpm_cdc.sandbox.lifecycle import Sandbox, ServerStatus, Status, down, running, status, up
from gpm_cdc.sandbox.steps import Progress, Step

__all__ = ["Progress", "Sandbox", "ServerStatus", "Status", "Step", "down", "running", "status", "up"]
