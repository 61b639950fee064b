"""Ends of lines: CR LF and LF CR are understood, what does not end is named with what came."""

import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

from hwloop.errors import InstrumentTimeout, UnexpectedReply
from hwloop_drivers.links.link import LinkSettings
from hwloop_drivers.links.opening import open_link, open_serial
from hwloop_sim.virtual.bench.servers import serve_serial


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    servers = []

    def start(reply: bytes) -> str:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for _ in self.rfile:
                    self.wfile.write(reply)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"TCPIP::127.0.0.1::{server.server_address[1]}::SOCKET"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Says:
    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def answer(self, message: str) -> bytes | None:
        return self._reply

    def device_clear(self) -> None:
        pass

    def connected(self, change: int) -> None:
        pass


@pytest.mark.parametrize("reply", [b"+1.5\n", b"+1.5\r\n", b"+1.5\n\r", b"\r+1.5\n"])
def test_line_is_the_same_however_cr_and_lf_end_it(
    serve: Callable[[bytes], str], reply: bytes
) -> None:
    link = open_link(serve(reply), LinkSettings(timeout_s=2))
    assert [link.query("?") for _ in range(20)] == ["+1.5"] * 20
    link.close()


@pytest.mark.parametrize("reply", [b"+1.5\r\n", b"+1.5\n\r", b"+1.5\n"])
def test_line_of_a_serial_port_is_the_same_however_it_ends(reply: bytes) -> None:
    for visa in (True, False):
        path, stop = serve_serial(_Says(reply))
        settings = LinkSettings(timeout_s=2)
        link = open_link(f"ASRL{path}::INSTR", settings) if visa else open_serial(path, settings)
        assert [link.query("?") for _ in range(5)] == ["+1.5"] * 5
        link.close()
        stop()


def test_block_may_end_with_cr_and_lf(serve: Callable[[bytes], str]) -> None:
    link = open_link(serve(b"#14\n\r\n\r\r\n"), LinkSettings(timeout_s=2))
    assert [link.query_binary("?") for _ in range(5)] == [b"\n\r\n\r"] * 5
    link.close()


@pytest.mark.parametrize(
    ("reply", "end", "named"), [(b"+1.5\r", "\n", r"'\\r'"), (b"+1.5\n", "\r", r"'\\n'")]
)
def test_other_end_of_a_line_is_named_with_the_setting(
    serve: Callable[[bytes], str], reply: bytes, end: str, named: str
) -> None:
    link = open_link(serve(reply), LinkSettings(timeout_s=0.3, read_termination=end))
    with pytest.raises(InstrumentTimeout, match=f"read_termination to {named} in the settings"):
        link.query("?")
    link.close()


@pytest.mark.parametrize("visa", [True, False])
def test_other_end_of_a_line_is_named_on_a_serial_port(visa: bool) -> None:
    path, stop = serve_serial(_Says(b"+1.5\r"))
    settings = LinkSettings(timeout_s=0.3)
    link = open_link(f"ASRL{path}::INSTR", settings) if visa else open_serial(path, settings)
    with pytest.raises(InstrumentTimeout, match=r"read_termination to '\\r' in the settings"):
        link.query("?")
    link.close()
    stop()


def test_cr_alone_is_understood_where_the_station_says_so(serve: Callable[[bytes], str]) -> None:
    link = open_link(serve(b"+1.5\r"), LinkSettings(timeout_s=2, read_termination="\r"))
    assert [link.query("?") for _ in range(5)] == ["+1.5"] * 5
    link.close()


def test_answer_that_stops_in_the_middle_is_told_from_none(serve: Callable[[bytes], str]) -> None:
    link = open_link(serve(b"+1.5E"), LinkSettings(timeout_s=0.3))
    with pytest.raises(InstrumentTimeout, match=r"to its end: after b'\+1\.5E' nothing came"):
        link.query("?")
    link.close()


def test_more_than_an_end_of_line_is_still_no_answer_to_the_next(
    serve: Callable[[bytes], str],
) -> None:
    link = open_link(serve(b"+1.5\n\r+2"), LinkSettings(timeout_s=2))

    def ask_often() -> None:
        for _ in range(50):  # the rest may come a moment later
            link.query("?")

    with pytest.raises(UnexpectedReply, match="came before"):
        ask_often()
    link.close()
