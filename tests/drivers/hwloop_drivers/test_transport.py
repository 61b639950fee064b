"""Links against servers that misbehave."""

import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

from hwloop.errors import ConnectionLost, InstrumentTimeout
from hwloop_drivers.link import LinkSettings
from hwloop_drivers.transport import open_link

Serve = Callable[[Callable[[bytes, "socketserver.StreamRequestHandler"], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(answer: Callable[[bytes, socketserver.StreamRequestHandler], None]) -> str:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    answer(line, self)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"TCPIP::127.0.0.1::{server.server_address[1]}::SOCKET"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_closed_port_is_a_lost_connection_that_names_the_address(serve: Serve) -> None:
    with pytest.raises(ConnectionLost, match=r"TCPIP::127\.0\.0\.1::1::SOCKET: nothing answers"):
        open_link("TCPIP::127.0.0.1::1::SOCKET", LinkSettings())


def test_after_a_timeout_nothing_is_asked_until_the_link_is_recovered(serve: Serve) -> None:
    def answer(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
        if line.strip() != b"silent?":
            handler.wfile.write(b"answer to " + line)

    link = open_link(serve(answer), LinkSettings(timeout_s=0.2))
    assert link.query("one?") == "answer to one?"
    with pytest.raises(InstrumentTimeout, match=r"no answer to 'silent\?' within 0\.2 s"):
        link.query("silent?")
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("two?")
    link.recover(lambda: None)
    assert link.query("three?") == "answer to three?"
    link.close()
    link.close()


def test_peer_that_closes_is_a_lost_connection_not_a_timeout(serve: Serve) -> None:
    def answer(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
        handler.connection.shutdown(2)

    link = open_link(serve(answer), LinkSettings(timeout_s=5))
    with pytest.raises(ConnectionLost, match="closed the link"):
        link.query("one?")
    link.close()


def test_threads_that_share_a_link_get_their_own_answers(serve: Serve) -> None:
    link = open_link(
        serve(lambda line, handler: handler.wfile.write(line)), LinkSettings(timeout_s=5)
    )
    wrong: list[str] = []

    def ask(name: str) -> None:
        for n in range(100):
            if link.query(f"{name}{n}") != f"{name}{n}":
                wrong.append(f"{name}{n}")

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert link.round_trips == 200
    link.close()
