"""The letters z, v, n: the rule written out again, and the epochs that an array takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

PROCEDURE = Path(__file__).parents[2] / "procedures" / "prezioso_3x3.yaml"
LETTERS = ("111010111", "101101010", "010101101")


def _patterns() -> np.ndarray:
    """(30, 9): every letter, then its copies with one pixel flipped."""
    made = []
    for letter in LETTERS:
        pixels = np.array([int(bit) for bit in letter])
        made += [pixels, *np.abs(pixels - np.eye(9, dtype=int))]
    return np.array(made)


def _written_out(
    state_conductance_s: np.ndarray,
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """The training from its beginning, for cells of soft bounds: states, signs, wrong patterns.

    Shares nothing with the step: the rule, the pulses and the cells are written out again.
    """
    voltage_v = np.column_stack([0.2 * _patterns() - 0.1, np.full(30, -0.1)])
    wanted = np.repeat(np.eye(3), 10, axis=0)
    states, signs, wrong = [], [], []
    for _ in range(100):
        weight_conductance_s = state_conductance_s[:, 0::2] - state_conductance_s[:, 1::2]
        current_a = voltage_v @ weight_conductance_s
        states.append(state_conductance_s)
        wrong.append(int((current_a.argmax(axis=1) != wanted.argmax(axis=1)).sum()))
        if not wrong[-1]:
            break
        answer = np.tanh(1e4 * current_a)
        error = np.where(wanted == 1, 0.85, -0.85) - answer
        signs.append(np.sign(voltage_v.T @ (error * (1 - answer**2))))
        rises = np.empty(state_conductance_s.shape)
        rises[:, 0::2], rises[:, 1::2] = signs[-1], -signs[-1]
        up_conductance_s = 2.5e-3 - (2.5e-3 - state_conductance_s) * np.exp(-1 / 80)
        down_conductance_s = 1.6e-3 + (state_conductance_s - 1.6e-3) * np.exp(-1 / 60)
        state_conductance_s = np.where(
            rises > 0,
            up_conductance_s,
            np.where(rises < 0, down_conductance_s, state_conductance_s),
        )
    return states, signs, wrong


@pytest.mark.parametrize("seed", [1, 7])
def test_a_training_is_the_rule_written_out_from_the_first_read_to_the_last(
    tmp_path: Path, seed: int
) -> None:
    device = (
        "{model: soft_bounds, min_conductance_s: 1.6 mS, max_conductance_s: 2.5 mS, up_pulses: 80, down_pulses: 60,"
        " up: {amplitude_v: 1 V, width_s: 1 us}, down: {amplitude_v: -1 V, width_s: 1 us},"
        " initial: {distribution: uniform, min_conductance_s: 1.8 mS, max_conductance_s: 2.3 mS}}"
    )
    path = tmp_path / "run.h5"
    procedure = load_procedure(PROCEDURE, [f"backends.sim.device={device}"])
    result = run_procedure(procedure, RunOptions("sim", path, seed=seed))
    with Record(path) as record:
        rows = record.results("train_manhattan")
    states, signs, wrong = _written_out(rows["conductance_s"][0])
    assert 1 < len(states) < 100
    assert wrong[0] > 10
    assert result.outcomes["train_manhattan"].message == f"converged at epoch {len(states)}"
    np.testing.assert_allclose(rows["conductance_s"], states, rtol=1e-12)
    np.testing.assert_array_equal(rows["update"][:-1], signs)
    assert rows["pulses"][-1] == sum(2 * np.count_nonzero(one) for one in signs)


def test_every_update_is_the_sign_that_the_rule_gives_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run_procedure(load_procedure(PROCEDURE), RunOptions("sim", path))
    with Record(path) as record:
        rows = record.results("train_manhattan")
    voltage_v = np.column_stack([0.2 * _patterns() - 0.1, np.full(30, -0.1)])
    wanted = np.repeat(np.where(np.eye(3), 0.85, -0.85), 10, axis=0)
    epochs = len(rows["epoch"])
    for epoch in range(epochs):
        weight_conductance_s = (
            rows["conductance_s"][epoch][:, 0::2] - rows["conductance_s"][epoch][:, 1::2]
        )
        current_a = voltage_v @ weight_conductance_s
        answer = np.tanh(1e4 * current_a)
        delta = (wanted - answer) * 1e4 * (1 - answer**2)
        np.testing.assert_array_equal(
            (current_a.argmax(axis=1) == wanted.argmax(axis=1)).all(), epoch == epochs - 1
        )
        if epoch < epochs - 1:
            np.testing.assert_array_equal(rows["update"][epoch], np.sign(voltage_v.T @ delta))
    # One pulse for each cell of every pair that moves, up or down as its weight is to go.
    moved = sum(2 * int(np.count_nonzero(update)) for update in rows["update"][:-1])
    assert rows["pulses"][-1] == moved
    step_conductance_s, update = np.diff(rows["conductance_s"], axis=0), rows["update"][:-1]
    np.testing.assert_array_equal(np.sign(step_conductance_s[..., 0::2]), update)
    np.testing.assert_array_equal(np.sign(step_conductance_s[..., 1::2]), -update)


def test_arrays_learn_the_letters_in_the_epochs_that_the_page_states(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run_procedure(load_procedure(PROCEDURE), RunOptions("sim", path, population=200))
    with Record(path) as record:
        summary = record.results("train_manhattan/summary")
    assert summary["converged"][0].all()
    # Of 1,000 arrays: 19.6 ± 5.7, half of them from 16 to 23, 90 % from 11 to 29. Of 200 the mean
    # is within three standard errors of 0.4, the deviation within three of 0.28.
    epoch = summary["epoch"][0]
    assert abs(epoch.mean() - 19.6) < 1.2
    assert abs(epoch.std(ddof=1) - 5.7) < 0.9
    assert np.percentile(epoch, 5) <= 13 < 26 <= np.percentile(epoch, 95)
    assert epoch.max() <= 45
