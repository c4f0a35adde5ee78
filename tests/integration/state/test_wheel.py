"""What the wheel holds is enough: migrations and the shop are in it, and the code finds them there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


def test_wheel_upgrades_a_database_and_has_the_shop(unpacked: Path, postgres: Database) -> None:
    """`db upgrade` runs the scripts inside the wheel, and the demo finds the shop inside it."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "GPM_POSTGRES_DSN": postgres.dsn}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=unpacked, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "gpm_cdc", "db", "upgrade")
    assert migration.revisions(postgres.dsn).standing == "current"
    places = "from gpm_cdc.state import migration; from gpm_cdc.demo import application"
    found = run("-c", f"{places}; print(migration.scripts()); print(application.mapping_file())").split()
    assert all(Path(path).is_relative_to(unpacked) and Path(path).exists() for path in found)
