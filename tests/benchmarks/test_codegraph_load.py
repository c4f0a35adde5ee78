"""How fast the standard library becomes rows. `pytest -m benchmark tests/benchmarks -s` prints the figures."""

import sys
import sysconfig
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from gpm_cdc.codegraph import Loader, migrate
from tests.servers import Database

FLOOR = 10_000
"""Definitions and edges per second."""
RATIO = 20


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_standard_library(postgres: Database) -> None:
    """At least FLOOR the first time, and RATIO times faster when nothing has changed."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres.dsn))
    migrate(engine)
    root = Path(sysconfig.get_path("stdlib"))
    paths = [path.relative_to(root) for path in root.rglob("*.py")]
    files = [path.as_posix() for path in paths if path.parts[0] != "site-packages"]
    first = Loader(engine, "python").load(root, files)
    again = Loader(engine, "python").load(root, files)
    size = Loader(engine, "python").size()
    engine.dispose()
    rate = (size.definitions + size.edges) / first.seconds
    sys.stdout.write(
        f"\n{first.files} files, {size.definitions} definitions, {size.edges} edges in {first.seconds:.1f} s:"
        f" {rate:,.0f}/s; again in {again.seconds:.2f} s\n"
    )
    assert rate >= FLOOR
    assert first.seconds / again.seconds >= RATIO
