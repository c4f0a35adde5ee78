"""Writes down the jars of a version of Neo4j with their SHA-256: `python tests/golden/pin_neo4j.py 5.26.20`.

The sandbox downloads a version that is written down without having to ask Maven Central what belongs to it, and notices
when a file is not the one that was released.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from gpm_cdc import sandbox
from gpm_cdc.sandbox import download, maven, steps


def main(version: str) -> None:
    """Resolve `version` afresh and replace its list in the package."""
    place = Path(sandbox.__file__).with_name(f"neo4j-{version}.json")
    place.unlink(missing_ok=True)
    coordinate = download.Coordinate("org.neo4j", "neo4j", version, "Neo4j", "", transitive=True, needed_mb=400)
    with tempfile.TemporaryDirectory() as cache:
        jars = asyncio.run(maven.fetch(coordinate, Path(cache), steps.silent))
        home = Path(cache) / f"neo4j-{version}"
        pins = {str(jar.relative_to(home)): hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    place.write_text(json.dumps(pins, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
