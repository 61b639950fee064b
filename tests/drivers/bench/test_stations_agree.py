"""Five updates of a training on every virtual station: the cells are those of the emulator.

Both runs begin with the same cells and make the same pulses. So every conductance that a station
reads, before, between and after the updates, differs from the emulator's by the rounding of the
station's meter alone: by half a step of the range that holds the current. The steps are those of
the makers at one power line cycle: 10 pA in 1 µA (2400 specifications, rev. L, "default
resolution"), 1 pA in 1 µA (2450: SPEC-2450 rev. A, page 2; 2602B: data sheet, page 10, "default
display resolution"), ten times as much in each range above. No meter is used below its 1 µA range
here. The sources add nothing: the noise of these stations is off, and their levels are exact.

A cell changes only by a pulse of its known amplitude and width, within 1 %: a pulse that the
range of the reading before it clamps (2400 user's manual, 6-2; 2450, topic
*smu.measure.autorangerebound*) changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import NotConverged
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.reader import Record
from hwloop.record.replay import Replay
from hwloop.steps.array import Array
from hwloop.types import FloatArray
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

UPDATES = 5
BY_GENERATOR = "virtual_2450_33500b_3706a"
STEPS_OF_A_RANGE = {
    "virtual_4x4": 1e5,
    "virtual_serial_board": 1e5,
    BY_GENERATOR: 1e6,
    "virtual_2602b_707b": 1e6,
}
RANGES_A, OVER = np.array([1e-6, 1e-5, 1e-4, 1e-3]), 1.02
GENERATOR_OHM = 50.0


@dataclass(frozen=True)
class Cells:
    """Cells of about one conductance, and the voltage at which they are read."""

    about_conductance_s: float
    read_v: float = 0.05

    def overrides(self) -> list[str]:
        """Return what is set for cells that begin within 20 % of their conductance."""
        about = self.about_conductance_s
        low, high = (f"{factor * about:g}" for factor in (0.8, 1.2))
        initial = f"{{distribution: uniform, min_conductance_s: {low}, max_conductance_s: {high}}}"
        device = (
            f"{{model: soft_bounds, min_conductance_s: {about / 2:g},"
            f" max_conductance_s: {2 * about:g}, up_pulses: 20, initial: {initial},"
            " up: {amplitude_v: 2 V, width_s: 50 ms}, down: {amplitude_v: -2 V, width_s: 50 ms}}"
        )
        return [
            f"backends.sim.device={device}",
            f"array.read.read_v={self.read_v:g}",
            f"steps.0.settings.beta_per_a={4 / about:g}",
            "steps.0.settings.held_out_patterns=null",
        ]


CELLS = {
    "as shipped": None,
    "10 kohm": Cells(100e-6),
    "15 kohm": Cells(67e-6),
    "1 Mohm": Cells(1e-6),
    "reads of 100 nA": Cells(5e-6, read_v=0.02),
}
# The 50 Ω of a generator take 1.3 % of a pulse from rows of 10 kΩ, and 0.9 % from those of 15 kΩ.
# Every station as it ships and every kind of cells in each run of the tests, the rest in slow ones.
ALWAYS = {
    ("virtual_4x4", "10 kohm"),
    ("virtual_serial_board", "reads of 100 nA"),
    (BY_GENERATOR, "15 kohm"),
    ("virtual_2602b_707b", "1 Mohm"),
}
CASES = [
    pytest.param(
        station,
        name,
        marks=() if name == "as shipped" or (station.stem, name) in ALWAYS else pytest.mark.slow,
    )
    for station in STATIONS
    for name in CELLS
    if name != ("10 kohm" if station.stem == BY_GENERATOR else "15 kohm")
]


def _procedure(cells: Cells | None, station: Path) -> Procedure:
    given = [] if cells is None else cells.overrides()
    bench = f"backends.bench.station={station.as_posix()}"
    return load_procedure(PROCEDURE, [bench, f"steps.0.settings.max_updates={UPDATES}", *given])


def _conductances(procedure: Procedure, backend: str, path: Path) -> FloatArray:
    """Run; return the conductances of all reads of all cells, (reads, rows, cols), siemens."""
    with pytest.raises(NotConverged):
        run_procedure(procedure, RunOptions(backend, path)).raise_unless_reached()
    with Record(path) as record:
        array = Array(Replay(record), procedure.array, np.random.default_rng(0))
        done = record.operations()
        maps = [one.reading for one in done if one.kind == "read" and one.reading is not None]
        assert not any(one.flags.any() for one in maps)
        return np.array([array.conductance_s(one) for one in maps])


def _pulses(path: Path) -> FloatArray:
    with Record(path) as record:
        return record.pulses_given()


def _rounding_s(conductance_s: FloatArray, read_v: float, station: str) -> FloatArray:
    """Return what half a step of the meter is in the conductances read, siemens.

    Those of a row with a resistor R in its lead are I (1 + R ΣG) / V: the rounding of I counts
    1 + R ΣG times, and in ΣG once more.
    """
    full_a = RANGES_A[np.searchsorted(RANGES_A * OVER, conductance_s * read_v)]
    series_ohm = GENERATOR_OHM if station == BY_GENERATOR else 0.0
    divider = 1 + series_ohm * conductance_s.sum(axis=-1, keepdims=True)
    half_a = full_a / STEPS_OF_A_RANGE[station] / 2
    return half_a / read_v * divider**2 * (1 + 1e-6)


@pytest.mark.parametrize(("template", "name"), CASES, ids=lambda one: getattr(one, "stem", one))
def test_cells_after_five_updates_are_the_emulators_within_half_a_step_of_the_meter(
    template: Path, name: str, tmp_path: Path
) -> None:
    station = copy_station(template, tmp_path)
    procedure = _procedure(CELLS[name], station)
    wanted_s = _conductances(procedure, "sim", tmp_path / "sim.h5")
    with running_bench(station, procedure) as virtual:
        seen_s = _conductances(procedure, "bench", tmp_path / "bench.h5")
        end_s, status = virtual.device.conductance_s, virtual.status()
    np.testing.assert_array_equal(_pulses(tmp_path / "bench.h5"), _pulses(tmp_path / "sim.h5"))
    np.testing.assert_array_equal(status["pulses"], _pulses(tmp_path / "sim.h5"))
    assert status["unmodelled"] == []

    change_s = (wanted_s[-1] - wanted_s[0]).mean()
    assert change_s > 0.05 * wanted_s[0].mean()
    allowed_s = _rounding_s(wanted_s, procedure.array.read.read_v, template.stem)
    assert (seen_s[-1] - seen_s[0]).mean() == pytest.approx(change_s, abs=2 * allowed_s.max())
    np.testing.assert_array_less(np.abs(seen_s - wanted_s), allowed_s)
    np.testing.assert_allclose(end_s, wanted_s[-1], rtol=1e-12)
