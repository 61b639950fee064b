"""Cells verified by patterns: the conductances of single reads, with less noise of the meter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Answer, Flag, Operation, Reading, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.guard import Guard
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import LimitError
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from hwloop.steps.array import Array
from hwloop.steps.program.cell_table import REACHED, UNREADABLE
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from hwloop.steps.program.verify.cell_reads import PatternReads, SingleReads, cell_reads
from tests.characterised import LIMITS, emulated, results

SOFT: dict[str, Any] = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-5,
    "max_conductance_s": 1.1e-4,
    "up_pulses": 60,
    "down_pulses": 60,
    "initial": {"distribution": "uniform", "min_conductance_s": 2e-5, "max_conductance_s": 1e-4},
    "up": {"amplitude_v": 3.2, "width_s": 3e-4},
    "down": {"amplitude_v": -2.8, "width_s": 3e-4},
}
SCHOTTKY = {"model": "schottky"}
ALIBART: dict[str, Any] = {
    "name": "alibart",
    "up": {"amplitude": 3.2, "width_s": 3e-4},
    "down": {"amplitude": -2.8, "width_s": 3e-4},
}
PROGRAM: dict[str, Any] = {
    "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5},
    "tolerance": {"kind": "absolute", "by_conductance_s": 1e-6},
    "algorithm": ALIBART,
    "verify": "hadamard",
}


def _one_polarity(array: Array) -> Array:
    data = array.settings.model_dump(mode="json")
    data["read"]["both_polarities"] = False
    return Array(array.backend, ArraySettings.parse(data), array.rng)


def _every(array: Array) -> np.ndarray:
    return np.arange(int(np.prod(array.backend.description.shape)))


def _patterns(array: Array) -> PatternReads:
    found = cell_reads("hadamard", array, np.ones(array.backend.description.shape, np.bool_))
    assert isinstance(found, PatternReads)
    return found


@pytest.mark.parametrize("device", [SOFT, SCHOTTKY])
@pytest.mark.parametrize("both_polarities", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 13])
def test_patterns_give_the_conductances_of_single_reads_of_cells_of_any_current_law(
    device: dict[str, Any], both_polarities: bool, rows: int
) -> None:
    array = emulated(device, shape=(rows, 3), population=2)
    array = array if both_polarities else _one_polarity(array)
    single, _ = SingleReads(array).seen(_every(array))
    decoded, failed = _patterns(array).seen(_every(array))
    assert not failed.any()
    np.testing.assert_allclose(decoded, single, rtol=1e-9)


def _scatter(array: Array, reads: Any, times: int) -> tuple[Any, Any]:
    seen = np.array([reads.seen(_every(array))[0] for _ in range(times)])
    return seen.std(axis=0), seen.mean(axis=0)


def test_noise_of_the_meter_falls_by_the_root_of_half_the_order() -> None:
    # A read of both polarities has σ/√2, a decoded cell σ/√m of m patterns: the ratio is √(m/2).
    noise = {"effect": "white_noise", "fraction": 0.0, "amplifier_a": 1e-7}
    array = emulated(SOFT, shape=(31, 8), sim={"effects": [noise]})
    single, _ = _scatter(array, SingleReads(array), 60)
    decoded, _ = _scatter(array, _patterns(array), 60)
    assert np.sqrt(np.mean(single**2)) == pytest.approx(1e-6 / np.sqrt(2), rel=0.05)
    assert np.sqrt(np.mean(decoded**2)) == pytest.approx(1e-6 / np.sqrt(32), rel=0.05)


def test_noise_that_goes_with_each_current_is_shared_by_the_cells_of_a_column() -> None:
    # Each pattern holds Σ (f G)², and m of them are averaged: σ² = f² Σ G² / m for every cell.
    noise = {"effect": "white_noise", "fraction": 0.01}
    array = emulated(SOFT, shape=(31, 8), sim={"effects": [noise]})
    decoded, mean = _scatter(array, _patterns(array), 60)
    squares = np.square(mean.reshape(31, 8)).sum(axis=0)
    expected = 0.01 * np.sqrt(squares / 32)
    np.testing.assert_allclose(
        np.sqrt(np.mean(decoded.reshape(31, 8) ** 2, axis=0)), expected, rtol=0.1
    )


def test_rows_without_a_target_are_at_0_volts_and_the_others_at_plus_and_minus_the_read_voltage() -> (
    None
):
    inner = emulated(SOFT, shape=(5, 2))
    seen: list[VectorBatch] = []

    class Notes(Wrapper):
        def perform(self, operation: Operation) -> Answer:
            if isinstance(operation, VectorBatch):
                seen.append(operation)
            return self._inner.perform(operation)

    array = Array(Notes(inner.backend), inner.settings, inner.rng)
    targets = [[None, None], [5e-5, None], [None, None], [6e-5, 4e-5], [5e-5, 5e-5]]
    target = {"kind": "map", "map_conductance_s": targets}
    found = results(PROGRAM_VERIFY, PROGRAM | {"target": target}, array)
    assert found["outcome"][0].reached
    for batch in seen:
        assert batch.voltage_v.shape == (4, 5)
        assert set(np.unique(batch.voltage_v[:, [1, 3, 4]])) == {-0.1, 0.1}
        assert not batch.voltage_v[:, [0, 2]].any()


def test_one_product_at_compliance_leaves_its_column_unread_and_no_other() -> None:
    inner = emulated(SOFT, shape=(6, 3))

    class OneFails(Wrapper):
        def perform(self, operation: Operation) -> Answer:
            reading = self._inner.perform(operation)
            if isinstance(operation, VectorBatch) and isinstance(reading, Reading):
                reading.current_a[2, 1] = np.nan
                reading.flags[2, 1] = Flag.COMPLIANCE
            return reading

    array = Array(OneFails(inner.backend), inner.settings, inner.rng)
    cells = results(PROGRAM_VERIFY, PROGRAM, array)["cells"][0]
    assert (cells.status[:, 1] == UNREADABLE).all()
    assert np.isnan(cells.verified_conductance_s[:, 1]).all()
    assert (cells.status[:, [0, 2]] == REACHED).all()


def test_patterns_beyond_the_read_limit_are_refused_by_the_guard() -> None:
    inner = emulated(SOFT, shape=(4, 2), read_v=0.4)
    tight = inner.settings.model_dump(mode="json")
    tight["read"]["read_v"], tight["limits"]["read_v"] = 0.2, 0.2
    array = Array(Guard(inner.backend, ArraySettings.parse(tight)), inner.settings, inner.rng)
    with pytest.raises(LimitError, match=r"exceeds limits.read_v 0.2"):
        _patterns(array).seen(np.arange(8))


def test_an_array_that_adds_up_single_reads_says_that_patterns_gain_nothing() -> None:
    array = emulated(SOFT, shape=(3, 2), biasing="floating")
    plan = PROGRAM_VERIFY.plan(PROGRAM_VERIFY.settings.parse(PROGRAM), array.settings)
    assert plan.remark is not None
    assert "patterns gain nothing" in plan.remark(array.backend)
    parallel = emulated(SOFT, shape=(3, 2)).backend
    assert plan.remark(parallel) == (
        "verify hadamard: 4 products over 3 rows in place of reads of single cells"
    )


@pytest.mark.parametrize("population", [None, 3])
def test_programming_by_patterns_is_recorded_and_replays_to_the_bit(
    tmp_path: Path, population: int | None
) -> None:
    procedure = from_data(
        {
            "name": "patterns",
            "seed": 5,
            "array": {"rows": 5, "cols": 3, "limits": LIMITS, "read": {"read_v": 0.1}},
            "backends": {
                "sim": {
                    "device": SOFT,
                    "effects": [{"effect": "white_noise", "fraction": 0.0, "amplifier_a": 2e-8}],
                }
            },
            "steps": [{"step": "program_verify", "settings": PROGRAM}],
        },
        folder=tmp_path,
    )
    path = tmp_path / "run.h5"
    run_procedure(procedure, RunOptions("sim", path, population=population))
    with Record(path) as record:
        assert "multiply" in record.operation_kinds
    assert reproduce(path).complete
