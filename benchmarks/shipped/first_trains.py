"""Growth of the cells of the program-and-verify tests, from the trains that end a trial.

One train of gate pulses does not tell the exponent of growth from that of the overdrive. Trains in
steps of 10 and of 100 mV on the same cells do: n steps add n powers of the drive, so that a level
is reached the higher above V_t, the coarser and fewer the steps. Fitted are the trials of every
second cell: where their first train ended, and how many trains coarse steps took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.one_transistor.growth_fit import (
    EXPONENT,
    OVERDRIVE_EXPONENT,
    parameters,
)
from hwloop_sim.calibrate.one_transistor.quantiles import spread
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.unknowns import Unknowns
from hwloop_sim.cells.device import Device
from hwloop_sim.devices.one_transistor import ONE_TRANSISTOR


@dataclass(frozen=True)
class Trains:
    """A test: its file, the step of the gate, and after which trains its trials are counted."""

    file: str
    step_v: float
    after: tuple[int, ...]


TESTS = (
    Trains("ispp-wl0.010-7-24-20.csv", 0.01, (1,)),
    Trains("ispp-wl0.100-7-24-20.csv", 0.1, (1, 3, 10)),
)
"""Tests of the same 256 cells on one day."""
START_V, STOP_V = 1.8, 3.5
BIT_V, WIDTH_S = 2.0, 2e-7
OF_CHIP = ("v_transistor_v", "growth.conductance_s_per_v", "unsteadiness")
"""What differs from chip to chip."""
OF_LAW = (EXPONENT, OVERDRIVE_EXPONENT, "spread.unsteadiness")
_START = {
    "v_transistor_v": 1.90,
    "growth.conductance_s_per_v": 1.1e-3,
    "unsteadiness": 0.35,
    EXPONENT: 4.5,
    OVERDRIVE_EXPONENT: 1.2,
    "spread.unsteadiness": 0.5,
}
_WINDOWS_OHM = ((0.0, 5000.0), (5770.0, 6010.0), (8510.0, 9310.0))
_LEAST_V = 1.95
"""Gate voltage below which no cell is SET: one in its window by then had not been RESET."""
_DRAWS, _SEED = 4, 3
_STEP, _ROUNDS, _AGAIN = 0.1, 12, 200
_LEAST_ERROR = 0.004
"""Of the logarithm of a number of steps, and of a share."""
_COARSE_V = 0.05
"""Step from which on cells end at few voltages."""


@dataclass(frozen=True)
class TrainFit:
    """Fitted settings by name, with errors; ``off``: moments off, in their own errors."""

    values: Mapping[str, float]
    errors: Mapping[str, float]
    off: FloatArray


def fit_trains(
    folder: Path, swept: Mapping[str, float], noise: SweepNoise, *, law: bool
) -> TrainFit:
    """Fit the cells of the tests to the trials of every second one, by moments.

    ``swept``: settings of growth fitted to sweeps. With ``law`` the exponents of growth and of the
    overdrive and the spread of λ are fitted as well: the sweeps have a tenth as many cells.
    """
    from scipy.optimize import least_squares

    unknowns = Unknowns({name: _START[name] for name in (*OF_CHIP, *(OF_LAW if law else ()))})
    seen, error, trials = measured_moments(folder)

    def off(numbers: FloatArray) -> FloatArray:
        values = {**swept, **unknowns.values(numbers)}
        rng = np.random.default_rng(_SEED)
        rows = [emulated_moments(values, noise, test, trials, rng) for test in TESTS]
        return np.asarray((np.concatenate(rows, axis=1).mean(axis=0) - seen) / error)

    def slope(numbers: FloatArray) -> FloatArray:
        here, moves = off(numbers), _STEP * np.eye(numbers.size)
        return np.array([off(numbers + one) - here for one in moves]).T / _STEP

    found = least_squares(
        off, unknowns.numbers(), slope, x_scale="jac", xtol=1e-2, max_nfev=_ROUNDS
    )
    slopes = slope(found.x)
    worse = max(float(np.mean(np.square(found.fun))), 1.0)
    covariance = np.linalg.inv(slopes.T @ slopes) * worse
    errors = unknowns.errors(found.x, np.sqrt(np.diag(covariance)))
    return TrainFit(unknowns.values(found.x), errors, np.asarray(found.fun))


def measured_moments(folder: Path) -> tuple[FloatArray, FloatArray, int]:
    """Return the moments of the trials of every second cell, their errors, and trials a level.

    Errors are those of cells drawn again.
    """
    rng, found, trials = np.random.default_rng(_SEED), [], 0
    for test in TESTS:
        table = np.loadtxt(folder / test.file)
        fitted = np.unique(table[:, 0])[::2]
        for low_ohm, _ in _WINDOWS_OHM:
            rows = table[np.isin(table[:, 0], fitted) & (table[:, 6] == low_ohm)]
            rows, trials = rows[np.argsort(rows[:, 0], kind="stable")], len(rows)
            of_cell = np.arange(trials).reshape(fitted.size, -1)
            drawn = of_cell[rng.integers(fitted.size, size=(_AGAIN, fitted.size))]
            places = np.vstack([np.arange(trials), drawn.reshape(_AGAIN, trials)])
            ended = np.where(rows[:, 8] == 1, rows[:, 3], np.inf)
            found.append(_moments(rows[places, 2], ended[places], test, is_open=low_ohm == 0))
    every = np.concatenate(found, axis=1)
    return every[0], np.hypot(every[1:].std(axis=0), _LEAST_ERROR), trials


def emulated_moments(
    values: Mapping[str, float],
    noise: SweepNoise,
    test: Trains,
    trials: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the moments, (draws, moments), of as many trains on ``trials`` cells as count."""
    settings = {key: one for key, one in values.items() if not key.startswith("day")}
    kind = ONE_TRANSISTOR
    device = kind.make(kind.settings.parse(parameters(settings, WIDTH_S)), (_DRAWS, 1, trials), rng)
    shape = (len(_WINDOWS_OHM), _DRAWS, trials)
    number, ended = np.zeros(shape), np.full(shape, np.inf)
    for train in range(1, test.after[-1] + 1):
        of_train, hit = _train(device, test.step_v, values["r_series_ohm"], noise, rng)
        first = hit & np.isinf(ended)
        number[first], ended[first] = of_train[first], train
    rows = [
        _moments(number[i], ended[i], test, is_open=low_ohm == 0)
        for i, (low_ohm, _) in enumerate(_WINDOWS_OHM)
    ]
    return np.concatenate(rows, axis=1)


