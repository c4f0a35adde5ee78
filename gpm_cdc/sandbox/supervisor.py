"""The small process that owns the servers of one sandbox, so that nobody's crash leaves them behind.

It is started as a script of its own, with nothing but the standard library, reads one JSON command a line on standard
input and answers with one JSON event a line on standard output:

    {"do": "start", "name", "argv", "environment", "directory", "log", "uid", "gid", "stop", "orphaned"}
        -> {"event": "started", "name", "pid", "started"}, and {"event": "ended", "name", "status"} when it ends
    {"do": "stop", "name"}
    {"do": "keep", "owner": [pid, started] or null}     the servers may outlive whoever started them

If its input ends before `keep`, the starter is gone: everything is stopped. After `keep` it lives until SIGTERM, until
the owner ends (if there is one) or until the last server ended. With `--remove DIRECTORY` that directory goes with it.
Should this process itself be killed, the kernel ends the servers (Linux: PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ON_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0
_START_TIME_FIELD = 19  # of /proc/PID/stat, counted behind the closing parenthesis of the program's name


def started(pid: int) -> str | None:
    """When the process `pid` started, as a text that no later process with that number can have; None if it is gone.

    A process that has ended and only waits to be collected counts as gone.
    """
    if _ON_LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot}:{fields[_START_TIME_FIELD]}"
    command = ["/usr/bin/env", "ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    state, _, start = shown.stdout.strip().partition(" ")
    return start.strip() if start and not state.startswith("Z") else None


@dataclass(slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    stop: list[tuple[int, float]]
    """Signals to end it with, each with the seconds to wait before the next; SIGKILL follows the last."""
    deadline: float | None = None
    reported: bool = False


@dataclass(slots=True)
class _Supervisor:
    remove: Path | None
    servers: dict[str, _Server] = field(default_factory=dict)
    owner: tuple[int, str] | None = None
    kept: bool = False
    stopping: bool = False
    pending: bytes = b""

    def run(self) -> None:
        """Serve commands until there is nothing left to watch, then remove what is to be removed."""
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop_all())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(0, selectors.EVENT_READ)
            while not self._finished():
                for key, _ in selector.select(self._patience()):
                    if key.fd == woken:
                        os.read(woken, 4096)
                    elif not self._read_commands():
                        selector.unregister(0)
                self._look()
        if self.remove is not None:
            shutil.rmtree(self.remove, ignore_errors=True)

    def _finished(self) -> bool:
        running = any(server.process.returncode is None for server in self.servers.values())
        return not running and (self.stopping or (self.kept and self.owner is None))

    def _patience(self) -> float:
        deadlines = [s.deadline for s in self.servers.values() if s.deadline is not None]
        return max(0.0, min([_POLL_SECONDS, *(deadline - time.monotonic() for deadline in deadlines)]))

    def _read_commands(self) -> bool:
        data = os.read(0, 65536)
        if not data:
            if not self.kept:
                self._stop_all()
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "start":
                self._start(command)
            case "stop":
                self._stop(self.servers[command["name"]])
            case "keep":
                self.kept = True
                self.owner = tuple(command["owner"]) if command["owner"] else None
                self._tell(event="kept")
            case other:
                message = f"cannot {other!r}"
                raise ValueError(message)

    def _start(self, command: dict[str, Any]) -> None:
        identity = {"user": command["uid"], "group": command["gid"], "extra_groups": []} if command["uid"] else {}
        try:
            with Path(command["log"]).open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - what it is told to start is what it is for
                    command["argv"],
                    env=command["environment"],
                    cwd=command["directory"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_dies_with_parent(command["orphaned"]),  # noqa: PLW1509 - there are no threads here
                    **identity,
                )
        except OSError as error:
            self._tell(event="ended", name=command["name"], status=str(error))
            return
        self.servers[command["name"]] = _Server(process, [(s, t) for s, t in command["stop"]])
        self._tell(event="started", name=command["name"], pid=process.pid, started=started(process.pid))

    def _look(self) -> None:
        for name, server in self.servers.items():
            status = server.process.poll()
            if status is not None:
                if not server.reported:
                    server.reported = True
                    self._tell(event="ended", name=name, status=_describe(status))
                server.deadline = None
            elif server.deadline is not None and time.monotonic() >= server.deadline:
                self._signal(server)
        if self.owner is not None and started(self.owner[0]) != self.owner[1]:
            self.owner = None
            self._stop_all()

    def _stop_all(self) -> None:
        self.stopping = True
        for server in self.servers.values():
            self._stop(server)

    def _stop(self, server: _Server) -> None:
        if server.deadline is None and server.process.returncode is None:
            self._signal(server)

    def _signal(self, server: _Server) -> None:
        number, seconds = server.stop.pop(0) if server.stop else (signal.SIGKILL, _POLL_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            server.process.send_signal(number)
        server.deadline = time.monotonic() + seconds

    def _tell(self, **event: object) -> None:
        # Whoever started this process may be gone already; then nobody listens, and the end of input says so.
        with contextlib.suppress(BrokenPipeError):
            os.write(1, json.dumps(event).encode() + b"\n")


def _describe(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _dies_with_parent(number: int) -> Callable[[], None] | None:
    if not _ON_LINUX:
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the arrangement was made
            os._exit(1)

    return arrange


def main(arguments: list[str]) -> None:
    """Run the supervisor; `arguments` is empty or `--remove DIRECTORY`."""
    os.umask(0o077)
    _Supervisor(Path(arguments[1]) if arguments[:1] == ["--remove"] else None).run()


if __name__ == "__main__":
    main(sys.argv[1:])
