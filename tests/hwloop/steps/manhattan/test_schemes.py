"""Which pulses an update becomes, and when an array is done."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwloop.errors import ConfigError
from hwloop.steps.manhattan.rule import judge, misclassified
from hwloop.steps.manhattan.schemes import SCHEMES
from hwloop.steps.manhattan.settings import ManhattanSettings

updates = arrays(
    np.int8, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(-1, 1)
)
UP, DOWN = {"amplitude_v": 2.0, "width_s": 1e-3}, {"amplitude_v": -1.5, "width_s": 2e-3}


def settings_of(**more: Any) -> ManhattanSettings:
    data = {
        "patterns": ["10", "01"],
        "outputs": ["10", "01"],
        "beta_per_a": 1e6,
        "scheme": "bidirectional",
        "up": UP,
        "down": DOWN,
    }
    return ManhattanSettings.parse(data | more)


@given(updates)
def test_bidirectional_gives_each_cell_of_a_pair_one_pulse_of_opposite_sign(
    update: np.ndarray,
) -> None:
    pulses = list(SCHEMES["bidirectional"].pulses(settings_of(), update))
    shape = (update.shape[0], 2 * update.shape[1])
    given_v = sum((pulse.amplitude_v for pulse in pulses), np.zeros(shape))
    np.testing.assert_array_equal(given_v[:, 0::2], np.choose(update + 1, [-1.5, 0.0, 2.0]))
    np.testing.assert_array_equal(given_v[:, 1::2], np.choose(update + 1, [2.0, 0.0, -1.5]))
    for pulse in pulses:  # half a column at a time, with one amplitude
        assert len(np.flatnonzero(pulse.addressed.any(axis=0))) == 1
        assert len(np.unique(pulse.amplitude_v[pulse.addressed])) == 1
        assert pulse.width_s == (1e-3 if pulse.amplitude_v.max() > 0 else 2e-3)


@given(updates)
def test_no_update_gives_more_maps_than_the_worst_that_is_planned(update: np.ndarray) -> None:
    scheme = SCHEMES["bidirectional"]
    worst = list(scheme.worst(settings_of(), (update.shape[0], 2 * update.shape[1])))
    assert len(list(scheme.pulses(settings_of(), update))) <= len(worst)
    per_cell = sum(pulse.addressed.astype(int) for pulse in worst)
    assert per_cell.max() == 1


def test_gates_go_with_the_pulses_of_a_1t1r_array() -> None:
    chosen = settings_of(up={**UP, "gate_v": 3.0}, down={**DOWN, "gate_v": 4.0})
    for pulse in SCHEMES["bidirectional"].pulses(chosen, np.array([[1, -1]], np.int8)):
        assert pulse.gate_v is not None
        gate_v = np.broadcast_to(pulse.gate_v, pulse.amplitude_v.shape)[pulse.addressed]
        assert (gate_v == (3.0 if pulse.amplitude_v.max() > 0 else 4.0)).all()


def test_bias_rows_are_driven_alike_with_every_pattern() -> None:
    chosen = settings_of(bias_v=[-0.1, 0.05], bit_0_v=-0.2, bit_1_v=0.2)
    np.testing.assert_array_equal(
        chosen.voltage_v(chosen.patterns), [[0.2, -0.2, -0.1, 0.05], [-0.2, 0.2, -0.1, 0.05]]
    )


def test_an_array_is_classified_when_the_wanted_neuron_has_the_largest_current() -> None:
    chosen = settings_of(stop="classified")
    # Column currents (patterns, cols): I+ − I− is 3, 1 and then 1, 2 µA: both as wanted.
    current_a = np.array([[4e-6, 1e-6, 2e-6, 1e-6], [2e-6, 1e-6, 2e-6, 0.0]])
    right = judge(chosen, current_a)
    assert right.converged
    assert right.shortfall.max() > 0  # while no target is met
    swapped = judge(chosen, current_a[::-1])
    assert swapped.wrong.tolist() == [True, True]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 4)), elements=st.floats(-1, 1)),
    st.randoms(),
)
def test_misclassified_is_what_a_search_for_the_largest_finds(values: np.ndarray, rng: Any) -> None:
    wanted = [rng.randrange(values.shape[1]) for _ in values]
    found = misclassified(values, np.eye(values.shape[1], dtype=bool)[wanted])
    for line, neuron, wrong in zip(values.tolist(), wanted, found, strict=True):
        others = [value for index, value in enumerate(line) if index != neuron]
        assert wrong == (line[neuron] <= max(others))  # a tie is no answer


def test_the_update_goes_by_the_targets_also_when_classes_stop_it() -> None:
    chosen = settings_of(stop="classified", target_0=-0.5, target_1=0.5)
    found = judge(chosen, np.zeros((2, 4)))
    # Activation 0 everywhere: delta is ±0.5 beta, so the sum of a row is ±0.1 V · beta.
    np.testing.assert_array_equal(found.update, [[1, -1], [-1, 1]])
    assert found.activation.max() == math.tanh(0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outputs": ["11", "01"], "stop": "classified"}, "exactly one 1"),
        ({"outputs": ["1", "0"], "stop": "classified"}, "two outputs or more"),
        ({"up": None}, "scheme bidirectional needs up"),
        ({"down": UP}, "up and down are the same pulse"),
        ({"pulse": {"amplitude_v": 1, "width_s": 1}}, "scheme bidirectional has no pulse"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings_of(**change)
