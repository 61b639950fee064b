"""Fit of the growth of the filament to gate sweeps.

The fitted parameters make emulated sweeps of as many cells and cycles have the medians and spreads
of the measured ones; see :mod:`hwloop_sim.calibrate.one_transistor.simulated_moments`. The search
begins at the path nearest to the medians without scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

EXPONENT, OVERDRIVE_EXPONENT = "growth.exponent", "growth.overdrive_exponent"
CONDUCTANCE = "growth.conductance_s_per_v"
_OF_PATH = ("r_series_ohm", "v_transistor_v", EXPONENT, CONDUCTANCE, OVERDRIVE_EXPONENT)
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
    """Parameters of the median path: R_s, V_t, q, k and p.

    ``deviation``: rms of ln G of the median sweep less the path.
    """

    r_series_ohm: float
    v_transistor_v: float
    exponent: float
    conductance_s_per_v: float
    overdrive_exponent: float = 1.0
    deviation: float = 0.0


@dataclass(frozen=True, eq=False)
class MedianFit:
    """Path nearest to the median sweep.

    ``begin_conductance_s``: conductance at which it begins, siemens. ``gates``, ``volts``: indices
    and values of the gate voltages that were fitted. ``known``: settings that were not fitted.
    """

    path: Path
    begin_conductance_s: float
    gates: slice
    volts: FloatArray
    known: Mapping[str, float]

    @property
    def start(self) -> dict[str, float]:
        """Return the initial value of each parameter of the search, those of the path first."""
        found = {
            **{name: getattr(self.path, name.rpartition(".")[2]) for name in _OF_PATH},
            "growth.cycle_ratio": _RATIO,
            "unsteadiness": 0.3,
            "spread.unsteadiness": 0.5,
            "spread.r_series_ohm": 0.03,
            "spread.v_transistor_v": 0.02,
        }
        return {name: value for name, value in found.items() if name not in self.known}

    @property
    def guess(self) -> FloatArray:
        """Return the logarithms of the parameters of the path that were fitted."""
        names = [name for name in _OF_PATH if name not in self.known]
        return np.log([self.start[name] for name in names])

    def follow(self, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Call :func:`follow` with the logarithms of the parameters of the path."""
        path = _path(np.exp(logs), self.known)
        return follow(path, self.volts, self.begin_conductance_s)


@dataclass(frozen=True, eq=False)
class GrowthFit:
    """Fit of the growth of the filament.

    ``median``: initial point of the search. ``match``: fitted settings by name, with errors.
    """

    median: MedianFit
    match: Match

    @property
    def known(self) -> Mapping[str, float]:
        """Return the settings that were known, by name."""
        return self.median.known

    @property
    def r_series_ohm(self) -> float:
        """Return the series resistance of the median cell, ohms."""
        return self.match.values["r_series_ohm"]


def fit_median(sweeps: Sweeps, known: Mapping[str, float] | None = None) -> MedianFit:
    """Fit the path nearest to the median gate sweep.

    ``known``: settings by name that another measurement determined. One sweep shows p + 1/q alone:
    p is 1 unless it is known. Raises :class:`ConfigError` or :class:`NotConverged` with the file
    and what it does not show.
    """
    known = {OVERDRIVE_EXPONENT: 1.0} | dict(known or {})
    gates, begin_conductance_s = _span(sweeps)
    volts, median = (
        sweeps.volts[gates],
        np.median(held_logs(sweeps.after_conductance_s)[:, gates], axis=0),
    )
    return MedianFit(
        _fit_path(sweeps.where, volts, median, begin_conductance_s, known),
        begin_conductance_s,
        gates,
        volts,
        known,
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
    known = of_median.known
    found = first.match(unknowns, known, noise)
    for day, sweeps in enumerate(days[1:], 1):
        offsets = Unknowns({f"day{day}.{name}": 0.0 for name in OF_DAY})
        own = _later_day(sweeps, day).match(offsets, {**known, **found.values}, noise)
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
    guess = of_median.guess
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
            path.conductance_s_per_v
            * max(volt - path.v_transistor_v, 1e-6) ** path.overdrive_exponent
        )
        own_conductance_s, share = grown_conductance_s(
            own_conductance_s, drive_conductance_s, path.exponent
        )
        seen.append(np.log(cell_conductance_s(own_conductance_s, r_ohm)))
        shares.append(share)
    return np.array(seen), np.array(shares)


def _fit_path(
    where: str,
    volts: FloatArray,
    median: FloatArray,
    begin_conductance_s: float,
    known: Mapping[str, float],
) -> Path:
    from scipy.optimize import least_squares

    lowest_ohm = float(np.exp(-median.max()))
    # Start, lower and upper bound: R_s as a part of the lowest, V_t, ln q, ln k.
    first_v = volts[0]
    room = {
        "r_series_ohm": (0.9, 0.3, 0.999),
        "v_transistor_v": (first_v - 0.03, first_v - 1.0, first_v + 0.05),
        EXPONENT: (0.5, -0.6, 2.3),
        CONDUCTANCE: (-6.5, -14.0, 2.0),
    }
    names = [name for name in room if name not in known]

    def of(theta: FloatArray) -> Path:
        r_part, v_t, *logs = theta
        return _path(np.array([lowest_ohm * r_part, v_t, *np.exp(logs)]), known)

    start, low, high = np.array([room[name] for name in names]).T
    found = least_squares(
        lambda theta: follow(of(theta), volts, begin_conductance_s)[0] - median,
        start,
        bounds=(low, high),
    )
    if np.any(found.active_mask):
        name = names[int(np.argmax(found.active_mask != 0))]
        raise NotConverged(f"{where}: {name} is not determined by these sweeps")
    return replace(of(found.x), deviation=float(np.sqrt(np.mean(np.square(found.fun)))))


def _path(values: FloatArray, known: Mapping[str, float]) -> Path:
    """Return the path of the values of the parameters that are not known."""
    names = [name for name in _OF_PATH if name not in known]
    found = {**known, **dict(zip(names, map(float, values), strict=True))}
    return Path(**{name.rpartition(".")[2]: found[name] for name in _OF_PATH})
