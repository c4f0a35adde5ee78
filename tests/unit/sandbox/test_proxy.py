import socket
import threading
from collections.abc import Iterator

import pytest

from tests.proxy import Direction, Proxy

_SECONDS = 10


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def converse(client: socket.socket) -> None:
            with client:
                try:
                    while data := client.recv(100):
                        client.sendall(data)
                except ConnectionError:
                    pass

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=converse, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(_SECONDS)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy("127.0.0.1", echo) as opened:
        yield opened


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through it."""
    with socket.create_connection(("127.0.0.1", proxy.port), _SECONDS) as connection:
        yield connection


def _silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(_SECONDS)
    return False


def test_it_forwards_both_ways_and_shows_what_passes(proxy: Proxy, client: socket.socket) -> None:
    """The hook sees every piece with its direction before it arrives."""
    seen: list[tuple[Direction, bytes]] = []
    proxy.hook = lambda direction, data: seen.append((direction, data))
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
    assert seen == [(Direction.REQUEST, b"hello"), (Direction.RESPONSE, b"hello")]


def test_a_held_answer_comes_after_release(proxy: Proxy, client: socket.socket) -> None:
    """Nothing arrives while answers are held, everything afterwards."""
    proxy.hold_responses()
    client.sendall(b"hello")
    proxy.wait_withheld()
    assert _silent(client)
    proxy.release()
    assert client.recv(100) == b"hello"


def test_a_dropped_answer_never_comes(proxy: Proxy, client: socket.socket) -> None:
    """What was dropped is lost; what follows the release arrives."""
    proxy.drop_responses()
    client.sendall(b"lost")
    proxy.wait_withheld()
    proxy.release()
    client.sendall(b"kept")
    assert client.recv(100) == b"kept"


def test_a_dropped_request_never_arrives(proxy: Proxy, client: socket.socket) -> None:
    """The server does not hear what was dropped on its way there."""
    proxy.drop_requests()
    client.sendall(b"lost")
    proxy.wait_withheld(Direction.REQUEST)
    proxy.release()
    client.sendall(b"kept")
    assert client.recv(100) == b"kept"


def test_a_held_request_arrives_after_release(proxy: Proxy, client: socket.socket) -> None:
    """The server hears what was held when it is released."""
    proxy.hold_requests()
    client.sendall(b"late")
    proxy.wait_withheld(Direction.REQUEST)
    assert _silent(client)
    proxy.release()
    assert client.recv(100) == b"late"


def test_a_hook_can_hold_the_answer_to_what_it_sees(proxy: Proxy, client: socket.socket) -> None:
    """What a hook sets on seeing a request holds for the answer to that very request."""

    def hook(direction: Direction, data: bytes) -> None:
        if direction is Direction.REQUEST and data == b"commit":
            proxy.hold_responses()

    proxy.hook = hook
    client.sendall(b"begin")
    assert client.recv(100) == b"begin"
    client.sendall(b"commit")
    proxy.wait_withheld()
    assert _silent(client)


def test_cutting_resets_connections_and_lets_new_ones_in(proxy: Proxy, client: socket.socket) -> None:
    """A cut loses what is held; the next connection works once answers are released."""
    proxy.hold_responses()
    client.sendall(b"hello")
    proxy.wait_withheld()
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    proxy.release()
    with socket.create_connection(("127.0.0.1", proxy.port), _SECONDS) as second:
        second.sendall(b"again")
        assert second.recv(100) == b"again"


def test_refusing_leaves_present_connections_alone(proxy: Proxy, client: socket.socket) -> None:
    """New connections are refused until they are accepted again, on the same port."""
    client.sendall(b"one")
    assert client.recv(100) == b"one"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), _SECONDS)
    client.sendall(b"two")
    assert client.recv(100) == b"two"
    proxy.accept()
    with socket.create_connection(("127.0.0.1", proxy.port), _SECONDS) as second:
        second.sendall(b"three")
        assert second.recv(100) == b"three"


def test_the_end_of_one_side_reaches_the_other(client: socket.socket) -> None:
    """A client that has said all still gets its answer, then the end."""
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b"last"
    assert client.recv(100) == b""


def test_waiting_for_what_does_not_come_fails(proxy: Proxy) -> None:
    """The wait has an end of its own."""
    with pytest.raises(TimeoutError):
        proxy.wait_withheld(seconds=0.05)


def test_a_proxy_is_made_from_an_address() -> None:
    """The address of a server is enough; one without a port is refused."""
    with Proxy.of("bolt://127.0.0.1:7687") as made:
        assert made.uri() == f"bolt://127.0.0.1:{made.port}"
    with pytest.raises(ValueError, match="no host and port"):
        Proxy.of("bolt://127.0.0.1")
