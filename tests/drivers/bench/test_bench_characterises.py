"""Each characterisation step over real drivers on the virtual bench against the emulator."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from tests.drivers.bench.test_backend import _station as station_of
from tests.drivers.bench.test_bench_characterisation import ARRAY, DEVICE, STATION
from tests.drivers.running_bench import copy_station, run_hosted

pytestmark = pytest.mark.usefixtures("no_watchdog")

UP = {"amplitude_v": 2.0, "width_s": 5e-3}
DOWN = {"amplitude_v": -2.8, "width_s": 5e-3}
SMALL_CELLS = [[0, 0], [1, 2]]
TOGETHER = STATION.with_name("virtual_2602b_707b.yaml")
# Half of a pulse stays below its thresholds: at the column it stands longer than the pulse is wide
# (docs/decisions/0009), so that half-selected cells of a model without a threshold tell the bench.
THRESHOLDS = {"model": "vteam", "flipped": True, "v_off_v": 0.2, "initial": 1.01e-3}
DRIFTING = {"model": "linear_ion_drift", "initial": 2e-4}
GATED = ARRAY | {
    "cell": "1T1R",
    "biasing": "1T1R",
    "limits": ARRAY["limits"] | {"gate_v": 4.0},
    "read": {"read_v": 0.1, "both_polarities": True, "gate_v": 4.0},
}
ONE_TRANSISTOR = {
    "model": "one_transistor",
    "set_sigma": 0.0,
    "reset_sigma": 0.0,
    "spread": {"v_transistor_v": {"sigma": 0.03}, "v_reset_v": {"sigma": 0.05}},
}


def _gated(folder: Path) -> Path:
    """A station of 2400s and a 7001 with a line for the gates of every row."""
    return station_of(folder, "1T1R")


@dataclass(frozen=True)
class Case:
    """A step, the cells that it is run on, and the figures that are compared with a tolerance."""

    step: str
    settings: dict[str, Any]
    figures: dict[str, float]
    device: dict[str, Any] = field(default_factory=lambda: DEVICE)
    sim: dict[str, Any] = field(default_factory=dict)
    table: str = "figures"
    array: dict[str, Any] = field(default_factory=lambda: ARRAY)
    station: Callable[[Path], Path] = lambda folder: copy_station(TOGETHER, folder)


CASES = [
    Case(
        "endurance",
        {"up": UP, "down": DOWN, "pulses": 3, "cycles": 3, "per_decade": 2, "cells": SMALL_CELLS},
        {"first_window": 1e-3, "last_window": 1e-3, "failed_at": 0.0},
    ),
    Case(
        "device_statistics",
        {"up": UP, "down": DOWN, "pulses": 3, "cycles": 2, "cells": SMALL_CELLS},
        {"cell_median_conductance_s": 1e-3, "device_to_device": 1e-2},
    ),
    Case(
        "retention",
        {"first_s": 30.0, "last_s": 3000.0, "per_decade": 2, "program": UP, "count": 3},
        {"drift_exponent": 2e-2},
        sim={"effects": [{"effect": "drift", "nu": 0.05}]},
    ),
    Case(
        "read_noise",
        {"read_voltages_v": [0.05, 0.1], "reads": 8, "cells": SMALL_CELLS},
        {"mean_a": 1e-3},
    ),
    Case(
        "iv_sweep",
        {
            "positive_v": 0.3,
            "negative_v": -0.3,
            "step_v": 0.05,
            "width_s": 1e-3,
            "cells": [[1, 2]],
        },
        {"conductance_s": 1e-3},
        device=THRESHOLDS,
        table="",
    ),
    Case(
        "disturb",
        {"aggressors": [[1, 2]], "pulse": {"amplitude_v": 1.0, "width_s": 5e-3}, "count": 2},
        {"same_row": 2e-3},
        device=DRIFTING,
    ),
    Case(
        "form",
        {
            "amplitude": {"start_v": 0.1, "stop_v": 0.4, "step_v": 0.05},
            "width_s": 1e-3,
            "target_ohm": 200.0,
            "pulses_per_cell": 7,
            "cells": SMALL_CELLS,
        },
        {"form_v": 0.0, "status": 0.0},
        device=THRESHOLDS,
    ),
    Case(
        "pulse_sweep",
        {
            "sweep": "gate",
            "start_v": 1.8,
            "stop_v": 2.6,
            "step_v": 0.1,
            "amplitude_v": 2.0,
            "width_s": 5e-3,
            "begin": {"amplitude_v": -2.9, "width_s": 5e-3, "gate_v": 4.0},
            "cycles": 2,
            "until_conductance_s": 210e-6,
            "cells": SMALL_CELLS,
        },
        {"half_v": 1e-4, "last_conductance_s": 1e-4, "pulses": 0.0},
        device=ONE_TRANSISTOR,
        array=GATED,
        station=_gated,
    ),
    Case(
        "pulse_sweep",
        {
            "sweep": "line",
            "start_v": 1.3,
            "stop_v": 2.3,
            "step_v": 0.1,
            "gate_v": 4.0,
            "width_s": 5e-3,
            "begin": {"amplitude_v": 2.0, "width_s": 5e-3, "gate_v": 2.6},
            "until_conductance_s": 40e-6,
            "cells": SMALL_CELLS,
        },
        {"half_v": 1e-4, "last_conductance_s": 1e-4, "pulses": 0.0},
        device=ONE_TRANSISTOR,
        array=GATED,
        station=_gated,
    ),
    Case(
        "wire_resistance",
        {},
        {"row_ohm": 1e-3, "col_ohm": 1e-3, "cell_conductance_s": 1e-4},
        device={
            "model": "soft_bounds",
            "min_conductance_s": 1e-6,
            "max_conductance_s": 1e-3,
            "initial": 3e-4,
        },
        sim={"wires": {"row_ohm": 20.0, "col_ohm": 50.0}},
    ),
]


def _figures(backend: str, case: Case, folder: Path) -> dict[str, Any]:
    sim, station = {"device": case.device, **case.sim}, case.station(folder)
    limits = case.array["limits"] | {"current_a": 0.1, "pulse_energy_j": 1.0}
    procedure = from_data(
        {
            "name": "characterise",
            "seed": 3,
            "array": case.array | {"limits": limits},
            "backends": {"sim": sim, "bench": {"station": station.as_posix()}},
            "steps": [{"step": case.step, "settings": case.settings}],
        },
        folder=folder,
    )
    path = folder / f"{backend}.h5"
    run_hosted(procedure, station, backend, path)
    with Record(path) as record:
        return {name: record.results(case.step, case.table)[name] for name in case.figures}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.step)
def test_derived_figures_over_instruments_are_the_emulators(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = _figures("bench", case, Path(folder))
        wanted = _figures("sim", case, Path(folder))
    for name, tolerance in case.figures.items():
        finite = np.isfinite(np.asarray(wanted[name], dtype=np.float64))
        assert finite.any(), name
        seen_values = seen[name]
        if len(seen_values) != len(wanted[name]):  # rows of one cell each
            seen_values = seen_values.reshape(wanted[name].shape)
        np.testing.assert_allclose(
            seen_values, wanted[name], rtol=tolerance, atol=0, err_msg=f"{case.step}: {name}"
        )
