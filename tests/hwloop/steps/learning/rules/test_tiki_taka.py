"""Tiki-Taka: what goes into the fast array, the filter and the weights, by hand calculation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import PulseMap
from hwloop.backend.base import CrossbarBackend
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.learning.learning_network import LearningNetwork
from hwloop.steps.learning.placed_layer import PlacedLayer
from hwloop.steps.learning.rows import LearntRow
from hwloop.steps.learning.rules import LayerRule
from hwloop.steps.learning.train_in_situ import plan, run
from hwloop.types import FloatArray
from tests.hwloop.steps.learning.learners import (
    RANGE,
    array_settings,
    emulated_array,
    linear_cells,
    training,
)

STEP = 2 / 63  # of a weight, by one step of its two cells of 64 states
RULE = {
    "name": "tiki_taka",
    "rate": 4 * STEP,
    "step_weight": STEP,
    "threshold": 6 * STEP,
}
MIDDLE = linear_cells() | {"initial": 6e-5}


class Bench:
    """A layer of 2 inputs and 2 outputs whose cells all begin in the middle, and its rule."""

    def __init__(self, population: int | None = None, **rule: Any) -> None:
        settings = training(
            rule=RULE | rule,
            layers=[{"outputs": 2}],
            samples={"inputs": [[1, 0]], "targets": [[0, 0]]},
            bias=False,
        )
        self._array, self._backend = _cells(population)
        network = LearningNetwork(settings, self._array, 2)
        self.rule: LayerRule = network._rules[0]
        self.weights, self.fast = network._copies

    def steps(self, layer: PlacedLayer) -> FloatArray:
        """Return how many steps each weight stands from 0."""
        own_s = self._array.conductance_s(self._array.read_all())[(..., *layer.place.cells)]
        span_s = RANGE["high_conductance_s"] - RANGE["low_conductance_s"]
        return np.round((own_s[..., 0::2] - own_s[..., 1::2]) / span_s / STEP, 6)


def _cells(population: int | None) -> tuple[Array, CrossbarBackend]:
    return emulated_array(2, 8, population=population, device=MIDDLE)


ONE, ERROR = np.array([[1.0, 0.0]]), np.array([[1.0, -1.0]])


def test_a_product_goes_into_the_fast_array_and_is_read_line_by_line() -> None:
    # By hand: 4 pulses for a product of 1, in both columns with p = 1; the first row of A holds
    # ±4 steps and is read into H, below the threshold of 6; the second row, then the first again:
    # ±(4 + 12) steps in H, a pulse of C, and ±10 left.
    bench = Bench()
    bench.rule.update(ONE, ERROR)
    np.testing.assert_array_equal(bench.steps(bench.fast), [[4, -4], [0, 0]])
    np.testing.assert_array_equal(bench.steps(bench.weights), 0)
    np.testing.assert_allclose(bench.rule._filter / STEP, [[4, -4], [0, 0]], atol=1e-9)
    bench.rule.update(ONE, ERROR)
    np.testing.assert_array_equal(bench.steps(bench.fast), [[8, -8], [0, 0]])
    np.testing.assert_array_equal(bench.steps(bench.weights), 0)
    bench.rule.update(ONE, ERROR)
    np.testing.assert_array_equal(bench.steps(bench.fast), [[12, -12], [0, 0]])
    np.testing.assert_array_equal(bench.steps(bench.weights), [[1, -1], [0, 0]])
    np.testing.assert_allclose(bench.rule._filter / STEP, [[10, -10], [0, 0]], atol=1e-9)


def test_columns_are_read_backwards_with_all_inputs_of_an_output() -> None:
    bench = Bench(lines="columns", threshold=3 * STEP)
    bench.rule.update(ONE, ERROR)  # reads the column of the first output: 4 steps, above 3
    np.testing.assert_array_equal(bench.steps(bench.weights), [[1, 0], [0, 0]])
    np.testing.assert_allclose(bench.rule._filter / STEP, [[1, 0], [0, 0]], atol=1e-9)
    bench.rule.update(ONE, ERROR)  # that of the second: -8
    np.testing.assert_array_equal(bench.steps(bench.weights), [[1, -1], [0, 0]])
    np.testing.assert_allclose(bench.rule._filter / STEP, [[1, -5], [0, 0]], atol=1e-9)


def test_rate_and_momentum_of_the_transfer_scale_the_filter() -> None:
    bench = Bench(transfer_rate=2.0, momentum=0.25)
    bench.rule.update(ONE, ERROR)
    # 2 · 4 = 8 steps, above 6: a pulse, and 8 − 0.75 · 6 = 3.5 stay.
    np.testing.assert_array_equal(bench.steps(bench.weights), [[1, -1], [0, 0]])
    np.testing.assert_allclose(bench.rule._filter / STEP, [[3.5, -3.5], [0, 0]], atol=1e-9)


def test_a_line_is_read_after_so_many_samples_counted_over_updates() -> None:
    bench = Bench(transfer_every=3)
    for reads, batch in ((0, 2), (1, 1), (1, 2), (2, 1)):
        # Twice the error for two samples, as an update averages over its batch.
        bench.rule.update(np.repeat(ONE, batch, axis=0), batch * np.repeat(ERROR, batch, axis=0))
        assert bench.rule._next == reads % 2
    np.testing.assert_array_equal(bench.steps(bench.fast), [[24, -24], [0, 0]])
    np.testing.assert_allclose(bench.rule._filter / STEP, [[6, -6], [0, 0]], atol=1e-9)


@pytest.mark.parametrize("lines", ["rows", "columns"])
def test_a_chopper_turns_what_goes_into_a_line_and_back_what_comes_out(lines: str) -> None:
    # Of probability 1 it turns after every read: of the first line after 1 update, again after 3.
    bench = Bench(chopper=1.0, lines=lines, threshold=100)
    inputs, errors = np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]])
    bench.rule.update(inputs, errors)
    np.testing.assert_array_equal(bench.steps(bench.fast), 4)
    bench.rule.update(inputs, errors)
    turned = np.array([[0, 0], [8, 8]])
    expected = turned if lines == "rows" else turned.T
    np.testing.assert_array_equal(bench.steps(bench.fast), expected)
    bench.rule.update(inputs, errors)
    # The first line holds −4 and is turned back to +4: with the 4 of its first read 8 in all.
    found = np.array([[8, 8], [8, 8]])
    np.testing.assert_allclose(bench.rule._filter / STEP, found, atol=1e-9)


def test_an_offset_of_the_fast_array_averages_out_with_a_chopper_only() -> None:
    nothing = np.zeros((1, 2))
    held = {}
    for chopper in (0.0, 0.5):
        bench = Bench(chopper=chopper, threshold=1e6)
        bench.fast.step(np.full((2, 2), 5))
        for _ in range(400):
            bench.rule.update(ONE, nothing)
        held[chopper] = np.abs(bench.rule._filter / STEP)
    np.testing.assert_allclose(held[0.0], 200 * 5, rtol=1e-9)
    # A walk of 200 steps of ±5, of independent signs: deviation 5 √200 = 71.
    assert (held[0.5] < 4 * 71).all()


def test_arrays_of_a_population_have_pulses_filters_and_choppers_of_their_own() -> None:
    bench = Bench(population=3, rate=0.5 * STEP)
    for _ in range(20):
        bench.rule.update(ONE, np.array([[[1.0, -1.0]], [[0.0, 0.0]], [[-1.0, 1.0]]]))
    first, second, third = bench.rule._filter
    assert (second == 0).all()
    assert first[0, 0] > 0 > third[0, 0]
    assert (np.abs(bench.rule._filter[:, 1]) == 0).all()


def test_each_line_of_each_array_has_a_sign_of_its_own() -> None:
    bench = Bench(population=40, chopper=0.5)
    bench.rule.update(ONE, np.zeros((40, 1, 2)))
    signs = bench.rule._signs
    assert 8 <= (signs[:, 0] < 0).sum() <= 32  # 5 deviations from the half
    assert (signs[:, 1] == 1).all()  # not read yet


def test_xor_is_learnt_by_two_layers_with_fast_arrays_of_their_own() -> None:
    rule = RULE | {"rate": 0.3, "threshold": 0.3, "transfer_rate": 1.0}
    array, backend = emulated_array(8, 20, population=8)
    settings = training(rule=rule, max_epochs=20, batch=1, judge_every=10)
    *_, summary, _ = run(settings, array)
    del backend
    assert isinstance(summary, LearntRow)
    assert summary.converged.sum() >= 2


def test_the_plan_has_every_read_and_every_pulse_train_of_every_sample() -> None:
    settings = training(rule=RULE | {"lines": "columns", "train_length": 7}, max_epochs=30)
    planned = plan(settings, array_settings(8, 20))
    one = [
        each
        for each in planned.operations
        if isinstance(each.operation, BlockBatch)
        and each.operation.driven == "cols"
        and each.at_most == 30 * 4
    ]
    assert len(one) == 2
    pulses = [each for each in planned.operations if isinstance(each.operation, PulseMap)]
    assert {each.at_most for each in pulses} == {30 * 4}
    assert planned.pulses_per_cell == 30 * 4 * 7


def test_too_few_columns_for_the_fast_array_are_refused_by_the_layer() -> None:
    with pytest.raises(ConfigError, match=r"layers\.0: needs 3 rows and 16 columns"):
        plan(training(rule=RULE), array_settings(8, 12))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chopper": 1.5}, "chopper"),
        ({"momentum": 1.0}, "momentum"),
        ({"threshold": 0}, "threshold"),
        ({"lines": "cells"}, "lines"),
        ({"transfer_every": 0}, "transfer_every"),
    ],
)
def test_settings_out_of_their_bounds_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training(rule=RULE | changes)


def test_a_gradient_that_is_not_finite_is_refused_before_a_pulse() -> None:
    bench = Bench()
    with pytest.raises(StepError, match="gradient of weight"):
        bench.rule.update(np.array([[1e300, 0.0]]), np.array([[1e300, 0.0]]))
    np.testing.assert_array_equal(bench.steps(bench.fast), 0)
