"""Effects that a record shows besides the device model: drift, read noise, wear, memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.record.reader import Record
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.endurance_found import endurance_of
from hwloop_sim.calibrate.operations.fit import OperationFit
from hwloop_sim.calibrate.operations.found_effect import SURE, FoundEffect
from hwloop_sim.calibrate.operations.short_term_found import short_term_of

_WHITE = 0.3  # largest exponent of a flat spectrum
_LEAST_HZ_DECADES = 1.0
_WITHIN = 0.2
_RIPPLE = 0.02  # accuracy of 1/f as a sum of two processes per decade
_EARLIEST, _LATEST = 1e-4, 3.0  # range of t0, relative to first and last time
_STEP = 1e-2  # step of ln t0 for derivatives


def effects_of(paths: list[Path]) -> list[FoundEffect]:
    """Find the effects that steps of records determine.

    Those are retention, read_noise and endurance, and relaxation_after and paired_pulse together.
    """
    found: list[FoundEffect] = []
    with ExitStack() as stack:
        found += short_term_of([stack.enter_context(Record(path)) for path in paths])
    for path in paths:
        with Record(path) as record:
            for entry in record.resolved["steps"]:
                label = entry["label"]
                if label not in record.labels:
                    continue
                if entry["step"] == "retention":
                    found += _drift(record, label)
                elif entry["step"] == "read_noise":
                    found += _flicker(record, label)
                elif entry["step"] == "endurance":
                    found += endurance_of(record, label)
    return found


def _drift(record: Record, label: str) -> Iterator[FoundEffect]:
    """Fit ln G = a − ν ln(1 + t/t₀) to each cell by least squares; ν is normal over the cells."""
    rows = record.results(label)
    time_s = rows["time_s"]
    seen_conductance_s = rows["conductance_s"].reshape(time_s.size, -1)
    seen_conductance_s = seen_conductance_s[:, (seen_conductance_s > 0).all(axis=0)]
    if time_s.size < 4 or not seen_conductance_s.size:
        return
    t0_s, log_error, of_t0 = drift_begin(time_s, seen_conductance_s)
    nu, error = exponents(time_s, seen_conductance_s, t0_s=t0_s)
    cells = nu.size
    mean = float(nu.mean())
    own = float(np.mean(np.square(error)))
    seen = float(nu.var(ddof=1)) if cells > 1 else 0.0
    mean_error = float(np.sqrt(max(seen, own) / cells + of_t0**2))
    sigma = float(np.sqrt(max(seen - own, 0.0)))
    sigma_error = max(seen, own) * np.sqrt(2 / max(cells - 1, 1)) / (2 * max(sigma, 1e-300))
    if abs(mean) < SURE * mean_error or abs(mean) > 0.5:
        return
    spread = cells > 1 and sigma > SURE * sigma_error
    yield FoundEffect(
        {"effect": "drift", "nu": mean, "t0_s": t0_s} | ({"nu_sigma": sigma} if spread else {}),
        {"nu": mean_error}
        | ({"t0_s": t0_s * log_error} if log_error else {})
        | ({"nu_sigma": float(sigma_error)} if spread else {}),
        f"{record.path.name}, {label}: {cells} cells, {time_s[0]:.3g} to {time_s[-1]:.3g} s",
    )


def drift_begin(time_s: FloatArray, seen_conductance_s: FloatArray) -> tuple[float, float, float]:
    """Estimate t₀ of all cells, the error of its logarithm, and what it adds to that of ν.

    Returns 1 s with an error of 0 if the data do not distinguish t₀ from 1 s: long after t₀ only
    the power law shows. The error of ν then includes its range over the t₀ that are possible.
    """
    from scipy.optimize import minimize_scalar

    logs = np.linspace(np.log(time_s[0] * _EARLIEST), np.log(time_s[-1] * _LATEST), 121)
    squares, nus = np.array([_drift_at(float(one), time_s, seen_conductance_s) for one in logs]).T
    at = logs[np.argmin(squares)]
    found = minimize_scalar(
        lambda one: _drift_at(float(one), time_s, seen_conductance_s)[0],
        bounds=(max(at - 0.5, logs[0]), min(at + 0.5, logs[-1])),
        method="bounded",
        options={"xatol": 1e-9},
    )
    best = float(found.x)
    unit = float(found.fun) / max((time_s.size - 2) * seen_conductance_s.shape[1] - 1, 1)
    at_one, nu_at_one = _drift_at(0.0, time_s, seen_conductance_s)
    if at_one - found.fun < SURE**2 * unit:
        weights = np.exp(-(squares - found.fun) / unit / 2)
        return 1.0, 0.0, float(np.sqrt(weights @ np.square(nus - nu_at_one) / weights.sum()))
    (below, nu_below), (above, nu_above) = (
        _drift_at(best + step, time_s, seen_conductance_s) for step in (-_STEP, _STEP)
    )
    bend = max(below + above - 2 * float(found.fun), 1e-300)
    log_error = _STEP * float(np.sqrt(2 * unit / bend))
    return float(np.exp(best)), log_error, abs(nu_above - nu_below) / (2 * _STEP) * log_error


def _drift_at(
    log_t0: float, time_s: FloatArray, seen_conductance_s: FloatArray
) -> tuple[float, float]:
    """Return the sum of squared residuals with this t₀, and the mean ν."""
    t0_s = float(np.exp(log_t0))
    nu, error = exponents(time_s, seen_conductance_s, t0_s=t0_s)
    span = float(np.sum(np.square(_age(time_s, t0_s))))
    return float(np.sum(np.square(error))) * (time_s.size - 2) * span, float(nu.mean())


def _age(time_s: FloatArray, t0_s: float) -> FloatArray:
    age = np.log1p(time_s / t0_s)
    return np.asarray(age - age.mean())


def exponents(
    time_s: FloatArray, seen_conductance_s: FloatArray, *, t0_s: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Fit ν of each cell, with its standard error.

    ``time_s``: (times,). ``seen_conductance_s``: conductances, (times, cells), siemens.
    """
    age = _age(time_s, t0_s)
    logs = np.log(seen_conductance_s) - np.log(seen_conductance_s).mean(axis=0)
    square = float(np.sum(np.square(age)))
    slope = age @ logs / square
    off = logs - np.outer(age, slope)
    error = np.sqrt(np.square(off).sum(axis=0) / (time_s.size - 2) / square)
    return -slope, error


