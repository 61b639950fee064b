"""Servers of virtual instruments: TCP socket, HiSLIP, serial pseudo-terminal."""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from hwloop.errors import ConfigError

HEADER = struct.Struct("!2sBBIQ")
MAX_MESSAGE = 1 << 20
"""Longest message that an instrument takes, in bytes; the link of a longer one is dropped."""
DATA = 6  # type of a HiSLIP message that more will follow
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
                _send_without_end(self.wfile.write)
            except (Hangup, OSError):
                pass
            finally:
                port.connected(-1)

    server = _listen(Handler, number)
    return f"TCPIP::127.0.0.1::{server.server_address[1]}::SOCKET", server.end


def serve_hislip(port: Port, number: int = 0) -> tuple[str, Callable[[], None]]:
    """Serve HiSLIP 1.0, synchronous (IVI-6.1); return the VISA address, and a stop function."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Hislip(self.request, port)
            try:
                link.serve()
            except Endless:
                _send_without_end(lambda piece: link.send(DATA, 0, 0, piece))
            except (Hangup, OSError):
                pass

    server = _listen(Handler, number)
    return f"TCPIP::127.0.0.1::hislip0,{server.server_address[1]}::INSTR", server.end


class _Hislip:
    """One of the two connections of a session, which differ only in the messages they carry."""

    def __init__(self, connection: socket.socket, port: Port) -> None:
        self._connection = connection
        self._port = port
        self._received = b""

    def serve(self) -> None:
        synchronous = False
        try:
            while (message := self._receive()) is not None:
                kind, control, parameter, payload = message
                if kind == 0 and not synchronous:
                    synchronous = True
                    self._port.connected(+1)
                self._handle(kind, control, parameter, payload)
        finally:
            if synchronous:
                self._port.connected(-1)

    def _handle(self, kind: int, _control: int, parameter: int, payload: bytes) -> None:  # noqa: C901 - one flat case a message
        match kind:
            case 0:  # Initialize: protocol 1.0, session 1
                self.send(1, 0, 0x01000001)
            case 17:  # AsyncInitialize
                self.send(18, 0, 0x4857)
            case 15:  # AsyncMaximumMessageSize
                self.send(16, 0, 0, MAX_MESSAGE.to_bytes(8, "big"))
            case 4:  # AsyncLock: there is nobody to lock out
                self.send(5, 1, 0)
            case 21:  # AsyncStatusQuery
                self.send(22, 0, 0)
            case 19:  # AsyncDeviceClear
                self._port.device_clear()
                self.send(23, 0, 0)
            case 8:  # DeviceClearComplete
                self._received = b""
                self.send(9, 0, 0)
            case 6:  # Data
                self._add(payload)
            case 7:  # DataEnd
                self._add(payload)
                text, self._received = self._received, b""
                self._lines(text.decode("latin-1"), parameter)
            case 12:  # Trigger
                self._lines("*TRG", parameter)

    def _add(self, payload: bytes) -> None:
        if len(self._received) + len(payload) > MAX_MESSAGE:
            raise Hangup
        self._received += payload

    def _lines(self, text: str, parameter: int) -> None:
        for line in text.splitlines():
            reply = self._port.answer(line)
            if reply is not None:
                self.send(7, 0, parameter, reply)

    def send(self, kind: int, control: int, parameter: int, payload: bytes = b"") -> None:
        """Send one HiSLIP message with its header."""
        header = HEADER.pack(b"HS", kind, control, parameter, len(payload))
        self._connection.sendall(header + payload)

    def _receive(self) -> tuple[int, int, int, bytes] | None:
        header = self._exactly(HEADER.size)
        if header is None:
            return None
        _, kind, control, parameter, length = HEADER.unpack(header)
        if length > MAX_MESSAGE:
            raise Hangup
        payload = self._exactly(length) if length else b""
        return None if payload is None else (kind, control, parameter, payload)

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                return None
            data += part
        return bytes(data)


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


def _send_without_end(send: Callable[[bytes], object]) -> None:
    """Send pieces until the client has closed the link."""
    with contextlib.suppress(OSError):
        while True:
            send(STREAM)


def _stream_until_spoken_to(master: int) -> None:
    """Send pieces to a pseudo-terminal until something is sent to it."""
    while not select.select([master], [], [], 0.001)[0]:
        if select.select([], [master], [], 0.001)[1]:
            os.write(master, STREAM[:50])


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a client may stay

    def end(self) -> None:
        """Stop serving, and refuse new connections."""
        self.shutdown()
        self.server_close()


def _listen(handler: type[socketserver.BaseRequestHandler], number: int) -> _Server:
    server = _Server(("127.0.0.1", number), handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    return server
