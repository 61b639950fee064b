"""Links over VISA (TCP sockets, HiSLIP, VXI-11, USB-TMC, GPIB, serial)."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers.link import Link, LinkSettings

try:  # POSIX: what pyserial lets through when a port is gone
    from termios import error as PortError  # noqa: N812 - termios calls it error
except ImportError:  # Windows
    PortError = OSError  # type: ignore[misc, assignment]

WireLog = Callable[[str, str, str], None]
LOST = (OSError, PortError)
PROBE_S = 5.0
CLOSE_S = 2.0
QUIET_S = 0.1  # silence after which nothing stale is believed to be on its way
_TCP = re.compile(
    r"TCPIP\d*::([^:]+)::(?:(\d+)::SOCKET|hislip\d+(?:,(\d+))?::INSTR)", re.IGNORECASE
)
HISLIP_PORT = 4880


class VisaLink(Link):
    """One VISA session, used by one caller at a time."""

    def __init__(
        self, address: str, settings: LinkSettings, *, wire_log: WireLog | None = None
    ) -> None:
        self.address = address
        self._settings = settings
        self._wire_log = wire_log
        self._lock = threading.Lock()
        self._poisoned = False
        self._bound_s = 0.0
        self._session: Any = None
        self._socket: socket.socket | None = None
        self._open()

    def write(self, text: str) -> None:
        """Send one message."""
        with self._lock:
            self._send(text)

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        """Send one message and return its reply."""
        reply: str = self._ask(text, timeout_s, lambda: str(self._session.read()))
        return reply

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        """Send one message and return the payload of the block that answers it."""
        raw = self._ask(text, timeout_s, lambda: bytes(self._session.read_raw()))
        return self._payload(raw)

    def recover(self, verify: Callable[[], None]) -> None:
        """Start a new session: whatever was on its way in the old one cannot arrive in it."""
        with self._lock:
            self._shut()
            self._open()
            self._poisoned = False
        try:
            verify()
        except BaseException:
            self._poisoned = True
            raise

    def close(self) -> None:
        """Let go of the session."""
        with self._lock:
            self._shut()

    def _open(self) -> None:
        import pyvisa

        self._probe()
        settings = self._settings
        self._bound_s = 0.0
        try:
            manager = pyvisa.ResourceManager(settings.visa_library)
            self._session = manager.open_resource(self.address)
            self._set_bound(settings.timeout_s)
            self._session.read_termination = settings.read_termination
            self._session.write_termination = settings.write_termination
            if self.address.upper().startswith("ASRL"):
                self._session.baud_rate = settings.baud_rate
        except (pyvisa.Error, OSError, ValueError) as exc:
            raise ConnectionLost(f"{self.address}: cannot be opened: {exc}") from exc
        self._find_socket()

    def _probe(self) -> None:
        """Reach for the port first: pyvisa-py opens a socket to a closed port without a word."""
        match = _TCP.match(self.address)
        if match is None:
            return
        host, port, hislip_port = match.groups()
        number = int(port or hislip_port or HISLIP_PORT)
        try:
            socket.create_connection((host, number), timeout=PROBE_S).close()
        except OSError as exc:
            raise ConnectionLost(
                f"{self.address}: nothing answers at {host} port {number} ({exc.strerror or exc});"
                " check the address, the cable and that the instrument is on"
            ) from exc

    def _find_socket(self) -> None:
        """The socket beneath pyvisa-py: for TCP_NODELAY, which VISA's attribute cannot set there.

        Without it, a write and the query after it take 44 ms.
        """
        sessions = getattr(self._session.visalib, "sessions", {})
        interface = getattr(sessions.get(self._session.session), "interface", None)
        self._socket = interface if isinstance(interface, socket.socket) else None
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _ask(self, text: str, timeout_s: float | None, receive: Callable[[], Any]) -> Any:
        import pyvisa

        with self._lock:
            bound_s = self._settings.timeout_s if timeout_s is None else timeout_s
            self._send(text)
            self.round_trips += 1
            try:
                self._await_data(bound_s)
                self._set_bound(bound_s)
                reply = receive()
            except InstrumentTimeout:
                raise
            except (pyvisa.Error, OSError, UnicodeDecodeError) as exc:
                self._fail(text, bound_s, exc)
            self._log("<", str(reply))
            return reply

    def _set_bound(self, bound_s: float) -> None:
        """Only where it differs: on a serial port it asks for all the port's settings."""
        if bound_s != self._bound_s:
            self._session.timeout = bound_s * 1e3
            self._bound_s = bound_s

    def _send(self, text: str) -> None:
        import pyvisa

        if self._poisoned:
            raise InstrumentTimeout(
                f"{self.address}: an earlier answer never came; the link must be recovered first"
            )
        if self._session is None:
            raise ConnectionLost(f"{self.address}: the link is closed")
        self._refuse_ended()
        self._log(">", text)
        try:
            self._session.write(text)
        except (pyvisa.Error, OSError) as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while sending {text!r}: {exc}") from exc

    def _await_data(self, bound_s: float) -> None:
        """Wait on the socket itself: pyvisa-py spins a core when the peer has gone."""
        if self._socket is None:
            return
        ready, _, _ = select.select([self._socket], [], [], bound_s)
        if not ready:
            self._poisoned = True
            raise InstrumentTimeout(f"{self.address}: no answer within {bound_s:g} s")
        self._refuse_ended()

    def _refuse_ended(self) -> None:
        if self._socket is None:
            return
        ready, _, _ = select.select([self._socket], [], [], 0)
        try:
            ended = bool(ready) and self._socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            ended = True
        if ended:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: the instrument has closed the link")

    def _fail(self, text: str, bound_s: float, exc: Exception) -> None:
        import pyvisa

        self._poisoned = True
        code = getattr(exc, "error_code", None)
        if code == pyvisa.constants.StatusCode.error_timeout:
            raise InstrumentTimeout(
                f"{self.address}: no answer to {text!r} within {bound_s:g} s"
            ) from exc
        raise ConnectionLost(f"{self.address}: lost while waiting for {text!r}: {exc}") from exc

    def _payload(self, raw: bytes) -> bytes:
        if raw[:2] == b"#0":
            return raw[2:].removesuffix(b"\n")
        if raw[:1] == b"#" and raw[1:2].isdigit():
            digits = int(raw[1:2])
            length = raw[2 : 2 + digits]
            if length.isdigit() and len(raw) >= 2 + digits + int(length):
                return raw[2 + digits : 2 + digits + int(length)]
        raise UnexpectedReply(f"{self.address}: expected a block, got {raw[:40]!r}")

    def _shut(self) -> None:
        session, self._session, self._socket = self._session, None, None
        if session is None:
            return
        # A session on a dead link may not come back from its close: that must not hold up safety.
        closing = threading.Thread(target=_close_quietly, args=(session,), daemon=True)
        closing.start()
        closing.join(timeout=CLOSE_S)

    def _log(self, direction: str, text: str) -> None:
        if self._wire_log is not None:
            self._wire_log(self.address, direction, text)


