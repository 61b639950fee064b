"""Fit ``pulse_response``: its parameters are the trains; what is estimated is the noise in them.

Read noise makes successive changes go against each other: cov(ΔG_n, ΔG_(n+1)) = −σ², where the
changes of the device are independent.
"""

from __future__ import annotations

import numpy as np

from hwloop.operations import FloatArray
from hwloop_sim.calibrate.data import Direction, TrainData
from hwloop_sim.calibrate.fit import Fit

_NEIGHBOURS = 20


def fit_pulse_response(data: TrainData) -> Fit:
    """The trains of each direction, with the read noise that they show."""
    settings: dict[str, object] = {"neighbours": _NEIGHBOURS}
    for one in data.directions:
        trains = [train.tolist() for train in one.trains]
        settings["up" if one.rises else "down"] = {**one.pulse, "conductance_s": trains}
    products = [row for one in data.directions for row in _products(one)]
    covariance = np.concatenate(products)
    noise_s = float(np.sqrt(max(-covariance.mean(), 0.0)))
    # Products that share a change go together: only trains err by themselves.
    off = np.array([row.sum() - row.size * covariance.mean() for row in products])
    error = float(np.sqrt(np.square(off).sum() * off.size / (off.size - 1)) / covariance.size)
    pulses = sum(len(train) - 1 for one in data.directions for train in one.trains)
    words = []
    if noise_s == 0.0:
        words.append("read noise is not identifiable: successive changes do not go against others")
    elif -covariance.mean() > error:
        words.append(f"read noise {noise_s:.3g} S is in the trains and is taken for scatter")
    return Fit(
        settings=settings,
        uncertainty={"read_noise_s": error / (2 * noise_s)} if noise_s else {},
        read_noise_s=0.0,  # the drawn changes hold it already
        goodness={"pulses": float(pulses), "read_noise_s": noise_s},
        words=words,
    )


def _products(one: Direction) -> list[FloatArray]:
    """ΔG_n ΔG_(n+1) of each train, less the mean change at its pulse number, siemens²."""
    change_s = np.diff(one.padded_s, axis=1)
    enough = (~np.isnan(change_s)).sum(axis=0) > 1
    change_s = change_s[:, enough]
    change_s = change_s - np.nanmean(change_s, axis=0)
    count = len(one.trains)
    products = change_s[:, 1:] * change_s[:, :-1] * count / max(count - 1, 1)
    return [row[~np.isnan(row)] for row in products]
