"""Emulate trains of a known step response, fit, and find it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.operations import PulseMap
from hwloop_sim.calibrate.data import Direction, TrainData
from hwloop_sim.calibrate.step_response import fit_step_response
from tests.sim.devices.models import make

UP = {"amplitude_v": 1.0, "width_s": 1e-3, "at": [0.0, 1.0], "step": [0.03, 0.004]}
DOWN = {"amplitude_v": -1.0, "width_s": 1e-3, "at": [0.0, 1.0], "step": [-0.002, -0.03]}


def trains(
    *, count: int = 24, pulses: int = 60, noise_s: float = 0.0, seed: int = 1, **of_up: Any
) -> TrainData:
    """Trains up from near the lower end, and down from near the upper, of cells alike."""
    rng = np.random.default_rng(seed)
    found = []
    for volts, begin_s in ((1.0, 1.1e-6), (-1.0, 2.9e-6)):
        device = make(
            "step_response",
            (1, count),
            seed=seed,
            low_s=1e-6,
            high_s=3e-6,
            initial=begin_s,
            up={**UP, **of_up},
            down=DOWN,
        )
        path = [device.conductance_s]
        for _ in range(pulses):
            device.pulse(PulseMap(np.full((1, count), volts), 1e-3))
            path.append(device.conductance_s)
        read_s = np.array(path)[:, 0].T + noise_s * rng.normal(size=(count, pulses + 1))
        found.append(Direction(volts, 1e-3, list(read_s), rises=volts > 0))
    return TrainData(found, ["emulated"], "", "")


def mean_step_s(settings: dict[str, Any], way: str, conductance_s: np.ndarray) -> np.ndarray:
    """ΔG of a linear step response at a conductance, siemens."""
    span_s = settings["high_s"] - settings["low_s"]
    curve, state = settings[way], (conductance_s - settings["low_s"]) / span_s
    return np.asarray(np.interp(state, curve["at"], curve["step"]) * span_s)


def test_the_mean_step_is_found_through_read_noise_as_large_as_a_step() -> None:
    # 2 % of 2 µS: at the far end a step is 0.4 % of it.
    fit = fit_step_response(trains(noise_s=4e-8))
    truth = {"low_s": 1e-6, "high_s": 3e-6, "up": UP, "down": DOWN}
    for way in ("up", "down"):
        at_s = np.linspace(1.3e-6, 2.4e-6, 12)
        found = mean_step_s(dict(fit.settings), way, at_s) / mean_step_s(truth, way, at_s)
        # A knot errs by what noise leaves between its neighbours; the whole path does not.
        np.testing.assert_allclose(found, 1, atol=0.2)
        assert np.mean(np.abs(found - 1)) < 0.06
    assert fit.read_noise_s == pytest.approx(4e-8, rel=0.05)


def test_scatter_memory_and_the_spread_of_trains_are_told_apart() -> None:
    rough = {"scatter": [0.004, 0.004], "train_spread": 0.15}
    fit = fit_step_response(trains(count=60, noise_s=4e-9, **rough))
    up = fit.settings["up"]
    assert up["train_spread"] == pytest.approx(0.15, abs=3 * fit.uncertainty["up.train_spread"])
    # Of the range that is fitted, which is a little wider than that of the data.
    scale = 2e-6 / (fit.settings["high_s"] - fit.settings["low_s"])
    assert np.median(up["scatter"]) == pytest.approx(0.004 * scale, rel=0.15)
    remembered = fit_step_response(trains(count=60, **rough, correlation=0.8)).settings["up"]
    assert remembered["correlation"] == pytest.approx(0.8, abs=0.1)
    assert up.get("correlation", 0.0) < 0.3


def test_the_spread_of_trains_is_within_twice_its_uncertainty_nineteen_times_in_twenty() -> None:
    off = []
    for seed in range(20):
        fit = fit_step_response(
            trains(count=24, pulses=40, seed=seed, scatter=[0.002, 0.002], train_spread=0.2)
        )
        off.append((fit.settings["up"]["train_spread"] - 0.2) / fit.uncertainty["up.train_spread"])
    assert np.mean(np.abs(off) < 2) >= 0.85
    assert abs(np.mean(off)) < 1


@pytest.mark.slow
def test_steps_scatter_and_noise_of_fifty_truths_are_within_their_uncertainty() -> None:
    of_steps, of_scatter, of_noise = [], [], []
    for seed in range(50):
        scatter = float(np.random.default_rng(seed).uniform(0.002, 0.006))
        rough = {"scatter": [scatter, scatter], "train_spread": 0.1}
        fit = fit_step_response(trains(pulses=40, noise_s=4e-9, seed=seed, **rough))
        up, error = fit.settings["up"], fit.uncertainty
        span_s = fit.settings["high_s"] - fit.settings["low_s"]
        at_s = fit.settings["low_s"] + np.array(up["at"]) * span_s
        truth = mean_step_s({"low_s": 1e-6, "high_s": 3e-6, "up": UP}, "up", at_s) / span_s
        for place in (0, len(at_s) // 2, -1):
            name = f"[{range(len(at_s))[place]}]"
            of_steps.append((up["step"][place] - truth[place]) / error[f"up.step{name}"])
            off = up["scatter"][place] - scatter * 2e-6 / span_s
            of_scatter.append(off / error[f"up.scatter{name}"])
        of_noise.append((fit.read_noise_s - 4e-9) / (error["up.read_noise"] * span_s))  # type: ignore[operator]
    for found in (of_steps, of_scatter, of_noise):
        assert np.mean(np.abs(found) < 2) >= 0.85


def test_gaps_are_left_out() -> None:
    whole = trains(count=1)
    with_gaps = [one.trains[0].copy() for one in whole.directions]
    for train in with_gaps:
        train[[0, 5, 6, 30, 60]] = np.nan
    gapped = TrainData(
        [
            Direction(one.amplitude_v, one.width_s, [train], one.rises)
            for one, train in zip(whole.directions, with_gaps, strict=True)
        ],
        [],
        "",
        "",
    )
    fit, of_whole = fit_step_response(gapped), fit_step_response(whole)
    at_s = np.linspace(1.4e-6, 2.4e-6, 10)
    np.testing.assert_allclose(
        mean_step_s(dict(fit.settings), "up", at_s),
        mean_step_s(dict(of_whole.settings), "up", at_s),
        rtol=0.05,
    )
    assert "one or two trains" in fit.words[0]


def test_trains_that_were_stopped_at_a_state_do_not_bias_the_mean_to_slow_ones() -> None:
    data = trains(count=40, train_spread=0.4)
    up = data.directions[0]
    stopped = [train[: max(3, int(np.argmax(train > 2.2e-6)) or len(train))] for train in up.trains]
    short = TrainData(
        [Direction(up.amplitude_v, up.width_s, stopped, True), data.directions[1]], [], "", ""
    )
    found = dict(fit_step_response(short).settings)
    at_s = np.linspace(1.3e-6, 2.0e-6, 8)
    truth = {"low_s": 1e-6, "high_s": 3e-6, "up": UP}
    np.testing.assert_allclose(
        mean_step_s(found, "up", at_s), mean_step_s(truth, "up", at_s), rtol=0.25
    )
