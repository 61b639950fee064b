"""A link over VISA: TCP sockets, HiSLIP, VXI-11, USB-TMC, GPIB, serial ports."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from typing_extensions import override

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.messages import (
    BLOCK_BYTES,
    LINE_BYTES,
    Question,
    close_quietly,
    payload,
    shortened,
)
from hwloop_drivers.links.network_lock import share_lock
from hwloop_drivers.links.stream import ByteStream
from hwloop_drivers.links.visa_address import not_opened, nothing_answers, probe, visa_resource
from hwloop_drivers.links.visa_message import MessageReader

PROBE_S = 5.0
CLOSE_S = CLEAR_S = 2.0
CHUNK = 4096  # bytes handed over at a time, so that each can be bounded


class VisaLink(Link):
    """One VISA session, used by one caller at a time.

    A TCP socket or serial port beneath pyvisa-py is read by :mod:`hwloop_drivers.links.stream`,
    all else as messages. ``clear``: False to send no
    device clear, which aborts what another program may be doing with the instrument. ``alone``:
    raise :class:`hwloop.errors.InstrumentInUse` where another computer has the instrument's lock.
    """

    def __init__(
        self,
        address: str,
        settings: LinkSettings,
        *,
        wire_log: WireLog | None = None,
        clear: bool = True,
        alone: bool = False,
    ) -> None:
        self.address = address
        self._resource = visa_resource(address, settings.visa_library)
        self._settings = settings
        self._wire_log = wire_log
        self._lock = threading.Lock()
        self._poisoned = False
        self._session: Any = None
        self._socket: socket.socket | None = None
        self._raw = False
        self._stream: ByteStream | None = None
        self._messages: MessageReader | None = None
        self._end = settings.read_termination.encode("latin-1")
        self._clears = clear
        self._give_back: Callable[[], None] | None = None
        self._open(alone=alone)

    @override
    def write(self, text: str) -> None:
        self._expect(self._settings.timeout_s)
        with self._lock:
            self._send(text, self._settings.timeout_s)

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        reply: str = self._ask(text, timeout_s, self._line)
        return reply

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        return payload(self.address, self._ask(text, timeout_s, self._block))

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        # A new session: a late answer of the old one cannot arrive in it.
        with self._lock:
            self._poisoned = True
            self._shut()
            self._open()
            self._poisoned = False
        try:
            verify()
        except BaseException:
            self._poisoned = True
            raise

    @override
    def close(self) -> None:
        free = self._lock.acquire(timeout=CLOSE_S)
        give_back, self._give_back = self._give_back, None
        if free and give_back is not None and not self._poisoned:
            _bounded(lambda _: give_back(), None, CLOSE_S)
        self._shut()
        if free:
            self._lock.release()

    def _open(self, *, alone: bool = False) -> None:
        import pyvisa

        settings = self._settings
        probe(self._resource, settings.visa_library, timeout_s=PROBE_S)
        try:
            manager = pyvisa.ResourceManager(settings.visa_library)
            self._session = manager.open_resource(self._resource, open_timeout=int(PROBE_S * 1e3))
            self._session.timeout = settings.timeout_s * 1e3
            self._session.read_termination = settings.read_termination
            self._session.write_termination = settings.write_termination
            self.protects_bytes = not isinstance(self._session, pyvisa.resources.SerialInstrument)
            if not self.protects_bytes:
                self._session.baud_rate = settings.baud_rate
        except Exception as exc:
            self._shut()
            raise not_opened(self._resource, settings.visa_library, exc) from exc
        try:
            self._give_back = share_lock(self._find_socket(), self.address, alone=alone)
            self._clear()
        except BaseException:
            self._shut()
            raise

    def _find_socket(self) -> Any:
        """Find the socket beneath pyvisa-py, and set TCP_NODELAY, which VISA's attribute does not.

        Returns pyvisa-py's own session, None beneath another VISA.

        Without it, a write and the query after it take 44 ms. pyvisa-py opens a plain socket to a
        closed port without an error: only the socket itself knows.
        """
        sessions = getattr(self._session.visalib, "sessions", {})
        interface = getattr(sessions.get(self._session.session), "interface", None)
        self._raw = isinstance(interface, socket.socket)
        found = interface if self._raw else getattr(interface, "_sync", None)  # HiSLIP
        self._socket = found if isinstance(found, socket.socket) else None
        waits = os.name == "posix" and hasattr(interface, "in_waiting")  # a port that is a file
        self._stream = ByteStream(interface) if self._raw or waits else None
        self._messages = MessageReader(self._session, self._socket)
        if self._socket is None:
            return interface
        try:
            self._socket.getpeername()
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            _, host, port, *_ = self._resource.replace("::", "\0").split("\0")
            reason = os.strerror(code) if code else str(exc)
            raise nothing_answers(self._resource, host, port, reason) from exc
        return interface

    def _clear(self) -> None:
        """Send a device clear: a bus keeps the answer to a question of an earlier run."""
        from pyvisa.constants import StatusCode
        from pyvisa.resources import SerialInstrument, TCPIPSocket

        unsupported = StatusCode.error_nonsupported_operation  # a link without device clear

        if not self._clears or isinstance(self._session, (SerialInstrument, TCPIPSocket)):
            return  # a stream has no such message, and a new one no earlier answers
        failed: list[Exception] = []

        def clear(session: Any) -> None:
            try:
                session.clear()
            except Exception as exc:  # noqa: BLE001 - raised below, in the caller's thread
                failed.append(exc)

        if not _bounded(clear, self._session, CLEAR_S):
            raise InstrumentTimeout(f"{self.address}: no device clear within {CLEAR_S:g} s")
        if failed and getattr(failed[0], "error_code", None) != unsupported:
            raise ConnectionLost(f"{self.address}: cannot be cleared: {failed[0]}") from failed[0]

    def _ask(
        self, text: str, timeout_s: float | None, receive: Callable[[Question], bytes | str]
    ) -> Any:
        import pyvisa

        bound_s = self._settings.timeout_s if timeout_s is None else timeout_s
        self._expect(self._settings.timeout_s + bound_s)
        with self._lock:
            try:
                self._send(text, self._settings.timeout_s)
                self.round_trips += 1
                reply = receive(self._question(text, bound_s))
            except (pyvisa.Error, OSError, RuntimeError, UnicodeDecodeError) as exc:
                self._poisoned = True
                self._fail(self._question(text, bound_s), exc)
            except BaseException:  # a second Ctrl-C: the answer may still come
                self._poisoned = True
                raise
            self._log("<", reply)
            return reply

    def _send(self, text: str, bound_s: float) -> None:
        import pyvisa

        if self._session is None:
            raise ConnectionLost(f"{self.address}: the link is closed")
        if self._poisoned:
            raise InstrumentTimeout(
                f"{self.address}: an earlier answer never came; the link must be recovered first"
            )
        self._refuse_unread(text)
        self._log(">", text)
        try:
            message = (text + self._settings.write_termination).encode("latin-1")
            step = CHUNK if self._raw else len(message)  # elsewhere each piece is a message
            for start in range(0, len(message), step):
                self._await_room(text, bound_s)
                self._session.write_raw(message[start : start + step])
        except (pyvisa.Error, OSError, RuntimeError) as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost while sending {text!r}: {exc}") from exc
        except BaseException:
            self._poisoned = True
            raise

    def _await_room(self, text: str, bound_s: float) -> None:
        """Wait for room in the socket, within a bound: pyvisa-py itself would wait for ever."""
        if self._raw and self._socket and not select.select([], [self._socket], [], bound_s)[1]:
            raise InstrumentTimeout(
                f"{self.address}: takes nothing of {shortened(text)!r} within {bound_s:g} s"
            )

    def _refuse_unread(self, text: str) -> None:
        """Raise if something has come before the question: it would be taken for the answer."""
        try:
            unread = self._unread(self._question(text, 0.0))
        except OSError as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost before {text!r}: {exc}") from exc
        except ConnectionLost:
            self._poisoned = True
            raise
        if unread:
            self._poisoned = True
            raise UnexpectedReply(
                f"{self.address}: {unread[:40]!r} came before {shortened(text)!r} was sent"
            )

    def _unread(self, question: Question) -> bytes:
        if self._stream is not None:
            return self._stream.unread(question)
        if self._socket is None or not select.select([self._socket], [], [], 0)[0]:
            return b""
        unread = self._socket.recv(CHUNK, socket.MSG_PEEK)
        if not unread:
            raise question.ended()
        return unread

    def _question(self, text: str, bound_s: float) -> Question:
        return Question(self.address, text, bound_s, self._end, self._check)

    def _line(self, question: Question) -> str:
        if self._stream is not None:
            return question.line(self._stream.take(question, question.line_length))
        return question.line(self._message(question, LINE_BYTES))

    def _block(self, question: Question) -> bytes:
        if self._stream is not None:
            return self._stream.take(question, question.block_length)
        self._session.read_termination = None  # a line feed in the data is no end
        try:
            return self._message(question, BLOCK_BYTES)
        finally:
            self._session.read_termination = self._settings.read_termination

    def _message(self, question: Question, most: int) -> bytes:
        if self._messages is None:
            raise ConnectionLost(f"{self.address}: the link is closed")
        return self._messages.take(question, most=most)

    def _fail(self, question: Question, exc: Exception) -> NoReturn:
        import pyvisa

        code = getattr(exc, "error_code", None)
        if code == pyvisa.constants.StatusCode.error_timeout:
            raise question.no_answer() from exc
        raise ConnectionLost(
            f"{self.address}: lost while waiting for {shortened(question.text)!r}: {exc}"
        ) from exc

    def _shut(self) -> None:
        session, self._session = self._session, None
        source, self._socket = self._socket, None
        self._stream = self._messages = None
        if source is not None:
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer
        if session is not None:
            # One on a dead link may not come back from its close: that must not hold up safety.
            _bounded(close_quietly, session, CLOSE_S)

    def _log(self, direction: str, said: str | bytes) -> None:
        if self._wire_log is not None:
            self._wire_log(self.address, direction, shortened(said))


def _bounded(work: Callable[[Any], None], session: Any, bound_s: float) -> bool:
    """Run work in a thread, wait for it for ``bound_s``, and return whether it has ended."""
    thread = threading.Thread(target=work, args=(session,), daemon=True)
    thread.start()
    thread.join(timeout=bound_s)
    return not thread.is_alive()
