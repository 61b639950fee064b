"""Drivers against virtual instruments in one process, without a network between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hwloop.operations import FloatArray, PulseMap
from hwloop.station import Station
from hwloop_drivers.link import Link
from hwloop_sim.device import Device
from hwloop_sim.virtual.circuit import Circuit
from hwloop_sim.virtual.clock import BenchClock
from hwloop_sim.virtual.instrument import VirtualInstrument


class Resistors(Device):
    """Cells that nothing changes; remembers the pulses that it was given."""

    def __init__(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.asarray(conductance_s, dtype=np.float64)
        self.pulses: list[PulseMap] = []

    @property
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    def check(self, pulse: PulseMap) -> None:
        pass

    def pulse(self, pulse: PulseMap) -> None:
        self.pulses.append(pulse)


class VirtualLink(Link):
    """Hands messages to a virtual instrument; ``sent`` keeps them."""

    def __init__(self, instrument: VirtualInstrument, *, binary_end: bytes = b"\n") -> None:
        self.address = "virtual"
        self.instrument = instrument
        self.sent: list[str] = []
        self._binary_end = binary_end

    def write(self, text: str) -> None:
        self.sent.append(text)
        reply = self.instrument.receive(text)
        assert reply is None, f"{text!r} was answered by {reply!r} that nobody reads"

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        self.round_trips += 1
        reply = self.instrument.receive(text)
        assert reply is not None, f"{text!r} was not answered"
        return reply

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        reply = self.query(text).encode("latin-1")
        if reply[:2] == b"#0":
            return reply[2:]
        digits = int(reply[1:2])
        return reply[2 + digits : 2 + digits + int(reply[2 : 2 + digits])]

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass


class OneBox:
    """One virtual instrument, named ``box``, around a few resistors.

    ``lines``: as in a station file; a single cell from the output to ground by default.
    ``device.pulses`` are the pulses above ``quiet_v`` that a cell has had.
    """

    def __init__(
        self,
        kind: type[VirtualInstrument],
        *,
        conductance_s: FloatArray | float = 1e-5,
        lines: Mapping[str, str | dict[str, str]] | None = None,
        drive: str = "box",
        quiet_v: float = 0.2,
        noise: np.random.Generator | None = None,
        settings: Mapping[str, object] | None = None,
        series_ohm: Mapping[str, float] | None = None,
    ) -> None:
        self.station = Station.parse(
            {
                "name": "one_box",
                "scheme": "floating",
                "instruments": {"box": {"kind": "any", "address": "virtual:socket"}},
                "wiring": {
                    "drive": {"rows": drive},
                    "lines": dict(lines or {"row0": drive, "col0": "gnd"}),
                    "series_ohm": dict(series_ohm or {}),
                },
                "virtual": {},
            }
        )
        self.clock = BenchClock()
        self.device = Resistors(np.atleast_2d(conductance_s))
        self.circuit = Circuit(self.station, self.device, self.clock, quiet_v=quiet_v)
        self.instrument = kind(
            "box", self.circuit, self.clock, noise=noise, settings=settings or {}
        )
        self.link = VirtualLink(self.instrument)
