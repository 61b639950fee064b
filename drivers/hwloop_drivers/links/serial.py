"""A link over a plain serial port, for boards that are no VISA resources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from typing_extensions import override

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.messages import (
    LINE_BYTES,
    Question,
    close_quietly,
    refuse_endless,
)
from hwloop_drivers.links.waiting import POLL_S

try:  # POSIX: what pyserial lets through when a port is gone
    from termios import error as PortError  # noqa: N812 - termios calls it error
except ImportError:  # Windows
    PortError = OSError  # type: ignore[misc, assignment]


LOST = (OSError, PortError)


CLOSE_S = 2.0


CHUNK = 256  # bytes handed over at a time, so that a stream without a line end is bounded
QUIET_S = 0.1  # silence after which no late answer is expected


class SerialLink(Link):
    """Lines over a serial port, by pyserial: for boards that are no VISA instruments."""

    protects_bytes = False

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

    @override
    def write(self, text: str) -> None:
        self._expect(self._settings.timeout_s)
        with self._lock:
            self._send(text)

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        bound_s = self._settings.timeout_s if timeout_s is None else timeout_s
        self._expect(self._settings.timeout_s + bound_s)
        with self._lock:
            self._send(text)
            self.round_trips += 1
            question = Question(self.address, text, bound_s, self._read_end, self._check)
            reply = question.line(self._read_line(question)).strip()
            if self._wire_log is not None:
                self._wire_log(self.address, "<", reply)
            return reply

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise UnexpectedReply(f"{self.address}: {text!r} would be answered by a line, not a block")

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        # Throw away what comes until it is quiet, then verify.
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

    @override
    def close(self) -> None:
        free = self._lock.acquire(timeout=CLOSE_S)
        close_quietly(self._port)
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

    def _read_line(self, question: Question) -> bytes:
        """Return the answer with its end; bounded in time and in bytes, whatever comes."""
        try:
            slice_s = min(POLL_S, question.bound_s)
            if self._port.timeout != slice_s:  # to set it asks the port for all its settings
                self._port.timeout = slice_s
            return self._read_until_end(question)
        except LOST as exc:
            self._poisoned = True
            raise ConnectionLost(
                f"{self.address}: lost while waiting for {question.text!r}: {exc}"
            ) from exc
        except BaseException:  # the answer may still come
            self._poisoned = True
            raise

    def _read_until_end(self, question: Question) -> bytes:
        got = bytearray()
        while not got.endswith(question.end):
            refuse_endless(self.address, len(got), LINE_BYTES)
            if question.left_s <= 0:
                raise question.no_answer(bytes(got))
            got += self._port.read_until(question.end, size=CHUNK)
            question.check()
        return bytes(got)
