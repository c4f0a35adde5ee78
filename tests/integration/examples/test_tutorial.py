"""The tutorial: every command in it works as it stands there, one after the other."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_SECONDS = 200

pytestmark = pytest.mark.timeout(2 * _SECONDS)

_PRELUDE = """\
set -euo pipefail
settle() { gpm-cdc wait --timeout 60 > "$NOTES/wait"; }
says() {
    local line
    while IFS= read -r -t 60 -u "$said" line; do
        echo "$line"
        if [[ $line == *"$1"* ]]; then return; fi
    done
    echo "it did not say $1"
    return 1
}
"""
"""`settle` is the moment that a reader needs to type the next command, `says` the look at the other terminal."""

_RUN = """\
exec {said}< <(exec gpm-cdc run 2>&1)
daemon=$!
says '"streaming"'
cat <&"$said" > "$NOTES/run" &
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for the tutorial's servers, which the user of Postgres can enter. None of these outlives the test."""
    directory = Path(tempfile.mkdtemp(prefix="gpm-tutorial-test-"))
    directory.chmod(0o711)
    yield directory
    down = [sys.executable, "-m", "gpm_cdc", "sandbox", "down", "--directory", str(directory / "servers")]
    subprocess.run(down, check=False, timeout=60, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _commands() -> list[str]:
    text = (_ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _script() -> str:
    """The tutorial's blocks as one script. A reader has a second terminal and a little time; the script has neither."""
    blocks = [block for block in _commands() if not block.startswith("pip install")]
    assert [block for block in blocks if block.strip() == "gpm-cdc run"], "the tutorial runs the stream"
    damage = [block for block in blocks if "Atlantis" in block]
    assert len(damage) == 1, "the tutorial damages the graph once"
    lines = []
    for block in blocks:
        match block:
            case "gpm-cdc run\n":
                lines.append(_RUN)
            case _ if block in damage:
                lines.append(block.replace("gpm-cdc verify", "code=0; gpm-cdc verify || code=$?; test $code = 1"))
            case _ if block.startswith("gpm-cdc reset"):
                lines.append('kill -INT "$daemon"; wait "$daemon"')
                lines.append(block)
            case _:
                lines.append(re.sub(r"^(?=gpm-cdc (?:sandbox cypher|verify))", "settle\n", block, flags=re.MULTILINE))
    return _PRELUDE + "\n".join(lines)


@pytest.mark.long
def test_every_command_works(place: Path) -> None:
    """From `sandbox up` to `sandbox down`: the graph follows, is proved, is seen to be damaged, and is put away."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GPM_SANDBOX_DIRECTORY": str(place / "servers"),
        "NOTES": str(place),
    }
    with subprocess.Popen(
        ["bash", "-c", _script()],
        cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            output, _ = shell.communicate(timeout=_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # the daemon, should the script not have come to its end
    assert shell.returncode == 0, output
    for shown in ("verify: clean", "Lisbon", "Atlantis"):
        assert shown in output, output
