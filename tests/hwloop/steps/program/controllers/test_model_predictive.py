"""Pulses that are tried in a twin before they are sent: the best one, by hand and by closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Answer, Operation, PulseMap
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import ConfigError
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.steps.array import Array
from hwloop.steps.program.cell_table import REACHED
from hwloop.steps.program.controllers.model_predictive import ModelPredictive, PredictedState
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from tests.characterised import LIMITS, array_settings, emulated, results

SOFT: dict[str, Any] = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-5,
    "max_conductance_s": 1.1e-4,
    "up_pulses": 10,
    "down_pulses": 10,
    "up": {"amplitude_v": 2.0, "width_s": 1e-3},
    "down": {"amplitude_v": -2.0, "width_s": 1e-3},
}
GRID = [{"amplitudes_v": [2.0, -2.0], "widths_s": [1e-3]}]
PREDICTIVE: dict[str, Any] = {
    "name": "model_predictive",
    "twin": {"device": SOFT},
    "candidates": GRID,
    "draws": 1,
}


def _settings(**changes: Any) -> ModelPredictive:
    return ModelPredictive.parse(PREDICTIVE | changes)


def _array(backend: Any = None) -> Array:
    return Array(backend, array_settings(1, 4), np.random.default_rng(1))


def test_twin_says_what_each_candidate_leaves_in_closed_form() -> None:
    # A pulse closes 1 − e^(−1/10) of what is left to its bound.
    seen_conductance_s = np.array([2e-5, 6e-5, 1e-4])
    tried = _settings(draws=2).twin.tried_conductance_s(
        _settings().every,
        seen_conductance_s,
        array=array_settings(4, 4),
        draws=2,
        rng=np.random.default_rng(1),
    )
    left = np.exp(-0.1)
    up = 1.1e-4 + (seen_conductance_s - 1.1e-4) * left
    down = 1e-5 + (seen_conductance_s - 1e-5) * left
    np.testing.assert_allclose(tried, [[up, down], [up, down]], rtol=1e-12)


def test_the_pulse_that_leaves_the_least_is_sent_and_none_where_none_is_needed() -> None:
    controller = _settings().on(_array())
    targets = np.array([8e-5, 3e-5, 5e-5])
    state = controller.begin(targets)
    seen_conductance_s = np.array([6e-5, 6e-5, 5e-5])
    need = np.array([1, -1, 0], np.int8)
    after, move = controller.move(state, seen_conductance_s=seen_conductance_s, need=need)
    np.testing.assert_array_equal(move.amplitude_v, [2.0, -2.0, 0.0])
    assert move.width_s is not None
    np.testing.assert_array_equal(move.width_s, [1e-3, 1e-3, 0.0])
    assert isinstance(after, PredictedState)
    expected = [1.1e-4 - 5e-5 * np.exp(-0.1), 1e-5 + 5e-5 * np.exp(-0.1), np.nan]
    np.testing.assert_allclose(after.expected_conductance_s, expected, rtol=1e-12)
    assert not move.given_up.any()


@pytest.mark.parametrize("feedback", [0.0, 0.5, 1.0])
def test_an_error_of_the_twin_is_added_to_predictions_of_the_same_direction(
    feedback: float,
) -> None:
    controller = _settings(feedback=feedback).on(_array())
    state = controller.begin(np.array([8e-5]))
    need = np.array([1], np.int8)
    after, _ = controller.move(state, seen_conductance_s=np.array([6e-5]), need=need)
    assert isinstance(after, PredictedState)
    seen_conductance_s = after.expected_conductance_s - 3e-6
    later, _ = controller.move(after, seen_conductance_s=seen_conductance_s, need=need)
    assert isinstance(later, PredictedState)
    np.testing.assert_allclose(later.bias_conductance_s, [[-3e-6 * feedback], [0.0]], atol=1e-18)


def test_a_cell_that_every_small_pulse_leaves_above_its_window_gets_the_large_one() -> None:
    # 105 µS wanted at 108 µS: down to 98.2 µS is farther than up to 108.2 µS, but the only way.
    controller = _settings().on(_array())
    state = controller.begin(np.array([1.05e-4]))
    _, move = controller.move(
        state, seen_conductance_s=np.array([1.08e-4]), need=np.array([-1], np.int8)
    )
    np.testing.assert_array_equal(move.amplitude_v, [-2.0])


def test_pulses_of_several_widths_are_sent_each_with_its_own_and_the_cells_arrive() -> None:
    device = SOFT | {"up_pulses": 40, "down": {"amplitude_v": -2.0, "width_s": 4e-3}}
    inner = emulated(device, shape=(3, 3))
    seen: list[PulseMap] = []

    class Notes(Wrapper):
        def perform(self, operation: Operation) -> Answer:
            if isinstance(operation, PulseMap):
                seen.append(operation)
            return self._inner.perform(operation)

    grids = [
        {"amplitudes_v": [2.0], "widths_s": [1e-3]},
        {"amplitudes_v": [-2.0], "widths_s": [4e-3]},
    ]
    settings = {
        "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5},
        "tolerance": {"kind": "absolute", "by_conductance_s": 1.5e-6},
        "algorithm": PREDICTIVE | {"twin": {"device": device}, "candidates": grids},
    }
    array = Array(Notes(inner.backend), inner.settings, inner.rng)
    cells = results(PROGRAM_VERIFY, settings, array)["cells"][0]
    assert (cells.status == REACHED).all()
    for pulse in seen:
        sign = 1 if pulse.width_s == 1e-3 else -1
        assert set(np.unique(pulse.amplitude_v)) <= {0.0, 2.0 * sign}
    assert cells.pulses_up.sum() + cells.pulses_down.sum() == sum(p.addressed.sum() for p in seen)


@pytest.mark.parametrize("population", [None, 3])
def test_a_run_that_asks_a_twin_replays_to_the_bit(tmp_path: Path, population: int | None) -> None:
    sim = {"device": SOFT, "effects": [{"effect": "cycle_to_cycle", "sigma": 0.3}]}
    procedure = from_data(
        {
            "name": "predictive",
            "seed": 2,
            "array": {"rows": 2, "cols": 2, "limits": LIMITS, "read": {"read_v": 0.1}},
            "backends": {"sim": sim},
            "steps": [
                {
                    "step": "program_verify",
                    "settings": {
                        "target": {
                            "kind": "random",
                            "low_conductance_s": 3e-5,
                            "high_conductance_s": 9e-5,
                        },
                        "tolerance": {"kind": "absolute", "by_conductance_s": 6e-6},
                        "algorithm": PREDICTIVE | {"twin": sim, "draws": 4},
                    },
                }
            ],
        },
        folder=tmp_path,
    )
    path = tmp_path / "run.h5"
    run_procedure(procedure, RunOptions("sim", path, population=population))
    assert reproduce(path).complete


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"twin": "no_such_calibration"}, "no_such_calibration"),
        ({"twin": 5}, "expected a calibration"),
        ({"twin": {"device": {"model": "no_such_model"}}}, "no_such_model"),
        ({"candidates": []}, "expected at least 1 entry; got none"),
        ({"candidates": [*GRID, {**GRID[0], "gates_v": [1.0]}]}, "all grids need gates_v"),
        ({"feedback": 1.5}, "less than or equal to 1"),
        (
            {"candidates": [{"amplitudes_v": [0.1] * 50, "widths_s": [1e-3] * 50}]},
            "2500 candidates; at most 1000",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _settings(**changes)


def test_a_candidate_that_the_twin_does_not_know_is_refused_by_the_plan() -> None:
    grid = [{"amplitudes_v": [2.0, 2.5], "widths_s": [1e-3]}]
    settings = PROGRAM_VERIFY.settings.parse(
        {
            "target": {"kind": "random", "low_conductance_s": 3e-5, "high_conductance_s": 9e-5},
            "tolerance": {"kind": "relative", "fraction": 0.1},
            "algorithm": PREDICTIVE | {"candidates": grid},
        }
    )
    with pytest.raises(ConfigError, match=r"cannot try 2.5 V, 1 ms: soft_bounds"):
        PROGRAM_VERIFY.plan(settings, array_settings(2, 2))
