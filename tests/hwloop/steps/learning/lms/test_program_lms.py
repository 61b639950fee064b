"""An array programmed in proportion to its error: closed forms of the error, and its read-out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.learning.lms.program_lms import plan, run, tables
from hwloop.steps.learning.lms.rows import LmsRow, ProgrammedRow, ReadoutRow
from hwloop.steps.learning.lms.settings import ProgramLmsSettings
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.hwloop.steps.learning.learners import LIMITS

RANGE = {"low_conductance_s": 1e-6, "high_conductance_s": 1e-4}
DEVICE = {"model": "proportional"}
ROWS, COLS = 30, 20
TARGETS = np.random.default_rng(3).random((ROWS, COLS))


def array_settings(rows: int = ROWS, cols: int = COLS) -> ArraySettings:
    return ArraySettings.parse(
        {
            "rows": rows,
            "cols": cols,
            "limits": LIMITS,
            "read": {"read_v": 0.1, "both_polarities": False},
        }
    )


def settings(**changes: Any) -> ProgramLmsSettings:
    data = {
        "range": RANGE,
        "targets": TARGETS.tolist(),
        "erase": {"amplitude_v": -1.2, "width_s": 5e-3},
        "pulse": {"threshold_v": 0.6, "slope_v": 0.5, "width_s": 2e-3},
    }
    return ProgramLmsSettings.parse(data | changes)


def ran(
    wanted: ProgramLmsSettings, *, population: int | None = None, seed: int = 1, **sim: Any
) -> list[Any]:
    shape = wanted.wanted(array_settings(*np.shape(wanted.targets or TARGETS))).shape
    own = array_settings(*shape)
    request = OpenRequest(own, population, np.random.default_rng(seed))
    backend = open_sim(SimSettings.parse({"device": DEVICE, **sim}), request)
    return list(run(wanted, Array(backend, own, np.random.default_rng(2))))


def errors(rows: list[Any]) -> np.ndarray:
    return np.array([row.error for row in rows if isinstance(row, LmsRow)])


def programmed(rows: list[Any]) -> ProgrammedRow:
    return next(row for row in rows if isinstance(row, ProgrammedRow))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_the_error_falls_by_one_minus_mu_with_each_update(rate: float) -> None:
    rows = ran(settings(rate=rate, max_updates=120))
    found = errors(rows)
    np.testing.assert_allclose(found, TARGETS.mean() * (1 - rate) ** np.arange(len(found)), 1e-6)
    # n = ln(1e-5 / mean of the targets) / ln(1 − μ), rounded up.
    needed = np.ceil(np.log(1e-5 / TARGETS.mean()) / np.log(1 - rate))
    assert programmed(rows).updates == needed
    assert programmed(rows).converged


def test_write_noise_of_30_percent_costs_an_update_or_two_and_no_accuracy() -> None:
    noise = {"effect": "cycle_to_cycle", "sigma": 0.3}
    rows = ran(settings(), population=8, effects=[noise])
    # A cell's error is multiplied by 0.5 ∓ 0.15 ξ: E|0.5 + 0.15 ξ| = 0.50006 to the fourth digit.
    factor = np.mean(errors(rows)[1:6] / errors(rows)[:5])
    assert factor == pytest.approx(0.5, abs=0.005)
    assert programmed(rows).converged.all()
    assert np.abs(programmed(rows).updates - 16).max() <= 1


def test_read_noise_leaves_a_floor_of_0_46_of_it_and_shows_twice_as_much() -> None:
    sigma = 1e-4
    noise = {"effect": "white_noise", "fraction": 0, "amplifier_a": sigma * 99e-6 * 0.1}
    rows = ran(settings(max_updates=40, final_reads=100), population=6, effects=[noise])
    # e ← e (1 − μ) − μ n: σ_e² = μ/(2 − μ) σ² = σ²/3, and the mean of |e| is √(2/π) σ_e.
    assert programmed(rows).final_error.mean() == pytest.approx(0.4607 * sigma, rel=0.05)
    # The read before an update has noise of its own: √(2/π) √(1/3 + 1) σ.
    assert errors(rows)[-10:].mean() == pytest.approx(0.9213 * sigma, rel=0.05)
    assert not programmed(rows).converged.any()
    assert not rows[-1].reached


def test_equal_pulses_would_need_25001_states_for_arbitrary_targets() -> None:
    states = 25_001
    targets = np.random.default_rng(1).random(200_000)
    for n, enough in ((states, True), (states // 2, False)):
        nearest = np.round(targets * (n - 1)) / (n - 1)
        mean = np.abs(targets - nearest).mean()
        assert mean == pytest.approx(1 / (4 * (n - 1)), rel=0.01)
        assert (mean <= 1.01e-5) == enough
    greys = np.arange(256) / 255  # 8-bit grey levels are states of 256
    assert np.abs(greys - np.round(greys * 255) / 255).max() < 1e-15


def test_an_array_that_has_converged_gets_no_more_pulses() -> None:
    noise = {"effect": "cycle_to_cycle", "sigma": 1.2}
    rows = ran(settings(stop_error=1e-3), population=12, effects=[noise])
    found = programmed(rows)
    assert len(np.unique(found.updates)) > 1
    assert (found.pulses == found.updates * ROWS * COLS).all()


def test_an_update_beyond_the_range_is_refused_with_its_cell() -> None:
    narrow = {"low_conductance_s": 4e-5, "high_conductance_s": 5e-5}
    with pytest.raises(StepError, match=r"cell \(0, 0\): an update of .* of the range; at most 1"):
        ran(settings(range=narrow))


def labelled(folder: Path) -> dict[str, Any]:
    inputs = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0.5, 0, 0], [0, 0, 0.5, 1.0]])
    np.save(folder / "x.npy", inputs)
    np.save(folder / "y.npy", np.array([0.0, 1, 0, 1]))
    return {"inputs": {"file": str(folder / "x.npy")}, "classes": {"file": str(folder / "y.npy")}}


def test_classes_are_those_of_the_column_that_fires_most(tmp_path: Path) -> None:
    data = labelled(tmp_path)
    small = settings(
        targets=None, data=data, of_class="first", readout={"data": data, "time_steps": 8}
    )
    own = array_settings(4, 2)
    request = OpenRequest(own, None, np.random.default_rng(1))
    backend = open_sim(SimSettings.parse({"device": DEVICE}), request)
    rows = list(run(small, Array(backend, own, np.random.default_rng(2))))
    readout = next(row for row in rows if isinstance(row, ReadoutRow))
    assert readout.correct == 4
    assert readout.tied == 0
    assert readout.software_accuracy == 1.0
    # By hand: (8 + 8) pulses of the rows of samples 0 and 1, (8 + 4) of the others, each worth 1 at
    # a closed cell and 1/100 at an open one: 16 + 0, 16 + 0, 12 + 0, 12 + 0 whole charges. The
    # programmed weights are short of 1 by less than 1e-5, which costs the last of them.
    assert readout.output_pulses == pytest.approx(13.0)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a target beyond 1": (
        {"targets": (TARGETS + (TARGETS[2, 3] == TARGETS) * 1.5).tolist()},
        r"targets: the target at \(2, 3\) is .*; a weight is from 0 to 1",
    ),
    "another shape": ({"targets": [[0.5]]}, r"targets have shape \(1, 1\), the array \(30, 20\)"),
    "no targets": ({"targets": None}, "give one of targets and data"),
    "a rate that diverges": ({"rate": 2.0}, "rate"),
    "an unknown setting": ({"noise": 0.1}, "noise"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_settings_that_do_not_fit_are_refused_with_place_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(settings(**changes), array_settings())


def test_the_plan_bounds_reads_and_pulses() -> None:
    planned = plan(settings(max_updates=7, final_reads=3), array_settings())
    pulses = [one.operation for one in planned.operations if isinstance(one.operation, PulseMap)]
    assert planned.operations[0].at_most == 7 + 1 + 3
    assert sorted(np.abs(one.amplitude_v).max() for one in pulses) == [1.1, 1.1, 1.2]
    assert planned.pulses_per_cell == 8
    made = tables(settings(), (3, ROWS, COLS))
    rows = ran(settings(max_updates=2), population=3)
    for blank, row in zip(made, (rows[0], programmed(rows)), strict=True):
        for name, value in row.columns().items():
            expected = np.asarray(blank.columns()[name])
            assert (np.shape(value), np.asarray(value).dtype) == (expected.shape, expected.dtype)
