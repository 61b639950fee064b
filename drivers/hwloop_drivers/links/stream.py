"""Answers as bytes of a socket or of a serial port, read in the place of pyvisa-py."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from hwloop_drivers.links.messages import LINE_ENDS, Question
from hwloop_drivers.links.waiting import await_readable

CHUNK = 1 << 16


class ByteStream:
    """A socket, or a port of pyserial that can be waited on.

    pyvisa-py spins a core when the peer of a socket has gone, ends a block at a line feed in its
    data, and throws away what came of an answer without an end.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._received = bytearray()

    def take(self, question: Question, length: Callable[[bytearray], int | None]) -> bytes:
        """Return the answer: read until ``length`` says how much of what came it is."""
        while (wanted := length(self._received)) is None:
            if not await_readable(self._source, question.left_s, question.check):
                raise question.no_answer(bytes(self._received))
            part = self._read()
            if not part:
                raise question.ended()
            self._received += part
        taken, self._received = bytes(self._received[:wanted]), self._received[wanted:]
        return taken

    def unread(self, question: Question) -> bytes:
        """Return what came before a question was sent; a CR or LF of an earlier line is dropped."""
        source = self._source
        if isinstance(source, socket.socket) and select.select([source], [], [], 0)[0]:
            part = source.recv(CHUNK)
            if not part:
                raise question.ended()
            self._received += part
        if set(question.end) <= LINE_ENDS and set(self._received) <= LINE_ENDS:
            self._received.clear()
        return bytes(self._received)

    def _read(self) -> bytes:
        if isinstance(self._source, socket.socket):
            return self._source.recv(CHUNK)
        return bytes(self._source.read(self._source.in_waiting or 1))
