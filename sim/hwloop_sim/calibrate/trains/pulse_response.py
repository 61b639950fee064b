"""Fit ``pulse_response``: its parameters are the trains; what is estimated is the noise in them.

Read noise makes successive changes go against each other, cov(ΔG_n, ΔG_(n+1)) = −σ²; a memory of
the scatter and trains of different speeds make them go together. What is left of the changes
beside their mean at each pulse number tells all of these together, by maximum likelihood.
"""

from __future__ import annotations

import numpy as np

from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import Direction, TrainData
from hwloop_sim.calibrate.trains.train_likelihood import Steps, spreads

_NEIGHBOURS = 20
_KNOTS = 6
"""Of the scatter along a train."""
_BENDS = 3
"""Degree of the polynomial that says how a step changes with the conductance."""
_CLEARLY = 2.0
"""Deviations, from which on there is read noise."""


def fit_pulse_response(data: TrainData) -> Fit:
    """The trains of each direction, with the read noise that they show."""
    settings: dict[str, object] = {"neighbours": _NEIGHBOURS}
    for one in data.directions:
        trains = [train.tolist() for train in one.trains]
        settings["up" if one.rises else "down"] = {**one.pulse, "conductance_s": trains}
    found = spreads([_beside_mean(one) for one in data.directions])[0]
    noise_conductance_s, error_conductance_s = found.noise, float(found.errors[-1])
    pulses = sum(len(train) - 1 for one in data.directions for train in one.trains)
    words = []
    if noise_conductance_s > _CLEARLY * error_conductance_s:
        words.append(
            f"read noise {noise_conductance_s:.3g} S is in the trains and is taken for scatter"
        )
    else:
        words.append(
            "read noise is not identifiable: it may be none, or"
            f" {noise_conductance_s + 2 * error_conductance_s:.3g} S"
        )
    return Fit(
        settings=settings,
        uncertainty={"read_noise_conductance_s": error_conductance_s},
        read_noise_conductance_s=0.0,  # the drawn changes hold it already
        goodness={"pulses": float(pulses), "read_noise_conductance_s": noise_conductance_s},
        words=words,
    )


def _beside_mean(one: Direction) -> list[Steps]:
    """The changes of each train beside their mean at that pulse number, siemens."""
    change_conductance_s = np.diff(one.padded_conductance_s, axis=1)
    several = (~np.isnan(change_conductance_s)).sum(axis=0) > 1
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
    trains: list[Steps] = []
    for row, state_conductance_s in zip(
        change_conductance_s[:, : mean_conductance_s.size], at_conductance_s, strict=True
    ):
        size = int((~np.isnan(row)).sum())
        # A train that is beside the mean of its pulse number takes the step of where it is.
        beside_conductance_s = law(state_conductance_s[:size]) - there_conductance_s[:size]
        left_conductance_s = (
            row[:size] - mean_conductance_s[:size] - beside_conductance_s
        ) * np.sqrt(count / (count - 1))
        slope = law.deriv()(state_conductance_s[:size])
        trains += Steps.cut(left_conductance_s, hats[:, :size], mean_conductance_s[:size], slope)
    return trains
