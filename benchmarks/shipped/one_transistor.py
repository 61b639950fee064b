"""Twin of the 1T1R cells: device from sweeps; noise, relaxation and endurance from tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shipped import sources
from benchmarks.shipped.first_trains import OF_LAW, TrainFit, fit_trains
from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import write_measurement
from hwloop.types import FloatArray
from hwloop_sim.calibrate.method import Task
from hwloop_sim.calibrate.one_transistor.calibrate import SweepCalibration, calibrate_sweeps
from hwloop_sim.calibrate.one_transistor.emulation import MODEL
from hwloop_sim.calibrate.one_transistor.growth_fit import fit_growth, fit_median
from hwloop_sim.calibrate.one_transistor.read_noise import read_noise
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps, load_sweeps
from hwloop_sim.calibrate.one_transistor.unknowns import of_day
from hwloop_sim.calibration.file import flat
from hwloop_sim.devices.common.filament import filament_conductance_s
from hwloop_sim.effects.acceleration import BOLTZMANN_EV_PER_K

NAME = "levy2021_1t1r"
SEED = 1
_CELLS, _CHIP = "rram_1t1r_mlc", "rram_1t1r_reliability"
_FILES: tuple[tuple[str, dict[str, str]], ...] = (
    ("set-sweep-wl-noreset-200ns-step-0.05-7-30-20.csv.gz", {"line": "bit"}),
    ("reset-sweep-sl-200ns-step-0.05-7-30-20.csv.gz", {"line": "source"}),
    ("set-sweep-wl-200ns-step-0.05-9-21-20.csv.gz", {"line": "bit"}),
    ("reset-sweep-sl-200ns-step-0.05-9-21-20.csv.gz", {"line": "source"}),
    ("cycling-5-1-20.csv.gz", {}),
)
_LEVELS, _WINDOW_CONDUCTANCE_S = 32, 7.5e-6
_LEAST_LEVEL_CONDUCTANCE_S = 40e-6
"""Conductance, siemens, below which the windows of the levels are not known."""
_HIGH_STATE_CONDUCTANCE_S = 60e-6
"""Conductance, siemens, up to which telegraph noise is counted."""
_JUMP = 0.1
"""Least change of ln G between two reads that counts as a jump: five times the white noise."""
_BAKE_K, _BAKE_TAU_S = 353.15, 600.0
"""Temperature of the bake, and a third of its half hour."""
_LEAST_CONDUCTANCE_S, _MOST_CONDUCTANCE_S = 1e-6, 300e-6
"""Fresh window of ``endurance``, siemens: so wide that it limits no fresh cell."""


def contents(folder: Path) -> dict[str, Any]:
    """Return the contents of the calibration file."""
    fitted, law = fit(folder)
    data = fitted.as_data([], sources.ONE_TRANSISTOR["title"])
    del data["files"]
    source = dict(sources.ONE_TRANSISTOR)
    data["validity"]["summary"] = source.pop("words")
    data["remarks"] = [*data["remarks"], *source.pop("remarks")]
    data.update(source)
    chip = fit_trains(folder / _CELLS, _growth(fitted), fitted.noise, law=False)
    data["parameters"]["days"].append(_factors(fitted, chip.values))
    values = ", ".join(
        f"{name} {value:.4g} ± {chip.errors[name]:.2g}" for name, value in chip.values.items()
    )
    data["remarks"].append(
        f"the third of days, the chip of the programming tests: {values};"
        f" {', '.join(OF_LAW)} are of the same trials, those of every second cell"
    )
    data["uncertainty"].update({name: law.errors[name] for name in OF_LAW})
    r_ohm = fitted.growth.r_series_ohm
    data["parameters"]["forming"] = forming(folder, r_ohm)
    data["validity"]["high_v"] = float(formed(folder)[0].max())
    data["effects"] = [
        *data["effects"],
        flicker(folder, r_ohm, fitted.noise.series_exponent),
        telegraph(folder, fitted.gates[0], r_ohm),
        relaxation(folder, r_ohm),
        bake(folder, r_ohm),
        endurance(folder),
    ]
    data["uncertainty"]["effects"] = data["uncertainty"]["effects"][:1]
    return data


def fit(folder: Path) -> tuple[SweepCalibration, TrainFit]:
    """Fit the sweeps of both days, with the cycling test, by the law of the programming tests."""
    with tempfile.TemporaryDirectory() as place:
        paths = list(imported(folder, Path(place)))
        gates, _ = load_sweeps(paths[:-1])
        of_median = fit_median(gates[0])
        noise = read_noise(gates, of_median.path.r_series_ohm)
        alone = fit_growth(gates[:1], of_median, noise)
        law = fit_trains(folder / _CELLS, {**alone.known, **alone.match.values}, noise, law=True)
        known = {name: law.values[name] for name in OF_LAW}
        return calibrate_sweeps(Task(MODEL, paths, seed=SEED), known), law


def _growth(fitted: SweepCalibration) -> dict[str, float]:
    """Return the settings of growth by name, of the first day."""
    return of_day({**fitted.growth.known, **fitted.growth.match.values}, 0)


def _factors(fitted: SweepCalibration, chip: Mapping[str, float]) -> dict[str, float]:
    """Return the values of a chip as factors of those of the twin."""
    of_twin = dict(flat(fitted.parameters))
    return {name: value / of_twin[name] for name, value in chip.items()}


def imported(folder: Path, place: Path, *, cycling: bool = True) -> Iterator[Path]:
    """Yield the imported sweeps of both days, and the cycling test, as datasets in ``place``."""
    for number, (name, options) in enumerate(_FILES if cycling else _FILES[:-1]):
        path = place / f"{number}.h5"
        given = {**options, "source": sources.ONE_TRANSISTOR["source"]}
        write_measurement(
            import_measurement(folder / _CELLS / name, reader=None, given=given).measurement, path
        )
        yield path


def formed(folder: Path) -> tuple[FloatArray, FloatArray]:
    """Return the bit-line voltage at which each of 100 cells formed, and its conductance then."""
    table = np.loadtxt(folder / _CELLS / "form-5-1-20.csv")
    return table[:, 2], 1 / table[:, 3]


def forming(folder: Path, r_series_ohm: float) -> dict[str, Any]:
    """Return the settings of forming: medians, and deviations of logarithms.

    The deviation of conductances is a robust one. A cell's voltage lies within the step before that
    at which it was seen to be formed.
    """
    volts, seen_conductance_s = formed(folder)
    logs = np.log(filament_conductance_s(seen_conductance_s, np.asarray(r_series_ohm)))
    step_v = float(np.min(np.diff(np.unique(volts))))
    return {
        "voltage_v": float(np.median(volts)) - step_v / 2,
        "sigma": float(np.log(volts - step_v / 2).std(ddof=1)),
        "formed_conductance_s": float(np.median(seen_conductance_s)),
        "formed_sigma": 1.4826 * float(np.median(np.abs(logs - np.median(logs)))),
        "begin": "formed",
    }


def flicker(folder: Path, r_series_ohm: float, series_exponent: float) -> dict[str, Any]:
    """Estimate flicker noise from 10,000 reads of one cell, less their white noise.

    White noise is estimated from the differences of successive reads. One cell does not show how
    either depends on the conductance: ``series_exponent`` is that of the white noise of the sweeps.
    """
    table = np.loadtxt(folder / _CHIP / "ret1.csv.gz", delimiter=",")
    time_s, seen_conductance_s = table[:, 1], table[:, 3]
    mean_conductance_s = seen_conductance_s.mean()
    left = seen_conductance_s.var() - np.diff(seen_conductance_s).var() / 2
    shown = (1 - mean_conductance_s * r_series_ohm) ** series_exponent
    return {
        "effect": "flicker_noise",
        "fraction": float(np.sqrt(left) / mean_conductance_s / shown),
        "series_ohm": r_series_ohm,
        "series_exponent": series_exponent,
        "low_hz": float(1 / np.ptp(time_s)),
        "high_hz": float(1 / (2 * np.median(np.diff(time_s)))),
    }


def relaxed(folder: Path) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield conductances before and after the bake of each written level, the highest first."""
    path = folder / _CELLS
    before_conductance_s, after_conductance_s = (
        1 / np.loadtxt(path / f"relaxation-{when}bake.csv") for when in ("pre", "post")
    )
    cell = np.arange(before_conductance_s.size)
    level = (cell + cell // _LEVELS) % _LEVELS
    for one in range(1, _LEVELS):
        yield before_conductance_s[level == one], after_conductance_s[level == one]


def telegraph(folder: Path, gate: Sweeps, r_series_ohm: float) -> dict[str, Any]:
    """Estimate telegraph noise from the jumps between pairs of reads in the high-resistance state.

    The medians of their size and, of the times between them, the mean. Reads of the sweeps have no
    times: they are taken as far apart as the 10,000 of the same bench.
    """
    logs, off = gate.read_pairs()
    of_high = np.abs(off[np.exp(logs) < _HIGH_STATE_CONDUCTANCE_S])
    jumps = np.log(of_high[of_high > _JUMP])
    time_s = np.loadtxt(folder / _CHIP / "ret1.csv.gz", delimiter=",")[:, 1]
    dwell_s = float(np.median(np.diff(time_s))) * of_high.size / jumps.size
    return {
        "effect": "random_telegraph",
        "amplitude": float(-np.expm1(-np.exp(np.median(jumps)))),
        "amplitude_sigma": float(jumps.std(ddof=1)),
        "capture_s": dwell_s,
        "emission_s": dwell_s,
        "time_sigma": 1.0,
        "series_ohm": r_series_ohm,
    }


def _law(deviations: FloatArray, shown: FloatArray) -> tuple[float, float]:
    """Fit deviation = sigma · shown^exponent by its logarithm; return sigma and exponent."""
    exponent, level = (
        np.polynomial.Polynomial.fit(np.log(shown), np.log(deviations), 1).convert().coef[::-1]
    )
    return float(np.exp(level)), float(exponent)


def relaxation(folder: Path, r_series_ohm: float) -> dict[str, Any]:
    """Estimate relaxation as the spread of levels before the bake, less that of their window.

    How far the mean moved, and when, is unknown: cells were read minutes after they were written.
    """
    found = []
    for before_conductance_s, _ in relaxed(folder):
        median_conductance_s = float(np.median(before_conductance_s))
        own = before_conductance_s.var(ddof=1) - _WINDOW_CONDUCTANCE_S**2 / 12
        if median_conductance_s > _LEAST_LEVEL_CONDUCTANCE_S and own > 0:
            shown = 1 - median_conductance_s * r_series_ohm
            found.append((np.sqrt(own) / median_conductance_s, shown))
    sigma, exponent = _law(*np.array(found).T)
    return {
        "effect": "relaxation",
        "sigma": sigma,
        "tau_s": 1.0,
        "series_ohm": r_series_ohm,
        "series_exponent": exponent,
    }


def bake(folder: Path, r_series_ohm: float) -> dict[str, Any]:
    """Estimate what half an hour at 80 °C does to levels, as relaxation that temperature speeds up.

    ``activation_ev``: slope of the logarithm of the time to a bit error rate over 1/kT.
    """
    found = []
    for before_conductance_s, after_conductance_s in relaxed(folder):
        median_conductance_s = float(np.median(before_conductance_s))
        if median_conductance_s > _LEAST_LEVEL_CONDUCTANCE_S:
            change = after_conductance_s / before_conductance_s - 1
            middle = float(np.median(change))
            deviation = 1.4826 * float(np.median(np.abs(change - middle)))
            found.append((middle, deviation, 1 - median_conductance_s * r_series_ohm))
    middle, deviation, shown = np.array(found).T
    sigma, exponent = _law(deviation, shown)
    return {
        "effect": "relaxation",
        "mean": float(np.median(middle / shown**exponent)),
        "sigma": sigma,
        "tau_s": _BAKE_TAU_S,
        "series_ohm": r_series_ohm,
        "series_exponent": exponent,
        "activation_ev": activation_ev(folder),
        "reference_k": _BAKE_K,
    }


def activation_ev(folder: Path) -> float:
    """Estimate the activation energy of retention from bit error rates at three temperatures.

    Least squares of ln t: a line in 1/kT, and a parabola in the probit of the rate for each number
    of bits.
    """
    from scipy.stats import norm

    bits, kelvin, time_s, rate = np.loadtxt(
        folder / _CELLS / "ber-time-temp.csv", delimiter=",", skiprows=1
    ).T
    of_bits = [bits == one for one in np.unique(bits)]
    terms = [1 / (BOLTZMANN_EV_PER_K * kelvin)]
    for one in of_bits:
        terms += [one, one * norm.ppf(rate), one * norm.ppf(rate) ** 2]
    return float(np.linalg.lstsq(np.array(terms).T.astype(float), np.log(time_s))[0][0])


def endurance(folder: Path) -> dict[str, Any]:
    """Fit the medians of one cell over 10⁶ cycles, and convert to the window of the twin.

    The effect counts cycles over the whole window; that of the cell was narrower.
    """
    from scipy.optimize import least_squares

    table = np.loadtxt(folder / _CHIP / "1us_endurance.tsv.gz")
    edges = np.geomspace(1e3, table[-1, 3] + 1, 13)
    places = np.digitize(table[:, 3], edges)
    bins = [table[places == one] for one in range(1, edges.size)]
    cycle = np.array([np.median(one[:, 3]) for one in bins])
    high_conductance_s, low_conductance_s = (
        np.array([1 / np.median(one[:, i]) for one in bins]) for i in (1, 2)
    )

    def left(theta: FloatArray) -> FloatArray:
        return np.asarray(1 / (1 + (cycle / np.exp(theta[3])) ** theta[4]))

    def off(theta: FloatArray) -> FloatArray:
        high, low, closes = np.exp(theta[:3])
        window = left(theta)
        seen_high, seen_low = closes + window * (high - closes), closes - window * (closes - low)
        return np.concatenate(
            [np.log(seen_high / high_conductance_s), np.log(seen_low / low_conductance_s)]
        )

    start = [np.log(95e-6), np.log(7e-6), np.log(25e-6), np.log(2e6), 1.0]
    found = least_squares(off, start)
    high, low, closes, half = np.exp(found.x[:4])
    span_conductance_s = _MOST_CONDUCTANCE_S - _LEAST_CONDUCTANCE_S
    return {
        "effect": "endurance",
        "min_conductance_s": _LEAST_CONDUCTANCE_S,
        "max_conductance_s": _MOST_CONDUCTANCE_S,
        "closes_at_conductance_s": float(
            _LEAST_CONDUCTANCE_S + (closes - low) / (high - low) * span_conductance_s
        ),
        "half_cycles": float(half * (high - low) / span_conductance_s),
        "beta": float(found.x[4]),
    }
