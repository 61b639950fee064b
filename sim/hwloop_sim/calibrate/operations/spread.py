"""Device-to-device spread: fits of single cells, and the lognormal spread of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.errors import NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.covariance import undetermined_line
from hwloop_sim.calibrate.operations.fit import OperationFit, fit_operations
from hwloop_sim.calibrate.operations.history import History

MIN_CELLS = 4


@dataclass(frozen=True, eq=False)
class CellSpread:
    """Fits of single cells.

    ``values``, ``errors``: of each parameter, (cells,). ``left_out``: cells that could not be
    fitted, with the reason.
    """

    fits: Sequence[OperationFit]
    values: Mapping[str, FloatArray]
    errors: Mapping[str, FloatArray]
    left_out: Sequence[str]

    @property
    def cells(self) -> int:
        """Return the number of cells fitted."""
        return next(iter(self.values.values())).size

    def median(self, name: str) -> tuple[float, float]:
        """Return exp of the mean logarithm, with the sign of the values, and its uncertainty."""
        logs = np.log(np.abs(self.values[name]))
        middle = float(np.sign(self.values[name][0]) * np.exp(logs.mean()))
        return middle, float(abs(middle) * logs.std(ddof=1) / np.sqrt(self.cells))

    def sigma(self, name: str) -> tuple[float, float]:
        """Return the deviation of the logarithm, less the errors of the fits, and its uncertainty.

        0 if the cells differ by no more than the errors.
        """
        logs = np.log(np.abs(self.values[name]))
        relative = self.errors[name] / np.abs(self.values[name])
        seen, own = float(logs.var(ddof=1)), float(np.mean(np.square(relative)))
        error = seen * np.sqrt(2 / (self.cells - 1))
        if seen <= own:
            return 0.0, float(np.sqrt(error))
        sigma = float(np.sqrt(seen - own))
        return sigma, float(error / (2 * sigma))


def fit_each_cell(model: str, histories: Sequence[History], fixed: Mapping[str, Any]) -> CellSpread:
    """Fit every cell separately, from the minimum of the first one.

    Raises :class:`NotConverged` if fewer than :data:`MIN_CELLS` can be fitted.
    """
    found: list[OperationFit] = []
    left_out: list[str] = []
    for history in histories:
        for index, name in enumerate(history.names):
            start = found[0].minimum if found else None
            try:
                one = [history.of_cells([index])]
                own = fit_operations(model, one, fixed=fixed, start=start)
                if own.fit.covariance is not None and own.fit.covariance.undetermined:
                    raise NotConverged(undetermined_line(own.fit.covariance.undetermined))
                found.append(own)
            except NotConverged as exc:
                left_out.append(f"{name}: {exc}")
    if len(found) < MIN_CELLS:
        raise NotConverged(
            f"{model}: {len(found)} cells could be fitted by themselves: a spread needs"
            f" {MIN_CELLS}" + (f"; {left_out[0]}" if left_out else "")
        )
    names = list(found[0].fit.uncertainty)
    return CellSpread(
        found,
        {n: np.array([float(one.fit.settings[n]) for one in found]) for n in names},
        {n: np.array([one.fit.uncertainty[n] for one in found]) for n in names},
        left_out,
    )
