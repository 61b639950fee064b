"""Level of a strong RESET, its spread and its scatter, from a cycling test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.datasets.measurement import read_measurement
from hwloop.errors import ConfigError
from hwloop_sim.calibrate.inputs import is_dataset
from hwloop_sim.calibrate.one_transistor.redraw_fit import FLOOR

_WITHIN = ("redraw.cycle_sigma", "redraw.pulse_sigma")
_FLOOR_SPREAD = f"spread.{FLOOR}"


@dataclass(frozen=True)
class Cycled:
    """Spread of conductance after RESET in a cycling test.

    ``median_conductance_s``: conductance of the median cell, siemens. ``of_cells``: standard
    deviation of ln G over the cells, with ``of_cells_error``. ``within``: standard deviation of ln
    G within a cell.
    """

    median_conductance_s: float
    of_cells: float
    of_cells_error: float
    within: float

    def pooled(self, values: Mapping[str, float], days: int) -> dict[str, float]:
        """Return the settings that a cycling test bears on, as means with those of ``days`` days.

        A geometric mean of the level, quadratic means of the deviations.
        """

        def mean(of_days: float, own: float) -> float:
            return float(np.sqrt((days * of_days**2 + own**2) / (days + 1)))

        logs = days * np.log(values[FLOOR]) + np.log(self.median_conductance_s)
        within = float(np.hypot(values[_WITHIN[0]], values[_WITHIN[1]]))
        share = mean(within, self.within) / within
        return {
            FLOOR: float(np.exp(logs / (days + 1))),
            _FLOOR_SPREAD: mean(values[_FLOOR_SPREAD], self.of_cells),
            **{name: share * values[name] for name in _WITHIN},
        }


def cycling_spread(path: Path) -> Cycled:
    """Estimate the spread of the RESET level from a cycling test.

    Raises :class:`ConfigError` if fewer than three cells have several cycles.
    """
    columns = read_measurement(path).columns
    logs = [
        np.log(columns["reset_conductance_s"][columns["cell"] == one])
        for one in np.unique(columns["cell"])
    ]
    logs = [one for one in logs if one.size > 1]
    if len(logs) < 3:
        raise ConfigError(f"{len(logs)} cells with several cycles: expected 3", file=str(path))
    within = float(np.sqrt(np.mean([one.var(ddof=1) for one in logs])))
    means = np.array([one.mean() for one in logs])
    err = within**2 * float(np.mean([1 / one.size for one in logs]))
    of_cells = float(np.sqrt(max(means.var(ddof=1) - err, 0.0)))
    median_conductance_s = float(np.exp(np.median([np.median(one) for one in logs])))
    return Cycled(
        median_conductance_s, of_cells, of_cells / float(np.sqrt(2 * (len(logs) - 1))), within
    )


def is_cycling(path: Path) -> bool:
    """Return whether a file is a dataset of a cycling test."""
    return is_dataset(path) and read_measurement(path).kind == "cycling"
