"""A bench of instruments that accept everything and remember what they were told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwloop.array.biasing import Scheme, driven_lines
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.station.station import Station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.roles import Instrument, Measured, SourceMeter, SwitchMatrix, Train, TrainPoint
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.virtual_bench import HostTime

SHAPE, CELL, AMPLITUDE_V, GATE_V = (3, 4), (1, 2), 1.2, 2.5
LIMITS = {
    "positive_v": 2.0,
    "negative_v": -2.0,
    "read_v": 0.2,
    "half_select_v": 2.0,
    "current_a": 1e-3,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1.0,
    "pulses_per_device": 10,
}


class Fake(Instrument):
    """Accepts everything."""

    link = None  # type: ignore[assignment]
    id = "fake"

    def nothing(self, *_: object) -> None: ...

    verify_identity = reset = clear = check_errors = safe_state = nothing  # type: ignore[assignment]

    def outputs(self) -> Mapping[str, Any]:
        return {"": self}


class Output(Fake, SourceMeter):
    """A source that calls ``applied`` at each level of a train, and keeps the trains it was asked about."""

    source_voltage = 0.0
    source_enabled = True
    compliance_current = 1e-3
    tripped = False

    set_up = Fake.nothing  # type: ignore[assignment]

    def __init__(self) -> None:
        self.applied: Callable[[], None] = self.nothing
        self.refused: list[Sequence[TrainPoint]] = []

    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        self.refused.append(points)

    def measure_current(self) -> Measured:
        return Measured(0.0)

    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        for point in points:
            self.source_voltage = point.level_v
            self.applied()
        self.source_voltage = 0.0
        return Train()


class Matrix(Fake, SwitchMatrix):
    """Relays, each named by its line and what it connects that to."""

    closed = frozenset[str]()

    refuse_channel = Fake.nothing  # type: ignore[assignment]

    def close_channels(self, channels: Sequence[str]) -> None:
        self.closed |= set(channels)

    def open_channels(self, channels: Sequence[str]) -> None:
        self.closed -= set(channels)

    def open_all(self) -> None:
        self.closed = frozenset()


def fake_station(scheme: Scheme, *, without: str = "", **more_drives: str) -> dict[str, Any]:
    """A station whose matrix reaches every line that the scheme's drives have to reach."""
    drives = {key: f"on_{key}" for key in driven_lines(scheme)} | more_drives
    lines: dict[str, dict[str, str]] = {}
    counts = {"row": SHAPE[0], "col": SHAPE[1], "gate": SHAPE[0] if "gates" in drives else 0}
    for kind, count in counts.items():
        ends = [drives[key] for key, kinds in driven_lines(scheme).items() if kind in kinds]
        for n in range(count):
            lines[f"{kind}{n}"] = {end: f"matrix:{kind}{n}>{end}" for end in (*ends, "gnd")}
    names = [*drives.values(), "matrix"]
    drives.pop(without, None)
    return {
        "name": "fake",
        "scheme": scheme,
        "instruments": {n: {"kind": "any", "address": f"GPIB::{i}"} for i, n in enumerate(names)},
        "wiring": {"drive": drives, "lines": lines},
    }


def fake_array(scheme: Scheme) -> ArraySettings:
    gated = scheme == "1T1R"
    limits = LIMITS | ({"gate_v": 3.0} if gated else {})
    read = {"read_v": 0.1} | ({"gate_v": GATE_V} if gated else {})
    cell = "1T1R" if gated else "1R"
    data = {"rows": SHAPE[0], "cols": SHAPE[1], "cell": cell, "biasing": scheme}
    return ArraySettings.parse({**data, "limits": limits, "read": read})


def fake_bench(scheme: Scheme) -> tuple[Bench, dict[str, Any]]:
    """A connected bench, and its instruments: ``on_`` and the drive, and ``matrix``."""
    station = Station.parse(fake_station(scheme))
    instruments: dict[str, Any] = {
        name: Matrix() if name == "matrix" else Output() for name in station.instruments
    }
    bench = Bench(station, fake_array(scheme), BenchDrives.of(station, instruments))
    bench.connect(HostTime(), {}, [])
    return bench, instruments


def one_pulse(scheme: Scheme) -> PulseMap:
    """A pulse for one cell, with its gate where the scheme has gates."""
    amplitude_v = np.zeros(SHAPE)
    amplitude_v[CELL] = AMPLITUDE_V
    return PulseMap(amplitude_v, 1e-3, gate_v=GATE_V if scheme == "1T1R" else None)
