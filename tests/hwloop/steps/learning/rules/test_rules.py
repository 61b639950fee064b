"""What each rule does to its cells, with numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses, IntArray
from hwloop.steps.learning.rules import LayerRule
from hwloop.types import FloatArray
from tests.hwloop.steps.learning.learners import PULSES, emulated_array, training


class Listening(PlacedLayer):
    """Keeps the steps that it is asked for."""

    def step(self, steps: IntArray) -> None:
        self.steps = steps


def _at_work(rule: dict[str, Any], pulses: Any = PULSES) -> tuple[LayerRule, Listening]:
    """A rule on one weight for each of two inputs."""
    array, _ = emulated_array(2, 2)
    layer = Listening(
        array=array,
        place=Place(0, 0, 2, 1),
        pulses=CellPulses.parse(pulses),
        input_v=0.1,
        span_conductance_s=1e-4,
        keep="all",
        label="layers.0",
    )
    return training(rule=rule).rule.begin([layer], np.random.default_rng(3)), layer


def _update(rule: LayerRule, first: float, second: float) -> None:
    """One sample with inputs 1, so that the gradients are the two errors."""
    rule.update(np.array([[1.0, second / first]]), np.array([[first]]))


def test_manhattan_takes_the_sign_of_the_sum_over_the_samples() -> None:
    rule, layer = _at_work({"name": "manhattan"})
    rule.update(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[0.2], [0.1]]))
    np.testing.assert_array_equal(layer.steps, [[1], [1]])
    rule.update(np.array([[1.0, 0.1], [-1.0, 0.2]]), np.array([[0.3], [0.3]]))
    np.testing.assert_array_equal(layer.steps, [[0], [1]])
    # 0.1 · 3 − 0.3 is 5.6e-17 in binary, not 0: rounding is no reason for a pulse.
    rule.update(np.array([[0.1, 1.0], [1.0, 1.0]]), np.array([[3.0], [-0.3]]))
    np.testing.assert_array_equal(layer.steps, [[0], [1]])


def test_delta_pulses_are_rounded_and_bounded() -> None:
    rule, layer = _at_work(
        {"name": "delta_pulses", "rate": 0.5, "step_weight": 0.1, "most_pulses": 6}
    )
    _update(rule, 0.5, -0.07)  # 2.5 to the even 2, and -0.35
    np.testing.assert_array_equal(layer.steps, [[2], [0]])
    _update(rule, 9.0, -9.0)
    np.testing.assert_array_equal(layer.steps, [[6], [-6]])


def test_rounded_at_random_the_mean_is_the_gradient() -> None:
    rule, layer = _at_work(
        {"name": "delta_pulses", "rate": 1, "step_weight": 1, "rounding": "random"}
    )
    found = []
    for _ in range(4000):
        _update(rule, 0.3, -1.6)
        found.append(layer.steps[:, 0])
    # Of 4000 draws the mean is sure to 0.008.
    np.testing.assert_allclose(np.mean(found, axis=0), [0.3, -1.6], atol=0.03)
    assert set(np.unique(found)) == {-2, -1, 0, 1}


def test_accumulated_gradients_pulse_in_every_update_until_they_turn() -> None:
    rule, layer = _at_work({"name": "accumulate", "rate": 1, "step_weight": 0.1})
    seen = []
    for first, second in ((0.08, 0.02), (0.08, 0.02), (-0.3, 0.02)):
        _update(rule, first, second)
        seen.append(layer.steps[:, 0].tolist())
    # Sums 0.08, 0.16, -0.14 and 0.02, 0.04, 0.06 in steps of 0.1.
    assert seen == [[1, 0], [2, 0], [-1, 1]]


def test_accumulated_gradients_with_a_remainder_give_back_what_was_pulsed() -> None:
    rule, layer = _at_work(
        {"name": "accumulate", "rate": 1, "step_weight": 0.1, "reset": "remainder"}
    )
    seen = []
    for _ in range(4):
        _update(rule, 0.08, 0.02)
        seen.append(layer.steps[:, 0].tolist())
    # Sums 0.08 → -0.02, 0.06 → -0.04, 0.04, 0.12 → 0.02; and 0.02, 0.04, 0.06 → -0.04, -0.02.
    assert seen == [[1, 0], [1, 0], [0, 1], [1, 0]]


def test_mixed_precision_pulses_whole_thresholds_and_keeps_the_rest() -> None:
    rule, layer = _at_work(
        {"name": "mixed_precision", "rate": 1, "threshold": 0.1, "most_pulses": 3}
    )
    seen = []
    for first, second in ((0.19, -0.09), (0.02, -0.09), (0.75, 0.0), (1e-9, 0.0)):
        _update(rule, first, second)
        seen.append(layer.steps[:, 0].tolist())
    # χ 0.19 → 0.09, 0.11 → 0.01, 0.76 → 0.46 (three at most) → 0.16; -0.09, -0.18 → -0.08.
    assert seen == [[1, 0], [1, -1], [3, 0], [3, 0]]


class Gated(PlacedLayer):
    """Keeps the maps that it is asked for."""

    def apply(self, pulse: PulseMap) -> None:
        self.maps = [*getattr(self, "maps", []), pulse]


GATED = {
    "up": {"amplitude_v": 1.2, "width_s": 1e-3},
    "down": {"amplitude_v": -1.2, "width_s": 1e-3, "gate_v": 5.0},
}


def _gate_v(pulse: PulseMap) -> FloatArray:
    assert isinstance(pulse.gate_v, np.ndarray)
    return pulse.gate_v


def test_a_cell_whose_gate_falls_is_reset_and_then_set_at_its_new_gate() -> None:
    array, _ = emulated_array(2, 2)
    layer = Gated(
        array=array,
        place=Place(0, 0, 2, 1),
        pulses=CellPulses.parse(GATED),
        input_v=0.1,
        span_conductance_s=1e-4,
        keep="all",
        label="layers.0",
    )
    settings = training(rule={"name": "gate_voltage", "rate": 1.0}, pulses=GATED).rule
    rule = settings.begin([layer], np.random.default_rng(0))
    _update(rule, 0.196, 0.0098)
    # ΔV = Δw · 100 µS / (2 · 98 µS/V): 0.1 V and 5 mV, up on G+ and down on G-.
    reset, set_ = layer.maps
    np.testing.assert_array_equal(reset.amplitude_v, [[0, -1.2], [0, -1.2]])
    assert reset.gate_v == 5.0
    np.testing.assert_array_equal(set_.amplitude_v, np.full((2, 2), 1.2))
    np.testing.assert_allclose(_gate_v(set_), [[1.2, 1.0], [1.105, 1.095]], rtol=1e-12)
    layer.maps = []
    _update(rule, 2.94e-3, -0.000196)  # 1.5 mV is worth a pulse, 0.1 mV is kept
    reset, set_ = layer.maps
    np.testing.assert_array_equal(set_.amplitude_v, [[1.2, 1.2], [0, 0]])
    np.testing.assert_array_equal(reset.amplitude_v, [[0, -1.2], [0, 0]])
    layer.maps = []
    _update(rule, 100.0, -100.0)
    np.testing.assert_allclose(_gate_v(layer.maps[-1]), [[1.8, 0.4], [0.4, 1.8]])


def test_first_gates_are_drawn_within_their_spread_and_bounds() -> None:
    with pytest.raises(ConfigError, match=r"first_v 1.1 with first_spread_v 0.8 is not between"):
        training(rule={"name": "gate_voltage", "rate": 1.0, "first_spread_v": 0.8}, pulses=GATED)


@pytest.mark.parametrize(
    ("pulses", "message"),
    [
        ({"up": GATED["up"]}, r"needs pulses\.down, the RESET"),
        (GATED | {"up": GATED["up"] | {"gate_v": 9.0}}, r"pulses\.up\.gate_v 9: rule gate_voltage"),
    ],
    ids=["no RESET", "a gate of the SET"],
)
def test_pulses_that_do_not_fit_the_gate_rule_are_refused(pulses: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training(rule={"name": "gate_voltage", "rate": 1.0}, pulses=pulses)
