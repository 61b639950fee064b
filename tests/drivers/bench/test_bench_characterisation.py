"""Characterisations over real drivers on the virtual bench give the figures of the emulator."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from tests.drivers.running_bench import copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
RESOLUTION_CONDUCTANCE_S = 10e-12 / 0.1  # Keithley 2400, 1 µA range, at the read voltage
ARRAY = {
    "rows": 4,
    "cols": 4,
    "limits": {
        "positive_v": 2.2,
        "negative_v": -3,
        "read_v": 0.15,
        "half_select_v": 1.5,
        "current_a": 1e-3,
        "pulse_width_s": 0.1,
        "pulse_energy_j": 1e-3,
        "pulses_per_device": 1000,
    },
    "read": {"read_v": 0.1, "both_polarities": True},
}
DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 5e-7,
    "max_conductance_s": 5e-6,
    "up_pulses": 4,
    "down_pulses": 6,
    "up": {"amplitude_v": 2.0, "width_s": 5e-3},
    "down": {"amplitude_v": -2.8, "width_s": 5e-3},
    "spread": {"max_conductance_s": {"distribution": "lognormal", "sigma": 0.2}},
}
RESPONSE = {
    "up": {"amplitudes_v": [2.0], "widths_s": [5e-3]},
    "down": {"amplitudes_v": [-2.8], "widths_s": [5e-3]},
    "pulses": 6,
}
STEPS = [
    {"step": "pulse_response", "settings": RESPONSE},
    {"step": "read_map", "settings": {"repeats": 2}},
]


class Counting(Quiet):
    """How many rows a step was announced with."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def step_began(self, prepared: Any) -> None:
        self.rows[prepared.label] = prepared.plan.rows


def _run(backend: str, folder: Path) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, int]]:
    station = copy_station(STATION, folder)
    procedure = from_data(
        {
            "name": "characterise",
            "seed": 3,
            "array": ARRAY,
            "backends": {"sim": {"device": DEVICE}, "bench": {"station": station.as_posix()}},
            "steps": STEPS,
        },
        folder=folder,
    )
    counting = Counting()
    path = folder / f"{backend}.h5"
    with running_bench(station, procedure) if backend == "bench" else nullcontext():
        result = run_procedure(procedure, RunOptions(backend, path), counting)
    result.raise_unless_reached()
    with Record(path) as record:
        figures = {label: record.results(label, "figures") for label in record.labels}
        assert len(record.results("pulse_response")["pulse"]) == counting.rows["pulse_response"]
    return figures, counting.rows


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("characterise")
    return _run("bench", folder), _run("sim", folder)


def test_the_map_over_instruments_is_the_emulators_up_to_their_resolution(both: Any) -> None:
    (bench, _), (sim, _) = both
    for name in ("mean_conductance_s", "median_conductance_s"):
        np.testing.assert_allclose(
            bench["read_map"][name], sim["read_map"][name], rtol=0, atol=RESOLUTION_CONDUCTANCE_S
        )
    assert bench["read_map"]["ln_sigma"] == pytest.approx(sim["read_map"]["ln_sigma"], abs=1e-3)


def test_the_response_over_instruments_is_the_emulators_up_to_their_resolution(both: Any) -> None:
    (bench, _), (sim, _) = both
    seen, wanted = bench["pulse_response"], sim["pulse_response"]
    for name in ("first_conductance_s", "last_conductance_s"):
        np.testing.assert_allclose(seen[name], wanted[name], rtol=0, atol=RESOLUTION_CONDUCTANCE_S)
    np.testing.assert_allclose(wanted["e_folding_pulses"][0], 4, rtol=1e-2)
    for name in ("e_folding_pulses", "nonlinearity", "asymmetry"):
        np.testing.assert_allclose(seen[name], wanted[name], rtol=2e-3, atol=1e-3)


def test_cells_are_finished_group_by_group_and_rows_are_counted_so(both: Any) -> None:
    (_, bench), (_, sim) = both
    assert sim["pulse_response"] == 14
    assert bench["pulse_response"] == 14 * 16
