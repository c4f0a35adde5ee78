"""What the wheel holds is enough: all migrations are in it, and the code finds them there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from gpm_cdc.state import migration
from tests.servers import Database

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The content of a wheel that was made of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(_ROOT)], check=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    return tmp_path / "wheel"


def test_wheel_migrates_a_database(unpacked: Path, postgres: Database) -> None:
    """`db upgrade` and the tables of source code both run the scripts inside the wheel."""
    facts = conninfo_to_dict(postgres.dsn)
    environment = {
        **os.environ,
        "PYTHONPATH": str(unpacked),
        "GPM_POSTGRES_DSN": postgres.dsn,
        **{f"PG{name.upper()}": str(facts[name]) for name in ("host", "port", "user", "password")},
        "PGDATABASE": str(facts["dbname"]),
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=unpacked, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "gpm_cdc", "db", "upgrade")
    assert migration.revisions(postgres.dsn).standing == "current"
    found = Path(run("-c", "from gpm_cdc.state import migration; print(migration.scripts())").strip())
    assert found.is_relative_to(unpacked)
    run("-c", "import sqlalchemy, gpm_cdc.codegraph as c; c.migrate(sqlalchemy.create_engine('postgresql+psycopg://'))")
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM code_definition").fetchone() == (0,)
