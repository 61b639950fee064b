"""The lock of an instrument itself, as links on two computers see it."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hwloop.errors import InstrumentInUse
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.opening import open_link
from hwloop_sim.virtual.bench.hislip import HEADER, _Hislip, serve_hislip

SHORT = LinkSettings(timeout_s=2)


class _Box:
    """Answers every question with how many messages it has had."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.cleared = 0

    def answer(self, message: str) -> bytes | None:
        self.messages.append(message)
        return b"%d\n" % len(self.messages)

    def device_clear(self) -> None:
        self.cleared += 1

    def connected(self, change: int) -> None: ...


@pytest.fixture
def box() -> Iterator[tuple[_Box, str]]:
    made = _Box()
    address, stop = serve_hislip(made)
    yield made, address
    stop()


class _Other:
    """A program that speaks HiSLIP by itself, and not hwloop's key."""

    def __init__(self, address: str) -> None:
        number = int(address.split(",")[1].split("::")[0])
        self.sync, self.other = (socket.create_connection(("127.0.0.1", number)) for _ in range(2))
        self.session = self._ask(self.sync, 0, 0, 0x01000000)[2] & 0xFFFF
        self._ask(self.other, 17, 0, self.session)

    def lock(self, key: bytes = b"", wait_ms: int = 0) -> int:
        """0 for refused, 1 for granted."""
        return self._ask(self.other, 4, 1, wait_ms, key)[1]

    def release(self) -> int:
        """1 for an exclusive lock, 2 for a shared one, 3 where there was none."""
        return self._ask(self.other, 4, 0, 0)[1]

    def send(self, text: bytes) -> None:
        self.sync.sendall(HEADER.pack(b"HS", 7, 0, 2, len(text)) + text)

    def end(self) -> None:
        self.sync.close()
        self.other.close()

    def _ask(self, channel: socket.socket, kind: int, *what: Any) -> tuple[int, int, int]:
        control, parameter, payload = (*what, b"")[:3]
        channel.sendall(HEADER.pack(b"HS", kind, control, parameter, len(payload)) + payload)
        got = channel.recv(HEADER.size, socket.MSG_WAITALL)
        _, kind, control, parameter, _ = HEADER.unpack(got)
        return kind, control, parameter


def _run(address: str) -> Link:
    return open_link(address, SHORT, alone=True)


def test_run_is_refused_where_hwloop_on_another_computer_has_the_instrument(
    box: tuple[_Box, str],
) -> None:
    made, address = box
    first = _run(address)
    cleared = made.cleared
    with pytest.raises(InstrumentInUse, match="by hwloop on another computer"):
        _run(address)
    assert made.cleared == cleared  # it was refused before it cleared what the first was doing
    assert first.query("?") == "1"
    first.close()


def test_emergency_stop_and_watchdog_get_in_beside_a_run(box: tuple[_Box, str]) -> None:
    _, address = box
    run = _run(address)
    other = open_link(address, SHORT)
    assert other.query("?") == "1"
    assert run.query("?") == "2"
    other.close()
    run.recover(lambda: None)
    assert run.query("?") == "3"
    run.close()


def test_lock_ends_with_its_link_however_that_ends(box: tuple[_Box, str]) -> None:
    _, address = box
    _run(address).close()
    killed = _run(address)
    session: Any = killed
    for channel in (session._socket, session._session.visalib.sessions):
        if isinstance(channel, socket.socket):
            channel.shutdown(socket.SHUT_RDWR)  # as the operating system does for a dead process
    ended = threading.Event()
    for _ in range(200):
        try:
            _run(address).close()
            break
        except InstrumentInUse:
            ended.wait(0.05)  # until the server has noticed
    else:
        pytest.fail("still locked")


def test_lock_has_ended_when_a_link_is_closed_though_the_instrument_sees_the_end_late(
    box: tuple[_Box, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = box
    receive, ending = _Hislip._receive, threading.Event()

    def late(link: _Hislip) -> Any:
        message = receive(link)
        if message is None:
            ending.wait(10)
        return message

    monkeypatch.setattr(_Hislip, "_receive", late)
    first = _run(address)
    with pytest.raises(InstrumentInUse):
        _run(address)
    first.close()
    _run(address).close()  # neither the first nor the refused link has the lock still
    ending.set()


def test_program_that_does_not_know_the_key_is_kept_off_while_a_run_lasts(
    box: tuple[_Box, str],
) -> None:
    made, address = box
    run, other = _run(address), _Other(address)
    assert (other.lock(), other.lock(b"theirs"), other.release()) == (0, 0, 3)
    other.send(b"theirs")
    assert run.query("ours") == "1"
    assert made.messages == ["ours"]
    run.close()
    assert other.lock(wait_ms=10_000) == 1
    assert other.release() == 1
    other.end()


def test_run_is_refused_where_another_program_has_the_lock(box: tuple[_Box, str]) -> None:
    made, address = box
    other = _Other(address)
    assert other.lock() == 1
    with pytest.raises(InstrumentInUse, match="locked by a program on another computer"):
        _run(address)
    assert made.messages == []
    other.end()
