"""The bench puts on every line what the guard has computed, under every scheme."""

from __future__ import annotations

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
from hwloop.errors import ConfigError
from hwloop.station.station import Station
from hwloop_drivers.station.drives import HELD_ORDER, ROWS
from tests.biased_cells import UNSELECTED_V
from tests.drivers.fake_bench import (
    AMPLITUDE_V,
    CELL,
    GATE_V,
    SHAPE,
    fake_bench,
    fake_station,
    one_pulse,
)

SCHEMES: tuple[Scheme, ...] = ("V/2", "V/3", "grounded", "floating", "1T1R")


def _lines_during_a_pulse(scheme: Scheme) -> dict[str, float]:
    """The voltage of every line while the bench pulses one cell; NaN: connected to nothing."""
    bench, instruments = fake_bench(scheme)
    names = list(fake_station(scheme)["wiring"]["lines"])
    seen: list[dict[str, float]] = []

    def look() -> None:
        ends = [channel.split(">") for channel in instruments["matrix"].closed]
        volts = {n: 0.0 if end == "gnd" else instruments[end].source_voltage for n, end in ends}
        assert len(volts) == len(ends), "a line is connected to two things"
        seen.append({name: volts.get(name, np.nan) for name in names})

    instruments[f"on_{ROWS}"].applied = look
    bench.pulse(one_pulse(scheme))
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
        station = fake_station(scheme, without=key)
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
            Station.parse(fake_station(scheme, **{key: "matrix"}))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_drive_beside_the_rows_is_held_around_a_pulse(scheme: Scheme) -> None:
    assert set(drive_fractions(scheme)) <= {ROWS, *HELD_ORDER}
