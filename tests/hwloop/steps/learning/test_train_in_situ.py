"""A training in the array: XOR learnt by two layers, its plan, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop.steps.learning.rows import LearningRow, LearntRow
from hwloop.steps.learning.train_in_situ import plan, run, tables
from hwloop.steps.rows import Outcome
from tests.hwloop.steps.learning.learners import XOR, array_settings, emulated_array, training


def _run(population: int | None = None, seed: int = 1, **changes: Any) -> list[Any]:
    array, _ = emulated_array(8, 10, population=population, seed=seed)
    return list(run(training(**changes), array))


def test_two_layers_learn_xor_on_nearly_every_array() -> None:
    *_, summary, outcome = _run(population=40)
    assert isinstance(summary, LearntRow)
    # A calculation of the same rule in plain NumPy: 199 and 200 of 200, median 13 to 15 epochs.
    assert summary.converged.sum() >= 38
    assert 8 <= np.median(summary.epoch[summary.converged]) <= 20
    assert isinstance(outcome, Outcome)
    assert "of 40 arrays converged" in outcome.message


def test_rounded_to_the_nearest_small_gradients_are_lost_and_fewer_learn() -> None:
    rule = {"name": "delta_pulses", "rate": 0.05, "step_weight": 2 / 64, "rounding": "nearest"}
    *_, summary, _ = _run(population=12, rule=rule, max_epochs=25)
    assert summary.converged.sum() == 0  # in plain NumPy 0 of 200


def test_the_sign_rule_learns_xor_where_all_samples_are_summed_before_an_update() -> None:
    *_, of_all, _ = _run(population=12, rule={"name": "manhattan"}, max_epochs=30)
    *_, of_each, _ = _run(population=12, rule={"name": "manhattan"}, batch=1, max_epochs=12)
    assert of_all.converged.sum() >= 9  # in plain NumPy 198 of 200, and 0 to 2 of 200
    assert of_each.converged.sum() <= 2


def test_an_array_that_has_stopped_gets_no_more_pulses() -> None:
    rows = [row for row in _run(population=6) if isinstance(row, LearningRow)]
    pulses = np.array([row.pulses for row in rows])
    converged = np.array([row.converged for row in rows])
    assert converged[-1].any()
    for index in np.flatnonzero(converged[-1]):
        after = pulses[converged[:, index].argmax() :, index]
        assert (after == after[0]).all()
    assert (np.diff(pulses, axis=0) >= 0).all()


def test_one_array_says_after_how_many_epochs_it_stopped_or_how_far_it_is() -> None:
    *rows, _, outcome = _run()
    words = f"stopped after {rows[-1].epoch} epochs; accuracy 100.00% of 4 training samples"
    assert outcome.message == words
    *_, missed = _run(max_epochs=1)
    assert not missed.reached
    assert "did not reach its end in 1 epochs" in missed.message


def test_updates_that_most_pulses_cuts_are_counted_and_said() -> None:
    rule = {"name": "delta_pulses", "rate": 5, "step_weight": 2 / 64, "most_pulses": 2}
    *_, cut, outcome = _run(rule=rule, max_epochs=2)
    assert cut.cut > 0
    assert outcome.message.endswith(f"; most_pulses cut {int(cut.cut)} updates of a weight")
    *_, whole, outcome = _run(rule=rule | {"most_pulses": 64, "rate": 0.1}, max_epochs=2)
    assert whole.cut == 0
    assert "most_pulses" not in outcome.message


def test_the_plan_bounds_every_update() -> None:
    settings = training(max_epochs=30)
    planned = plan(settings, array_settings(8, 10))
    batches = [one for one in planned.operations if isinstance(one.operation, BlockBatch)]
    pulses = [one for one in planned.operations if isinstance(one.operation, PulseMap)]
    backward = [one for one in batches if one.operation.driven == "cols"]  # type: ignore[union-attr]
    assert [one.at_most for one in backward] == [30]
    assert planned.pulses_per_cell == 30 * 64
    assert {one.at_most for one in pulses} == {30}
    array, backend = emulated_array(8, 10, population=6)
    rows = [row for row in run(settings, array) if isinstance(row, LearningRow)]
    assert len(rows) <= planned.rows
    del backend


def test_tables_have_the_types_and_shapes_of_the_rows() -> None:
    first, *_, summary, _ = _run(population=3, max_epochs=2)
    for made, yielded in zip(tables(training(), (3, 8, 10)), (first, summary), strict=True):
        for name, value in yielded.columns().items():
            expected = np.asarray(made.columns()[name])
            assert (np.shape(value), np.asarray(value).dtype) == (expected.shape, expected.dtype)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "targets beyond the activation": (
        {"samples": XOR | {"targets": [[-0.8], [1.2], [0.8], [-0.8]]}},
        r"samples: targets at \(1, 0\) is 1.2; tanh answers between -1 and 1",
    ),
    "inputs beyond 1": (
        {"samples": XOR | {"inputs": [[-1, -1], [-1, 3], [1, -1], [1, 1]]}},
        r"samples: inputs at \(1, 1\) is 3; an input is between -1 and 1",
    ),
    "too few targets": (
        {"samples": XOR | {"targets": [[0.8], [0.8]]}},
        "samples: 4 inputs, but 2 targets",
    ),
    "another number of outputs": (
        {"layers": [{"outputs": 4}, {"outputs": 2}]},
        r"samples\.targets: 1 targets a sample, but the last layer has 2 outputs",
    ),
    "no samples": ({"samples": {"inputs": [], "targets": []}}, "there are no samples|samples"),
    "softmax of one output": (
        {"layers": [{"outputs": 1, "activation": "softmax"}], "loss": "cross_entropy"},
        "softmax needs two outputs or more",
    ),
    "softmax targets that do not add up": (
        {
            "layers": [{"outputs": 2, "activation": "softmax"}],
            "loss": "cross_entropy",
            "samples": {"inputs": [[0, 1], [1, 0]], "targets": [[1, 0], [1, 1]]},
        },
        r"samples\.targets: targets of sample 1 add up to 2; those of softmax to 1",
    ),
    "classes that are one": (
        {"samples": XOR | {"targets": [[0.5]] * 4}, "stop": {"accuracy": 1}},
        r"stop\.accuracy: every target is 0.5: there are no classes",
    ),
    "targets the wrong way round": (
        {"target_0": 1, "target_1": 0},
        "target_0 1 must be below target_1 0",
    ),
    "softmax before the last layer": (
        {"layers": [{"outputs": 4, "activation": "softmax"}, {"outputs": 1}]},
        "softmax is for the last layer",
    ),
    "softmax with the squared loss": (
        {"layers": [{"outputs": 2, "activation": "softmax"}]},
        "softmax needs loss: cross_entropy",
    ),
    "cross entropy of tanh": ({"loss": "cross_entropy"}, "cross_entropy needs softmax or sigmoid"),
    "three layers": ({"layers": [{"outputs": 2}] * 3}, "layers"),
    "two ends": ({"stop": {"within": 0.4, "accuracy": 1}}, "one of within and accuracy"),
    "a range that no read can show": (
        {"range": {"low_conductance_s": 1e-5, "high_conductance_s": 20.0}},
        r"range\.high_conductance_s: 20 S, cannot be read|range\.high_conductance_s: 20 S cannot be",
    ),
    "no such rule": ({"rule": {"name": "hebb"}}, "rule"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_settings_that_do_not_fit_are_refused_with_place_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(training(**changes), array_settings(8, 10))
