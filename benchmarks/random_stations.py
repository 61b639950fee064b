"""Stations and arrays drawn at random: any scheme, any virtual instrument, any wiring of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.array.biasing import Scheme, driven_lines, required_drives
from hwloop.array.settings import ArraySettings
from hwloop.station.station import Station

SCHEMES: tuple[Scheme, ...] = ("V/2", "V/3", "grounded", "floating", "1T1R")
READ_V, WIDTH_S, GATE_V = 0.05, 10e-3, 2.0
BUSES, LINES = 6, 12  # of the largest wiring that is drawn


@dataclass(frozen=True)
class Source:
    """An instrument with outputs, by its settings; ``channels``: "" for one without names."""

    kind: str
    channels: tuple[str, ...] = ("",)
    settings: tuple[tuple[str, Any], ...] = ()
    measures: bool = True


SOURCES = (
    Source("keithley_2400"),
    Source("keithley_2450", settings=(("language", "scpi"),)),
    Source("keithley_2450", settings=(("language", "tsp"),)),
    Source("keithley_2600b", ("a", "b"), (("model", "2602B"),)),
    Source("keysight_b2900", ("1", "2"), (("model", "B2902A"),)),
    Source("keysight_33500b", ("1", "2"), (("model", "33522B"),), measures=False),
)


def _card_channel(bus: int, line: int) -> str:
    """Return slot!row!column on the 4 × 10 cards of a 7002."""
    slot = 1 + (bus - 1) // 4 + 2 * ((line - 1) // 10)
    return f"{slot}!{1 + (bus - 1) % 4}!{1 + (line - 1) % 10}"


GENERATORS = frozenset(source.kind for source in SOURCES if not source.measures)


@dataclass(frozen=True)
class Matrix:
    """A switch by its settings, and the channel between a bus and a line, both from 1."""

    kind: str
    settings: dict[str, Any]
    channel: Callable[[int, int], str]


MATRICES = (
    Matrix(
        "keithley_7001",
        {"model": "7002"},
        _card_channel,
    ),
    Matrix(
        "keithley_707b",
        {"cards": {1: "7072"}},
        lambda bus, line: f"1{'ABCDEFGH'[bus - 1]}{line:02d}",
    ),
    Matrix("keithley_3706a", {"cards": {1: "3730"}}, lambda bus, line: f"1{bus}{line:02d}"),
    Matrix("keysight_34980a", {"modules": {1: "34932A"}}, lambda bus, line: f"1{bus}{line:02d}"),
    Matrix("keysight_e5250a", {"cards": [1]}, lambda bus, line: f"1{bus:02d}{line:02d}"),
    Matrix(
        "serial_board",
        {"buses": BUSES, "lines": LINES, "ground_bus": 1, "watchdog_s": 10},
        lambda bus, line: f"r{bus}c{line}",
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A station, the array on it, and resistors in the array's place, (rows, cols), siemens."""

    station: Station
    array: ArraySettings
    conductance_s: np.ndarray

    @property
    def words(self) -> str:
        """In a line: what was drawn."""
        kinds = ", ".join(entry.kind for entry in self.station.instruments.values())
        limits, span = self.array.limits, self.array.range
        return (
            f"{self.array.biasing} {self.array.rows}×{self.array.cols}, {limits.current_a:g} A,"
            f" {self.station.wiring.series_ohm or 'no resistors'}, range"
            f" {'none' if span is None else f'{span.high_conductance_s:g} S'}: {kinds}"
        )