def _flicker(record: Record, label: str) -> Iterator[FoundEffect]:
    """Find 1/f noise: σ_G/G within the measured band, if the mean spectrum falls as 1/f.

    Fitted together with white noise by the likelihood of the spectra at all read voltages; each
    frequency of each cell is one exponential draw (P. Whittle, Ark. Mat. 2, 423 (1953)).
    """
    if "spectrum" not in record.tables(label):
        return
    spectrum = record.results(label, "spectrum")
    slope = float(np.mean(spectrum["slope"]))
    low_hz = float(np.min(spectrum["frequency_hz"]))
    high_hz = float(np.max(spectrum["frequency_hz"]))
    decades = float(np.log10(high_hz / low_hz))
    if slope < _WHITE or abs(slope - 1) > 0.5 or decades < _LEAST_HZ_DECADES:
        return
    cells = int(np.isfinite(record.results(label, "figures")["relative_sigma"][0]).sum())
    variance, error = flicker_variance(spectrum["frequency_hz"], spectrum["density_per_hz"], cells)
    if variance < SURE * error:
        return
    fraction = float(np.sqrt(variance))
    yield FoundEffect(
        {"effect": "flicker_noise", "fraction": fraction, "low_hz": low_hz, "high_hz": high_hz},
        {"fraction": float(np.hypot(error / (2 * fraction), _RIPPLE * fraction))},
        f"{record.path.name}, {label}: spectrum falls as f^-{slope:.2f}",
    )


def flicker_variance(
    frequency_hz: FloatArray, density_per_hz: FloatArray, cells: int
) -> tuple[float, float]:
    """Estimate (σ_G/G)² of the effect over the band of the spectra, and its standard error.

    ``frequency_hz``, ``density_per_hz``: (voltages, frequencies), each a mean over ``cells``.
    """
    from scipy.optimize import minimize

    from hwloop_sim.effects.flicker_noise import FlickerNoiseSettings

    band = FlickerNoiseSettings(
        fraction=1.0, low_hz=float(frequency_hz.min()), high_hz=float(frequency_hz.max())
    )
    parts = np.array([_sampled(one, band.times_s()).ravel() for one in frequency_hz])
    shapes = np.stack([parts, np.full_like(parts, 1.0)])
    scale = np.array([np.mean(density_per_hz) / np.mean(one) for one in shapes])
    shapes = shapes * scale[:, None, None]

    def loss(logs: FloatArray) -> float:
        shown = np.tensordot(np.exp(logs), shapes, 1)
        return float(np.mean(np.log(shown) + density_per_hz / shown))

    starts = [(-0.1, -6.0), (-1.0, -1.0)]
    every = [minimize(loss, s, method="L-BFGS-B", bounds=[(-20.0, 5.0)] * 2) for s in starts]
    found = np.exp(min(every, key=lambda one: float(one.fun)).x)
    shown = np.tensordot(found, shapes, 1)
    slopes = (shapes / shown).reshape(2, -1)
    errors = np.sqrt(np.diag(np.linalg.inv(cells * slopes @ slopes.T)))
    return float(found[0] * scale[0]), float(errors[0] * scale[0])


def _sampled(frequency_hz: FloatArray, times_s: FloatArray) -> FloatArray:
    """Compute the spectrum of the effect with variance 1, sampled at equal intervals.

    Faster components are aliased. The frequencies end at the Nyquist frequency or half a step below
    it.
    """
    step_hz = float(frequency_hz[0])
    interval_s = 1 / (step_hz * 2 * frequency_hz.size)
    kept = np.exp(-interval_s / times_s)[:, None]
    turn = np.cos(2 * np.pi * frequency_hz * interval_s)
    density = 2 * interval_s * (1 - kept**2) / (1 - 2 * kept * turn + kept**2)
    return np.asarray(density.mean(axis=0))


def white_noise(fits: Sequence[OperationFit], *, both_polarities: bool) -> list[FoundEffect]:
    """Return the noise of one read as an effect; none if the residuals are not white."""
    if np.mean([abs(one.fit.goodness["residual_lag_1"]) for one in fits]) > _WITHIN:
        return []
    reads = float(np.sqrt(2.0)) if both_polarities else 1.0
    noises = [one.minimum.noise for one in fits]
    fraction = reads * float(np.sqrt(np.mean([one.fraction**2 for one in noises])))
    amplifier_a = reads * float(np.sqrt(np.mean([one.amplifier_a**2 for one in noises])))
    measured_a = np.concatenate([one.minimum.problem.measured_a for one in fits])
    count = measured_a.size
    error = float(1 / np.sqrt(2 * count))
    typical_a = float(np.median(np.abs(measured_a)))
    settings: dict[str, Any] = {"effect": "white_noise", "fraction": min(fraction, 1.0)}
    uncertainty = {"fraction": fraction * error}
    if amplifier_a > 0.1 * fraction * typical_a:
        settings["amplifier_a"] = amplifier_a
        uncertainty["amplifier_a"] = amplifier_a * error
    if not fraction > 1e-7:
        return []
    return [FoundEffect(settings, uncertainty, f"residuals of {count} reads")]
