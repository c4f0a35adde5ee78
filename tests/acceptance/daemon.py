"""A `gpm-cdc run` in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.condition import until
from tests.patience import PATIENCE


class Daemon:
    """The process and its log lines."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start it; `log` takes what it says on stderr, `log` with the suffix .out what it says on stdout."""
        self._log = log
        with log.open("wb") as errors, log.with_suffix(".out").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gpm_cdc", *arguments],
                env=dict(environment),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, stopped or not."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """Everything on stderr so far."""
        return self._log.read_text("utf-8")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind so far."""
        whole = [line for line in self.said.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in map(json.loads, whole) if line.get("event") == event]

    def wait_line(self, event: str, seconds: float = 30.0, *, count: int = 1) -> dict[str, Any]:
        """The `count`-th log line of a kind, as soon as it is there. AssertionError if the process ends before."""

        def found() -> list[dict[str, Any]]:
            ended = not self.running
            lines = self.lines(event)
            if len(lines) < count and ended:
                message = f"ended with {self._process.returncode} before it said {event!r}:\n{self.said[-2000:]}"
                raise AssertionError(message)
            return lines[count - 1 :]

        return until(found, f"log line {event!r} of process {self.pid}", seconds)[0]

    def wait_end(self, seconds: float = PATIENCE) -> int:
        """The exit code."""
        return self._process.wait(seconds)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Ask it to end; the exit code."""
        self.send(number)
        return self.wait_end(seconds)

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP); returns when it stands still."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.send(signal.SIGCONT)
