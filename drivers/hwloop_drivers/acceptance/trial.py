"""A bench on trial: its resistors, its witness, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.array.biasing import drive_fractions
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.station.station import Station
from hwloop.types import BoolArray, FloatArray
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.station.addressing import Lines, cell_lines
from hwloop_drivers.station.drives import GATES
from hwloop_drivers.station.wired_circuit import Connection, WiredCircuit

Place = tuple[int, int]

MOST_PULSE_V, READ_V, GATE_V = 2.0, 0.2, 2.0
LIMIT_A, LOADED = 1e-3, 0.8  # compliance, and how much of it a line may draw
LONGEST_S = 0.1
LEAST_READ_V = 1e-3


@dataclass(frozen=True)
class Trial:
    """An open bench with known resistors, (rows, cols), in the array's place.

    ``tolerance``: of a reading, as a fraction: of the resistors and the instruments together.
    """

    bench: Bench
    station: Station
    station_file: Path
    array: ArraySettings
    resistor_ohm: FloatArray
    tolerance: float
    oscilloscope: Oscilloscope | None = None

    @property
    def conductance_s(self) -> FloatArray:
        """Return the conductance of every resistor, (rows, cols)."""
        return 1.0 / self.resistor_ohm

    @property
    def circuit(self) -> WiredCircuit:
        """Return the circuit as the station wires it."""
        return self.bench.circuit

    @property
    def amplitude_v(self) -> float:
        """Return the amplitude of the pulses on a cell, volts."""
        return self.array.limits.positive_v

    @property
    def read_v(self) -> float:
        """Return the magnitude of the voltage of the reads, volts: both signs are tried."""
        return abs(self.array.read.read_v)

    def output(self, key: str) -> str:
        """Return the output of a drive; "gnd" where the station has none."""
        return self.station.wiring.drive.named().get(key, "gnd")

    def fraction(self, key: str) -> float:
        """Return the fraction of a cell's voltage that a drive holds, 0 where there is none."""
        named = self.station.wiring.drive.named()
        return float(drive_fractions(self.station.scheme)[key]) if key in named else 0.0

    def watched_cell(self) -> Place | None:
        """Return the cell whose row, and whose column, have a probe of the oscilloscope."""
        lines = [] if self.oscilloscope is None else self.oscilloscope.lines
        rows = [int(line.removeprefix("row")) for line in lines if line.startswith("row")]
        cols = [int(line.removeprefix("col")) for line in lines if line.startswith("col")]
        return (rows[0], cols[0]) if rows and cols else None

    def places(self) -> Iterator[Place]:
        """Yield cells so that every row and every column occurs, few of them twice."""
        rows, cols = self.array.geometry.shape
        for n in range(max(rows, cols)):
            yield n % rows, n % cols

    def levels_before(self, place: Place) -> list[float]:
        """Return read voltages whose currents lie in one decade after the other, volts."""
        ohm = float(self.resistor_ohm[place])
        wanted_v = [LEAST_READ_V, *(0.5 * 10.0**power * ohm for power in range(-8, 0))]
        most_v = self.array.limits.read_v
        return sorted({v for v in wanted_v if LEAST_READ_V <= v <= most_v})

    def levels_v(self, amplitude_v: float) -> dict[str, float]:
        """Return the level of every output while a cell is pulsed, volts, by output."""
        named = self.station.wiring.drive.named()
        return {
            output: amplitude_v * self.fraction(key)
            for key, output in named.items()
            if key != GATES
        }

    def current_a(self, lines: Lines, levels_v: Mapping[str, float], *, output: str) -> float:
        """Return the current out of an output, as the circuit is wired, amperes."""
        connection = Connection(lines, levels_v)
        return self.circuit.current_a(self.conductance_s, connection, meter=output)

    def line_v(self, place: Place, amplitude_v: float, key: str) -> float:
        """Return the voltage of the selected row, or column, while a cell is pulsed, volts."""
        output, levels_v = self.output(key), self.levels_v(amplitude_v)
        if output not in levels_v:
            return 0.0
        lines = cell_lines(self.station, *place)
        drop_v = self.current_a(lines, levels_v, output=output) * self.circuit.series_ohm[output]
        return levels_v[output] - drop_v


def trial_array(station: Station, resistor_ohm: FloatArray) -> ArraySettings:
    """Return the array that the resistors stand for, with limits that the bench and they allow.

    Raises :class:`hwloop.errors.ConfigError` where they do not fit the wires of the station.
    """
    rows, cols = station.wiring.count("row"), station.wiring.count("col")
    if resistor_ohm.shape != (rows, cols):
        found = " × ".join(map(str, resistor_ohm.shape))
        raise ConfigError(f"{found} resistors, but station {station.name} wires {rows} × {cols}")
    drives = {name.partition(".")[0] for name in station.wiring.drive.named().values()}
    entries = [station.instruments[name] for name in drives]
    limit_a = min([LIMIT_A, *(e.limit_a for e in entries if e.limit_a is not None)])
    most_v = min([MOST_PULSE_V, *(e.limit_v for e in entries if e.limit_v is not None)])
    line_s = max((1 / resistor_ohm).sum(axis=1).max(), (1 / resistor_ohm).sum(axis=0).max())
    pulse_v = min(most_v, LOADED * limit_a / float(line_s))
    read_v = min(READ_V, pulse_v / 2)
    gated = station.scheme == "1T1R"
    return ArraySettings.parse(
        {
            "rows": rows,
            "cols": cols,
            "cell": "1T1R" if gated else "1R",
            "biasing": station.scheme,
            "limits": {
                "positive_v": pulse_v,
                "negative_v": -pulse_v,
                "read_v": pulse_v / 2,
                "half_select_v": pulse_v,
                "current_a": limit_a,
                "pulse_width_s": LONGEST_S,
                "pulse_energy_j": 2 * pulse_v * limit_a * LONGEST_S,
                "pulses_per_device": 1_000_000,
                **({"gate_v": GATE_V} if gated else {}),
            },
            "read": {"read_v": read_v, **({"gate_v": GATE_V} if gated else {})},
        }
    )


def cell_mask(trial: Trial, place: Place) -> BoolArray:
    """Return the mask of one cell, (rows, cols)."""
    mask = np.zeros(trial.array.geometry.shape, dtype=np.bool_)
    mask[place] = True
    return mask
