import asyncio
import json
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import override

import pytest

from gpm_cdc.errors.sandbox import DownloadBroken, ExtraMissing, NoNetwork, NoSpace
from gpm_cdc.sandbox import maven, neo4j, transfer
from gpm_cdc.sandbox.download import Coordinate, Download, Stopped
from gpm_cdc.sandbox.steps import Step, silent

_NOWHERE = "http://127.0.0.1:1"


def _coordinate(version: str = "9.9", *, needed_mb: int = 1) -> Coordinate:
    return Coordinate("org.neo4j", "neo4j", version, "Neo4j", "none", transitive=True, needed_mb=needed_mb)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes out over HTTPS is refused."""
    monkeypatch.setenv("HTTPS_PROXY", _NOWHERE)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def _jar(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("content", "x" * 100)


@pytest.mark.usefixtures("offline")
async def test_what_was_fetched_needs_no_network(tmp_path: Path) -> None:
    """A complete manifest is answered from the cache, its jars in order."""
    home = tmp_path / "neo4j-9.9"
    for name in ("b/2.jar", "a/1.jar"):
        _jar(home / name)
    maven._write_manifest(home, ["b/2.jar", "a/1.jar"])
    assert await maven.fetch(_coordinate(), tmp_path, silent) == [home / "b/2.jar", home / "a/1.jar"]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("version", ["9.9", neo4j.DEFAULT_VERSION])
async def test_without_a_network_the_error_says_so(tmp_path: Path, version: str) -> None:
    """A first start that cannot reach the repository raises NoNetwork, whether or not the version is pinned."""
    with pytest.raises(NoNetwork):
        await maven.fetch(_coordinate(version), tmp_path, silent)


@pytest.mark.usefixtures("offline")
async def test_a_jar_that_has_gone_is_fetched_again(tmp_path: Path) -> None:
    """An incomplete cache is not used: here the second download fails for want of a network."""
    home = tmp_path / "neo4j-9.9"
    _jar(home / "a.jar")
    maven._write_manifest(home, ["a.jar"])
    (home / "a.jar").write_bytes(b"cut")
    with pytest.raises(NoNetwork):
        await maven.fetch(_coordinate(), tmp_path, silent)


async def test_a_full_disk_is_noticed_before_the_download(tmp_path: Path) -> None:
    """More megabytes than the disk has raise NoSpace."""
    with pytest.raises(NoSpace):
        await maven.fetch(_coordinate(needed_mb=10**9), tmp_path, silent)


async def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jgo the error says what to install."""
    monkeypatch.delattr("gpm_cdc.sandbox.transfer", raising=False)
    monkeypatch.setitem(sys.modules, "gpm_cdc.sandbox.transfer", None)
    with pytest.raises(ExtraMissing) as raised:
        await maven.fetch(_coordinate(), tmp_path, silent)
    assert "pip install" in raised.value.advice


def test_a_damaged_jar_is_refused(tmp_path: Path) -> None:
    """A file that is no archive, or whose content does not fit its checksum, raises DownloadBroken."""
    (tmp_path / "a.jar").write_bytes(b"<html>")
    with pytest.raises(DownloadBroken):
        maven._prove_whole(tmp_path / "a.jar")
    _jar(tmp_path / "b.jar")
    content = (tmp_path / "b.jar").read_bytes()
    (tmp_path / "b.jar").write_bytes(content.replace(b"xxx", b"xyx", 1))
    with pytest.raises(DownloadBroken):
        maven._prove_whole(tmp_path / "b.jar")


def test_the_default_version_is_pinned() -> None:
    """Every jar of the default Neo4j is written down with a SHA-256, its own first."""
    pins = maven.pinned(_coordinate(neo4j.DEFAULT_VERSION))
    assert pins is not None
    assert next(iter(pins)).endswith(f"/neo4j-{neo4j.DEFAULT_VERSION}.jar")
    assert all(path.endswith(".jar") and len(digest) == 64 for path, digest in pins.items())


class _Content(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer everything with the same few bytes."""
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"what")

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_pinned_file_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends something else than was released raises DownloadBroken, and nothing is kept."""
    with HTTPServer(("127.0.0.1", 0), _Content) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(transfer, "MAVEN_CENTRAL_URL", f"http://127.0.0.1:{server.server_address[1]}")
        download = Download(_coordinate(), silent)
        with pytest.raises(DownloadBroken):
            transfer.get_pinned(download, tmp_path, {"a/b.jar": "0" * 64})
        server.shutdown()
    assert not list(tmp_path.rglob("*.jar"))


async def test_a_download_can_be_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling ends the thread before `fetch` returns: nothing writes after that."""
    begun, finished = threading.Event(), threading.Event()

    def resolve(download: Download, _repository: Path) -> list[str]:
        begun.set()
        assert download.stop.wait(10)
        finished.set()
        raise Stopped

    monkeypatch.setattr(transfer, "resolve", resolve)
    task = asyncio.create_task(maven.fetch(_coordinate(), tmp_path, silent))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()


def test_progress_counts_files() -> None:
    """Each finished file is one detail of the progress, the beginning a sentence of its own."""
    said: list[Step] = []
    download = Download(_coordinate(), said.append)
    download.begin(2)
    download.one_more()
    download.one_more()
    assert [step.detail for step in said] == [False, True, True]
    assert "2 of 2" in said[-1].text


def test_a_manifest_lists_sizes(tmp_path: Path) -> None:
    """The manifest is what a later start compares with the disk."""
    _jar(tmp_path / "a.jar")
    maven._write_manifest(tmp_path, ["a.jar"])
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"a.jar": (tmp_path / "a.jar").stat().st_size}
