"""Links against servers that misbehave."""

import select
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

from hwloop.errors import (
    BackendError,
    ConfigError,
    ConnectionLost,
    InstrumentTimeout,
    UnexpectedReply,
    Unsupported,
)
from hwloop_drivers.links.link import LinkSettings
from hwloop_drivers.links.messages import SHOWN_TEXT
from hwloop_drivers.links.opening import open_link
from hwloop_drivers.links.visa import VisaLink
from hwloop_sim.virtual.bench.hislip import serve_hislip
from hwloop_sim.virtual.bench.servers import Hangup

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


def test_socket_protects_the_bytes_that_it_carries(serve: Serve) -> None:
    link = open_link(serve(lambda line: line), LinkSettings())
    assert link.protects_bytes
    link.close()


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


def _silent(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
    pass


class _Echo:
    """A HiSLIP instrument that answers what it is asked, in its own time."""

    def __init__(self) -> None:
        self.cleared = 0
        self.delay_s: list[float] = []

    def answer(self, message: str) -> bytes | None:
        if message == "drop":
            raise Hangup
        if message.startswith("block"):
            return b"#210" + bytes(range(5, 15)) + b"\n"
        if self.delay_s:
            time.sleep(self.delay_s.pop())
        return message.encode() + b"\n" if message.endswith("?") else None

    def device_clear(self) -> None:
        self.cleared += 1

    def connected(self, change: int) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[tuple[str, _Echo]]:
    port = _Echo()
    address, stop = serve_hislip(port)
    yield address, port
    stop()


def _open(address: str, timeout_s: float = 5.0, **settings: object) -> VisaLink:
    link = open_link(address, LinkSettings.parse({"timeout_s": timeout_s, **settings}))
    assert isinstance(link, VisaLink)
    return link


def test_small_messages_leave_at_once_over_socket_and_hislip(
    serve: Serve, echo: tuple[str, _Echo]
) -> None:
    for address in (serve(_silent), echo[0]):
        link = _open(address)
        assert link._socket is not None
        assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        link.close()


def test_hislip_link_is_cleared_when_opened_and_sees_the_end_of_the_stream(
    echo: tuple[str, _Echo],
) -> None:
    address, port = echo
    link = _open(address, 60.0)
    assert port.cleared == 1
    assert link.query("one?") == "one?"
    assert link.query("x" * 9000 + "?") == "x" * 9000 + "?"
    with pytest.raises(ConnectionLost, match="closed the link, noticed at 'drop'"):
        link.query("drop")
    link.recover(lambda: None)
    assert link.query("two?") == "two?"
    link.close()


def test_late_hislip_answer_is_not_taken_for_the_next(echo: tuple[str, _Echo]) -> None:
    address, port = echo
    port.delay_s = [0.4]
    link = _open(address, 0.2)
    with pytest.raises(InstrumentTimeout, match=r"within 0\.2 s"):
        link.query("late?")
    link.recover(lambda: None)
    time.sleep(0.3)
    assert link.query("next?") == "next?"
    link.close()


def test_block_keeps_its_line_feeds_over_socket_and_hislip(
    serve: Serve, echo: tuple[str, _Echo]
) -> None:
    block = bytes(range(5, 15))  # 10, a line feed, among them
    for address in (serve(lambda _, h: h.wfile.write(b"#210" + block + b"\n")), echo[0]):
        link = _open(address)
        assert link.query_binary("block?") == block
        assert link.query_binary("block?") == block
        link.close()


@pytest.mark.parametrize("said", [b"#0abc\n", b"1.5\n", b"#2x1abc\n"])
def test_what_is_no_block_of_known_length_is_an_unexpected_reply(serve: Serve, said: bytes) -> None:
    link = _open(serve(lambda _, h: h.wfile.write(said)))
    with pytest.raises(UnexpectedReply, match="expected a block"):
        link.query_binary("block?")
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("next?")
    link.close()


def test_answer_that_nobody_asked_for_is_never_taken_for_the_next(serve: Serve) -> None:
    link = _open(serve(lambda line, h: h.wfile.write(line + b"and more\n")))
    assert link.query("one?") == "one?"
    with pytest.raises(UnexpectedReply, match="came before 'two\\?' was sent"):
        link.query("two?")
    link.close()


def test_peer_that_closes_in_mid_answer_is_noticed_at_once(serve: Serve) -> None:
    def answer(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
        handler.wfile.write(b"1.5,")
        handler.connection.shutdown(socket.SHUT_RDWR)

    link = _open(serve(answer), 60.0)
    with pytest.raises(ConnectionLost, match="closed the link"):
        link.query("one?")
    link.close()


def test_peer_that_takes_nothing_is_a_timeout_not_a_wait_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        link = _open(f"TCPIP::127.0.0.1::{number}::SOCKET", 0.3)
        accepted, _ = listening.accept()
        with accepted, pytest.raises(InstrumentTimeout, match="takes nothing of 'xxx"):
            link.write("x" * 100_000_000)
        link.close()


def test_interrupted_question_poisons_the_link(serve: Serve) -> None:
    link = _open(serve(lambda line, h: h.wfile.write(line)))
    real = select.select

    def interrupted(*sets: object) -> object:
        if sets[3]:  # waiting for the answer, or for room
            raise KeyboardInterrupt
        return real(*sets)  # type: ignore[arg-type]

    with mock.patch("select.select", interrupted), pytest.raises(KeyboardInterrupt):
        link.query("one?")
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("two?")
    link.recover(lambda: None)
    assert link.query("three?") == "three?"
    link.close()


def test_link_is_healthy_only_after_the_identity_was_verified(serve: Serve) -> None:
    link = _open(serve(lambda line, h: h.wfile.write(line)))

    def refuse() -> None:
        assert link.query("*IDN?") == "*IDN?"
        raise UnexpectedReply("another instrument")

    with pytest.raises(UnexpectedReply, match="another instrument"):
        link.recover(refuse)
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("one?")
    link.close()


def test_close_does_not_wait_for_a_question_that_is_not_answered(serve: Serve) -> None:
    link = _open(serve(_silent), 30.0)
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            link.query("silent?")
        except BackendError as exc:
            failed.append(exc)

    with mock.patch("hwloop_drivers.links.visa.CLOSE_S", 0.2):
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        time.sleep(0.1)
        link.close()
    asking.join(timeout=5)
    assert not asking.is_alive()
    assert isinstance(failed[0], ConnectionLost)
    with pytest.raises(ConnectionLost, match="the link is closed"):
        link.write("next")


def test_wire_log_has_both_directions_and_says_how_long_a_long_message_was(serve: Serve) -> None:
    def answer(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
        long = b"#3100" + bytes(100) + b"\n"
        handler.wfile.write(long if line.startswith(b"block") else line)

    said: list[tuple[str, str]] = []
    link = open_link(
        serve(answer), LinkSettings(), wire_log=lambda _, way, text: said.append((way, text))
    )
    link.query("one?")
    link.query("x" * 1000)
    link.query_binary("block?")
    link.write("block!")
    link.close()
    assert said[:2] == [(">", "one?"), ("<", "one?")]
    assert said[2] == (">", "x" * SHOWN_TEXT + " … (1000 characters)")
    assert said[3][1].endswith("… (1000 characters)")
    assert said[4] == (">", "block?")
    assert said[5][0] == "<"
    assert said[5][1].startswith("b'#3100")
    assert said[5][1].endswith("… (106 bytes)")
    assert said[6] == (">", "block!")


def test_terminators_are_those_of_the_settings(serve: Serve) -> None:
    seen: list[bytes] = []

    def answer(line: bytes, handler: socketserver.StreamRequestHandler) -> None:
        seen.append(line)
        handler.wfile.write(b"1\n2\r\n")

    link = _open(serve(answer), read_termination="\r\n", write_termination="\r\n")
    assert link.query("one?") == "1\n2"
    assert seen == [b"one?\r\n"]
    link.close()


@pytest.mark.parametrize(
    "address", ["TCPIP::127.0.0.1::1::SOCKET", "TCPIP::127.0.0.1::hislip0,1::INSTR"]
)
def test_closed_port_is_named_whatever_the_protocol(address: str) -> None:
    with pytest.raises(ConnectionLost, match=r"nothing answers at 127\.0\.0\.1 port 1 \(Conn"):
        _open(address)


@pytest.mark.parametrize("address", ["FOO::1", "TCPIP", "ttyUSB0", "visa://host/GPIB0::24::INSTR"])
def test_what_is_no_visa_address_is_a_mistake_in_the_station(address: str) -> None:
    with pytest.raises(ConfigError, match="is no VISA address"):
        _open(address)


@pytest.mark.parametrize(
    ("address", "module", "extra"),
    [
        ("USB0::0x05E6::0x2450::04::INSTR", "usb", r"hwloop\[usb\]"),
        ("GPIB0::24::INSTR", "gpib", r"hwloop\[gpib\]"),
    ],
)
def test_missing_backend_is_named_with_how_to_get_it(address: str, module: str, extra: str) -> None:
    for name in (module, "gpib_ctypes"):
        if name in sys.modules:
            pytest.skip(f"{name} is installed here")
    with pytest.raises(Unsupported, match=f"pip install '{extra}'"):
        _open(address)


def test_missing_visa_library_is_named() -> None:
    with pytest.raises(Unsupported, match=r"visa_library '/no/such/libvisa\.so'"):
        _open("GPIB0::24::INSTR", visa_library="/no/such/libvisa.so")


def test_vxi11_address_says_that_nobody_listens() -> None:
    with pytest.raises(ConnectionLost, match=r"TCPIP::127\.0\.0\.1::inst0::INSTR: "):
        _open("TCPIP::127.0.0.1::inst0::INSTR")
