"""The bench puts on every line what the guard has computed, under every scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from hwloop.array.biasing import (
    Scheme,
    drive_fractions,
    driven_lines,
    line_fractions,
    required_drives,
    stress,
)
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.station.station import Station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.roles import Instrument, Measured, SourceMeter, SwitchMatrix, TrainPoint
from hwloop_drivers.station.drives import HELD_ORDER, ROWS, BenchDrives
from hwloop_drivers.virtual_bench import HostTime
from tests.biased_cells import UNSELECTED_V

SCHEMES: tuple[Scheme, ...] = ("V/2", "V/3", "grounded", "floating", "1T1R")
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


class _Fake(Instrument):
    """Accepts everything."""

    link = None  # type: ignore[assignment]
    id = "fake"

    def nothing(self, *_: object) -> None: ...

    verify_identity = reset = clear = check_errors = safe_state = nothing  # type: ignore[assignment]

    def outputs(self) -> Mapping[str, Any]:
        return {"": self}


class _Output(_Fake, SourceMeter):
    """A source that tells ``applied`` of each train while its level is the train's."""

    source_voltage = 0.0
    source_enabled = True
    compliance_current = 1e-3
    tripped = False
    applied: Callable[[], None]

    set_up = refuse_train = _Fake.nothing  # type: ignore[assignment]

    def measure_current(self) -> Measured:
        return Measured(0.0)

    def apply_train(self, points: Sequence[TrainPoint]) -> list[Measured]:
        for point in points:
            self.source_voltage = point.level_v
            self.applied()
        self.source_voltage = 0.0
        return []


class _Matrix(_Fake, SwitchMatrix):
    """Relays, each named by its line and what it connects that to."""

    closed = frozenset[str]()

    refuse_channel = _Fake.nothing  # type: ignore[assignment]

    def close_channels(self, channels: Sequence[str]) -> None:
        self.closed |= set(channels)

    def open_channels(self, channels: Sequence[str]) -> None:
        self.closed -= set(channels)

    def open_all(self) -> None:
        self.closed = frozenset()


def _station(scheme: Scheme, *, without: str = "", **more_drives: str) -> dict[str, Any]:
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


def _array(scheme: Scheme) -> ArraySettings:
    gated = scheme == "1T1R"
    limits = LIMITS | ({"gate_v": 3.0} if gated else {})
    read = {"read_v": 0.1} | ({"gate_v": GATE_V} if gated else {})
    cell = "1T1R" if gated else "1R"
    data = {"rows": SHAPE[0], "cols": SHAPE[1], "cell": cell, "biasing": scheme}
    return ArraySettings.parse({**data, "limits": limits, "read": read})


def _lines_during_a_pulse(scheme: Scheme) -> dict[str, float]:
    """The voltage of every line while the bench pulses one cell; NaN: connected to nothing."""
    station = Station.parse(_station(scheme))
    instruments: dict[str, Any] = {
        name: _Matrix() if name == "matrix" else _Output() for name in station.instruments
    }
    seen: list[dict[str, float]] = []

    def look() -> None:
        ends = [channel.split(">") for channel in instruments["matrix"].closed]
        volts = {
            line: 0.0 if end == "gnd" else instruments[end].source_voltage for line, end in ends
        }
        assert len(volts) == len(ends), "a line is connected to two things"
        seen.append({line: volts.get(line, np.nan) for line in station.wiring.lines})

    instruments[f"on_{ROWS}"].applied = look
    bench = Bench(station, _array(scheme), BenchDrives.of(station, instruments))
    bench.connect(HostTime(), {}, [])
    amplitude_v = np.zeros(SHAPE)
    amplitude_v[CELL] = AMPLITUDE_V
    bench.pulse(PulseMap(amplitude_v, 1e-3, gate_v=GATE_V if scheme == "1T1R" else None))
    (lines_v,) = seen
    return lines_v


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bench_drives_every_line_as_the_emulator_does(scheme: Scheme) -> None:
    lines_v = _lines_during_a_pulse(scheme)
    rows, cols = line_fractions(scheme, SHAPE, row=np.array([CELL[0]]), col=np.array([CELL[1]]))
    row_v = [lines_v[f"row{n}"] for n in range(SHAPE[0])]
    col_v = [lines_v[f"col{n}"] for n in range(SHAPE[1])]
    np.testing.assert_array_equal(row_v, AMPLITUDE_V * rows[0])
    np.testing.assert_array_equal(col_v, AMPLITUDE_V * cols[0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_cells_see_on_the_bench_what_the_guard_computes_for_them(scheme: Scheme) -> None:
    lines_v = _lines_during_a_pulse(scheme)
    guard = stress(scheme)
    driven_v = [v for v in lines_v.values() if not np.isnan(v)]
    for row, col in np.ndindex(SHAPE):
        seen_v = lines_v[f"row{row}"] - lines_v[f"col{col}"]
        if lines_v.get(f"gate{row}") == 0:
            seen_v = 0.0  # its transistor is off
        if np.isnan(seen_v):  # a floating line settles anywhere between those that are driven
            seen_v = max(driven_v) - min(driven_v)
        computed = guard.same_row if row == CELL[0] else guard.same_col
        computed = computed if CELL[0] == row or CELL[1] == col else guard.elsewhere
        published = UNSELECTED_V[scheme][0 if row == CELL[0] else 1 if col == CELL[1] else 2]
        wanted = (1.0, 1.0) if (row, col) == CELL else (computed, published)
        np.testing.assert_allclose(seen_v, AMPLITUDE_V * np.array(wanted), rtol=1e-14, atol=1e-15)


def test_gate_of_the_selected_row_alone_is_on() -> None:
    lines_v = _lines_during_a_pulse("1T1R")
    assert [lines_v[f"gate{n}"] for n in range(SHAPE[0])] == [0, GATE_V, 0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_station_needs_every_drive_that_carries_a_voltage_and_no_other(scheme: Scheme) -> None:
    for key in driven_lines(scheme):
        station = _station(scheme, without=key)
        if key in required_drives(scheme):
            missing = rf"needs wiring\.drive\.{key}|drive\.{key}: this key is required"
            with pytest.raises(ConfigError, match=missing):
                Station.parse(station)
        else:
            Station.parse(station)
    carrying = {key for key, fraction in drive_fractions(scheme).items() if fraction}
    assert carrying <= set(required_drives(scheme))
    unused = {"other_rows", "other_columns", "gates"} - set(driven_lines(scheme))
    for key in unused:
        with pytest.raises(ConfigError, match=rf"wiring\.drive\.{key}: scheme {scheme} has no use"):
            Station.parse(_station(scheme, **{key: "matrix"}))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_drive_beside_the_rows_is_held_around_a_pulse(scheme: Scheme) -> None:
    assert set(drive_fractions(scheme)) <= {ROWS, *HELD_ORDER}
