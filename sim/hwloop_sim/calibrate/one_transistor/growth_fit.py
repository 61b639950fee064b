"""Fit of the growth of the filament to gate sweeps.

The fitted parameters make emulated sweeps of as many cells and cycles have the medians and spreads
of the measured ones; see :mod:`hwloop_sim.calibrate.one_transistor.simulated_moments`. The search
begins at the path nearest to the medians without scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.errors import ConfigError, NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.emulation import emulate
from hwloop_sim.calibrate.one_transistor.gate_moments import gate_moments
from hwloop_sim.calibrate.one_transistor.quantiles import median
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.simulated_moments import Match, match_moments
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps, held_logs
from hwloop_sim.calibrate.one_transistor.unknowns import Unknowns, nested, of_day
from hwloop_sim.devices.common.filament import (
    cell_conductance_s,
    filament_conductance_s,
    grown_conductance_s,
)

_BEGUN = 0.5
"""Rise of the median ln G at which the fit begins."""
_REACHED = 0.9
"""Share of the sweeps that reach the last gate voltage of the fit."""
_LEAST = 4
_AHEAD_V = 0.3
"""Voltage below the first gate of the fit at which emulated sweeps begin."""
DRAWS = 32
"""Number of times that all sweeps are emulated, each with new cells."""
FOLLOWER_V = 1.0
"""V_t by which a transistor limits a RESET, volts; these sweeps are not limited by it."""
OF_DAY = ("v_transistor_v",)
"""Parameters that differ from day to day."""
_BEGUN_SHARE, _OF_RISE = 0.1, 5
_SEED = 1
_RATIO = 0.5


@dataclass(frozen=True)
class Path:
    """Parameters of the median path: R_s, k, V_t and q.

    ``deviation``: rms of ln G of the median sweep less the path.
    """

    r_series_ohm: float
    conductance_s_per_v: float
    v_transistor_v: float
    exponent: float
    deviation: float = 0.0


@dataclass(frozen=True, eq=False)
class MedianFit:
    """Path nearest to the median sweep.

    ``begin_conductance_s``: conductance at which it begins, siemens. ``gates``, ``volts``: indices
    and values of the gate voltages that were fitted.
    """

    path: Path
    begin_conductance_s: float
    gates: slice
    volts: FloatArray

    @property
    def start(self) -> dict[str, float]:
        """Return the initial value of each parameter of the search."""
        path = self.path
        return {
            "r_series_ohm": path.r_series_ohm,
            "v_transistor_v": path.v_transistor_v,
            "growth.exponent": path.exponent,
            "growth.conductance_s_per_v": path.conductance_s_per_v,
            "growth.cycle_ratio": _RATIO,
            "unsteadiness": 0.3,
            "spread.unsteadiness": 0.5,
            "spread.r_series_ohm": 0.03,
            "spread.v_transistor_v": 0.02,
        }

    def follow(self, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Call :func:`follow` with the logarithms of the first four values of ``start``."""
        r_ohm, v_t, exponent, k = np.exp(logs)
        return follow(Path(r_ohm, k, v_t, exponent), self.volts, self.begin_conductance_s)


@dataclass(frozen=True, eq=False)
class GrowthFit:
    """Fit of the growth of the filament.

    ``median``: initial point of the search. ``match``: fitted settings by name, with errors.
    """

    median: MedianFit
    match: Match

    @property
    def r_series_ohm(self) -> float:
        """Return the series resistance of the median cell, ohms."""
        return self.match.values["r_series_ohm"]


def fit_median(sweeps: Sweeps) -> MedianFit:
    """Fit the path nearest to the median gate sweep.

    Raises :class:`ConfigError` or :class:`NotConverged` with the file and what it does not show.
    """
    gates, begin_conductance_s = _span(sweeps)
    volts, median = (
        sweeps.volts[gates],
        np.median(held_logs(sweeps.after_conductance_s)[:, gates], axis=0),
    )
    return MedianFit(
        _fit_path(sweeps.where, volts, median, begin_conductance_s),
        begin_conductance_s,
        gates,
        volts,
    )


def fit_growth(days: Sequence[Sweeps], of_median: MedianFit, noise: SweepNoise) -> GrowthFit:
    """Fit the growth of the filament to gate sweeps of one day or several.

    ``of_median``: result of :func:`fit_median` for the first day, which begins in HRS and
    determines growth and scatter. Those of other days may begin anywhere: their medians determine
    by how much V_t differs. Raises :class:`ConfigError` or :class:`NotConverged` with the file and
    what it does not show.
    """
    unknowns = Unknowns(of_median.start)
    first = _first_day(days[0], of_median)
    found = first.match(unknowns, {}, noise)
    for day, sweeps in enumerate(days[1:], 1):
        offsets = Unknowns({f"day{day}.{name}": 0.0 for name in OF_DAY})
        own = _later_day(sweeps, day).match(offsets, found.values, noise)
        found = Match(
            found.values | own.values,
            found.errors | own.errors,
            np.concatenate([found.off, own.off]),
        )
    return GrowthFit(of_median, found)


@dataclass(frozen=True, eq=False)
class _Day:
    """Gate sweeps of one day, and their moments."""

    day: int
    part: Sweeps
    of: Callable[[FloatArray], FloatArray]

    def match(self, unknowns: Unknowns, known: Mapping[str, float], noise: SweepNoise) -> Match:
        """Find the values of ``unknowns`` by which emulated sweeps have the moments of these."""

        def simulate(numbers: FloatArray) -> FloatArray:
            values = of_day({**known, **unknowns.values(numbers)}, self.day)
            found, rng = parameters(values, self.part.width_s), np.random.default_rng(_SEED)
            after_conductance_s = emulate(
                found, self.part, rng, draws=DRAWS, of_gate=True, noise=noise
            )
            return self.of(self.part.until_end(after_conductance_s))

        seen = self.of(self.part.after_conductance_s[None])[0]
        return match_moments(simulate, seen, unknowns, self.part.where)


