"""Servers of virtual instruments: TCP socket and serial pseudo-terminal."""

from __future__ import annotations

import contextlib
import io
import os
import select
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from hwloop.errors import ConfigError

MAX_MESSAGE = 1 << 20
"""Longest message that an instrument takes, in bytes; the link of a longer one is dropped."""
STREAM = b"x" * 1000


class Port(Protocol):
    """One instrument as a server sees it, behind the lock of its bench, faults included."""

    def answer(self, message: str) -> bytes | None:
        """Return the reply to one message, with its terminator; None for no reply."""

    def device_clear(self) -> None:
        """Clear the device, as IEEE 488 says: abort pending messages, keep settings."""

    def connected(self, change: int) -> None:
        """Count a client that came (+1) or went (-1)."""


class Hangup(Exception):
    """The instrument drops its link."""


def bounded_lines(stream: io.BufferedIOBase, most: int) -> Iterator[bytes]:
    """Yield the lines of a stream; raise :class:`Hangup` at one of more than ``most`` bytes."""
    while line := stream.readline(most + 1):
        if len(line) > most:
            raise Hangup
        yield line


class Endless(Exception):
    """The instrument sends bytes without end in the place of a reply."""


def serve_socket(port: Port, number: int = 0) -> tuple[str, Callable[[], None]]:
    """Serve lines over TCP; return the VISA address, and a function to stop."""

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            port.connected(+1)
            try:
                for line in bounded_lines(self.rfile, MAX_MESSAGE):
                    reply = port.answer(line.decode("latin-1").rstrip("\r\n"))
                    if reply is not None:
                        self.wfile.write(reply)
            except Endless:
                send_without_end(self.wfile.write)
            except (Hangup, OSError):
                pass
            finally:
                port.connected(-1)

    server = listen(Handler, number)
    return f"TCPIP::127.0.0.1::{server.server_address[1]}::SOCKET", server.end


def serve_serial(port: Port) -> tuple[str, Callable[[], None]]:
    """Serve lines over a pseudo-terminal; return the device's path, and a function to stop.

    Raises :class:`ConfigError` on Windows, which has no pseudo-terminals.
    """
    try:
        import pty
        import tty
    except ImportError:
        raise ConfigError(
            "virtual:serial needs pseudo-terminals, which this system does not have: use"
            " virtual:socket"
        ) from None
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    open_ends = [slave, master]

    def close(ends: int) -> None:
        while len(open_ends) > ends:  # each is closed once: its number may soon be another file's
            with contextlib.suppress(OSError, IndexError):
                os.close(open_ends.pop())

    def serve() -> None:
        with contextlib.suppress(Hangup, OSError):
            for lines in _lines_of_port(lambda: os.read(master, 4096)):
                for line in lines:
                    try:
                        reply = port.answer(line.decode("latin-1"))
                    except Endless:
                        _stream_until_spoken_to(master)
                        break
                    if reply is not None:
                        os.write(master, reply)
        close(1)  # the client sees the port closed; its name stays reserved

    threading.Thread(target=serve, daemon=True, name=f"serial {path}").start()
    return path, lambda: close(0)


def _lines_of_port(read: Callable[[], bytes]) -> Iterator[list[bytes]]:
    """Yield the whole lines of each piece that is read from a port.

    A line of more than :data:`MAX_MESSAGE` bytes is left out: there is no link to drop.
    """
    pending = bytearray()
    while True:
        got = read().replace(b"\r", b"\n")
        pending += got
        if b"\n" not in got:
            del pending[MAX_MESSAGE + 1 :]
            continue
        *lines, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        yield [line for line in lines if 0 < len(line) <= MAX_MESSAGE]


def send_without_end(send: Callable[[bytes], object]) -> None:
    """Send pieces until the client has closed the link."""
    with contextlib.suppress(OSError):
        while True:
            send(STREAM)


def _stream_until_spoken_to(master: int) -> None:
    """Send pieces to a pseudo-terminal until something is sent to it."""
    while not select.select([master], [], [], 0.001)[0]:
        if select.select([], [master], [], 0.001)[1]:
            os.write(master, STREAM[:50])


class Server(socketserver.ThreadingTCPServer):
    """A server on one port of this computer, with a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a client may stay

    def end(self) -> None:
        """Stop serving, and refuse new connections."""
        self.shutdown()
        self.server_close()


def listen(handler: type[socketserver.BaseRequestHandler], number: int) -> Server:
    """Listen at a port, 0 for any that is free, in a thread."""
    server = Server(("127.0.0.1", number), handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    return server
