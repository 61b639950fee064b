"""Fit of ``pulse_response``: its parameters are the trains; only their read noise is estimated.

Read noise makes successive changes anticorrelated, cov(ΔG_n, ΔG_(n+1)) = −σ²; memory of the scatter
and different speeds of trains make them positively correlated. The residuals of the changes around
their mean at each pulse number determine all of these together, by maximum likelihood.
"""

from __future__ import annotations

import numpy as np

from hwloop.errors import ConfigError
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
    noise_conductance_s, error_conductance_s = found.noise, float(found.errors[-1])
    pulses = sum(len(train) - 1 for one in data.directions for train in one.trains)
    messages = []
    if noise_conductance_s > _CLEARLY * error_conductance_s:
        messages.append(
            f"read noise {noise_conductance_s:.3g} S is in the trains and is taken for scatter"
        )
    else:
        messages.append(
            "read noise is not identifiable: it may be none, or"
            f" {noise_conductance_s + 2 * error_conductance_s:.3g} S"
        )
    return Fit(
        settings=settings,
        uncertainty={"read_noise_conductance_s": error_conductance_s},
        read_noise_conductance_s=0.0,  # already part of the drawn changes
        goodness={"pulses": float(pulses), "read_noise_conductance_s": noise_conductance_s},
        messages=messages,
    )


def _beside_mean(one: Direction) -> list[TrainSteps]:
    """Return the residuals of the changes of each train around their mean, siemens."""
    change_conductance_s = np.diff(one.padded_conductance_s, axis=1)
    several = (~np.isnan(change_conductance_s)).sum(axis=0) > 1
    if not several[0]:
        raise ConfigError(
            f"{len(one.trains)} train of the pulse of {one.pulse['amplitude_v']:g} V in one half of"
            " the data: pulse_response draws among trains and needs four or more of each pulse"
        )
    mean_conductance_s = np.where(several, np.nanmean(change_conductance_s, axis=0), np.nan)
    mean_conductance_s = mean_conductance_s[
        : int(np.argmin(several)) if not several.all() else several.size
    ]
    knots = np.linspace(0, mean_conductance_s.size - 1, min(_KNOTS, mean_conductance_s.size))
    hats = np.array(
        [np.interp(np.arange(mean_conductance_s.size), knots, row) for row in np.eye(knots.size)]
    )
    count = len(one.trains)
    at_conductance_s, place_conductance_s = (
        one.padded_conductance_s[:, :-1][:, : mean_conductance_s.size],
        np.nanmean(one.padded_conductance_s, axis=0),
    )
    law = np.polynomial.Polynomial.fit(
        place_conductance_s[: mean_conductance_s.size],
        mean_conductance_s,
        min(_BENDS, mean_conductance_s.size - 1),
    )
    there_conductance_s = law(place_conductance_s[: mean_conductance_s.size])
    trains: list[TrainSteps] = []
    for row, state_conductance_s in zip(
        change_conductance_s[:, : mean_conductance_s.size], at_conductance_s, strict=True
    ):
        size = int((~np.isnan(row)).sum())
        # The mean step at the conductance of the train, which may differ from the mean one.
        beside_conductance_s = law(state_conductance_s[:size]) - there_conductance_s[:size]
        left_conductance_s = (
            row[:size] - mean_conductance_s[:size] - beside_conductance_s
        ) * np.sqrt(count / (count - 1))
        slope = law.deriv()(state_conductance_s[:size])
        trains += TrainSteps.cut(
            left_conductance_s, hats[:, :size], mean_conductance_s[:size], slope
        )
    return trains
