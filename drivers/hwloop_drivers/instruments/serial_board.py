"""A relay-and-crossbar board on a serial port; its protocol is docs/reference/serial-board.md."""

from __future__ import annotations

import binascii
import itertools
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.errors import BackendError, InstrumentFault, UnexpectedReply, Unsupported
from hwloop.settings.units import PositiveSecond, Second
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import SwitchMatrix

PROTOCOL = "1"
HOST = "host"
STATES = {
    HOST: "in order",
    "power": "it was switched on or reset, and has grounded every line",
    "watchdog": "it heard nothing for too long, and has grounded every line",
    "fault": "a relay did not move, and it has grounded every line",
}
FEEDS = 4  # times within the watchdog's time that it is fed
_CHANNEL = re.compile(r"r([1-9]\d?)c([1-9]\d{0,2})")
MOST_CHARACTERS = 1023
HEAD = 3  # number, verdict and state begin a reply


class SerialBoardSettings(LinkSettings):
    """The board as it was built; compared with its answer to the question for its identity.

    ``ground_bus``: the bus that is ground. ``watchdog_s``: silence after which the board grounds
    every line. ``boot_s``: time it needs after the port is opened, where that resets it.
    """

    timeout_s: PositiveSecond = 1.0
    baud_rate: int = Field(default=115200, gt=0)
    buses: int = Field(ge=2, le=99)
    lines: int = Field(ge=2, le=120)  # all on ground must fit into one line of text
    ground_bus: int = Field(ge=1)
    watchdog_s: Annotated[Second, Field(ge=0.1, le=10)] = 0.5
    boot_s: Annotated[Second, Field(ge=0, le=30)] = 0.0

    @model_validator(mode="after")
    def _ground_exists(self) -> SerialBoardSettings:
        if self.ground_bus > self.buses:
            raise ValueError(f"ground_bus {self.ground_bus} is none of the {self.buses} buses")
        return self


@dataclass(frozen=True)
class Reply:
    """An OK of the board: its state, and the words after it."""

    state: str
    words: tuple[str, ...]

    @property
    def closed(self) -> frozenset[str]:
        """Get the crosspoints in its first word."""
        return frozenset() if self.words[0] == "-" else frozenset(self.words[0].split(","))


def framed(text: str) -> str:
    """Return a line with its checksum, CRC-16/CCITT-FALSE."""
    return f"{text} {binascii.crc_hqx(text.encode('latin-1'), 0xFFFF):04X}"


