"""What is held out of a fit, and beside what its prediction is judged."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_sim.calibrate.method import HeldOut
from hwloop_sim.calibrate.operations.held_out import PredictedReads, half_masks
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus, levels


def pulsed(amplitudes_v: list[float], *, reads: int = 8) -> History:
    """Return trains of equal pulses, one cell each, in the order given."""
    volts = np.array(amplitudes_v)
    seen_a = np.full(volts.size, 1e-6)
    events: list[Stimulus | Read] = [Read(0.1, True, seen_a)]
    for _ in range(reads - 1):
        events += [Stimulus(volts, 1e-3), Read(0.1, True, seen_a)]
    return History("a.h5", [f"train {n}" for n in range(volts.size)], events)


def swept(volts: np.ndarray, current_a: np.ndarray, name: str = "sweep 0") -> History:
    """Return one sweep, a point every 10 ms."""
    events: list[Stimulus | Read] = []
    for volt, amperes in zip(volts, current_a, strict=True):
        events.append(Stimulus(np.array([volt]), 0.01))
        if volt != 0:
            events.append(Read(float(volt), False, np.array([amperes])))
    return History("a.h5", [name], events)


def test_alternating_trains_leave_both_directions_in_both_halves() -> None:
    (mask,), of = half_masks([pulsed([1.0, -1.0] * 4)])
    fitted = mask.all(axis=0)
    assert of == "every second cell"
    assert fitted.tolist() == [True, True, False, False, True, True, False, False]
    assert mask[0].all()  # where a train begins is known


def test_half_loops_in_files_of_their_own_leave_both_directions_in_both_halves() -> None:
    up, down = np.linspace(0, 1, 21), np.linspace(0, -1, 21)
    halves = [swept(one, 1e-6 * one) for one in (up, down, up, down)]
    masks, _ = half_masks(halves)
    assert [bool(mask.all()) for mask in masks] == [True, True, False, False]


def test_the_first_cycle_of_a_loop_is_a_pair_of_trains() -> None:
    cycle = np.concatenate([np.linspace(0.1, 1, 10), np.linspace(-0.1, -1, 10)])
    (mask,), of = half_masks([swept(np.tile(cycle, 2), np.tile(1e-6 * cycle, 2))])
    assert of == "every second pair of trains"
    assert mask[:20].all()
    assert not mask[20:].any()


def test_a_sweep_held_out_is_begun_from_its_points_below_a_quarter_of_the_largest_voltage() -> None:
    volts = np.linspace(0.05, 1, 20)
    (_, mask), _ = half_masks([swept(volts, 1e-6 * volts), swept(volts, 1e-6 * volts)])
    assert mask[:, 0].tolist() == [True] * 5 + [False] * 15


def test_points_near_0_v_weigh_by_their_voltage() -> None:
    volts = np.array([0.01, 0.5, 1.0, 0.5, 0.01, -0.01, -0.5])
    level, of_pulses = levels([swept(volts, 1e-6 * volts), pulsed([1.0])])
    assert level.tolist() == volts.tolist()
    assert of_pulses.tolist() == [1.0] * 8
    true_conductance_s = np.full(7, 1e-6)
    # An offset of 50 nA is five times the current at 10 mV, and 5 % of the largest.
    predicted_conductance_s = true_conductance_s + 5e-8 / np.abs(volts)
    seen = PredictedReads(
        "x", predicted_conductance_s, true_conductance_s, true_conductance_s, level, level
    )
    own, _ = seen.errors()
    assert own == pytest.approx(0.05 / 0.99)  # over 1.00 less 0.01 of the largest current


def test_the_mean_of_a_sweep_is_the_one_at_the_same_voltage() -> None:
    # A diode without a state: its mean at each voltage is exact, and so is worth nothing as a twin.
    level = np.linspace(-1, 1, 41)
    conductance_s = 1e-6 * np.exp(3 * level)
    seen = PredictedReads("x", conductance_s, conductance_s, conductance_s, level, level)
    _, of_mean = seen.errors()
    assert of_mean < 0.02


def test_repeats_of_what_was_held_out_are_the_scatter_beside_an_error() -> None:
    held_conductance_s = np.array([1e-6, 2e-6, 3e-6])
    repeat = held_conductance_s + 1e-7 * np.array([1.0, -1.0, np.nan])
    seen = PredictedReads(
        "x", held_conductance_s + 4e-7, held_conductance_s, held_conductance_s, None, None, repeat
    ).held_out()
    assert seen.scatter == pytest.approx(0.05)
    assert seen.error == pytest.approx(0.2)
    assert any("misses more than chance" in line for line in seen.warnings())


@pytest.mark.parametrize(
    ("of_mean", "fails", "barely"),
    [(0.95, True, True), (0.85, False, True), (0.5, False, False)],
)
def test_a_prediction_must_be_clearly_better_than_the_mean(
    of_mean: float, fails: bool, barely: bool
) -> None:
    seen = HeldOut(0.2 * of_mean, [], 0.2)
    assert seen.fails == fails
    assert any(line.startswith("barely a twin") for line in seen.warnings()) == barely


def test_reads_between_fitted_ones_are_called_a_weaker_proof() -> None:
    volts = np.concatenate([np.linspace(0.1, 1, 10), np.linspace(0.9, 0.1, 9)])
    (mask,), of = half_masks([swept(volts, 1e-6 * volts)])
    assert 0.4 < mask.mean() < 0.7
    seen = PredictedReads(of, *(np.array([1e-6, 2e-6]),) * 3).held_out()
    assert any("weaker proof" in line for line in seen.warnings())
