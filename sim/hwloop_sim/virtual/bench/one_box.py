"""One virtual instrument around a few resistors, for tests of its driver."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.station.parts import instrument_of
from hwloop.station.station import Station
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument


class Resistors(Device):
    """Resistors as cells, which no pulse changes; keeps the pulses that were applied.

    ``ended_s``: when each of them had ended, on the cells' own clock, seconds.
    """

    def __init__(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.asarray(conductance_s, dtype=np.float64)
        self.pulses: list[PulseMap] = []
        self.ended_s: list[float] = []
        self._now_s = 0.0

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    @override
    def check(self, pulse: PulseMap) -> None:
        pass

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.pulses.append(pulse)
        self.ended_s.append(self._now_s)

    @override
    def wait(self, duration_s: float) -> None:
        self._now_s += duration_s


class OneBox:
    """One virtual instrument, named ``box``, around a few resistors.

    ``lines``: as in a station file; a single cell from the output ``drive`` to ground by default.
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
                "instruments": {
                    name: {"kind": "any", "address": "virtual:socket"}
                    for name in dict.fromkeys(["box", instrument_of(drive)])
                },
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
