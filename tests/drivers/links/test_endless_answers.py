"""Links to instruments that do not stop talking, or whose answer trickles in."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hwloop.errors import BackendError, ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers import virtual_bench
from hwloop_drivers.links import messages, serial, visa
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.opening import open_link, open_serial
from hwloop_sim.virtual.bench import hislip
from hwloop_sim.virtual.bench.hislip import serve_hislip

SHORT = LinkSettings(timeout_s=0.5)
Talk = Callable[[Callable[[bytes], object]], None]
STREAMS: dict[str, Callable[[], bytes]] = {
    "fast": lambda: b"x" * 65536,
    "a byte at a time": lambda: time.sleep(0.05) or b"x",  # type: ignore[func-returns-value]
}


@pytest.fixture
def talker() -> Iterator[Callable[[Callable[[], bytes]], int]]:
    """``talker(piece)``: the port of a server that sends pieces without end when it is asked."""
    servers: list[socket.socket] = []

    def serve(piece: Callable[[], bytes]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def talk() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(1)
                        while True:
                            connection.sendall(piece())
            except OSError:
                pass

        threading.Thread(target=talk, daemon=True).start()
        return int(server.getsockname()[1])

    yield serve
    for server in servers:
        server.close()


@pytest.mark.parametrize("stream", list(STREAMS))
@pytest.mark.parametrize("url", ["TCPIP::127.0.0.1::{}::SOCKET", "socket://127.0.0.1:{}"])
def test_stream_without_the_end_of_a_line_ends_within_its_bound(
    talker: Callable[..., int], url: str, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (messages, serial, visa):
        monkeypatch.setattr(module, "LINE_BYTES", 1 << 18)
    opener = open_serial if url.startswith("socket") else open_link
    link = opener(url.format(talker(STREAMS[stream])), SHORT)
    began_s = time.monotonic()
    with pytest.raises((InstrumentTimeout, UnexpectedReply), match=r"no answer|without an end"):
        link.query("value?")
    assert time.monotonic() - began_s < 5  # a bound, not a speed
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("again?")
    link.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("opener", ["pyserial", "visa"])
def test_serial_port_that_streams_ends_within_its_bound(opener: str) -> None:
    import pty
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(0.002):
            try:
                os.write(master, b"x" * 50)
            except OSError:
                continue

    path = os.ttyname(slave)
    link: Link = (
        open_serial(path, SHORT) if opener == "pyserial" else open_link(f"ASRL{path}::INSTR", SHORT)
    )
    thread = threading.Thread(target=talk)
    thread.start()
    try:
        began_s = time.monotonic()
        with pytest.raises(InstrumentTimeout, match=r"no answer to 'value\?' within 0\.5 s"):
            link.query("value?")
        assert time.monotonic() - began_s < 5  # a bound, not a speed
    finally:
        ended.set()
        thread.join()
        link.close()
        os.close(master)
        os.close(slave)


def test_block_that_claims_more_than_may_come_is_refused_by_its_header(
    talker: Callable[..., int],
) -> None:
    link = open_link(
        f"TCPIP::127.0.0.1::{talker(lambda: b'#9999999999' + b'x' * 1000)}::SOCKET", SHORT
    )
    with pytest.raises(UnexpectedReply, match=r"999999999 bytes; at most 67108864 are taken"):
        link.query_binary("block?")
    link.close()


@pytest.mark.parametrize("size", [64, 65, 4096])
def test_block_of_the_largest_size_is_taken_and_a_larger_one_refused(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "BLOCK_BYTES", 64)
    got = f"#4{size:04d}".encode() + bytes(size) + b"\n"
    if size <= 64:
        assert messages.block_length("here", got, b"\n") == len(got)
        return
    with pytest.raises(UnexpectedReply, match=f"said to have {size} bytes"):
        messages.block_length("here", got, b"\n")


@pytest.mark.parametrize("stream", list(STREAMS))
def test_port_that_streams_is_not_taken_for_a_virtual_bench(
    talker: Callable[..., int], stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_bench, "ANSWER_BYTES", 1 << 18)
    monkeypatch.setattr(virtual_bench, "WHO_S", 0.5)
    rendezvous = tmp_path / "bench.json"
    said = {"addresses": {}, "control": f"127.0.0.1:{talker(STREAMS[stream])}", "station": ""}
    rendezvous.write_text(json.dumps(said), encoding="utf-8")
    began_s = time.monotonic()
    assert virtual_bench.connect(rendezvous) is None
    assert time.monotonic() - began_s < 20  # a bound, not a speed


def test_late_answer_of_a_virtual_bench_is_not_taken_for_that_to_the_next_question() -> None:
    def answer_late(server: socket.socket, first: socket.socket) -> None:
        first.sendall(b'{"now_s": 1.0}\n')  # to the question that was given up
        again, _ = server.accept()
        with again:
            again.recv(4096)
            again.sendall(b'{"now_s": 2.0}\n')

    with socket.create_server(("127.0.0.1", 0)) as server:
        bench = virtual_bench.VirtualBenchLink({}, f"127.0.0.1:{server.getsockname()[1]}", None)
        connection, _ = server.accept()
        with connection:
            with pytest.raises(ConnectionLost, match="no answer within 0"):
                bench.ask("now", timeout_s=0.1)
            late = threading.Thread(target=answer_late, args=(server, connection))
            late.start()
            assert bench.now_s() == 2.0
            late.join()
            bench.close()


class _LongAnswers:
    """A HiSLIP instrument with answers of any length."""

    def answer(self, message: str) -> bytes | None:
        return b"x" * int(message.strip("?")) + b"\n" if message.endswith("?") else None

    def device_clear(self) -> None:
        pass

    def connected(self, change: int) -> None:
        pass


def test_hislip_answer_beyond_the_bound_is_refused_and_one_within_it_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visa, "LINE_BYTES", 100_000)
    address, stop = serve_hislip(_LongAnswers())
    try:
        link = open_link(address, LinkSettings(timeout_s=5))
        for size in (10, 5_000, 90_000):
            assert link.query(f"{size}?") == "x" * size
        with pytest.raises(UnexpectedReply, match="more than 100000 bytes came without an end"):
            link.query("200000?")
        link.recover(lambda: None)
        assert link.query("20?") == "x" * 20
        link.close()
    finally:
        stop()


class _Watch:
    """Surveillance that stops the run when it is told to."""

    def __init__(self) -> None:
        self.expected_s: list[float] = []
        self.stopped = False

    def expect(self, within_s: float) -> None:
        self.expected_s.append(within_s)
        self.check()

    def check(self) -> None:
        if self.stopped:
            raise BackendError("stopped")


@pytest.mark.parametrize("url", ["TCPIP::127.0.0.1::{}::SOCKET", "socket://127.0.0.1:{}"])
def test_wait_for_an_answer_ends_as_soon_as_the_run_must_not_go_on(
    url: str, talker: Callable[..., int]
) -> None:
    opener = open_serial if url.startswith("socket") else open_link
    silent = talker(lambda: time.sleep(60) or b"")  # type: ignore[func-returns-value]
    link = opener(url.format(silent), LinkSettings(timeout_s=40))
    link.watch = watch = _Watch()
    threading.Timer(0.3, lambda: setattr(watch, "stopped", True)).start()
    began_s = time.monotonic()
    with pytest.raises(BackendError, match="stopped"):
        link.query("value?", timeout_s=50)
    assert time.monotonic() - began_s < 20  # a bound, not a speed: long before 50 s
    assert watch.expected_s == [90]  # to send it, and to answer it
    began_s = time.monotonic()
    with pytest.raises(BackendError, match="stopped"):
        link.sleep(50)
    assert time.monotonic() - began_s < 20
    link.close()


@pytest.mark.parametrize("piece", [b"x", b"x" * 60_000], ids=["trickle", "flood"])
@pytest.mark.parametrize("ends", [6, 7], ids=["fragments", "one message"])
def test_hislip_answer_without_end_ends_within_its_bound(
    piece: bytes, ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hislip._Hislip.send

    def endless(
        self: hislip._Hislip, kind: int, control: int, parameter: int, payload: bytes = b""
    ) -> None:
        if kind != 7:
            real(self, kind, control, parameter, payload)
            return
        if ends == 7:  # one message that is said to be as long as may be, and trickles in
            header = hislip.HEADER.pack(b"HS", 7, 0, parameter, messages.LINE_BYTES)
            self._connection.sendall(header)
        while True:
            if ends == 6:
                real(self, 6, 0, parameter, piece)
            else:
                self._connection.sendall(piece)
            time.sleep(0.05)

    monkeypatch.setattr(hislip._Hislip, "send", endless)
    address, stop = serve_hislip(_LongAnswers())
    try:
        link = open_link(address, SHORT)
        began_s = time.monotonic()
        with pytest.raises(InstrumentTimeout, match=r"within 0\.5 s"):
            link.query("1?")
        assert time.monotonic() - began_s < 5  # a bound, not a speed
        with pytest.raises(InstrumentTimeout, match="must be recovered"):
            link.query("again?")
        link.close()
    finally:
        stop()
