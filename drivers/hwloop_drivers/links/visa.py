"""A link over VISA: TCP sockets, HiSLIP, VXI-11, USB-TMC, GPIB, serial ports."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from typing_extensions import override

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply
from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.messages import (
    BLOCK_BYTES,
    LINE_BYTES,
    block_length,
    close_quietly,
    payload,
    refuse_endless,
    shortened,
)
from hwloop_drivers.links.network_lock import share_lock
from hwloop_drivers.links.visa_address import not_opened, nothing_answers, probe, refuse_address
from hwloop_drivers.links.waiting import await_readable

PROBE_S = 5.0
CLOSE_S = CLEAR_S = 2.0
HEADER, DATA_END = 16, 7  # of a HiSLIP message: bytes, and the type of the last one
CHUNK = 4096  # bytes handed over at a time, so that each can be bounded


class VisaLink(Link):
    """One VISA session, used by one caller at a time.

    On a TCP socket beneath pyvisa-py lines are read by this class, which notices the end of the
    stream at once, and does not end a block at a line feed in its data. ``clear``: False to send no
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
        self.address = self._resource = address
        self._settings = settings
        self._wire_log = wire_log
        self._lock = threading.Lock()
        self._poisoned = False
        self._session: Any = None
        self._socket: socket.socket | None = None
        self._raw = False
        self._port: Any = None  # of a serial port, where its file can be waited on
        self._received = bytearray()
        self._bound_s = 0.0
        self._clears = clear
        refuse_address(address)
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
            self._bound_s = settings.timeout_s
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
            share_lock(self._find_socket(), self.address, alone=alone)
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
        self._received = bytearray()
        self._port = interface if os.name == "posix" and hasattr(interface, "in_waiting") else None
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
        if not self._clears or self._raw or self._resource.upper().startswith("ASRL"):
            return  # a stream has no such message, and a new one no earlier answers
        failed: list[Exception] = []

        def clear(session: Any) -> None:
            try:
                session.clear()
            except Exception as exc:  # noqa: BLE001 - raised below, in the caller's thread
                failed.append(exc)

        if not _bounded(clear, self._session, CLEAR_S):
            raise InstrumentTimeout(f"{self.address}: no device clear within {CLEAR_S:g} s")
        if failed:
            raise ConnectionLost(f"{self.address}: cannot be cleared: {failed[0]}") from failed[0]

    def _ask(
        self, text: str, timeout_s: float | None, receive: Callable[[str, float], bytes | str]
    ) -> Any:
        import pyvisa

        bound_s = self._settings.timeout_s if timeout_s is None else timeout_s
        self._expect(self._settings.timeout_s + bound_s)
        with self._lock:
            try:
                self._send(text, self._settings.timeout_s)
                self.round_trips += 1
                reply = receive(text, bound_s)
            except (pyvisa.Error, OSError, RuntimeError, UnicodeDecodeError) as exc:
                self._poisoned = True
                self._fail(text, bound_s, exc)
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
        if self._socket is None:
            return
        unread = bytes(self._received)
        try:
            if not unread and select.select([self._socket], [], [], 0)[0]:
                unread = self._socket.recv(CHUNK, socket.MSG_PEEK)
                if not unread:
                    self._ended(text)
        except OSError as exc:
            self._poisoned = True
            raise ConnectionLost(f"{self.address}: lost before {text!r}: {exc}") from exc
        if unread:
            self._poisoned = True
            raise UnexpectedReply(
                f"{self.address}: {unread[:40]!r} came before {shortened(text)!r} was sent"
            )

    def _line(self, text: str, bound_s: float) -> str:
        end = self._settings.read_termination.encode("latin-1")
        if self._raw:
            return (
                self._take(text, bound_s, lambda got: _after(self.address, got, end))
                .removesuffix(end)
                .decode("latin-1")
            )
        return self._message(text, bound_s, LINE_BYTES).removesuffix(end).decode("latin-1")

    def _bound(self, bound_s: float) -> None:
        if bound_s != self._bound_s:  # to set it takes as long as to ask
            self._session.timeout = bound_s * 1e3
            self._bound_s = bound_s

    def _block(self, text: str, bound_s: float) -> bytes:
        end = self._settings.read_termination.encode("latin-1")
        if self._raw:
            return self._take(text, bound_s, lambda got: block_length(self.address, got, end))
        self._session.read_termination = None  # a line feed in the data is no end
        try:
            return self._message(text, bound_s, BLOCK_BYTES)
        finally:
            self._session.read_termination = self._settings.read_termination

    def _message(self, text: str, bound_s: float, most: int) -> bytes:
        """Read a message of at most ``most`` bytes in pieces, so that time and bytes are bounded.

        A library's own reading of a whole message begins its time-out anew with every piece.
        """
        end_s = time.monotonic() + bound_s
        self._await_data(text, bound_s)
        whole = self._is_whole(most)
        with contextlib.nullcontext() if whole else self._cut_off(text, bound_s, end_s):
            return self._pieces(text, bound_s, end_s, most)

    def _pieces(self, text: str, bound_s: float, end_s: float, most: int) -> bytes:
        from pyvisa.constants import StatusCode

        more = StatusCode.success_max_count_read
        session, got, status = self._session, bytearray(), more
        self._bound(bound_s)
        with session.ignore_warning(StatusCode.success_device_not_present, more):
            while status == more:
                piece, status = session.visalib.read(session.session, session.chunk_size)
                got += piece
                refuse_endless(self.address, len(got), most)
                left_s = end_s - time.monotonic()
                if status == more:
                    if left_s <= 0:
                        raise self._no_answer(text, bound_s)
                    self._bound(left_s)
                self._check()
        return bytes(got)

    def _is_whole(self, most: int) -> bool:
        """Return whether the next HiSLIP message is here to its end; True for other links.

        Raises :class:`UnexpectedReply` for one whose header tells of more than ``most`` bytes.
        """
        if self._socket is None:
            return True
        seen = self._socket.recv(CHUNK, socket.MSG_PEEK)
        if len(seen) < HEADER or seen[:2] != b"HS":
            return False
        size = int.from_bytes(seen[8:HEADER], "big")
        refuse_endless(self.address, size, most)
        return seen[2] == DATA_END and len(seen) >= HEADER + size

    @contextlib.contextmanager
    def _cut_off(self, text: str, bound_s: float, end_s: float) -> Iterator[None]:
        """End the link at ``end_s``: a message that trickles in keeps pyvisa-py reading."""
        source, over = self._socket, threading.Event()

        def cut() -> None:
            over.set()
            with contextlib.suppress(OSError):
                if source is not None:
                    source.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads

        timer = threading.Timer(max(end_s - time.monotonic(), 0.0), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, RuntimeError) as exc:
            if over.is_set():
                raise self._no_answer(text, bound_s) from exc
            raise
        finally:
            timer.cancel()

    def _no_answer(self, text: str, bound_s: float) -> InstrumentTimeout:
        return InstrumentTimeout(
            f"{self.address}: no answer to {shortened(text)!r} within {bound_s:g} s"
        )

    def _take(self, text: str, bound_s: float, length: Callable[[bytearray], int | None]) -> bytes:
        """Read from the socket until ``length`` says how much of it is the answer."""
        source = self._socket
        assert source is not None  # noqa: S101 - tells the type checker
        end_s = time.monotonic() + bound_s
        while (wanted := length(self._received)) is None:
            self._await_data(text, bound_s, left_s=end_s - time.monotonic())
            part = source.recv(1 << 16)
            if not part:
                self._ended(text)
            self._received += part
        taken, self._received = bytes(self._received[:wanted]), self._received[wanted:]
        return taken

    def _await_data(self, text: str, bound_s: float, *, left_s: float | None = None) -> None:
        """Wait on the socket itself: pyvisa-py spins a core when the peer has gone."""
        source = self._socket
        if source is None and self._port is None:
            return
        wait_s = max(bound_s if left_s is None else left_s, 0.0)
        if not await_readable(source or self._port, wait_s, self._check):
            raise self._no_answer(text, bound_s)
        if source is not None and not self._raw and not source.recv(1, socket.MSG_PEEK):
            self._ended(text)

    def _ended(self, text: str) -> NoReturn:
        self._poisoned = True
        raise ConnectionLost(
            f"{self.address}: the instrument has closed the link, noticed at {shortened(text)!r}"
        )

    def _fail(self, text: str, bound_s: float, exc: Exception) -> NoReturn:
        import pyvisa

        code = getattr(exc, "error_code", None)
        if code == pyvisa.constants.StatusCode.error_timeout:
            raise self._no_answer(text, bound_s) from exc
        raise ConnectionLost(
            f"{self.address}: lost while waiting for {shortened(text)!r}: {exc}"
        ) from exc

    def _shut(self) -> None:
        session, self._session = self._session, None
        source, self._socket = self._socket, None
        self._received, self._port = bytearray(), None
        if source is not None:
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer
        if session is not None:
            # One on a dead link may not come back from its close: that must not hold up safety.
            _bounded(close_quietly, session, CLOSE_S)

    def _log(self, direction: str, said: str | bytes) -> None:
        if self._wire_log is not None:
            self._wire_log(self.address, direction, shortened(said))


def _after(address: str, got: bytearray, end: bytes) -> int | None:
    place = got.find(end)
    if place >= 0:
        return place + len(end)
    refuse_endless(address, len(got), LINE_BYTES)
    return None


def _bounded(work: Callable[[Any], None], session: Any, bound_s: float) -> bool:
    """Run work in a thread, wait for it for ``bound_s``, and return whether it has ended."""
    thread = threading.Thread(target=work, args=(session,), daemon=True)
    thread.start()
    thread.join(timeout=bound_s)
    return not thread.is_alive()
