"""Step response: its mean by hand, its scatter, memory and spread by their moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.types import FloatArray
from tests.sim.devices.models import make, pulses

UP = {"amplitude_v": 1.0, "width_s": 1e-3}
DOWN = {"amplitude_v": -1.0, "width_s": 1e-3}
FLAT = {"at": [0.0, 1.0], "step": [0.001, 0.001]}


def made(shape: tuple[int, int] = (1, 1), **settings: Any) -> Any:
    given = {"low_conductance_s": 1e-6, "high_conductance_s": 3e-6, "down": None, **settings}
    return make("step_response", shape, **given)


def states(device: Any, count: int, volts: float = 1.0) -> FloatArray:
    """x after 0, 1, 2, … pulses of a linear device of 1 to 3 µS, (count + 1, ...)."""
    path = [device.conductance_s]
    for _ in range(count):
        device.pulse(pulses(device, volts, 1e-3))
        path.append(device.conductance_s)
    return (np.array(path) - 1e-6) / 2e-6


def test_the_mean_step_is_straight_between_the_knots() -> None:
    device = made(up={**UP, "at": [0.0, 0.5, 1.0], "step": [0.2, 0.1, 0.0]})
    # 0.2 at 0; 0.2 − 0.2·0.2 at 0.2; 0.2 − 0.2·0.36 at 0.36.
    np.testing.assert_allclose(states(device, 3)[:, 0, 0], [0, 0.2, 0.36, 0.488], atol=1e-12)


def test_beyond_the_outermost_knots_the_step_holds() -> None:
    device = made(up={**UP, "at": [0.4, 0.6], "step": [0.1, 0.05]})
    np.testing.assert_allclose(states(device, 4)[:4, 0, 0], [0, 0.1, 0.2, 0.3], atol=1e-12)


def test_a_logarithmic_state_steps_by_a_factor() -> None:
    device = made(
        scale="logarithmic", high_conductance_s=1e-4, up={**UP, "at": [0.0], "step": [0.25]}
    )
    device.pulse(pulses(device, 1.0, 1e-3, 2))
    # Two quarters of two decades.
    assert device.conductance_s[0, 0] == pytest.approx(1e-5)


def test_scatter_has_its_deviation_memory_and_skewness() -> None:
    device = made(
        (60, 60),
        initial=2e-6,
        up={**UP, **FLAT, "scatter": [0.01, 0.01], "correlation": 0.6, "skewness": 0.0},
    )
    left = np.diff(states(device, 12), axis=0) - 0.001
    assert left.mean() == pytest.approx(0, abs=3e-4)
    assert left.std() == pytest.approx(0.01, rel=0.02)
    for lag in (1, 3):
        assert np.mean(left[lag:] * left[:-lag]) / left.var() == pytest.approx(0.6**lag, abs=0.02)
    skew = made(
        (60, 60), initial=2e-6, up={**UP, **FLAT, "scatter": [0.01, 0.01], "skewness": -1.5}
    )
    left = np.diff(states(skew, 6), axis=0)
    standard = (left - left.mean()) / left.std()
    assert left.std() == pytest.approx(0.01, rel=0.02)
    assert np.mean(standard**3) == pytest.approx(-1.5, abs=0.15)


def test_a_cell_keeps_its_speed_and_a_train_has_its_own() -> None:
    ways = {"cell_spread": 0.3, "train_spread": 0.4}
    both = made(
        (70, 70),
        initial=2e-6,
        up={**UP, **FLAT, **ways},
        down={**DOWN, "at": [0.0], "step": [-0.001]},
    )
    first = np.log(np.diff(states(both, 2), axis=0) / 0.001)
    np.testing.assert_allclose(first[0], first[1], atol=1e-6)
    assert first[0].std() == pytest.approx(0.5, rel=0.03)  # 0.3 and 0.4 in quadrature
    states(both, 1, -1.0)
    second = np.log(np.diff(states(both, 1), axis=0)[0] / 0.001)
    # What two trains of a cell share is the speed of the cell.
    assert np.mean(first[0] * second) == pytest.approx(0.09, abs=0.01)


def test_a_cell_ages_by_the_trains_it_has_had_and_beyond_the_last_known_it_is_held() -> None:
    ages = {"at": [0.0, 1.0], "step": [0.1, 0.1], "age_trains": [0, 3], "age_speed": [1.0, 0.25]}
    cell = made((1, 1), initial=1e-6, up={**UP, **ages}, down={**DOWN, "at": [0.0], "step": [-1]})
    steps = []
    for train in range(6):
        path = states(cell, 40 if train < 5 else 1)
        steps.append(float(path[1].item() - path[0].item()))
        states(cell, 1, -1.0)
    # ln g is straight against ln(1 + n): after one full train half of the way from 1 to 1/4.
    np.testing.assert_allclose(
        steps, 0.1 * np.array([1, 0.5, 0.25 ** (np.log(3) / np.log(4)), 0.25, 0.25, 0.25])
    )
    (event,) = [one for one in cell.take_events() if "ageing" in one.message]
    assert "more than the 3 trains" in event.message


def test_a_train_that_moves_a_cell_little_ages_it_little() -> None:
    ages = {"at": [0.0, 1.0], "step": [0.1, 0.1], "age_trains": [0, 1], "age_speed": [1.0, 0.5]}
    cell = made((1, 1), initial=1e-6, up={**UP, **ages}, down={**DOWN, "at": [0.0], "step": [-1]})
    states(cell, 5)  # half of the range
    states(cell, 1, -1.0)
    path = states(cell, 1)
    expected = 0.1 * 0.5 ** (np.log(1.5) / np.log(2))
    assert path[1].item() - path[0].item() == pytest.approx(expected)


def test_a_train_that_begins_beside_the_mean_keeps_its_distance() -> None:
    curve = {**UP, "at": [0.0, 1.0], "step": [0.1, 0.0], "begin": 0.2, "begin_spread": 0.05}
    values_conductance_s = [[1.4e-6, 1.44e-6, 2.4e-6]]  # x 0.2, 0.22, 0.7
    initial = {"distribution": "given", "values_conductance_s": values_conductance_s}
    path = states(made((1, 3), initial=initial, up=curve), 1)[:, 0]
    np.testing.assert_allclose(path[1] - path[0], [0.08, 0.08, 0.035], atol=1e-12)


def test_cells_at_an_end_are_held_and_it_is_said_once() -> None:
    device = made((1, 2), up={**UP, "at": [0.0], "step": [0.6]})
    states(device, 3)
    (event,) = device.take_events()
    assert "held at 1e-06 or 3e-06 S: 2 cells" in event.message
    np.testing.assert_allclose(device.conductance_s, 3e-6)
    states(device, 1)
    assert device.take_events() == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"up": None}, "give up, down, or both"),
        ({"up": {**UP, "at": [0.5, 0.5], "step": [0.1, 0.1]}}, "must rise"),
        ({"up": {**UP, "at": [0.5], "step": [0.1, 0.1]}}, "step has 2 values: expected 1"),
        ({"up": {**UP, **FLAT, "scatter": [0.1]}}, "scatter has 1 values: expected 2"),
        ({"up": {**UP, **FLAT}, "down": {**UP, **FLAT}}, "the same amplitude_v, 1"),
        ({"up": {**UP, **FLAT}, "high_conductance_s": 1e-7}, "must be below high_conductance_s"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        made(**settings)