class SerialBoard(SwitchMatrix):
    """A board that is kept under control by messages more frequent than its watchdog requires.

    The closed crosspoints are valid only while the board reports that its host has set them: after
    its watchdog, a reset or a relay's fault, the next call raises
    :class:`hwloop.errors.InstrumentFault`, and the one after that begins anew.
    """

    def __init__(self, link: Link, settings: SerialBoardSettings) -> None:
        self.link = link
        self._settings = settings
        self._numbers = itertools.cycle(range(1, 256))
        self._closed: frozenset[str] | None = None  # None: not held
        self._keeper: _Keeper | None = None
        self._id = ""

    @property
    @override
    def id(self) -> str:
        if not self._id:
            self._id = " ".join(self._ask("ID?").words)
        return self._id

    @override
    def verify_identity(self) -> None:
        time.sleep(self._settings.boot_s)
        self.link.recover(lambda: None)
        try:
            reply = self._ask("ID?")
        except UnexpectedReply:  # the answer to an earlier host's question may have come first
            self.link.recover(lambda: None)
            reply = self._ask("ID?")
        said = dict(word.partition("=")[::2] for word in reply.words)
        wanted = {
            "protocol": PROTOCOL,
            "buses": str(self._settings.buses),
            "lines": str(self._settings.lines),
            "ground": str(self._settings.ground_bus),
        }
        for key, value in wanted.items():
            if said.get(key) != value:
                raise UnexpectedReply(
                    f"{self.link.address}: expected a board with {key}={value}, found"
                    f" {' '.join(reply.words)!r}; check the station's settings and address"
                )
        self._id = " ".join(reply.words)

    @override
    def reset(self) -> None:
        # Every line to ground; the board is held from now on.
        self.safe_state()

    @override
    def clear(self) -> None:
        pass

    @override
    def check_errors(self) -> None:
        if self._keeper is not None and self._keeper.error is not None:
            error = self._keeper.error
            self._lose_control()
            raise error

    @property
    @override
    def closed(self) -> frozenset[str]:
        self.check_errors()
        reply = self._ask("STAT?")
        if self._closed is not None:
            self._believe(reply, self._closed)
        return reply.closed

    @override
    def refuse_channel(self, channel: str) -> None:
        match = _CHANNEL.fullmatch(channel)
        buses, lines = self._settings.buses, self._settings.lines
        if match is None or int(match[1]) > buses or int(match[2]) > lines:
            raise Unsupported(
                f"{channel!r} is no channel of this board: r1c1 to r{buses}c{lines}, bus and line"
            )

    @override
    def close_channels(self, channels: Sequence[str]) -> None:
        self.change(close=channels, open_=())

    @override
    def open_channels(self, channels: Sequence[str]) -> None:
        self.change(close=(), open_=channels)

    @override
    def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
        for channel in (*close, *open_):
            self.refuse_channel(channel)
        self._become((self._held() | set(close)) - set(open_))

    @override
    def open_all(self) -> None:
        self._held()
        self._become(frozenset())

    @override
    def safe_state(self) -> None:
        self._ground()

    def _ground(self) -> frozenset[str]:
        bus = self._settings.ground_bus
        wanted = frozenset(f"r{bus}c{n}" for n in range(1, self._settings.lines + 1))
        self._believe(self._ask("OPEN"), wanted)
        self._hold(wanted)
        return wanted

    def _held(self) -> frozenset[str]:
        """Return the closed crosspoints; take control of the board if nobody had it."""
        self.check_errors()
        if self._closed is not None:
            return self._closed
        reply = self._ask("STAT?")
        if reply.state != HOST:
            return self._ground()
        self._hold(reply.closed)
        return reply.closed

    def _hold(self, closed: frozenset[str]) -> None:
        wanted = f"{self._settings.watchdog_s * 1e3:.0f}"
        if self._keeper is None or self._keeper.error is not None:
            reply = self._ask(f"WD {wanted}")
            if reply.words != (wanted,):
                raise InstrumentFault(
                    f"{self.link.address}: WD was set to {wanted} ms but reads back"
                    f" {' '.join(reply.words)!r}"
                )
        self._closed = closed
        if self._keeper is None:
            self._keeper = _Keeper(self._feed, self._settings.watchdog_s / FEEDS)

    def _lose_control(self) -> None:
        self._closed = None
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None

    def _feed(self) -> None:
        reply = self._ask("STAT?")
        if reply.state != HOST:
            raise InstrumentFault(self._lost(reply.state))

    def _become(self, wanted: frozenset[str]) -> None:
        try:
            reply = self._ask(f"SET {','.join(sorted(wanted)) or '-'}")
        except Unsupported:  # nothing was sent
            raise
        except BackendError:
            self._lose_control()
            raise
        self._believe(reply, wanted)
        self._closed = wanted

    def _believe(self, reply: Reply, wanted: frozenset[str]) -> None:
        """Raise :class:`InstrumentFault` unless the board has exactly these closed, by its host."""
        if reply.state == HOST and reply.closed == wanted:
            return
        self._lose_control()
        if reply.state != HOST:
            raise InstrumentFault(self._lost(reply.state))
        differing = ", ".join(sorted(reply.closed ^ wanted))
        raise InstrumentFault(
            f"{self.link.address}: {differing} did not become what was asked; a relay is stuck"
        )

    def _ask(self, command: str) -> Reply:
        number = str(next(self._numbers))
        request = framed(f"{number} {command}")
        if len(request) > MOST_CHARACTERS:
            raise Unsupported(
                f"{self.link.address}: {command[:40]} … has {len(request)} characters; a board"
                f" takes {MOST_CHARACTERS}"
            )
        line = self.link.query(request)
        text = line.rpartition(" ")[0]
        words = text.split(" ")
        if line != framed(text) or len(words) <= HEAD or words[2] not in STATES:
            raise UnexpectedReply(f"{self.link.address}: {command} answered {line!r}: garbled")
        if words[0] == "0":
            raise UnexpectedReply(
                f"{self.link.address}: the board could not read {command}: {words[3]};"
                " nothing moved"
            )
        if words[0] != number:
            raise UnexpectedReply(
                f"{self.link.address}: {command} is request {number}, but request {words[0]} was"
                " answered: a late reply"
            )
        if words[1] != "OK":
            state = words[2]
            reason = self._lost(state) if state != HOST else f"{self.link.address}: refused"
            raise InstrumentFault(f"{reason} ({command}: {' '.join(words[1:])})")
        return Reply(words[2], tuple(words[3:]))

    def _lost(self, state: str) -> str:
        return f"{self.link.address}: the board's routes are gone: {STATES[state]}"


class _Keeper:
    """Feeds a board's watchdog until it is stopped or an error comes, which it keeps."""

    def __init__(self, feed: Callable[[], None], interval_s: float) -> None:
        self.error: BackendError | None = None
        self._feed = feed
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="serial board")
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Get whether it still feeds the watchdog."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop feeding; do not wait for a message that is under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self._feed()
            except BackendError as exc:  # a closed link too: the board is no longer controlled
                self.error = exc
                return


SERIAL_BOARD = InstrumentKind(
    name="serial_board",
    summary="Relay-and-crossbar board of one's own on a serial port, watched over",
    settings=SerialBoardSettings,
    make=SerialBoard,
    serial_board=True,
    proof="the protocol page of this project; no board has been built yet",
)