def _train(
    device: Device, step_v: float, r_series_ohm: float, noise: SweepNoise, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """RESET, and step the gate; return where each level is reached, and whether its window is hit.

    Both are (levels, draws, cells). What a cell does once it is past a level does not matter to it.
    """
    ones = np.ones(device.conductance_s.shape[-2:])
    lowest_ohm, highest_ohm = np.array(_WINDOWS_OHM).T[:, :, None, None]
    device.pulse(PulseMap(-10.0 * ones, 1e-6, gate_v=20.0))
    number = np.zeros((len(_WINDOWS_OHM), *device.conductance_s[:, 0].shape))
    hit = np.zeros(number.shape, np.bool_)
    for place, gate_v in _gates(step_v):
        device.pulse(PulseMap(BIT_V * ones, WIDTH_S, gate_v=gate_v))
        held_conductance_s = device.conductance_s[:, 0]
        sigma = noise.sigma(held_conductance_s, r_series_ohm)
        read_ohm = np.exp(sigma * rng.standard_normal(sigma.shape)) / held_conductance_s
        ends = (number == 0) & (read_ohm < highest_ohm)
        number[ends] = place
        hit |= ends & (read_ohm >= lowest_ohm)
    return number, hit


def _gates(step_v: float) -> Iterator[tuple[int, float]]:
    """Yield number and voltage of the steps of a train at which cells are SET."""
    for number, gate_v in enumerate(np.arange(START_V, STOP_V + step_v / 2, step_v), 1):
        if gate_v > _LEAST_V:
            yield number, float(gate_v)


def _moments(number: FloatArray, ended: FloatArray, test: Trains, *, is_open: bool) -> FloatArray:
    """Return moments of trials, (draws, moments).

    ``number``: of the step that ended the trial. ``ended``: of its train, infinite if there was
    none. Of a level that is open below, mean and deviation of ln n in the first train, which runs
    to its end if it does not reach the level, and the share that reaches it. Of a window, mean ln n
    of the first trains that end in it, its robust spread for fine steps, and the shares of trials
    ended after so many trains.
    """
    logs = np.log(np.maximum(number, 1))
    if is_open:
        last = np.log(round((STOP_V - START_V) / test.step_v) + 1)
        every = np.where(ended == 1, logs, last)
        return np.column_stack([every.mean(axis=1), every.std(axis=1), (ended == 1).mean(axis=1)])
    set_at_all = START_V + (number - 1) * test.step_v > _LEAST_V
    of_first = np.where((ended == 1) & set_at_all, logs, np.nan)
    ended_once = np.maximum(np.isfinite(of_first).sum(axis=1), 1)
    columns = [np.nansum(of_first, axis=1) / ended_once]
    if test.step_v < _COARSE_V:
        columns.append(spread(of_first))
    done = set_at_all | (ended > 1)
    return np.column_stack([*columns, *(np.mean((ended <= one) & done, 1) for one in test.after)])
