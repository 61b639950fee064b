"""Trainings by pulses of both polarities, with bias rows, until patterns are classified."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Answer, Operation, PulseMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.steps.array import Array
from hwloop.steps.manhattan.rows import EpochRow, PredictionRow, SummaryRow
from hwloop.steps.manhattan.settings import ManhattanSettings
from hwloop.steps.manhattan.train_manhattan import plan, run
from hwloop.steps.rows import Outcome
from tests.hwloop.spy import ARRAY, SpyBackend

UP_CONDUCTANCE_S, DOWN_CONDUCTANCE_S = 0.7e-6, 0.4e-6
BETA_PER_A = 2e6
BIAS_V = (-0.1, 0.07)


class TwoWay(SpyBackend):
    """Cells that a positive pulse raises by 0.7 µS and a negative one lowers by 0.4 µS."""

    def perform(self, operation: Operation) -> Answer:
        before_conductance_s = self.conductance_s
        reading = super().perform(operation)
        if isinstance(operation, PulseMap):
            step_conductance_s = np.choose(
                np.sign(operation.amplitude_v).astype(int) + 1,
                [-DOWN_CONDUCTANCE_S, 0, UP_CONDUCTANCE_S],
            )
            self.conductance_s = before_conductance_s + step_conductance_s
        return reading


def settings_of(patterns: list[str], outputs: list[str], **more: Any) -> ManhattanSettings:
    data = {
        "patterns": patterns,
        "outputs": outputs,
        "bias_v": list(BIAS_V),
        "beta_per_a": BETA_PER_A,
        "max_updates": 8,
        "stop": "classified",
        "scheme": "bidirectional",
        "up": {"amplitude_v": 1.5, "width_s": 1e-3},
        "down": {"amplitude_v": -1.2, "width_s": 2e-3},
    }
    return ManhattanSettings.parse(data | more)


def array_of(backend: SpyBackend) -> Array:
    rows, cols = backend.description.geometry.shape
    data = ARRAY | {"rows": rows, "cols": cols}
    return Array(backend, ArraySettings.parse(data), np.random.default_rng(0))


def train_by_hand(
    start_conductance_s: np.ndarray, patterns: list[str], outputs: list[str], updates: int
) -> tuple[list[np.ndarray], list[int], bool]:
    """States and pulses before each epoch, and whether all patterns were classified at the end."""
    state_conductance_s, given_pulses = start_conductance_s.copy(), 0
    states: list[np.ndarray] = []
    pulses: list[int] = []
    for _ in range(updates):
        states.append(state_conductance_s.copy())
        pulses.append(given_pulses)
        total = np.zeros((state_conductance_s.shape[0], state_conductance_s.shape[1] // 2))
        scale = np.zeros_like(total)
        right = 0
        for pattern, output in zip(patterns, outputs, strict=True):
            voltage_v = [0.1 if bit == "1" else -0.1 for bit in pattern] + list(BIAS_V)
            current_a = []
            for neuron in range(len(output)):
                pair = state_conductance_s[:, 2 * neuron] - state_conductance_s[:, 2 * neuron + 1]
                current_a.append(math.fsum(v * g for v, g in zip(voltage_v, pair, strict=True)))
            ranked = sorted(current_a)
            assume(ranked[-1] - ranked[-2] > 1e-13)  # a tie is decided by rounding
            right += output[current_a.index(ranked[-1])] == "1"
            for neuron, current in enumerate(current_a):
                answer = math.tanh(BETA_PER_A * current)
                wanted = 0.8 if output[neuron] == "1" else -0.8
                slope = BETA_PER_A * (1 - answer * answer)
                for row, volt in enumerate(voltage_v):
                    total[row, neuron] += (wanted - answer) * slope * volt
                    scale[row, neuron] += abs((wanted - answer) * slope * volt)
        if right == len(patterns):
            return states, pulses, True
        assume(np.all(np.abs(total) > 1e-9 * scale))  # so is the sign of a sum that cancels
        rises = total > 0
        state_conductance_s[:, 0::2] += np.where(rises, UP_CONDUCTANCE_S, -DOWN_CONDUCTANCE_S)
        state_conductance_s[:, 1::2] += np.where(rises, -DOWN_CONDUCTANCE_S, UP_CONDUCTANCE_S)
        given_pulses += state_conductance_s.size
    return states, pulses, False


@st.composite
def tasks(draw: st.DrawFn) -> tuple[list[str], list[str], int]:
    inputs, neurons = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    bits = st.text("01", min_size=inputs, max_size=inputs)
    patterns = draw(st.lists(bits, min_size=1, max_size=6))
    wanted = [draw(st.integers(0, neurons - 1)) for _ in patterns]
    outputs = ["".join("1" if n == w else "0" for n in range(neurons)) for w in wanted]
    return patterns, outputs, draw(st.integers(0, 2**31))


@settings(max_examples=60, deadline=None)
@given(task=tasks(), currents=st.sampled_from(["multiply", "read"]))
def test_a_training_both_ways_with_bias_follows_its_equations_until_all_is_classified(
    task: tuple[list[str], list[str], int], currents: str
) -> None:
    patterns, outputs, seed = task
    shape = (len(patterns[0]) + len(BIAS_V), 2 * len(outputs[0]))
    backend = TwoWay(shape)
    start_conductance_s = np.random.default_rng(seed).uniform(8e-6, 12e-6, shape)
    backend.conductance_s = start_conductance_s.copy()
    states, pulses, reached = train_by_hand(start_conductance_s, patterns, outputs, 8)
    yielded = list(run(settings_of(patterns, outputs, currents=currents), array_of(backend)))
    epochs = [row for row in yielded if isinstance(row, EpochRow)]
    assert len(epochs) == len(states)
    for epoch, state_conductance_s, count in zip(epochs, states, pulses, strict=True):
        np.testing.assert_allclose(epoch.conductance_s, state_conductance_s, rtol=1e-12)
        assert epoch.pulses == count
    outcome = yielded[-1]
    assert isinstance(outcome, Outcome)
    assert outcome.reached == reached


def test_pulses_come_half_a_column_at_a_time_with_their_own_widths() -> None:
    backend = TwoWay((3, 4))
    (first, *_) = run(settings_of(["1"], ["10"], max_updates=1), array_of(backend))
    assert isinstance(first, EpochRow)
    maps = [op for op in backend.asked if isinstance(op, PulseMap)]
    assert [np.flatnonzero(one.addressed.any(axis=0)).tolist() for one in maps] == [
        [col] for col in range(4) for _ in range(2)
    ]
    for one in maps:
        (amplitude_v,) = set(one.amplitude_v[one.addressed].tolist())
        assert (amplitude_v, one.width_s) in {(1.5, 1e-3), (-1.2, 2e-3)}
    # Rows at 0.1, −0.1 and 0.07 V: the weights of neuron 0 go with them, those of 1 against them.
    np.testing.assert_array_equal(first.update, [[1, -1], [-1, 1], [1, -1]])


def test_arrays_that_classify_get_no_more_pulses_of_either_polarity() -> None:
    backend = TwoWay((3, 4), population=(2,))
    right_conductance_s, wrong_conductance_s = np.full((3, 4), 5e-6), np.full((3, 4), 5e-6)
    right_conductance_s[0, 0] = wrong_conductance_s[0, 2] = (
        8e-6  # neuron 0 above 1 with 0.3 µA, or the reverse
    )
    backend.conductance_s = np.stack([right_conductance_s, wrong_conductance_s])
    yielded = list(run(settings_of(["1"], ["10"]), array_of(backend)))
    (summary,) = [row for row in yielded if isinstance(row, SummaryRow)]
    # A pulse moves each weight of a row by 1.1 µS, times 0.27 V of the three rows, so the two
    # neurons come nearer by 0.594 µA: one update makes up for 0.3 µA.
    assert summary.epoch.tolist() == [1, 2]
    assert summary.pulses.tolist() == [0, 12]
    np.testing.assert_array_equal(backend.conductance_s[0], right_conductance_s)


def test_gate_voltages_reach_the_array_with_either_scheme() -> None:
    up = {"amplitude_v": 1.5, "width_s": 1e-3, "gate_v": 2.5}
    down = {"amplitude_v": -1.2, "width_s": 2e-3, "gate_v": 3.5}
    alone = {"scheme": "potentiate_only", "up": None, "down": None, "pulse": up}
    for more, expected in (
        ({"up": up, "down": down}, {(1.5, 2.5), (-1.2, 3.5)}),
        (alone, {(1.5, 2.5)}),
    ):
        backend = TwoWay((3, 4))
        list(run(settings_of(["1"], ["10"], max_updates=2, **more), array_of(backend)))
        given_v = {
            (float(one.amplitude_v[one.addressed].max()), float(np.max(one.gate_v)))
            for one in backend.asked
            if isinstance(one, PulseMap) and one.gate_v is not None
        }
        assert given_v == expected


def test_held_out_patterns_are_answered_with_the_bias_rows_driven() -> None:
    backend = TwoWay((3, 4))
    backend.conductance_s = np.full((3, 4), 5e-6)
    backend.conductance_s[1, 0] = 15e-6  # −0.1 V · 10 µS
    backend.conductance_s[2, 3] = 25e-6  # −0.07 V · 20 µS on G⁻
    chosen = settings_of(["0"], ["10"], held_out_patterns=["0", "1"], max_updates=1)
    rows = [row for row in run(chosen, array_of(backend)) if isinstance(row, PredictionRow)]
    (batch,) = [op for op in backend.asked if isinstance(op, VectorBatch)][1:]
    np.testing.assert_array_equal(batch.voltage_v, [[-0.1, -0.1, 0.07], [0.1, -0.1, 0.07]])
    # The pattern's own row has no weight, so both get what the bias rows alone give.
    answers = [math.tanh(BETA_PER_A * -1e-6), math.tanh(BETA_PER_A * -1.4e-6)]
    for row in rows:
        np.testing.assert_allclose(row.activation, answers, rtol=1e-9)
        assert row.prediction.tolist() == [0, 0]
    assert len(rows) == 2


def test_a_training_that_does_not_classify_names_how_many_patterns_are_wrong() -> None:
    backend = TwoWay((3, 4))
    *_, outcome = run(
        settings_of(["1", "1"], ["10", "01"], max_updates=2), array_of(backend)
    )  # one pattern, two answers
    assert isinstance(outcome, Outcome)
    assert not outcome.reached
    assert "of 2 patterns are classified wrong, the first of them 1" in outcome.message


@pytest.mark.parametrize(
    ("outputs", "stop"), [(["1", "1", "0"], "targets"), (["100", "100", "001"], "classified")]
)
def test_no_training_both_ways_does_more_than_its_plan_says(outputs: list[str], stop: str) -> None:
    # One pattern, two answers: every update is used up.
    backend = TwoWay((5, 2 * len(outputs[0])))
    chosen = settings_of(["110", "110", "110"], outputs, stop=stop)
    list(run(chosen, array_of(backend)))
    planned = plan(chosen, array_of(backend).settings).operations
    maps = [entry for entry in planned if isinstance(entry.operation, PulseMap)]
    done = [operation for operation in backend.asked if isinstance(operation, PulseMap)]
    assert 0 < len(done) <= sum(entry.at_most for entry in maps)
    per_cell = sum(one.addressed.astype(int) for one in done)
    planned_cells = sum(
        entry.at_most * entry.operation.addressed.astype(int)
        for entry in maps
        if isinstance(entry.operation, PulseMap)
    )
    assert np.max(per_cell) <= np.max(planned_cells)
    planned_v = {float(v) for one in maps for v in np.unique(one.operation.amplitude_v)}
    assert {float(v) for one in done for v in np.unique(one.amplitude_v)} <= planned_v


def test_patterns_have_as_many_bits_as_there_are_rows_besides_the_bias() -> None:
    backend = TwoWay((3, 4))
    with pytest.raises(ConfigError, match="2 bits an entry, but the array has 1 rows besides 2"):
        plan(settings_of(["10"], ["10"]), array_of(backend).settings)
