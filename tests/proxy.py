"""A TCP proxy that can hold, lose or cut what it carries, for tests of what happens when an answer does not arrive.

It runs in threads of its own, so it serves blocking and asynchronous tests and other processes alike.
"""

import enum
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_HOST = "127.0.0.1"


class Direction(enum.Enum):
    """Which way bytes go."""

    REQUEST = "request"
    RESPONSE = "response"


class _Mode(enum.Enum):
    PASS = "pass"
    HOLD = "hold"
    DROP = "drop"


type _Pair = tuple[socket.socket, socket.socket]
type Hook = Callable[[Direction, bytes], None]


class Proxy:
    """Forwards 127.0.0.1:`port` to a server. Methods may be called from any thread, also from the hook.

    `hook` sees every piece of data before it is forwarded, and what it sets holds for that very piece: a hook that sees
    a COMMIT go by and calls `hold_responses` is sure to have its answer held.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._changed = threading.Condition()
        self._modes = dict.fromkeys(Direction, _Mode.PASS)
        self._withheld = dict.fromkeys(Direction, 0)
        self._pairs: set[_Pair] = set()
        self._stranded: set[_Pair] = set()
        self._delivered: set[_Pair] = set()
        self.hook: Hook | None = None
        self._listener: socket.socket | None = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = self._accept_on(self._listener)

    @classmethod
    def of(cls, address: str) -> Self:
        """A proxy in front of the server that the URI `address` names."""
        parts = urlsplit(address)
        if parts.hostname is None or parts.port is None:
            message = f"no host and port in {address!r}"
            raise ValueError(message)
        return cls(parts.hostname, parts.port)

    def uri(self, scheme: str = "bolt") -> str:
        """The proxy's own address."""
        return f"{scheme}://{_HOST}:{self.port}"

    def hold_responses(self) -> None:
        """Keep what the server says from now on until `release`."""
        self._set(Direction.RESPONSE, _Mode.HOLD)

    def drop_responses(self) -> None:
        """Lose what the server says from now on until `release`."""
        self._set(Direction.RESPONSE, _Mode.DROP)

    def hold_requests(self) -> None:
        """Keep what the client says from now on until `release`."""
        self._set(Direction.REQUEST, _Mode.HOLD)

    def drop_requests(self) -> None:
        """Lose what the client says from now on until `release`."""
        self._set(Direction.REQUEST, _Mode.DROP)

    def release(self) -> None:
        """Forward what is held, and everything from now on."""
        with self._changed:
            self._modes = dict.fromkeys(Direction, _Mode.PASS)
            self._withheld = dict.fromkeys(Direction, 0)
            self._changed.notify_all()

    def wait_withheld(self, direction: Direction = Direction.RESPONSE, *, seconds: float = 10.0) -> None:
        """Wait until at least one piece of data has been held or lost since the last `release`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._withheld[direction] > 0, seconds):
                message = f"no {direction.value} arrived within {seconds} seconds"
                raise TimeoutError(message)

    def cut(self) -> None:
        """Reset every connection, and lose what is held. New connections are still accepted."""
        with self._changed:
            pairs = self._pairs | self._stranded | self._delivered
            self._pairs, self._stranded, self._delivered = set(), set(), set()
            self._changed.notify_all()
        for pair in pairs:
            for end in pair:
                _reset(end)

    def strand(self) -> None:
        """Reset every client, but not the server: what is held for it arrives there only with `deliver`.

        New connections pass. What the server says to a client that is gone is lost.
        """
        with self._changed:
            stranded, self._pairs = self._pairs, set()
            self._stranded |= stranded
            self._modes = dict.fromkeys(Direction, _Mode.PASS)
            self._withheld = dict.fromkeys(Direction, 0)
            self._changed.notify_all()
        for client, _ in stranded:
            _reset(client)

    def deliver(self) -> None:
        """Let the server have what `strand` kept back. Those connections end when it has answered."""
        with self._changed:
            self._delivered |= self._stranded
            self._stranded = set()
            self._changed.notify_all()

    def refuse(self) -> None:
        """Refuse new connections from now on; present ones stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            listener.close()
            self._accepting.join()

    def accept(self) -> None:
        """Accept new connections again, on the same port."""
        if self._listener is None:
            self._listener = _listen(self.port)
            self._accepting = self._accept_on(self._listener)

    def close(self) -> None:
        """End everything."""
        self.refuse()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _set(self, direction: Direction, mode: _Mode) -> None:
        with self._changed:
            self._modes[direction] = mode
            self._changed.notify_all()

    def _accept_on(self, listener: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # refuse() closed it
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _reset(client)
                continue
            pair = (client, server)
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._pairs.add(pair)
            for direction, origin, target in (
                (Direction.REQUEST, client, server),
                (Direction.RESPONSE, server, client),
            ):
                threading.Thread(target=self._pump, args=(pair, direction, origin, target), daemon=True).start()

    def _pump(
        self,
        pair: tuple[socket.socket, socket.socket],
        direction: Direction,
        origin: socket.socket,
        target: socket.socket,
    ) -> None:
        with suppress(OSError):  # either end is gone
            while data := origin.recv(_CHUNK):
                if self.hook is not None:
                    self.hook(direction, data)
                if self._let_through(pair, direction):
                    target.sendall(data)
                elif pair in self._delivered:
                    break  # the server has answered
            # The origin has said all; the target may still have something to say.
            if self._let_through(pair, direction):
                target.shutdown(socket.SHUT_WR)
                return
        with self._changed:
            if direction is Direction.REQUEST:
                self._changed.wait_for(lambda: pair not in self._stranded)
            delivered = pair in self._delivered
            self._pairs.discard(pair)
        if delivered and direction is Direction.REQUEST:
            return  # the end of the connection would keep the server from acting on what it just got
        for end in pair:
            _reset(end)

    def _let_through(self, pair: _Pair, direction: Direction) -> bool:
        """Whether what `direction` brought is to be forwarded; waits while it is held."""
        with self._changed:
            if self._modes[direction] is not _Mode.PASS:
                self._withheld[direction] += 1
                self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    pair not in self._stranded and (self._modes[direction] is not _Mode.HOLD or pair not in self._pairs)
                )
            )
            if pair in self._delivered:
                return direction is Direction.REQUEST
            return self._modes[direction] is _Mode.PASS and pair in self._pairs


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_HOST, port))
    listener.listen()
    return listener


def _reset(end: socket.socket) -> None:
    """Close `end` at once, with a reset instead of a farewell; a thread that waits for it wakes up."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    with suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()
