"""One request to somebody's server takes no more time than it may, however slowly the other side sends or reads."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aggregation.remote.guard import Guard
from aggregation.remote.http import Answer, NoAnswer, ask

#: Seconds for a request; a server drips for a hundred times as long, unless nobody listens any more.
SECONDS, DRIPS = 0.3, 600
START = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that does this with each connection, until the other side hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)

    def one() -> None:
        try:
            with listening.accept()[0] as connection:
                serve(connection)
        except OSError:
            """The other side has hung up, or its time was over before it came."""

    thread = threading.Thread(target=one, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    thread.join()
    listening.close()


def post(url: str, content: bytes = b"{}") -> Answer:
    return ask("POST", url, headers={}, content=content, seconds=SECONDS, largest=1000, guard=Guard(["127.0.0.1"]))


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (START + b"X-Header: ", b"a"),
        (START + b"Content-Length: 1000000\r\n\r\n", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers", "body", "interim answers"],
)
def test_dripping_ends_at_the_deadline(first: bytes, drip: bytes) -> None:
    sent: list[bytes] = []

    def dripping(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(first)
        pause = threading.Event()
        while len(sent) < DRIPS and not pause.wait(SECONDS / 6):
            connection.sendall(drip)
            sent.append(drip)

    with server(dripping) as url, pytest.raises(NoAnswer, match="did not answer within 0 s") as error:
        post(url)
    assert not error.value.passing and len(sent) < DRIPS


def test_one_that_reads_slowly_ends_at_the_deadline() -> None:
    read: list[bytes] = []

    def slowly(connection: socket.socket) -> None:
        pause = threading.Event()
        while len(read) < DRIPS and not pause.wait(SECONDS / 6) and (some := connection.recv(1 << 16)):
            read.append(some)
            if len(read) == 12:  # the other side has hung up; what it has sent before need not be read
                return

    with server(slowly) as url, pytest.raises(NoAnswer, match="did not answer"):
        post(url, b"a" * 50_000_000)
