"""Reads at a negative voltage: the conductance of the cell at that polarity, in every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Answer, Operation, PulseMap, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Description
from hwloop.backend.guard import Guard
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import ConfigError, LimitError
from hwloop.execution.preview import describe
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.steps.array import Array
from hwloop.steps.characterise.read_map import READ_MAP
from hwloop.steps.characterise.read_noise import READ_NOISE
from hwloop.steps.network.multiply_accuracy import MULTIPLY_TEST
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from tests.characterised import array_settings, emulated, results

PROCEDURES = Path(__file__).parents[3] / "procedures"
SOFT: dict[str, Any] = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-5,
    "max_conductance_s": 1.1e-4,
    "up_pulses": 60,
    "down_pulses": 60,
    "initial": 2e-5,
    "up": {"amplitude_v": 3.2, "width_s": 3e-4},
    "down": {"amplitude_v": -2.8, "width_s": 3e-4},
}
ASYMMETRIC = {"cell_law": {"law": "polynomial", "higher": [2.0, 30.0]}}


def _read_as(array: Array, read_v: float, *, both_polarities: bool) -> Array:
    data = array.settings.model_dump(mode="json")
    data["read"] = {"read_v": read_v, "both_polarities": both_polarities}
    settings = ArraySettings.parse(data)
    return Array(Guard(array.backend, settings), settings, array.rng)


@pytest.mark.parametrize("biasing", ["V/2", "grounded", "V/3", "floating"])
def test_an_asymmetric_cell_is_read_at_the_negative_voltage(biasing: str) -> None:
    # I = G (V + 2 V² + 30 V³) over V, at −0.1 V: G (1 − 0.2 + 0.3); at +0.1 V: G (1 + 0.2 + 0.3).
    for read_v, both_polarities, factor in (
        (-0.1, False, 1.1),
        (0.1, False, 1.5),
        (-0.1, True, 1.3),
        (0.1, True, 1.3),
    ):
        array = emulated(SOFT, shape=(1, 1), sim=ASYMMETRIC, biasing=biasing)
        array = _read_as(array, read_v, both_polarities=both_polarities)
        (row,) = results(READ_MAP, {}, array)[""]
        np.testing.assert_allclose(row.conductance_s, 2e-5 * factor, rtol=1e-9)


KINDS = [
    "device_statistics_8x8",
    "manhattan_4x4",
    "program_by_patterns_16x8",
    "program_verify_8x8",
    "program_verify_1t1r_8x8",
    "pulse_response_4x4",
    "read_map_8x8",
]


@pytest.mark.parametrize("name", KINDS)
def test_linear_cells_give_every_step_the_same_conductances_at_either_sign(
    name: str, tmp_path: Path
) -> None:
    file = PROCEDURES / f"{name}.yaml"
    read_v = load_procedure(file).array.read.read_v
    seen: list[dict[str, np.ndarray]] = []
    for sign in (1, -1):
        changes = [f"array.read.read_v={sign * read_v}", "backends.sim.effects=[]"]
        path = tmp_path / f"{sign}.h5"
        run_procedure(load_procedure(file, changes), RunOptions("sim", path))
        with Record(path) as record:
            seen.append(
                {
                    f"{step}/{table}/{column}": values
                    for step in record.labels
                    for table in record.tables(step)
                    for column, values in record.results(step, table).items()
                    if "conductance" in column
                }
            )
        if sign < 0:
            assert reproduce(path).complete
    positive, negative = seen
    assert positive.keys() == negative.keys()
    assert positive
    for column, values in positive.items():
        np.testing.assert_allclose(negative[column], values, rtol=1e-9, atol=0, err_msg=column)


def test_a_ramp_in_the_instrument_ends_at_the_same_pulse_at_either_sign(
    linear_array: type[Any],
) -> None:
    class RunsRamps(linear_array):  # type: ignore[misc]
        @property
        def description(self) -> Description:
            return replace(self._description, verify_steps=8)

    ended = []
    for read_v in (0.1, -0.1):
        backend = RunsRamps(np.array([[2e-5, 9e-5]]))
        settings = {
            "target": {"kind": "map", "map_conductance_s": [[6e-5, 5e-5]]},
            "tolerance": {"kind": "absolute", "by_conductance_s": 3e-6},
            "algorithm": {
                "name": "alibart",
                "up": {"amplitude": 2.0, "width_s": 3e-4},
                "down": {"amplitude": -2.0, "width_s": 3e-4},
            },
        }
        array = Array(backend, array_settings(1, 2), np.random.default_rng(1))
        data = array.settings.model_dump(mode="json")
        data["read"]["read_v"] = read_v
        array = Array(backend, ArraySettings.parse(data), array.rng)
        ended.append(results(PROGRAM_VERIFY, settings, array)["cells"][0])
    positive, negative = ended
    # Each pulse of 2 V moves a cell by 2 µS: 19 up from 20 to 58 µS, 19 down from 90 to 52.
    np.testing.assert_array_equal(positive.pulses_up + positive.pulses_down, [[19, 19]])
    np.testing.assert_array_equal(negative.pulses_up, positive.pulses_up)
    np.testing.assert_array_equal(negative.pulses_down, positive.pulses_down)
    np.testing.assert_allclose(negative.verified_conductance_s, [[5.8e-5, 5.2e-5]])


@pytest.mark.parametrize(("positive", "low_v", "high_v"), [(True, -0.1, 0.0), (False, -0.1, 0.1)])
def test_vectors_follow_the_sign_of_the_read_voltage(
    positive: bool, low_v: float, high_v: float
) -> None:
    inner = _read_as(emulated(SOFT), -0.1, both_polarities=False)
    seen: list[VectorBatch] = []

    class Notes(Wrapper):
        def perform(self, operation: Operation) -> Answer:
            if isinstance(operation, VectorBatch):
                seen.append(operation)
            return self._inner.perform(operation)

    array = Array(Notes(inner.backend), inner.settings, inner.rng)
    found = results(MULTIPLY_TEST, {"positive": positive}, array)
    voltage_v = seen[0].voltage_v
    assert low_v <= voltage_v.min() < 0.9 * low_v
    assert high_v - 0.01 <= voltage_v.max() <= high_v
    assert found["outcome"][0].reached


def test_noise_of_reads_at_negative_voltages_is_that_of_their_currents() -> None:
    array = emulated(SOFT, sim={"read_noise": 0.01})
    settings = {"read_voltages_v": [0.1, -0.1], "reads": 400}
    positive, negative = results(READ_NOISE, settings, array)["figures"]
    np.testing.assert_allclose(negative.mean_a, -2e-6, rtol=0.01)
    for row in (positive, negative):
        assert np.median(row.relative_sigma) == pytest.approx(0.01, rel=0.05)


def test_bounds_of_reads_are_of_their_magnitude() -> None:
    settings = array_settings(2, 2, current_a=1e-5).model_dump(mode="json")
    settings["read"]["read_v"] = -0.2
    parsed = ArraySettings.parse(settings)
    assert parsed.most_readable_conductance_s == pytest.approx(5e-5)
    for read_v, words in (
        (-0.6, r"read\.read_v -0\.6 exceeds limits\.read_v 0\.5"),
        (0.0, "0 V: neither polarity"),
    ):
        settings["read"]["read_v"] = read_v
        with pytest.raises(ConfigError, match=words):
            ArraySettings.parse(settings)
    array = emulated(SOFT)
    guard = Guard(array.backend, array.settings)
    with pytest.raises(LimitError, match=r"read_v -0\.6 exceeds limits\.read_v 0\.5"):
        guard.read(ReadMap.every_cell((4, 4), read_v=-0.6))
    assert not guard.pulse(PulseMap(np.full((4, 4), 3.2), 3e-4)).any()


def test_preview_shows_the_sign_of_a_read_of_one_polarity() -> None:
    settings = array_settings(4, 4)
    for both, shown in ((True, "±100 mV"), (False, "-100 mV")):
        read = ReadMap.every_cell((4, 4), read_v=-0.1, both_polarities=both)
        assert describe(read, settings) == f"read 16 of 16 cells, {shown}"