def draw(rng: random.Random) -> Drawn:
    """Draw a station with its array; every cell lies within the array's range, if it has one."""
    scheme = rng.choice(SCHEMES)
    most = 4 if scheme != "1T1R" else 3
    rows, cols = rng.randint(1, most), rng.randint(1, 4)
    drive, instruments = _drives(rng, scheme)
    outputs = list(dict.fromkeys(drive.values()))
    matrix = rng.choice(MATRICES)
    bus = {"gnd": 1} | {output: n for n, output in enumerate(outputs, start=2)}
    names = [f"row{n}" for n in range(rows)] + [f"col{n}" for n in range(cols)]
    names += [f"gate{n}" for n in range(rows if scheme == "1T1R" else 0)]
    lines: dict[str, dict[str, str]] = {}
    for line, name in enumerate(names, start=1):
        reached = [
            drive[key]
            for key, kinds in driven_lines(scheme).items()
            if key in drive and name.rstrip("0123456789") in kinds
        ]
        lines[name] = {out: matrix.channel(bus[out], line) for out in ["gnd", *reached]}
    instruments["matrix"] = {"kind": matrix.kind, "settings": matrix.settings}
    address = {"address": "virtual:socket"}
    series_ohm = {
        output: rng.choice([50.0, 100.0, 1e3, 1e4]) for output in outputs if rng.random() < 0.4
    }
    most_conductance_s = rng.choice([1e-6, 1e-5, 1e-4, 3e-4, 1e-3])
    conductance_s = most_conductance_s * _shares(rng, (rows, cols))
    station = Station.parse(
        {
            "name": "drawn",
            "scheme": scheme,
            "instruments": {
                name: (
                    entry
                    | (
                        address
                        if entry["kind"] != "serial_board"
                        else {"address": "virtual:serial"}
                    )
                )
                for name, entry in instruments.items()
            },
            "wiring": {"drive": drive, "lines": lines, "series_ohm": series_ohm},
            "settle_s": 1e-3,
            "self_test": {"dummy_ohm": (1 / conductance_s).tolist()},
            "virtual": {"noise": False},
        }
    )
    return Drawn(station, _array(rng, scheme, (rows, cols), most_conductance_s), conductance_s)


def _drives(rng: random.Random, scheme: Scheme) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the output of every drive, and the instruments that have them."""
    keys = required_drives(scheme)
    keys += [key for key in driven_lines(scheme) if key not in keys and rng.random() < 0.5]
    drive: dict[str, str] = {}
    instruments: dict[str, dict[str, Any]] = {}
    free: list[tuple[str, bool]] = []
    for key in keys:
        metered = key == "columns" or (key == "rows" and "columns" not in keys)
        fitting = [output for output, measures in free if measures or not metered]
        if fitting and rng.random() < 0.7:
            drive[key] = fitting[0]
        else:
            source = rng.choice([one for one in SOURCES if one.measures or not metered])
            name = f"s{len(instruments)}"
            instruments[name] = {"kind": source.kind, "settings": dict(source.settings)}
            free += [(f"{name}.{c}" if c else name, source.measures) for c in source.channels]
            drive[key] = next(out for out, _ in free if out.partition(".")[0] == name)
        free = [one for one in free if one[0] != drive[key]]
    return drive, instruments


def _shares(rng: random.Random, shape: tuple[int, int]) -> np.ndarray:
    """Return each cell's share of the highest conductance: mostly the ends, which are the worst."""
    ends = rng.random() < 0.7
    shares = [
        rng.choice([1e-6, 1.0]) if ends else 10 ** rng.uniform(-3, 0) for _ in range(np.prod(shape))
    ]
    return np.array(shares).reshape(shape)


def _array(
    rng: random.Random, scheme: Scheme, shape: tuple[int, int], most_conductance_s: float
) -> ArraySettings:
    """Return the array; its limits allow everything that is tried, but for the current."""
    least_a = most_conductance_s * READ_V
    current_a = max(least_a, rng.choice([1e-4, 1e-3, 3e-3, 1e-2, 5e-2]))
    gate_v = {"gate_v": GATE_V} if scheme == "1T1R" else {}
    known = rng.random() < 0.7
    return ArraySettings.parse(
        {
            "rows": shape[0],
            "cols": shape[1],
            "cell": "1T1R" if scheme == "1T1R" else "1R",
            "biasing": scheme,
            "limits": {
                "positive_v": 3.0,
                "negative_v": -3.0,
                "read_v": READ_V,
                "half_select_v": 3.0,
                "current_a": current_a,
                "pulse_width_s": 1.0,
                "pulse_energy_j": 1.0,
                "pulses_per_device": 1000,
                **({"gate_v": 3.0} if gate_v else {}),
            },
            "read": {"read_v": READ_V, **gate_v},
            "range": {
                "low_conductance_s": most_conductance_s * 1e-9,
                "high_conductance_s": most_conductance_s,
            }
            if known
            else None,
        }
    )
