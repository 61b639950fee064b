"""The training against its equations, written out cell by cell and pattern by pattern."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Answer, Flag, PulseMap, Reading, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import StepError
from hwloop.steps.array import Array
from hwloop.steps.manhattan.train_manhattan import (
    EpochRow,
    ManhattanSettings,
    PredictionRow,
    SummaryRow,
    plan,
    run,
)
from hwloop.steps.rows import Outcome
from tests.hwloop.spy import ARRAY, SpyBackend

BETA_PER_A = 2e6


def array_of(backend: SpyBackend) -> Array:
    rows, cols = backend.description.geometry.shape
    data = ARRAY | {"rows": rows, "cols": cols}
    return Array(backend, ArraySettings.parse(data), np.random.default_rng(0))


def settings_of(patterns: Sequence[str], outputs: Sequence[str], **more: Any) -> ManhattanSettings:
    data = {
        "patterns": list(patterns),
        "outputs": list(outputs),
        "beta_per_a": BETA_PER_A,
        "pulse": {"amplitude_v": 1.5, "width_s": 1e-3},
        "max_updates": 6,
    }
    return ManhattanSettings.parse(data | more)


def train_by_hand(
    conductance_s: list[list[float]], patterns: Sequence[str], outputs: Sequence[str], updates: int
) -> tuple[list[list[list[float]]], list[list[list[int]]], bool]:
    """Equations 1 to 5 in plain loops; each pulse adds 1 µS. States, updates, converged."""
    rows, neurons = len(conductance_s), len(outputs[0])
    states, signs = [], []
    for _ in range(updates):
        states.append([list(row) for row in conductance_s])
        total = [[0.0] * neurons for _ in range(rows)]
        reached = True
        for pattern, output in zip(patterns, outputs, strict=True):
            voltage = [0.1 if bit == "1" else -0.1 for bit in pattern]
            for neuron in range(neurons):
                current = sum(
                    voltage[j] * (conductance_s[j][2 * neuron] - conductance_s[j][2 * neuron + 1])
                    for j in range(rows)
                )
                f = math.tanh(BETA_PER_A * current)
                goal = 0.8 if output[neuron] == "1" else -0.8
                reached &= f >= goal if output[neuron] == "1" else f <= goal
                delta = (goal - f) * BETA_PER_A / math.cosh(BETA_PER_A * current) ** 2
                for j in range(rows):
                    total[j][neuron] += delta * voltage[j]
        if reached:
            return states, signs, True
        # Sums that cancel leave a rounding error of either sign: such a case is not compared.
        largest = max(abs(t) for row in total for t in row)
        if any(0 < abs(t) < 1e-9 * largest for row in total for t in row):
            return states, signs, False
        signs.append([[(t > 0) - (t < 0) for t in row] for row in total])
        for j in range(rows):
            for neuron in range(neurons):
                if total[j][neuron] > 0:
                    conductance_s[j][2 * neuron] += 1e-6
                elif total[j][neuron] < 0:
                    conductance_s[j][2 * neuron + 1] += 1e-6
    return states, signs, False


tasks = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4)).flatmap(
    lambda sizes: st.tuples(
        st.lists(
            st.text("01", min_size=sizes[0], max_size=sizes[0]),
            min_size=sizes[2],
            max_size=sizes[2],
        ),
        st.lists(
            st.text("01", min_size=sizes[1], max_size=sizes[1]),
            min_size=sizes[2],
            max_size=sizes[2],
        ),
        st.integers(0, 2**31),
    )
)


@settings(max_examples=60, deadline=None)
@given(task=tasks, currents=st.sampled_from(["multiply", "read"]))
def test_training_follows_its_equations(
    task: tuple[list[str], list[str], int], currents: str
) -> None:
    patterns, outputs, seed = task
    rows, cols = len(patterns[0]), 2 * len(outputs[0])
    backend = SpyBackend((rows, cols))
    backend.conductance_s = np.random.default_rng(seed).uniform(1e-6, 3e-6, (rows, cols))
    states, signs, converged = train_by_hand(backend.conductance_s.tolist(), patterns, outputs, 6)
    yielded = list(run(settings_of(patterns, outputs, currents=currents), array_of(backend)))
    epochs = [row for row in yielded if isinstance(row, EpochRow)]
    for epoch, state in zip(epochs, states, strict=False):
        np.testing.assert_allclose(epoch.conductance_s, state, rtol=1e-12)
    for epoch, sign in zip(epochs, signs, strict=False):
        assert (epoch.update == sign).all()
    if converged:
        assert len(epochs) == len(states)
        assert yielded[-1] == Outcome(True, f"converged at epoch {len(states)}")


def test_a_saturated_activation_still_gives_the_right_sign() -> None:
    backend = SpyBackend((2, 2))
    backend.conductance_s = np.array([[9e-3, 1e-6], [1e-6, 1e-6]])  # beta I about 1800
    first = next(iter(run(settings_of(["11"], ["0"]), array_of(backend))))
    assert isinstance(first, EpochRow)
    assert first.activation[0, 0] == 1.0
    # tanh' is below the smallest number here, so no sign can be told; at 300 it can.
    backend.conductance_s = np.array([[1.5e-3, 1e-6], [1e-6, 1e-6]])
    first = next(iter(run(settings_of(["11"], ["0"]), array_of(backend))))
    assert isinstance(first, EpochRow)
    assert first.activation[0, 0] == 1.0
    assert (first.update == -1).all()


def test_arrays_that_have_converged_get_no_more_pulses() -> None:
    backend = SpyBackend((1, 2), population=(3,))
    # The first is there from the beginning, the others need pulses.
    backend.conductance_s = np.array([[[9e-6, 1e-6]], [[1e-6, 1e-6]], [[1e-6, 4e-6]]])
    yielded = list(run(settings_of(["1"], ["1"], max_updates=12), array_of(backend)))
    (summary,) = [row for row in yielded if isinstance(row, SummaryRow)]
    # beta I = 0.2 per pulse of 1 µS; tanh x >= 0.8 asks for x >= 1.0986, so for six of them.
    assert summary.converged.tolist() == [True, True, True]
    assert summary.pulses.tolist() == [0, 6, 9]
    assert summary.epoch.tolist() == [1, 7, 10]
    pulsed = sum(op.addressed.astype(int) for op in backend.asked if isinstance(op, PulseMap))
    assert pulsed[:, 0, 0].tolist() == [0, 6, 9]


def test_held_out_patterns_are_predicted_as_1_0_or_undecided() -> None:
    backend = SpyBackend((2, 2))
    backend.conductance_s = np.array([[9e-6, 1e-6], [2e-6, 1e-6]])
    more = {"held_out_patterns": ["11", "00", "01"], "target_0": -0.9, "target_1": 0.9}
    yielded = list(run(settings_of(["11"], ["1"], max_updates=1, **more), array_of(backend)))
    rows = [row for row in yielded if isinstance(row, PredictionRow)]
    # beta I = ±0.2·(8 + 1) = ±1.8 → ±0.947; 0.2·(−8 + 1) = −1.4 → −0.885, short of −0.9.
    assert [int(row.prediction[0]) for row in rows] == [1, 0, -1]
    assert rows[2].activation[0] == pytest.approx(math.tanh(-1.4))


def test_a_current_that_could_not_be_measured_is_an_error_and_not_a_zero() -> None:
    class Blind(SpyBackend):
        def perform(self, operation: Any) -> Answer:
            reading = super().perform(operation)
            if isinstance(reading, Reading):
                reading.current_a[0, 1] = np.nan
                reading.flags[0, 1] = Flag.OVER_RANGE
            return reading

    with pytest.raises(StepError, match=r"cell \(0, 1\) could not be measured"):
        list(run(settings_of(["11"], ["1"]), array_of(Blind((2, 2)))))


def test_a_training_that_fails_says_what_is_furthest_off() -> None:
    backend = SpyBackend((1, 2))
    *_, outcome = run(settings_of(["1", "1"], ["1", "0"], max_updates=3), array_of(backend))
    assert isinstance(outcome, Outcome)
    assert not outcome.reached
    assert "did not converge in 3 updates: total error 1.6" in outcome.message


@pytest.mark.parametrize("held_out", [None, ["10", "01"]])
@pytest.mark.parametrize("currents", ["multiply", "read"])
def test_no_run_does_more_than_its_plan_says(held_out: list[str] | None, currents: str) -> None:
    backend = SpyBackend((2, 2))
    # Two answers for one pattern: it never converges, and every update is used up.
    chosen = settings_of(["11", "11"], ["1", "0"], held_out_patterns=held_out, currents=currents)
    list(run(chosen, array_of(backend)))
    planned = plan(chosen, array_of(backend).settings).operations
    for kind in (PulseMap, ReadMap, VectorBatch):
        at_most = sum(entry.at_most for entry in planned if isinstance(entry.operation, kind))
        assert sum(isinstance(operation, kind) for operation in backend.asked) <= at_most
    reads = [entry.at_most for entry in planned if isinstance(entry.operation, ReadMap)]
    assert sum(isinstance(operation, ReadMap) for operation in backend.asked) == sum(reads)
