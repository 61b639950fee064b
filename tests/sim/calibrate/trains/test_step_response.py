"""Emulate trains of a known step response, fit, and find it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop_sim.calibrate.run import calibrate
from hwloop_sim.calibrate.trains.calibrate import TrainCalibration
from hwloop_sim.calibrate.trains.data import Direction, TrainData
from hwloop_sim.calibrate.trains.step_response import fit_step_response
from tests.sim.calibrate.trains.train_truths import (
    Deviations,
    StepTruth,
    least_share,
    shares,
    step_truth,
    together,
    trains_record,
)
from tests.sim.devices.models import make

UP = {"amplitude_v": 1.0, "width_s": 1e-3, "at": [0.0, 1.0], "step": [0.03, 0.004]}
DOWN = {"amplitude_v": -1.0, "width_s": 1e-3, "at": [0.0, 1.0], "step": [-0.002, -0.03]}


def trains(
    *,
    count: int = 24,
    pulses: int = 60,
    noise_conductance_s: float = 0.0,
    seed: int = 1,
    **of_up: Any,
) -> TrainData:
    """Trains up from near the lower end, and down from near the upper, of cells alike."""
    rng = np.random.default_rng(seed)
    found = []
    for volts, begin_conductance_s in ((1.0, 1.1e-6), (-1.0, 2.9e-6)):
        device = make(
            "step_response",
            (1, count),
            seed=seed,
            low_conductance_s=1e-6,
            high_conductance_s=3e-6,
            initial=begin_conductance_s,
            up={**UP, **of_up},
            down=DOWN,
        )
        path = [device.conductance_s]
        for _ in range(pulses):
            device.pulse(PulseMap(np.full((1, count), volts), 1e-3))
            path.append(device.conductance_s)
        read_conductance_s = np.array(path)[:, 0].T + noise_conductance_s * rng.normal(
            size=(count, pulses + 1)
        )
        found.append(Direction(volts, 1e-3, list(read_conductance_s), rises=volts > 0))
    return TrainData(found)


def mean_step_conductance_s(
    settings: dict[str, Any], way: str, conductance_s: np.ndarray
) -> np.ndarray:
    """ΔG of a linear step response at a conductance, siemens."""
    span_conductance_s = settings["high_conductance_s"] - settings["low_conductance_s"]
    curve, state = (
        settings[way],
        (conductance_s - settings["low_conductance_s"]) / span_conductance_s,
    )
    return np.asarray(np.interp(state, curve["at"], curve["step"]) * span_conductance_s)


def test_the_mean_step_is_found_through_read_noise_as_large_as_a_step() -> None:
    # 2 % of 2 µS: at the far end a step is 0.4 % of it.
    fit = fit_step_response(trains(noise_conductance_s=4e-8))
    truth = {"low_conductance_s": 1e-6, "high_conductance_s": 3e-6, "up": UP, "down": DOWN}
    for way in ("up", "down"):
        at_conductance_s = np.linspace(1.3e-6, 2.4e-6, 12)
        found = mean_step_conductance_s(
            dict(fit.settings), way, at_conductance_s
        ) / mean_step_conductance_s(truth, way, at_conductance_s)
        # A knot errs by what noise leaves between its neighbours; the whole path does not.
        np.testing.assert_allclose(found, 1, atol=0.2)
        assert np.mean(np.abs(found - 1)) < 0.06
    assert fit.read_noise_conductance_s == pytest.approx(4e-8, rel=0.05)


@pytest.mark.slow
def test_scatter_memory_and_the_spread_of_trains_are_told_apart() -> None:
    rough = {"scatter": [0.004, 0.004], "train_spread": 0.15}
    fit = fit_step_response(trains(count=60, noise_conductance_s=4e-9, **rough))
    up = fit.settings["up"]
    assert up["train_spread"] == pytest.approx(0.15, abs=3 * fit.uncertainty["up.train_spread"])
    # Of the range that is fitted, which is a little wider than that of the data.
    scale = 2e-6 / (fit.settings["high_conductance_s"] - fit.settings["low_conductance_s"])
    assert np.median(up["scatter"]) == pytest.approx(0.004 * scale, rel=0.15)
    remembered = fit_step_response(trains(count=60, **rough, correlation=0.8)).settings["up"]
    assert remembered["correlation"] == pytest.approx(0.8, abs=0.1)
    assert up.get("correlation", 0.0) < 0.3


def deviations(seed: int, folder: Path) -> Deviations:
    """Of everything that has an uncertainty; every second pair of truths spans a decade."""
    truth = step_truth(seed, logarithmic=seed % 4 > 1)
    path = trains_record(folder / f"{seed}.h5", truth, seed=seed)
    calibration = calibrate([path], model="step_response", cell=0)
    assert isinstance(calibration, TrainCalibration)
    stated = calibration.as_data([path], "found")
    found = stated["parameters"]
    assert found["scale"] == truth.device["scale"]
    off: dict[str, list[float]] = {}
    for name, error in stated["uncertainty"].items():
        way, _, rest = name.rpartition(".")
        kind, _, place = rest.partition("[")
        if way:
            true = true_value(truth, found, way, kind, int(place[:-1]) if place else None)
            value = found[way].get(kind, 0.0)
            value = value[int(place[:-1])] if place else value
        else:
            true = {
                "read_noise_conductance_s": truth.noise_conductance_s,
                "read_noise": truth.relative_noise,
            }[name]
            kind, value = "read noise", stated[name]
        off.setdefault(kind, []).append((value - true) / error)
    return off


def true_value(
    truth: StepTruth, found: Mapping[str, Any], way: str, kind: str, place: int | None
) -> float:
    """Of a parameter, at a knot of those found, in states of the range that was found."""
    curve = getattr(truth.settings, way)
    if place is None:
        return float(getattr(curve, kind))
    ends = truth.settings.state(np.array([found["low_conductance_s"], found["high_conductance_s"]]))
    at = ends[0] + found[way]["at"][place] * (ends[1] - ends[0])
    return float(np.interp(at, curve.at, getattr(curve, kind)) / (ends[1] - ends[0]))


KINDS = {"step", "scatter", "correlation", "train_spread", "read noise"}


def test_a_step_response_of_a_characterised_array_is_found_again(tmp_path: Path) -> None:
    off = deviations(1, tmp_path)
    assert set(off) == KINDS
    assert max(np.abs(one).max() for one in off.values()) < 4.5


@pytest.mark.slow
def test_stated_uncertainties_cover_fifty_random_truths(tmp_path: Path) -> None:
    off = together(deviations(seed, tmp_path) for seed in range(50))
    assert set(off) == KINDS
    for width, share in ((1, 0.683), (2, 0.954)):
        for one in off.values():  # the knots of one fit err together
            assert np.mean(np.abs(one) < width) >= least_share(share, 50), shares(off)


def test_gaps_are_left_out() -> None:
    whole = trains(count=1)
    with_gaps = [one.trains[0].copy() for one in whole.directions]
    for train in with_gaps:
        train[[0, 5, 6, 30, 60]] = np.nan
    gapped = TrainData(
        [
            Direction(one.amplitude_v, one.width_s, [train], one.rises)
            for one, train in zip(whole.directions, with_gaps, strict=True)
        ]
    )
    fit, of_whole = fit_step_response(gapped), fit_step_response(whole)
    at_conductance_s = np.linspace(1.4e-6, 2.4e-6, 10)
    np.testing.assert_allclose(
        mean_step_conductance_s(dict(fit.settings), "up", at_conductance_s),
        mean_step_conductance_s(dict(of_whole.settings), "up", at_conductance_s),
        rtol=0.05,
    )
    assert "one or two trains" in fit.messages[0]


def test_trains_that_were_stopped_at_a_state_do_not_bias_the_mean_to_slow_ones() -> None:
    data = trains(count=40, train_spread=0.4)
    up = data.directions[0]
    stopped = [train[: max(3, int(np.argmax(train > 2.2e-6)) or len(train))] for train in up.trains]
    short = TrainData([Direction(up.amplitude_v, up.width_s, stopped, True), data.directions[1]])
    found = dict(fit_step_response(short).settings)
    at_conductance_s = np.linspace(1.3e-6, 2.0e-6, 8)
    truth = {"low_conductance_s": 1e-6, "high_conductance_s": 3e-6, "up": UP}
    np.testing.assert_allclose(
        mean_step_conductance_s(found, "up", at_conductance_s),
        mean_step_conductance_s(truth, "up", at_conductance_s),
        rtol=0.25,
    )
