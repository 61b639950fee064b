"""A Keithley 2450 SourceMeter in SCPI or TSP; ``*LANG`` changes the language at once.

The real instrument has to be switched off and on after ``*LANG``; the language then stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.instruments.keithley_2450.core import Core
from hwloop_sim.virtual.instruments.keithley_2450.scpi import Keithley2450Scpi
from hwloop_sim.virtual.instruments.keithley_2450.terminals import MODEL, Terminals2450
from hwloop_sim.virtual.instruments.keithley_2450.tsp import Keithley2450Tsp

IDENTITY = "KEITHLEY INSTRUMENTS,MODEL 2450,00000000,1.7.12b"
LANGUAGES = ("SCPI", "TSP")


class Keithley2450(VirtualInstrument):
    """One output, named as the instrument; ``settings.language`` is what it starts with."""

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        clock: BenchClock,
        *,
        noise: np.random.Generator | None,
        settings: Mapping[str, object],
    ) -> None:
        super().__init__(name, circuit, clock, noise=noise, settings=settings)
        line_hz = float(str(settings.get("line_frequency_hz", 50.0)))
        terminals = Terminals2450(name, MODEL, circuit, clock, noise)
        self.core = Core(terminals, clock, line_hz=line_hz)
        made: Any = {"noise": noise, "settings": settings, "core": self.core}
        self._speakers: dict[str, VirtualInstrument] = {
            "SCPI": Keithley2450Scpi(name, circuit, clock, identity=IDENTITY, **made),
            "TSP": Keithley2450Tsp(name, circuit, clock, full_identity=IDENTITY, **made),
        }
        self._language = str(settings.get("language", "scpi")).upper()

    @override
    def receive(self, message: str) -> str | None:
        words = message.strip().upper().split()
        if words == ["*LANG?"]:
            return self._language
        if len(words) == 2 and words[0] == "*LANG" and words[1] in LANGUAGES:
            self._language = words[1]
            return None
        return self._speakers[self._language].receive(message)

    @override
    def device_clear(self) -> None:
        self._speakers[self._language].device_clear()

    @override
    def trip(self) -> None:
        self.core.smu.switch(on=False)

    @override
    def output_states(self) -> dict[str, bool]:
        return {"": self.core.smu.on}
