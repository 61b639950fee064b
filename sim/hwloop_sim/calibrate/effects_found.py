"""Effects that a record shows beside the device model: drift, read noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.operations import FloatArray
from hwloop.record_reader import Record
from hwloop_sim.calibrate.operations_fit import OperationFit

_SURE = 2.0  # deviations from 0: below it an effect is not determined
_WHITE = 0.3  # exponent of a spectrum that is flat
_LEAST_HZ_DECADES = 1.0
_WITHIN = 0.2


@dataclass(frozen=True)
class FoundEffect:
    """``settings``: as a procedure has them below ``effects``; ``uncertainty`` by name."""

    settings: dict[str, Any]
    uncertainty: dict[str, float]
    source: str

    def dump(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {**self.settings}


def effects_of(paths: list[Path]) -> list[FoundEffect]:
    """What the retention and read-noise steps of these records determine."""
    found: list[FoundEffect] = []
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
    return found


def _drift(record: Record, label: str) -> Iterator[FoundEffect]:
    """ln G = a − ν ln(1 + t/1 s) of each cell by least squares; ν normal over the cells."""
    rows = record.results(label)
    time_s = rows["time_s"]
    seen_s = rows["conductance_s"].reshape(time_s.size, -1)
    seen_s = seen_s[:, (seen_s > 0).all(axis=0)]
    if time_s.size < 4 or not seen_s.size:
        return
    nu, error = exponents(time_s, seen_s)
    cells = nu.size
    mean = float(nu.mean())
    own = float(np.mean(np.square(error)))
    seen = float(nu.var(ddof=1)) if cells > 1 else 0.0
    mean_error = float(np.sqrt(max(seen, own) / cells))
    sigma = float(np.sqrt(max(seen - own, 0.0)))
    sigma_error = max(seen, own) * np.sqrt(2 / max(cells - 1, 1)) / (2 * max(sigma, 1e-300))
    if abs(mean) < _SURE * mean_error or abs(mean) > 0.5:
        return
    spread = cells > 1 and sigma > _SURE * sigma_error
    yield FoundEffect(
        {"effect": "drift", "nu": mean, "t0_s": 1.0} | ({"nu_sigma": sigma} if spread else {}),
        {"nu": mean_error} | ({"nu_sigma": float(sigma_error)} if spread else {}),
        f"{record.path.name}, {label}: {cells} cells, {time_s[0]:.3g} to {time_s[-1]:.3g} s",
    )


def exponents(time_s: FloatArray, seen_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ν of each cell and its standard error; ``seen_s``: (times, cells)."""
    age = np.log1p(time_s)
    age = age - age.mean()
    logs = np.log(seen_s) - np.log(seen_s).mean(axis=0)
    square = float(np.sum(np.square(age)))
    slope = age @ logs / square
    off = logs - np.outer(age, slope)
    error = np.sqrt(np.square(off).sum(axis=0) / (time_s.size - 2) / square)
    return -slope, error


def _flicker(record: Record, label: str) -> Iterator[FoundEffect]:
    """1/f noise where the mean spectrum falls as one: all of σ_G/G within the band that it shows.

    The integral of S_I/I² over the band; from the spectra at all read voltages together.
    """
    if "spectrum" not in record.tables(label):
        return
    spectrum = record.results(label, "spectrum")
    slope = float(np.mean(spectrum["slope"]))
    frequency_hz, density = spectrum["frequency_hz"][0], spectrum["density_per_hz"]
    decades = float(np.log10(frequency_hz[-1] / frequency_hz[0]))
    if slope < _WHITE or abs(slope - 1) > 0.5 or decades < _LEAST_HZ_DECADES:
        return
    variances = [float(np.trapezoid(one, frequency_hz)) for one in density]
    fraction = float(np.sqrt(np.mean(variances)))
    cells = int(np.prod(record.shape))
    # Each frequency of each cell is one exponential draw: the variance of their sum.
    steps = np.gradient(frequency_hz)
    share = np.sqrt(np.sum(np.square(density.mean(axis=0) * steps))) / np.sum(
        density.mean(axis=0) * steps
    )
    error = fraction * share / 2 / np.sqrt(cells * len(variances))
    yield FoundEffect(
        {
            "effect": "flicker_noise",
            "fraction": fraction,
            "low_hz": float(frequency_hz[0]),
            "high_hz": float(frequency_hz[-1]),
        },
        {"fraction": float(error)},
        f"{record.path.name}, {label}: spectrum falls as f^-{slope:.2f}",
    )


def white_noise(fits: Sequence[OperationFit], *, both_polarities: bool) -> list[FoundEffect]:
    """The read noise that fits leave, of one read; none where their residuals are not white."""
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
