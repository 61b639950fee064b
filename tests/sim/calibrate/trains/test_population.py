"""Speeds of trains that are drawn by a known law, and what is found in them."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop_sim.calibrate.trains.data import Direction, TrainData
from hwloop_sim.calibrate.trains.population import ageing, components
from hwloop_sim.calibrate.trains.step_response import fit_step_response
from tests.sim.devices.models import make

CURVE = {"width_s": 1e-3, "at": [0.0, 1.0]}


def test_a_speed_that_falls_with_the_logarithm_of_the_cycles_is_found_within_its_errors() -> None:
    rng = np.random.default_rng(3)
    cycles = np.arange(100)
    speeds = 0.3 - 0.2 * np.log1p(cycles) + 0.05 * rng.normal(size=100)
    found = ageing(speeds, np.zeros(100, dtype=np.intp), cycles)
    assert found is not None
    truth = 0.3 - 0.2 * np.log1p(found.cycles)
    assert np.all(np.abs(found.ln_speed - truth) < 3 * found.errors)
    assert found.errors[-1] < 0.05
    # Beyond the last cycle that was fitted it is held.
    assert found.at(np.array([10_000]))[0] == pytest.approx(found.ln_speed[-1])


def test_speeds_without_a_trend_and_speeds_of_few_cycles_do_not_age() -> None:
    rng = np.random.default_rng(4)
    one = np.zeros(60, dtype=np.intp)
    assert ageing(0.2 * rng.normal(size=60), one, np.arange(60)) is None
    assert ageing(-0.5 * np.arange(5.0), one[:5], np.arange(5)) is None


def test_cells_that_differ_do_not_pass_for_ageing_and_it_is_found_beside_them() -> None:
    rng = np.random.default_rng(5)
    cells, cycles = np.repeat(np.arange(6), 20), np.tile(np.arange(20), 6)
    own = 0.5 * rng.normal(size=6)[cells] + 0.02 * rng.normal(size=120)
    assert ageing(own, cells, cycles) is None
    found = ageing(own - 0.1 * np.log1p(cycles), cells, cycles)
    assert found is not None
    assert found.ln_speed[-1] - found.ln_speed[0] == pytest.approx(-0.1 * np.log(20), abs=0.03)


@pytest.mark.parametrize(("between", "within"), [(0.3, 0.1), (0.0, 0.2), (0.2, 0.0)])
def test_the_spread_between_cells_and_that_within_them_are_told_apart(
    between: float, within: float
) -> None:
    rng = np.random.default_rng(6)
    cells = np.repeat(np.arange(80), 6)
    speeds = between * rng.normal(size=80)[cells] + within * rng.normal(size=480)
    found = components(speeds, cells, spread=float(np.std(speeds)), error=0.01)
    assert found.cell_spread == pytest.approx(between, abs=3 * found.errors[0] + 1e-9)
    assert found.train_spread == pytest.approx(within, abs=0.03)
    assert found.errors[0] < 0.06


def test_what_the_trains_cannot_tell_is_said() -> None:
    speeds = np.array([0.1, -0.2, 0.3, 0.0])
    alone = components(speeds, np.arange(4), spread=0.2, error=0.07)
    assert (alone.cell_spread, alone.train_spread) == (0.2, 0.0)
    assert "cannot be told apart" in alone.summary
    single = components(speeds, np.zeros(4, dtype=np.intp), spread=0.2, error=0.07)
    assert (single.cell_spread, single.train_spread) == (0.0, 0.2)
    two = components(speeds, np.array([0, 0, 1, 1]), spread=0.2, error=0.07)
    assert two.cell_spread == 0.0
    for one in (single, two):
        assert "not determined" in one.summary


@pytest.mark.slow
def test_a_fit_finds_the_spread_of_cells_and_ageing_that_were_emulated() -> None:
    up = {**CURVE, "amplitude_v": 1.0, "step": [0.12, 0.06], "cell_spread": 0.25}
    up |= {"age_trains": [0, 9], "age_speed": [1.0, 0.5]}
    ends = {"low_conductance_s": 1e-6, "high_conductance_s": 5e-6, "initial": 1.2e-6}
    found: list[np.ndarray] = []
    for cycle in range(9):
        device = make("step_response", (1, 8), seed=8, **ends, up={**up, "trains_before": cycle})
        path = [device.conductance_s[0]]
        for _ in range(7):
            device.pulse(PulseMap(np.full((1, 8), 1.0), 1e-3))
            path.append(device.conductance_s[0])
        found += list(np.array(path).T)
    fit = fit_step_response(TrainData([Direction(1.0, 1e-3, found, True, list(range(8)) * 9)]))
    curve = fit.settings["up"]
    assert curve["cell_spread"] == pytest.approx(0.25, abs=0.15)
    assert curve.get("train_spread", 0.0) < 0.05
    assert curve["age_speed"][-1] / curve["age_speed"][0] == pytest.approx(0.5, rel=0.15)
    assert any("ageing" in line for line in fit.messages)
