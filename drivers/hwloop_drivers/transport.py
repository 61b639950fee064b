"""Open links: to VISA resources, and to boards on plain serial ports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers.link import Link, LinkSettings, WireLog
from hwloop_drivers.visa_link import VisaLink
from hwloop_drivers.wire import close_quietly as _close_quietly

QUIET_S = 0.1  # silence after which nothing stale is believed to be on its way


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
        try:
            self._port = serial.serial_for_url(
                address,
                baudrate=settings.baud_rate,
                timeout=settings.timeout_s,
                write_timeout=settings.timeout_s,
            )
        except (serial.SerialException, OSError) as exc:
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
            raw = self._read_line(bound_s)
            if not raw.endswith(b"\n"):
                self._poisoned = True
                raise InstrumentTimeout(
                    f"{self.address}: no answer to {text!r} within {bound_s:g} s"
                )
            reply = raw.decode("latin-1").strip()
            if self._wire_log is not None:
                self._wire_log(self.address, "<", reply)
            return reply

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:  # noqa: ARG002 - the role's
        """A board's lines carry no blocks."""
        raise UnexpectedReply(f"{self.address}: {text!r} would be answered by a line, not a block")

    def recover(self, verify: Callable[[], None]) -> None:
        """Throw away what comes until it is quiet, then verify."""
        with self._lock:
            end_s = time.monotonic() + self._settings.timeout_s
            while time.monotonic() < end_s:
                self._port.reset_input_buffer()
                time.sleep(QUIET_S)
                if not self._port.in_waiting:
                    break
            self._poisoned = False
        try:
            verify()
        except BaseException:
            self._poisoned = True
            raise

    def close(self) -> None:
        """Let go of the port."""
        _close_quietly(self._port)

    def _send(self, text: str) -> None:
        import serial

        if self._poisoned:
            raise InstrumentTimeout(
                f"{self.address}: an earlier answer never came; the link must be recovered first"
            )
        if self._wire_log is not None:
            self._wire_log(self.address, ">", text)
        try:
            self._port.write(text.encode("latin-1") + b"\n")
        except (serial.SerialException, OSError) as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while sending {text!r}: {exc}") from exc

    def _read_line(self, bound_s: float) -> bytes:
        import serial

        try:
            self._port.timeout = bound_s
            return bytes(self._port.read_until(b"\n"))
        except (serial.SerialException, OSError) as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while waiting: {exc}") from exc


def open_link(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a VISA resource; raises :class:`ConnectionLost` if nothing is there."""
    return VisaLink(address, settings, wire_log=wire_log)


def open_serial(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a board on a serial port, or on any URL that pyserial understands."""
    return SerialLink(address, settings, wire_log=wire_log)
