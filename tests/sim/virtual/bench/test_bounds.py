"""Bounds of a virtual bench's servers: lines without an end, times that are none."""

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from hwloop_sim.virtual.bench import control, hislip, servers
from hwloop_sim.virtual.bench.hislip import HEADER, serve_hislip
from hwloop_sim.virtual.bench.servers import serve_serial, serve_socket
from hwloop_sim.virtual.circuit.clock import MOST_S, BenchClock
from tests.sim.virtual.bench.test_faults import bench as bench_fixture

bench = bench_fixture
Ask = Callable[[bytes], bytes]


class _Echo:
    """A port that answers with the length of each message."""

    def answer(self, message: str) -> bytes | None:
        return b"%d\n" % len(message)

    def device_clear(self) -> None: ...

    def connected(self, change: int) -> None: ...


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (servers, hislip):
        monkeypatch.setattr(module, "MAX_MESSAGE", 1000)


def _connect(number: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", number), timeout=10)


def _send(link: socket.socket, message: bytes, *, is_last: bool = False) -> None:
    """Send as much of ``message`` as a link takes before it is dropped."""
    with contextlib.suppress(OSError):  # reset, broken pipe, not connected: as the drop meets us
        link.sendall(message)
        if is_last:
            link.shutdown(socket.SHUT_WR)


def _received(link: socket.socket) -> bytes:
    """All until the end, of a link that is dropped."""
    got = b""
    try:
        while part := link.recv(4096):
            got += part
    except ConnectionResetError:  # it was dropped with bytes of ours on the way
        pass
    return got


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("size", "answer"), [(999, b"999\n"), (1000, b""), (100_000, b"")])
def test_link_is_dropped_at_a_line_that_is_too_long(size: int, answer: bytes) -> None:
    address, stop = serve_socket(_Echo())
    try:
        with _connect(int(address.split("::")[2])) as link:
            _send(link, b"x" * size + b"\n", is_last=True)
            assert _received(link) == answer
    finally:
        stop()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(b"HS", 7, 0, 0, 1 << 62),  # a length that is only claimed
        (HEADER.pack(b"HS", 6, 0, 0, 600) + b"x" * 600) * 2,  # a message in pieces
    ],
)
def test_hislip_link_is_dropped_at_a_message_that_is_too_long(sent: bytes) -> None:
    address, stop = serve_hislip(_Echo())
    try:
        with _connect(int(address.split(",")[1].split("::")[0])) as link:
            _send(link, sent)
            assert _received(link) == b""
        with _connect(int(address.split(",")[1].split("::")[0])) as link:
            link.sendall(HEADER.pack(b"HS", 7, 0, 0, 1000) + b"x" * 1000)
            assert link.recv(16 + 5)[-5:] == b"1000\n"
    finally:
        stop()


@pytest.mark.usefixtures("short")
@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_serial_port_does_not_obey_a_line_that_is_too_long_and_obeys_the_next() -> None:
    import serial

    path, stop = serve_serial(_Echo())
    try:
        with serial.Serial(path, timeout=10, write_timeout=10) as port:
            for _ in range(50):
                port.write(b"x" * 200)
            port.write(b"\nnext\n")
            assert port.read_until(b"\n") == b"4\n"
    finally:
        stop()


@pytest.fixture
def ask(bench: object) -> Iterator[Ask]:
    address, stop = control.serve_control(bench, threading.Event())  # type: ignore[arg-type]

    def question(line: bytes) -> bytes:
        with _connect(int(address.rpartition(":")[2])) as link:
            link.sendall(line + b"\n")
            return link.makefile("rb").readline()

    yield question
    stop()


@pytest.mark.parametrize(
    "line",
    [
        *(
            b'{"ask": "advance", "duration_s": %s}' % value
            for value in (
                b"NaN",
                b"Infinity",
                b"-Infinity",
                b"-1",
                b"1e308",
                b'"NaN"',
                b"null",
                b"[]",
            )
        ),
        *(
            b'{"ask": "fault", "fault": {"instrument": "row_smu", "kind": "late", "delay_s": %s}}'
            % v
            for v in (b"NaN", b"Infinity", b"-1", b"1e308")
        ),
        *(b"[]", b'{"ask": []}', b"3", b"nonsense", b"[" * 60_000, b'{"ask": "fault", "fault": 3}'),
        b"\xff\xfe",
    ],
)
def test_question_that_makes_no_sense_is_an_error_and_the_clock_goes_on(
    ask: Ask, line: bytes
) -> None:
    assert "error" in json.loads(ask(line))
    now_s = json.loads(ask(b'{"ask": "advance", "duration_s": 2}'))["now_s"]
    assert now_s == 2.0


def test_control_link_is_dropped_at_a_question_that_is_too_long(ask: Ask) -> None:
    with contextlib.suppress(ConnectionError):  # reset, or a broken pipe
        assert ask(b"x" * (control.MAX_QUESTION + 1)) == b""
    assert "now_s" in json.loads(ask(b'{"ask": "now"}'))


@pytest.mark.parametrize("duration_s", [float("nan"), float("inf"), -1e-9, MOST_S])
def test_clock_refuses_a_duration_that_would_break_it(duration_s: float) -> None:
    clock = BenchClock()
    clock.advance(1.0)
    with pytest.raises(ValueError, match="duration_s"):
        clock.advance(duration_s)
    clock.advance(0.5)
    assert clock.now_s == 1.5
