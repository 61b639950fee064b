"""A proxy between a run and one virtual instrument, over TCP or a pseudo-terminal.

It hands on whole lines in both directions, until the mischief that it was given strikes one.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

from typing_extensions import override

from benchmarks.campaigns.mischief import LF, Back, Kind, Moment, Script

CHUNK = 1 << 16
LOOK_S = 0.2


class Mischief:
    """One kind of bad wire, once, from the ``at``-th message of its side on.

    ``struck``: the message, and what had gone on in its place where that is known at once; None
    before it has happened.
    """

    def __init__(self, kind: Kind, at: int, rng: random.Random, timeout_s: float) -> None:
        self.kind, self._at, self._rng, self._timeout_s = kind, at, rng, timeout_s
        self.struck: tuple[bytes, bytes] | None = None
        self.refuses = False
        self._link = self._nth = 0
        self._held = b""

    def script(self, side: str, message: bytes, *, last: bytes, link: int, seen: int) -> Script:
        """Return what goes on for a message, ``seen`` of its side having come before it."""
        kind = self.kind
        untouched = [message + LF]
        if side != kind.side or seen < self._at or not kind.strikes(message):
            return untouched
        if self.struck is not None and (self._nth >= kind.lasts or link != self._link):
            return untouched
        moment = Moment(message, last, self._rng, self._timeout_s, self._nth, self._held)
        script = kind.act(moment)
        if self.struck is None:
            sent = b"".join(p for p in script if isinstance(p, bytes)) if _is_list(script) else b""
            self.struck, self._link, self.refuses = (message, sent), link, kind.cuts_off
        self._nth, self._held = self._nth + 1, message
        return script


def _is_list(script: Script) -> bool:
    return isinstance(script, list)


class End(ABC):
    """One end of a link, as the proxy reads and writes it."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send all bytes; raises :class:`OSError` where the link has ended."""

    @abstractmethod
    def receive(self) -> bytes:
        """Return what has come; empty at the end of the link."""

    @abstractmethod
    def close(self) -> None:
        """End the link; idempotent."""

    def lines(self) -> Iterator[bytes]:
        """Yield whole lines, without their line feed, until the link ends."""
        pending = b""
        while part := self.receive():
            *whole, pending = (pending + part).split(LF)
            yield from whole


class SocketEnd(End):
    """A connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection

    @override
    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    @override
    def receive(self) -> bytes:
        try:
            return self._connection.recv(CHUNK)
        except OSError:
            return b""

    @override
    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class TerminalEnd(End):
    """One file of a pseudo-terminal; ``others`` are closed with it.

    A closed number may be another file's at once, so nobody waits in a call on it: the thread that
    reads looks every :data:`LOOK_S` whether the link has ended, and closes it then.
    """

    def __init__(self, number: int, *others: int) -> None:
        os.set_blocking(number, False)
        self._number, self._others = number, others
        self._ended = threading.Event()
        self._lock = threading.Lock()  # a write, or the end

    @override
    def send(self, data: bytes) -> None:
        while data:
            select.select([], [self._number], [], LOOK_S)
            with self._lock:
                if self._ended.is_set():
                    raise OSError("the link has ended")
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._number, data) :]

    @override
    def receive(self) -> bytes:
        while not self._ended.is_set():
            if select.select([self._number], [], [], LOOK_S)[0]:
                with contextlib.suppress(OSError):
                    return os.read(self._number, 4096)
                break
        with self._lock:
            self._ended.set()
            for number in (self._number, *self._others):
                with contextlib.suppress(OSError):
                    os.close(number)
        return b""

    @override
    def close(self) -> None:
        self._ended.set()


class Proxy(ABC):
    """What stands between a run and one instrument.

    ``address``: at which the run finds it. ``seen``: messages so far, of each side.
    """

    address: str

    def __init__(self, mischief: Mischief | None) -> None:
        self.seen: Counter[str] = Counter()
        self._mischief = mischief
        self._links = 0
        self._ends: list[End] = []
        self._lock = threading.Lock()

    def join(self, client: End, instrument: End) -> None:
        """Hand on what comes at either end, in threads of its own."""
        with self._lock:
            self._links += 1
            self._ends += [client, instrument]
        for side, source, target in (
            ("request", client, instrument),
            ("answer", instrument, client),
        ):
            threading.Thread(
                target=self._relay, args=(side, self._links, source, target), daemon=True
            ).start()

    def close(self) -> None:
        """End every link."""
        for end in self._ends:
            end.close()

    def _relay(self, side: str, link: int, source: End, target: End) -> None:
        last = b""
        with contextlib.suppress(OSError):
            for line in source.lines():
                with self._lock:
                    seen = self.seen[side]
                    self.seen[side] += 1
                    script: Script = [line + LF]
                    if self._mischief is not None:
                        script = self._mischief.script(side, line, last=last, link=link, seen=seen)
                last = line
                if not self._play(script, source, target):
                    break
        source.close()
        target.close()

    def _play(self, script: Script, source: End, target: End) -> bool:
        """Send what a script says; return False where the link ends."""
        mischief, spoken = self._mischief, self.seen["request"]
        for item in script:
            match item:
                case None:
                    return False
                case bytes():
                    target.send(item)
                case Back(text):
                    source.send(text)
                case _:
                    time.sleep(item)
            if mischief and mischief.kind.endless and self.seen["request"] != spoken:
                break
        return True


class SocketProxy(Proxy):
    """A proxy of an instrument with a TCP socket; ``upstream`` is its VISA address."""

    def __init__(self, upstream: str, mischief: Mischief | None) -> None:
        super().__init__(mischief)
        self._port = int(upstream.split("::")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        number = self._listener.getsockname()[1]
        self.address = f"TCPIP::127.0.0.1::{number}::SOCKET"
        threading.Thread(target=self._accept, daemon=True).start()

    @override
    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        super().close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._mischief is not None and self._mischief.refuses:
                    client.close()
                    continue
                instrument = socket.create_connection(("127.0.0.1", self._port))
                self.join(SocketEnd(client), SocketEnd(instrument))


class TerminalProxy(Proxy):
    """A proxy of an instrument on a pseudo-terminal; one link, which is never made anew."""

    def __init__(self, upstream: str, mischief: Mischief | None) -> None:
        import pty
        import tty

        super().__init__(mischief)
        path = upstream.removeprefix("ASRL").removesuffix("::INSTR")
        mine, theirs = pty.openpty()
        tty.setraw(theirs)
        name = os.ttyname(theirs)
        self.address = upstream.replace(path, name)
        instrument = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(instrument)
        self.join(TerminalEnd(mine, theirs), TerminalEnd(instrument))


def proxy_for(address: str, mischief: Mischief | None) -> Proxy:
    """Return the proxy of an instrument by its address."""
    kind: Callable[[str, Mischief | None], Proxy]
    kind = SocketProxy if address.endswith("::SOCKET") else TerminalProxy
    return kind(address, mischief)
