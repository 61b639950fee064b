"""Fit of ``pulse_response``: its parameters are the trains; only their read noise is estimated.

Read noise makes successive changes anticorrelated, cov(ΔG_n, ΔG_(n+1)) = −σ²; memory of the scatter
and different speeds of trains make them positively correlated. The residuals of the changes around
their mean at each pulse number determine all of these together, by maximum likelihood.
"""

from __future__ import annotations

import numpy as np

from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import Direction, TrainData
from hwloop_sim.calibrate.trains.train_likelihood import TrainSteps, spreads

_NEIGHBOURS = 20
_KNOTS = 6
"""Number of knots of the scatter along a train."""
_BENDS = 3
"""Degree of the polynomial of the mean step against the conductance."""
_CLEARLY = 2.0
"""Standard errors above which read noise is reported."""


def fit_pulse_response(data: TrainData) -> Fit:
    """Return the trains of each direction as settings, with the read noise in them."""
    settings: dict[str, object] = {"neighbours": _NEIGHBOURS}
    for one in data.directions:
        trains = [train.tolist() for train in one.trains]
        settings["up" if one.rises else "down"] = {**one.pulse, "conductance_s": trains}
    found = spreads([_beside_mean(one) for one in data.directions])[0]
    noise_s, error_s = found.noise, float(found.errors[-1])
    pulses = sum(len(train) - 1 for one in data.directions for train in one.trains)
    messages = []
    if noise_s > _CLEARLY * error_s:
        messages.append(f"read noise {noise_s:.3g} S is in the trains and is taken for scatter")
    else:
        messages.append(
            f"read noise is not identifiable: it may be none, or {noise_s + 2 * error_s:.3g} S"
        )
    return Fit(
        settings=settings,
        uncertainty={"read_noise_s": error_s},
        read_noise_s=0.0,  # already part of the drawn changes
        goodness={"pulses": float(pulses), "read_noise_s": noise_s},
        messages=messages,
    )


def _beside_mean(one: Direction) -> list[TrainSteps]:
    """Return the residuals of the changes of each train around their mean, siemens."""
    change_s = np.diff(one.padded_s, axis=1)
    several = (~np.isnan(change_s)).sum(axis=0) > 1
    mean_s = np.where(several, np.nanmean(change_s, axis=0), np.nan)
    mean_s = mean_s[: int(np.argmin(several)) if not several.all() else several.size]
    knots = np.linspace(0, mean_s.size - 1, min(_KNOTS, mean_s.size))
    hats = np.array([np.interp(np.arange(mean_s.size), knots, row) for row in np.eye(knots.size)])
    count = len(one.trains)
    at_s, place_s = one.padded_s[:, :-1][:, : mean_s.size], np.nanmean(one.padded_s, axis=0)
    law = np.polynomial.Polynomial.fit(place_s[: mean_s.size], mean_s, min(_BENDS, mean_s.size - 1))
    there_s = law(place_s[: mean_s.size])
    trains: list[TrainSteps] = []
    for row, state_s in zip(change_s[:, : mean_s.size], at_s, strict=True):
        size = int((~np.isnan(row)).sum())
        # The mean step at the conductance of the train, which may differ from the mean one.
        beside_s = law(state_s[:size]) - there_s[:size]
        left_s = (row[:size] - mean_s[:size] - beside_s) * np.sqrt(count / (count - 1))
        slope = law.deriv()(state_s[:size])
        trains += TrainSteps.cut(left_s, hats[:, :size], mean_s[:size], slope)
    return trains