class SerialLink(Link):
    """Lines over a serial port, by pyserial: for boards that are no VISA instruments."""

    def __init__(
        self, address: str, settings: LinkSettings, *, wire_log: WireLog | None = None
    ) -> None:
        import serial

        self.address = address
        self._settings = settings
        self._wire_log = wire_log
        self._lock = threading.Lock()
        self._poisoned = False
        self._read_end = settings.read_termination.encode("latin-1")
        self._write_end = settings.write_termination.encode("latin-1")
        try:
            self._port = serial.serial_for_url(
                address,
                baudrate=settings.baud_rate,
                timeout=settings.timeout_s,
                write_timeout=settings.timeout_s,
            )
        except (*LOST, ValueError) as exc:
            raise ConnectionLost(f"{address}: cannot be opened: {exc}") from exc

    def write(self, text: str) -> None:
        """Send one line."""
        with self._lock:
            self._send(text)

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        """Send one line and return the line that answers it."""
        bound_s = self._settings.timeout_s if timeout_s is None else timeout_s
        with self._lock:
            self._send(text)
            self.round_trips += 1
            raw = self._read_line(text, bound_s)
            if not raw.endswith(self._read_end):
                self._poisoned = True
                raise InstrumentTimeout(
                    f"{self.address}: no answer to {text!r} within {bound_s:g} s"
                )
            reply = raw.removesuffix(self._read_end).decode("latin-1").strip()
            if self._wire_log is not None:
                self._wire_log(self.address, "<", reply)
            return reply

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:  # noqa: ARG002 - the role's
        """A board's lines carry no blocks."""
        raise UnexpectedReply(f"{self.address}: {text!r} would be answered by a line, not a block")

    def recover(self, verify: Callable[[], None]) -> None:
        """Throw away what comes until it is quiet, then verify."""
        with self._lock:
            self._poisoned = True
            try:
                self._quieten()
            except LOST as exc:
                raise ConnectionLost(f"{self.address}: lost: {exc}") from exc
            self._poisoned = False
        try:
            verify()
        except BaseException:
            self._poisoned = True
            raise

    def close(self) -> None:
        """Let go of the port, after whoever is using it or a bounded time."""
        free = self._lock.acquire(timeout=CLOSE_S)
        _close_quietly(self._port)
        if free:
            self._lock.release()

    def _quieten(self) -> None:
        self._port.write(self._write_end)  # ends what an earlier host may have left unfinished
        end_s = time.monotonic() + self._settings.timeout_s + QUIET_S
        while time.monotonic() < end_s:
            self._port.reset_input_buffer()
            time.sleep(QUIET_S)
            if not self._port.in_waiting:
                return
        raise InstrumentTimeout(f"{self.address}: does not stop talking")

    def _send(self, text: str) -> None:
        if self._poisoned:
            raise InstrumentTimeout(
                f"{self.address}: an earlier answer never came; the link must be recovered first"
            )
        if self._wire_log is not None:
            self._wire_log(self.address, ">", text)
        try:
            self._port.write(text.encode("latin-1") + self._write_end)
        except LOST as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while sending {text!r}: {exc}") from exc

    def _read_line(self, text: str, bound_s: float) -> bytes:
        try:
            if self._port.timeout != bound_s:  # to set it asks the port for all its settings
                self._port.timeout = bound_s
            return bytes(self._port.read_until(self._read_end))
        except LOST as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while waiting for {text!r}: {exc}") from exc


def open_link(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a VISA resource; raises :class:`ConnectionLost` if nothing is there."""
    return VisaLink(address, settings, wire_log=wire_log)


def open_serial(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a board on a serial port, or on any URL that pyserial understands."""
    return SerialLink(address, settings, wire_log=wire_log)


def _close_quietly(resource: Any) -> None:
    import contextlib

    with contextlib.suppress(Exception):
        resource.close()
