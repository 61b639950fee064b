"""A relay-and-crossbar board, which behaves as docs/reference/serial-board.md specifies.

Its watchdog runs on the host's time, not on the bench's simulated clock: it watches a real process,
which may be killed or stuck while simulated time stands still.
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument

SETTLE_S = 5e-3  # a small signal relay, bounce included
MOST_CHARACTERS = 1023
LEAST_WD_MS, MOST_WD_MS = 100, 10_000
HEAD = 2  # number and command begin a request
_NUMBER = re.compile(r"[1-9]\d{0,2}")


class BoardError(Exception):
    """An error reply, ERR: a code, and perhaps a detail."""


class SerialBoard(VirtualInstrument):
    """A board with the driver's settings; without any, 3 buses × 8 lines, ground on the last bus.

    ``senses``: it has sense contacts, and reads back the state of its relays; without, their drive.
    """

    serial_lines: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        clock: BenchClock,
        *,
        noise: np.random.Generator | None,
        settings: Mapping[str, object],
        host_s: Callable[[], float] = time.monotonic,
        senses: bool = False,
    ) -> None:
        super().__init__(name, circuit, clock, noise=noise, settings=settings)
        self._buses = int(str(settings.get("buses", 3)))
        self._lines = int(str(settings.get("lines", 8)))
        self._ground_bus = int(str(settings.get("ground_bus", self._buses)))
        self._host_s = host_s
        self._senses = senses
        self._fed_s = host_s()
        self._silent = False
        self._wd_ms = 500
        self._state = "power"
        self._closed: frozenset[str] = frozenset()
        self._grounded = frozenset(f"r{self._ground_bus}c{n}" for n in range(1, self._lines + 1))
        self._commands: dict[str, Callable[[list[str]], str]] = {
            "ID?": self._identify,
            "STAT?": self._status,
            "OPEN": self._open,
            "SET": self._set,
            "WD": self._watchdog,
        }
        self._ground("power")

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def device_clear(self) -> None:
        pass

    def power_cycle(self) -> None:
        """Switch the power off and on again."""
        self._wd_ms = 500
        self._ground("power")

    @override
    def poll(self) -> None:
        silent = self._state == "host" and self._host_s() - self._fed_s > self._wd_ms / 1e3
        if silent and self._silent:
            self._ground("watchdog")
        self._silent = silent

    @override
    def receive(self, message: str) -> str | None:
        if not message:
            return None
        number = "0"
        try:
            number, command, arguments = self._parse(message)
            self._feed()
            if command not in self._commands:
                raise BoardError(f"command {command or '-'}")
            reply = self._commands[command](arguments)
            self._feed()
            text = f"{number} OK {self._state} {reply}"
        except BoardError as exc:
            text = f"{number} ERR {self._state} {exc}"
        return f"{text} {_check(text)}"

    def _parse(self, message: str) -> tuple[str, str, list[str]]:
        if len(message) > MOST_CHARACTERS:
            raise BoardError("length")
        text, _, check = message.rpartition(" ")
        if check != _check(text):
            raise BoardError("crc")
        words = text.split(" ")
        if len(words) < HEAD or not (_NUMBER.fullmatch(words[0]) and int(words[0]) <= 255):
            self._feed()
            raise BoardError("form")
        return words[0], words[1], words[2:]

    def _feed(self) -> None:
        self._fed_s, self._silent = self._host_s(), False

    def _identify(self, arguments: list[str]) -> str:
        _none(arguments)
        return (
            "protocol=1 board=hwloop-virtual serial=0 firmware=1.0"
            f" buses={self._buses} lines={self._lines} ground={self._ground_bus}"
            f" settle_us={SETTLE_S * 1e6:.0f}"
        )

    def _status(self, arguments: list[str]) -> str:
        _none(arguments)
        return f"{self._list(self._sensed())} wd_ms={self._wd_ms}"

    def _open(self, arguments: list[str]) -> str:
        _none(arguments)
        self._ground("host")
        self._refuse_stuck(self._grounded)
        return self._list(self._sensed())

    def _set(self, arguments: list[str]) -> str:
        text = _one(arguments)
        wanted = [] if text == "-" else text.split(",")
        for channel in wanted:
            match = re.fullmatch(r"r([1-9]\d*)c([1-9]\d*)", channel)
            if match is None or int(match[1]) > self._buses or int(match[2]) > self._lines:
                raise BoardError(f"argument {channel or '-'}")
        if self._state != "host":
            raise BoardError("latched")
        self._become(frozenset(wanted))
        self._refuse_stuck(frozenset(wanted))
        return self._list(self._sensed())

    def _watchdog(self, arguments: list[str]) -> str:
        text = _one(arguments)
        if not (text.isdigit() and LEAST_WD_MS <= int(text) <= MOST_WD_MS):
            raise BoardError(f"argument {text}")
        self._wd_ms = int(text)
        return text

    def _sensed(self) -> frozenset[str]:
        """Return the channels read back; a relay without a wire reads back as driven."""
        if not self._senses:
            return self._closed
        wired = self._circuit.channels(self._name)
        prefix = f"{self._name}:"
        made = {c.removeprefix(prefix) for c in self._circuit.closed_channels() if prefix in c}
        return (self._closed - wired) | (made & wired)

    def _ground(self, state: str) -> None:
        """Connect every line to ground; set the state, or "fault" if a relay does not obey."""
        self._become(self._grounded)
        self._state = state if self._sensed() == self._grounded else "fault"

    def _refuse_stuck(self, wanted: frozenset[str]) -> None:
        differing = self._sensed() ^ wanted
        if differing:
            self._ground("fault")
            raise BoardError(f"relay {self._list(differing)}")

    def _list(self, channels: frozenset[str]) -> str:
        def place(channel: str) -> tuple[int, int]:
            bus, _, line = channel[1:].partition("c")
            return int(bus), int(line)

        return ",".join(sorted(channels, key=place)) or "-"

    def _become(self, wanted: frozenset[str]) -> None:
        """Close, settle, open, settle: no line floats on the way."""
        for step in (self._closed | wanted, wanted):
            if step != self._closed:
                self._closed = step
                self._circuit.set_closed(self._name, step)
                self._clock.advance(SETTLE_S)


def _check(text: str) -> str:
    return f"{binascii.crc_hqx(text.encode('latin-1'), 0xFFFF):04X}"


def _none(arguments: list[str]) -> None:
    if arguments:
        raise BoardError(f"argument {arguments[0]}")


def _one(arguments: list[str]) -> str:
    if len(arguments) != 1 or not arguments[0]:
        raise BoardError(f"argument {arguments[1] if len(arguments) > 1 else '-'}")
    return arguments[0]
