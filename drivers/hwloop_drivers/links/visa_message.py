"""Answers as messages of VISA, read in pieces, so that time and bytes are bounded."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from hwloop_drivers.links.messages import Question, refuse_endless
from hwloop_drivers.links.waiting import await_readable

HEADER, DATA_END = 16, 7  # of a HiSLIP message: bytes, and the type of the last one
CHUNK = 4096


class MessageReader:
    """Messages of one VISA session; ``source``: the socket of a HiSLIP link, None for others.

    A library's own reading of a whole message begins its time-out anew with every piece.
    """

    def __init__(self, session: Any, source: socket.socket | None) -> None:
        self._session, self._source = session, source
        self._bound_s = -1.0

    def take(self, question: Question, *, most: int) -> bytes:
        """Return a message of at most ``most`` bytes."""
        self._await_data(question)
        whole = self._is_whole(question, most)
        with contextlib.nullcontext() if whole else self._cut_off(question):
            return self._pieces(question, most)

    def _await_data(self, question: Question) -> None:
        """Wait on the socket itself: pyvisa-py spins a core when the peer has gone."""
        if self._source is None:
            return
        if not await_readable(self._source, question.left_s, question.check):
            raise question.no_answer()
        if not self._source.recv(1, socket.MSG_PEEK):
            raise question.ended()

    def _pieces(self, question: Question, most: int) -> bytes:
        from pyvisa.constants import StatusCode

        more = StatusCode.success_max_count_read
        session, got, status = self._session, bytearray(), more
        self._bound(question.bound_s)
        with session.ignore_warning(StatusCode.success_device_not_present, more):
            while status == more:
                piece, status = session.visalib.read(session.session, session.chunk_size)
                got += piece
                refuse_endless(question.address, len(got), most)
                if status == more:
                    if question.left_s <= 0:
                        raise question.no_answer(bytes(got))
                    self._bound(question.left_s)
                question.check()
        return bytes(got)

    def _bound(self, bound_s: float) -> None:
        if bound_s != self._bound_s:  # to set it takes as long as to ask
            self._session.timeout = bound_s * 1e3
            self._bound_s = bound_s

    def _is_whole(self, question: Question, most: int) -> bool:
        """Return whether the next HiSLIP message is here to its end; True for other links.

        Raises :class:`UnexpectedReply` for one whose header tells of more than ``most`` bytes.
        """
        if self._source is None:
            return True
        seen = self._source.recv(CHUNK, socket.MSG_PEEK)
        if len(seen) < HEADER or seen[:2] != b"HS":
            return False
        size = int.from_bytes(seen[8:HEADER], "big")
        refuse_endless(question.address, size, most)
        return seen[2] == DATA_END and len(seen) >= HEADER + size

    @contextlib.contextmanager
    def _cut_off(self, question: Question) -> Iterator[None]:
        """End the link when time is over: a message that trickles in keeps pyvisa-py reading."""
        source, over = self._source, threading.Event()

        def cut() -> None:
            over.set()
            with contextlib.suppress(OSError):
                if source is not None:
                    source.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads

        timer = threading.Timer(question.left_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, RuntimeError) as exc:
            if over.is_set():
                raise question.no_answer() from exc
            raise
        finally:
            timer.cancel()
