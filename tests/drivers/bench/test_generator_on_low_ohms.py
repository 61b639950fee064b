"""Cells of 10 kΩ behind a generator: its 50 Ω are in the row, on the bench as in the emulator.

During a pulse of V at a V/2 scheme a row carries G V for the selected cell and G V/2 for each of
the three others: 2.5 G V, of which 50 Ω take 1.25 % at 100 µS. Of a read the whole row, 4 G V, is
in the way: 2 %, which the conductances of the record are corrected for, and the pulses are not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop.array.read_path import ReadPath
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.reader import Record
from hwloop.types import FloatArray
from hwloop_drivers.bench.readings import resistors_in_words
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

GENERATOR_OHM = 50.0
HALF_A_STEP_A = 10e-12 / 2  # 2450, 10 µA range: SPEC-2450 rev. A, page 2
CHANGE_S = 4e-6
"""Of a cell by one pulse, at most. The emulator takes the voltages of one map from the state in
which it begins, and the bench pulses one cell after the other: the 50 Ω times this, relative."""
CELLS = (
    "{model: sbt, initial: {distribution: uniform, min_conductance_s: 80 uS,"
    " max_conductance_s: 110 uS}}"
)


def _procedure(station: Path, **wires: str) -> Procedure:
    given = [
        f"backends.bench.station={station.as_posix()}",
        f"backends.sim.device={CELLS}",
        "steps.0.settings.pulse={amplitude_v: 0.5 V, width_s: 1 ms}",
        "steps.0.settings.beta_per_a=4e4",
        "steps.0.settings.max_updates=5",
        "steps.0.settings.held_out_patterns=null",
        *(f"backends.sim.wires.{name}={value}" for name, value in wires.items()),
    ]
    return load_procedure(PROCEDURE, given)


def _currents_a(procedure: Procedure, backend: str, folder: Path) -> FloatArray:
    """Run; return the currents of all reads of all cells, (reads, rows, cols), amperes."""
    path = folder / f"{backend}.h5"
    run_procedure(procedure, RunOptions(backend, path))
    with Record(path) as record:
        done = record.operations()
        return np.array(
            [
                one.reading.current_a
                for one in done
                if one.kind == "read" and one.reading is not None
            ]
        )


def test_cells_of_10_kohm_change_by_what_the_generators_50_ohm_leave_of_a_pulse(
    tmp_path: Path,
) -> None:
    template = next(one for one in STATIONS if one.stem == "virtual_2450_33500b_3706a")
    station = copy_station(template, tmp_path)
    with running_bench(station, _procedure(station)) as virtual:
        seen_a = _currents_a(_procedure(station), "bench", tmp_path)
        assert virtual.status()["unmodelled"] == []
    behind_a = _currents_a(_procedure(station, driver_ohm="50 ohm"), "sim", tmp_path)
    free = tmp_path / "free"
    free.mkdir()
    free_a = _currents_a(_procedure(station), "sim", free)

    change_a = behind_a - behind_a[0]
    assert change_a[-1].mean() > 0.05 * behind_a[0].mean()
    order_a = GENERATOR_OHM * CHANGE_S * np.abs(change_a)
    np.testing.assert_array_less(np.abs(seen_a - behind_a), 1.01 * HALF_A_STEP_A + order_a)
    # An emulator without the 50 Ω reads 2 % more: the comparison would see it.
    assert (free_a / seen_a > 1.015).all()


@pytest.mark.parametrize("scheme", ["V/2", "floating"])
def test_a_run_says_that_pulses_are_not_corrected_for_resistors(scheme: Scheme) -> None:
    path = ReadPath(scheme, (4, 4), rows_ohm=GENERATOR_OHM, cols_ohm=0.0)
    _, told = resistors_in_words(path)
    assert "50 ohm in the leads" in told
    assert told.endswith(
        "pulses are not corrected, and reach the cells smaller by the drop across it"
    )
