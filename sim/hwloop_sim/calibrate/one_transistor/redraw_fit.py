"""Fit of the state after a RESET to source-line sweeps: onset, level and scatter.

The fitted parameters make emulated sweeps of as many cells and cycles have the medians and spreads
of the measured ones; see :mod:`hwloop_sim.calibrate.one_transistor.simulated_moments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import ConfigError
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.emulation import emulate
from hwloop_sim.calibrate.one_transistor.growth_fit import GrowthFit, parameters
from hwloop_sim.calibrate.one_transistor.line_moments import HALF, LineMoments
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.simulated_moments import Match, match_moments
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps
from hwloop_sim.calibrate.one_transistor.unknowns import Unknowns, of_day

_LEAST_SWEEPS = 20
_ALIVE = 0.7
"""Share of the sweeps that run to the last pulse that is used."""
_RUNNING = 0.25
"""Least share of the sweeps that still run at the last voltage that is emulated."""
_LEAST_BEYOND = 5
_AHEAD_V = 0.3
_FALLEN = 0.1
_OF_PATH = 5
_SEED = 2
_DRAWS = 12
FLOOR = "reset_floor_conductance_s"
OF_DAY = ("v_reset_v",)
"""Parameters that differ from day to day."""
DIVIDER = 0.5
"""``divider_share`` where only one day was swept."""


@dataclass(frozen=True, eq=False)
class RedrawFit:
    """Fit of the state after a RESET.

    ``match``: fitted settings by name, with errors. ``values``: these and the settings that were
    known. ``left_out``: message on sweeps that were left out.
    """

    match: Match
    values: dict[str, float]
    left_out: Sequence[str]


def fit_redraw(days: Sequence[Sweeps], growth: GrowthFit, noise: SweepNoise) -> RedrawFit:
    """Fit the state after a RESET to source-line sweeps of one day or several.

    ``growth``: fit to the same cells. ``noise``: of each read. Days share all parameters but the
    onset. Sweeps of one day, which begin alike, do not determine ``divider_share``. Raises
    :class:`ConfigError` or :class:`NotConverged` with the file and what it does not show.
    """
    every = [_day(sweeps) for sweeps in days]
    start = _start(every[0].seen, growth)
    known = {} if len(days) > 1 else {"divider_share": start.pop("divider_share")}
    for day in range(1, len(days)):
        start |= {f"day{day}.{name}": 0.0 for name in OF_DAY}
    unknowns = Unknowns(start)

    def simulate(numbers: FloatArray) -> FloatArray:
        values = {**growth.known, **growth.match.values, **known, **unknowns.values(numbers)}
        return np.concatenate(
            [one.simulate(of_day(values, day), noise) for day, one in enumerate(every)], axis=1
        )

    seen = np.concatenate([one.seen for one in every])
    where = ", ".join(sweeps.where for sweeps in days)
    match = match_moments(simulate, seen, unknowns, where)
    return RedrawFit(match, known | match.values, [one.left_out for one in every if one.left_out])


@dataclass(frozen=True, eq=False)
class _Day:
    """Sweeps of one day that are fitted, their moments, and what was left out."""

    part: Sweeps
    moments: LineMoments
    seen: FloatArray
    left_out: str

    def simulate(self, values: Mapping[str, float], noise: SweepNoise) -> FloatArray:
        found = parameters(values, self.part.width_s)
        rng = np.random.default_rng(_SEED)
        after_conductance_s = emulate(
            found, self.part, rng, draws=_DRAWS, of_gate=False, noise=noise
        )
        return self.moments.of(self.part.until_end(after_conductance_s))


def _day(sweeps: Sweeps) -> _Day:
    usable, lost_v, left_out = _usable(sweeps)
    first = int(np.searchsorted(usable.volts, lost_v.min() - _AHEAD_V))
    running = np.isfinite(usable.after_conductance_s).mean(axis=0) >= _RUNNING
    part = usable.from_to(first, int(np.flatnonzero(running)[-1]) + 1)
    cells = [np.flatnonzero(usable.cell == one) for one in usable.cells]
    beyond = _beyond(usable, lost_v)
    moments = LineMoments(part.volts, part.first_conductance_s, cells, beyond, _along(part))
    seen = moments.of(part.after_conductance_s[None])[0]
    return _Day(part, moments, seen, left_out)


def _usable(sweeps: Sweeps) -> tuple[Sweeps, FloatArray, str]:
    """Return sweeps that begin in the low-resistance state and lose half of their conductance.

    Also returns the voltage of the loss for each, and a message on the sweeps left out.
    """
    first_conductance_s = sweeps.first_conductance_s
    less = sweeps.after_conductance_s < HALF * first_conductance_s[:, None]
    usable = less.any(axis=1) & (first_conductance_s > HALF * np.median(first_conductance_s))
    if usable.sum() < _LEAST_SWEEPS:
        raise ConfigError(
            f"{int(usable.sum())} sweeps begin in the lower resistance and lose half of it:"
            f" expected {_LEAST_SWEEPS}",
            file=sweeps.where,
        )
    left_out = (
        f"{int((~usable).sum())} of {usable.size} RESET sweeps left out: they begin in HRS or"
    )
    left_out += " never reach half of the conductance"
    lost_v = sweeps.volts[np.argmax(less[usable], axis=1)]
    return sweeps.of(usable), lost_v, "" if usable.all() else left_out


def _beyond(sweeps: Sweeps, lost_v: FloatArray) -> int:
    """Return the number of pulses after the loss of half that most sweeps have."""
    place = np.searchsorted(sweeps.volts, lost_v)
    left = np.isfinite(sweeps.after_conductance_s).sum(axis=1) - 1 - place
    beyond = int(np.quantile(left, 1 - _ALIVE))
    if beyond < _LEAST_BEYOND:
        raise ConfigError(
            f"{_ALIVE:.0%} of the sweeps have {beyond} pulses or more beyond the loss of half:"
            f" expected {_LEAST_BEYOND}",
            file=sweeps.where,
        )
    return beyond


def _along(sweeps: Sweeps) -> NDArray[np.intp]:
    """Return indices of voltages, from the first fall of the median to the last of most sweeps."""
    middle = np.nanmedian(np.log(sweeps.after_conductance_s), axis=0)
    begun = int(np.argmax(middle < middle[0] - _FALLEN))
    last = int(np.flatnonzero(np.isfinite(sweeps.after_conductance_s).mean(axis=0) >= _ALIVE)[-1])
    return np.linspace(begun, max(last, begun), _OF_PATH).round().astype(int)


def _start(seen: FloatArray, growth: GrowthFit) -> dict[str, float]:
    """Return initial values from the moments: voltages of the loss of half, levels and lags."""
    half_v, of_cells_v, within_v = seen[:3]
    deepest_conductance_s = float(np.exp(seen[6]))
    return {
        "v_reset_v": 0.5 * half_v,
        "v_slope_v": 0.3,
        "divider_share": DIVIDER,
        FLOOR: min(0.7 * deepest_conductance_s, 0.3 / growth.r_series_ohm),
        "redraw.cycle_sigma": 0.2,
        "redraw.pulse_sigma": 0.4,
        "redraw.correlation": 0.5,
        "redraw.v_sigma_v": max(0.5 * within_v, 0.01),
        "spread.v_reset_v": max(of_cells_v / half_v, 0.01),
        "spread.reset_floor_conductance_s": 0.5,
    }
