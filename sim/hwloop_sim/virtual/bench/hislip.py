"""A HiSLIP server of a virtual instrument, with its locks."""

from __future__ import annotations

import itertools
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator

from hwloop_sim.virtual.bench.servers import (
    MAX_MESSAGE,
    Endless,
    Hangup,
    Port,
    listen,
    send_without_end,
)

HEADER = struct.Struct("!2sBBIQ")
DATA = 6  # type of a HiSLIP message that more will follow
MOST_WAIT_S = 60.0
FAILED, GRANTED, GRANTED_SHARED, ERROR = 0, 1, 2, 3


class _Locks:
    """The locks of one instrument, by session: one exclusive, or one shared by a common key.

    After IVI-6.1, 6.5: messages of the others wait until the lock is released, or its session ends.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._exclusive: int | None = None
        self._sharing: dict[int, bytes] = {}

    def request(self, session: int, key: bytes, timeout_s: float) -> int:
        """Lock, exclusively without a key; wait for it ``timeout_s`` at most."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(session, key), timeout_s):
                return FAILED
            if key:
                self._sharing[session] = key
            else:
                self._exclusive = session
            return GRANTED

    def release(self, session: int) -> int:
        """Release the locks of a session."""
        with self._changed:
            exclusive = self._exclusive == session
            shared = self._sharing.pop(session, None) is not None
            if exclusive:
                self._exclusive = None
            self._changed.notify_all()
        return GRANTED if exclusive else GRANTED_SHARED if shared else ERROR

    def info(self) -> tuple[int, int]:
        """Return whether there is an exclusive lock, and how many sessions hold one."""
        with self._changed:
            holders = set(self._sharing) | ({self._exclusive} - {None})
            return int(self._exclusive is not None), len(holders)

    def wait(self, session: int) -> None:
        """Wait until no other session has a lock that keeps this one out."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_admitted(session))

    def _is_admitted(self, session: int) -> bool:
        if self._exclusive is not None:
            return self._exclusive == session
        return not self._sharing or session in self._sharing

    def _is_free(self, session: int, key: bytes) -> bool:
        if self._exclusive not in {None, session}:
            return False
        others = [one for holder, one in self._sharing.items() if holder != session]
        return all(one == key for one in others) if key else not others


def serve_hislip(port: Port, number: int = 0) -> tuple[str, Callable[[], None]]:
    """Serve HiSLIP 1.0, synchronous (IVI-6.1); return the VISA address, and a stop function."""
    locks, numbers = _Locks(), itertools.count(1)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Hislip(self.request, port, locks, numbers)
            try:
                link.serve()
            except Endless:
                send_without_end(lambda piece: link.send(DATA, 0, 0, piece))
            except (Hangup, OSError):
                pass

    server = listen(Handler, number)
    return f"TCPIP::127.0.0.1::hislip0,{server.server_address[1]}::INSTR", server.end


class _Hislip:
    """One of the two connections of a session, which differ only in the messages they carry."""

    def __init__(
        self, connection: socket.socket, port: Port, locks: _Locks, numbers: Iterator[int]
    ) -> None:
        self._connection = connection
        self._port = port
        self._locks, self._numbers = locks, numbers
        self._session = 0
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
                self._locks.release(self._session)
                self._port.connected(-1)

    def _handle(self, kind: int, control: int, parameter: int, payload: bytes) -> None:  # noqa: C901 - one flat case a message
        match kind:
            case 0:  # Initialize: protocol 1.0
                self._session = next(self._numbers) & 0xFFFF
                self.send(1, 0, 0x01000000 | self._session)
            case 17:  # AsyncInitialize
                self._session = parameter
                self.send(18, 0, 0x4857)
            case 15:  # AsyncMaximumMessageSize
                self.send(16, 0, 0, MAX_MESSAGE.to_bytes(8, "big"))
            case 4:  # AsyncLock
                self.send(5, self._lock(control, parameter, payload), 0)
            case 24:  # AsyncLockInfo
                exclusive, holders = self._locks.info()
                self.send(25, exclusive, holders)
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

    def _lock(self, control: int, parameter: int, payload: bytes) -> int:
        if not control:
            return self._locks.release(self._session)
        return self._locks.request(self._session, payload, min(parameter / 1e3, MOST_WAIT_S))

    def _lines(self, text: str, parameter: int) -> None:
        self._locks.wait(self._session)
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
