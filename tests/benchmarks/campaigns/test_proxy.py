"""The proxy hands on what nobody strikes, and strikes once, at its moment."""

import random
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from benchmarks.campaigns.mischief import KINDS
from benchmarks.campaigns.proxy import Mischief, SocketProxy, TerminalProxy


@pytest.fixture
def upstream() -> Iterator[str]:
    """A server that answers each line by its number and its capitals."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as file:
            for number, line in enumerate(file):
                file.write(b"%d %s" % (number, line.upper()))
                file.flush()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _mischief(name: str, at: int) -> Mischief:
    kind = next(kind for kind in KINDS if kind.name == name)
    return Mischief(kind, at, random.Random(1), 0.2)  # noqa: S311


def _talk(address: str, *lines: bytes) -> list[bytes]:
    """Send lines and read an answer to each; shorter where the link ends."""
    answers = []
    with socket.create_connection(("127.0.0.1", int(address.split("::")[2])), timeout=5) as link:
        file = link.makefile("rb")
        for line in lines:
            try:
                link.sendall(line + b"\n")
                answers.append(file.readline())
            except OSError:
                break
        file.close()
    return [answer.rstrip(b"\n") for answer in answers if answer]


def test_lines_go_both_ways_and_are_counted(upstream: str) -> None:
    proxy = SocketProxy(upstream, None)
    assert _talk(proxy.address, b"a", b"b", b"c") == [b"0 A", b"1 B", b"2 C"]
    assert proxy.seen == {"request": 3, "answer": 3}
    proxy.close()


def test_one_message_is_struck_at_its_moment_and_the_others_are_not(upstream: str) -> None:
    mischief = _mischief("half an answer", 1)
    proxy = SocketProxy(upstream, mischief)
    assert _talk(proxy.address, b"a", b"bcdefg", b"c") == [b"0 A", b"1 BC", b"2 C"]
    assert mischief.struck == (b"1 BCDEFG", b"1 BC\n")
    assert _talk(proxy.address, b"a") == [b"0 A"]  # once: not on the next link
    proxy.close()


def test_answers_one_behind_stay_so_on_their_link_only(upstream: str) -> None:
    proxy = SocketProxy(upstream, _mischief("each answer one behind", 1))
    assert _talk(proxy.address, b"a", b"b", b"c", b"d") == [b"0 A", b"0 A", b"1 B", b"2 C"]
    assert _talk(proxy.address, b"e", b"f") == [b"0 E", b"1 F"]
    proxy.close()


def test_link_that_is_cut_off_takes_no_new_one(upstream: str) -> None:
    proxy = SocketProxy(upstream, _mischief("link closed, and no new one", 1))
    assert _talk(proxy.address, b"a", b"b", b"c") == [b"0 A"]
    assert _talk(proxy.address, b"d") == []
    proxy.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_lines_of_a_terminal_are_struck_as_those_of_a_socket() -> None:
    import os
    import pty
    import tty

    box, port = pty.openpty()
    tty.setraw(port)

    def serve() -> None:
        for number in range(2):
            line = b""
            while not line.endswith(b"\n"):
                line += os.read(box, 1)
            os.write(box, b"%d %s" % (number, line.upper()))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    proxy = TerminalProxy(f"ASRL{os.ttyname(port)}::INSTR", _mischief("empty answer", 1))
    client = os.open(proxy.address.removeprefix("ASRL").removesuffix("::INSTR"), os.O_RDWR)
    answers = []
    for line in (b"a\n", b"b\n"):
        os.write(client, line)
        answer = b""
        while not answer.endswith(b"\n"):
            answer += os.read(client, 1)
        answers.append(answer)
    assert answers == [b"0 A\n", b"\n"]
    thread.join(5)
    proxy.close()
    for number in (client, port, box):
        os.close(number)
