"""Recordings that hold one state, an offset, or a mistaken unit, are named before a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns, write_measurement
from hwloop.errors import ConfigError
from hwloop_sim.calibrate.method import Task
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus, check
from hwloop_sim.calibrate.run import doubts_of


def swept(volts: np.ndarray, current_a: np.ndarray) -> History:
    events: list[Stimulus | Read] = []
    for volt, amperes in zip(volts, current_a, strict=True):
        events.append(Stimulus(np.array([volt]), 0.01))
        events.append(Read(float(volt), False, np.array([amperes])))
    return History("loop.h5", ["sweep 0"], events)


def pulsed(conductance_s: np.ndarray) -> History:
    events: list[Stimulus | Read] = []
    for number, one in enumerate(conductance_s):
        events.append(Stimulus(np.array([1.0 if number % 2 else -1.0]), 1e-3))
        events.append(Read(0.1, True, np.array([0.1 * one])))
    return History("log.h5", ["cell 0"], events)


LOOP_V = np.tile(np.concatenate([np.linspace(0.05, 1, 20), np.linspace(1, 0.05, 20)]) - 0.525, 2)


def test_pulses_that_change_nothing_but_noise_are_a_recording_of_one_state() -> None:
    rng = np.random.default_rng(1)
    conductance_s = 1e-5 * (1 + 0.03 * rng.normal(size=60))
    with pytest.raises(ConfigError, match=r"log\.h5: a recording of one state: 60 reads .* 2\.\d%"):
        check(pulsed(conductance_s))


def test_a_loop_without_hysteresis_is_a_recording_of_one_state() -> None:
    rng = np.random.default_rng(2)
    current_a = 1e-5 * LOOP_V * (1 + 0.02 * rng.normal(size=LOOP_V.size))
    with pytest.raises(ConfigError, match="a recording of one state"):
        check(swept(LOOP_V, current_a))


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_a_small_change_that_follows_the_pulses_is_no_single_state(step: float) -> None:
    rng = np.random.default_rng(3)
    noise = 0.005 * rng.normal(size=60)
    check(pulsed(1e-5 * (1 + step * 0.05 * np.arange(60) / 60 + noise)))  # one way
    check(pulsed(1e-5 * (1 + step * 0.03 * (-1) ** np.arange(60) + noise)))  # back and forth


def test_a_current_at_0_v_is_named_as_an_offset() -> None:
    with pytest.raises(ConfigError, match=r"it is about 4e-06 A at 0 V: an offset of the current"):
        check(swept(LOOP_V, 1e-5 * LOOP_V + 4e-6))
    with pytest.raises(ConfigError, match="leads, or the signs, exchanged"):
        check(swept(LOOP_V, -1e-5 * LOOP_V))


@pytest.mark.parametrize(("factor", "doubted"), [(1.0, False), (1e3, True), (1e-9, True)])
def test_conductances_that_no_memristor_has_are_questioned(
    factor: float, doubted: bool, tmp_path: Path
) -> None:
    trains = [factor * np.linspace(1e-4, 3e-4, 10)] * 2
    columns = train_columns(trains, cells=[0] * 2, amplitudes_v=[1.0] * 2, widths_s=[1e-3] * 2)
    path = tmp_path / "a.h5"
    write_measurement(Measurement(kind="trains", title="t", source="s", columns=columns), path)
    said = doubts_of(Task("vteam", [path]))
    assert bool(said) == doubted
    assert all("off by a thousand" in line for line in said)
