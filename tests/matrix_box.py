"""A virtual matrix in one process, between two outputs, ground and a 2×2 array."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from hwloop.station.station import Station
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from tests.virtual_link import Resistors, VirtualLink


class LockedLink(VirtualLink):
    """One caller at a time, as the rule for links is."""

    def __init__(self, instrument: VirtualInstrument) -> None:
        super().__init__(instrument)
        self.lock = threading.RLock()

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        with self.lock:
            return super().query(text)


class MatrixBox:
    """One virtual matrix, named ``box``; ``wires``: the channel of each line to each output.

    The lines are row0, row1, col0, col1; the outputs smu on the rows, smu2 on the columns, gnd.
    """

    def __init__(
        self,
        kind: type[VirtualInstrument],
        wires: Mapping[str, Mapping[str, str]],
        *,
        settings: Mapping[str, object] | None = None,
        kwargs: Mapping[str, object] | None = None,
    ) -> None:
        self.station = Station.parse(
            {
                "name": "matrix_box",
                "scheme": "V/2",
                "instruments": {
                    name: {"kind": "any", "address": "virtual:socket"}
                    for name in ("smu", "smu2", "box")
                },
                "wiring": {
                    "drive": {"rows": "smu", "columns": "smu2"},
                    "lines": {line: dict(ends) for line, ends in wires.items()},
                },
                "virtual": {},
            }
        )
        self.clock = BenchClock()
        self.device = Resistors(np.full((2, 2), 1e-5))
        self.circuit = Circuit(self.station, self.device, self.clock, quiet_v=0.2)
        self.instrument = kind(
            "box",
            self.circuit,
            self.clock,
            noise=None,
            settings=settings or {},
            **(kwargs or {}),  # type: ignore[arg-type]
        )
        self.link = LockedLink(self.instrument)
        self.wired = frozenset(channel for ends in wires.values() for channel in ends.values())

    def closed(self) -> frozenset[str]:
        """The wired channels that connect now, as the circuit has them."""
        return frozenset(c.partition(":")[2] for c in self.circuit.closed_channels())