def _first_day(sweeps: Sweeps, of_median: MedianFit) -> _Day:
    """Return the day whose moments are weighted by the path of its median."""
    guess = np.log(list(of_median.start.values())[:4])
    cells = [np.flatnonzero(sweeps.cell == one) for one in sweeps.cells]
    cells = [rows for rows in cells if rows.size >= _LEAST]
    moments = gate_moments(cells, of_median.follow, guess, _RATIO)
    gates = of_median.gates
    first = int(np.searchsorted(sweeps.volts, of_median.volts[0] - _AHEAD_V))

    def of(after_conductance_s: FloatArray) -> FloatArray:
        return moments.of(held_logs(after_conductance_s)[:, :, gates.start - first :])

    return _Day(0, sweeps.from_to(first, gates.stop), of)


def _later_day(sweeps: Sweeps, day: int) -> _Day:
    """Return a day with the medians along its rise, wherever that begins."""
    middle = np.nanmedian(np.log(sweeps.after_conductance_s), axis=0)
    reached = np.isfinite(sweeps.after_conductance_s).mean(axis=0) >= _REACHED
    stop = int(np.flatnonzero(reached)[-1]) + 1
    risen = middle[:stop] - middle[0] > _BEGUN_SHARE * (middle[:stop].max() - middle[0])
    begun = int(np.argmax(risen))
    first = int(np.searchsorted(sweeps.volts, sweeps.volts[begun] - _AHEAD_V))
    at = np.unique(np.linspace(begun, stop - 1, _OF_RISE).round().astype(int)) - first

    def of(after_conductance_s: FloatArray) -> FloatArray:
        return median(np.swapaxes(held_logs(after_conductance_s)[:, :, at], 1, 2))

    return _Day(day, sweeps.from_to(first, stop), of)


def parameters(values: Mapping[str, float], width_s: float) -> dict[str, Any]:
    """Return the settings of a device for pulses of ``width_s``, from values by name."""
    found = nested(values)
    found["growth"]["width_s"] = width_s
    found["v_follower_v"] = FOLLOWER_V
    return found


def _span(sweeps: Sweeps) -> tuple[slice, float]:
    """Return the range of gates that are fitted, and the median conductance before it.

    The range begins where the median has risen and ends at the last gate that most sweeps reach.
    """
    with np.errstate(all="ignore"):
        median = np.nanmedian(np.log(sweeps.after_conductance_s), axis=0)
    reached = np.isfinite(sweeps.after_conductance_s).mean(axis=0)
    risen = np.flatnonzero(median - median[0] > _BEGUN)
    last = np.flatnonzero(reached >= _REACHED)
    if not risen.size or not last.size or last[-1] - risen[0] < 2 * _LEAST:
        raise ConfigError(
            f"the median rises over fewer than {2 * _LEAST} gate voltages that {_REACHED:.0%} of"
            " the sweeps reach: nothing to fit",
            file=sweeps.where,
        )
    first = int(risen[0])
    begin_conductance_s = float(np.exp(np.median(median[: max(first - 1, 1)])))
    return slice(first, int(last[-1]) + 1), begin_conductance_s


def follow(
    path: Path, volts: FloatArray, begin_conductance_s: float
) -> tuple[FloatArray, FloatArray]:
    """Compute ln G after each gate voltage, and s of each pulse, without scatter."""
    r_ohm = np.asarray(path.r_series_ohm)
    own_conductance_s = filament_conductance_s(np.asarray(begin_conductance_s), r_ohm)
    seen, shares = [], []
    for volt in volts:
        drive_conductance_s = np.asarray(
            path.conductance_s_per_v * max(volt - path.v_transistor_v, 1e-6)
        )
        own_conductance_s, share = grown_conductance_s(
            own_conductance_s, drive_conductance_s, path.exponent
        )
        seen.append(np.log(cell_conductance_s(own_conductance_s, r_ohm)))
        shares.append(share)
    return np.array(seen), np.array(shares)


def _fit_path(
    where: str, volts: FloatArray, median: FloatArray, begin_conductance_s: float
) -> Path:
    from scipy.optimize import least_squares

    lowest_ohm = float(np.exp(-median.max()))

    def of(theta: FloatArray) -> Path:
        r_ohm, k = lowest_ohm * float(theta[0]), float(np.exp(theta[1]))
        return Path(r_ohm, k, float(theta[2]), float(np.exp(theta[3])))

    found = least_squares(
        lambda theta: follow(of(theta), volts, begin_conductance_s)[0] - median,
        [0.9, -6.5, volts[0] - 0.03, 0.5],
        bounds=([0.3, -14.0, volts[0] - 1.0, -0.6], [0.999, 2.0, volts[0] + 0.05, 2.3]),
    )
    if np.any(found.active_mask):
        names = ("r_series_ohm", "growth.conductance_s_per_v", "v_transistor_v", "growth.exponent")
        name = names[int(np.argmax(found.active_mask != 0))]
        raise NotConverged(f"{where}: {name} is not determined by these sweeps")
    one = of(found.x)
    deviation = float(np.sqrt(np.mean(np.square(found.fun))))
    return Path(
        one.r_series_ohm, one.conductance_s_per_v, one.v_transistor_v, one.exponent, deviation
    )
