"""Laws of cells whose current is not proportional to their voltage, and of cells in series."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from hwloop.errors import BackendError
from hwloop.types import FloatArray

INNER_STEPS = 200


class CellLaw(ABC):
    """The current of a cell as a function of its voltage: increasing, and 0 A at 0 V."""

    @abstractmethod
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return current, amperes, and slope, siemens, at ``cell_v``, both (..., rows, cols).

        ``conductance_s``: conductance of each cell at small voltages. Example, the linear cell::

          def at(self, conductance_s, cell_v):
              return conductance_s * cell_v, conductance_s
        """


@dataclass(frozen=True)
class Sinh(CellLaw):
    """The law I = G sinh(a V) / a: hopping, and thin tunnel barriers.

    ``nonlinearity_per_v``: a. The form in Yakopcic et al., IEEE Electron Device Lett. 32, 1436
    (2011).
    """

    nonlinearity_per_v: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.nonlinearity_per_v) and self.nonlinearity_per_v > 0):
            raise ValueError(
                f"nonlinearity_per_v {self.nonlinearity_per_v} is not a finite number above 0"
            )

    @override
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        argument = self.nonlinearity_per_v * cell_v
        return conductance_s * np.sinh(argument) / self.nonlinearity_per_v, conductance_s * np.cosh(
            argument
        )


@dataclass(frozen=True)
class Polynomial(CellLaw):
    """The law I = G (V + c2 V² + c3 V³ + …): ``higher`` is (c2, c3, …), in 1/V, 1/V², …

    Valid where it rises; the solver refuses a voltage at which it falls.
    """

    higher: tuple[float, ...]

    def __post_init__(self) -> None:
        if not np.isfinite(self.higher).all():
            raise ValueError(f"higher {self.higher} has a coefficient that is not finite")

    @override
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        shape = np.polynomial.Polynomial((0.0, 1.0, *self.higher))
        return conductance_s * shape(cell_v), conductance_s * shape.deriv()(cell_v)


@dataclass(frozen=True, eq=False)
class BehindTransistor(CellLaw):
    """A cell of another law in series with its transistor, ``ohm``, infinite when off.

    ``ohm``: broadcastable to (rows, cols), for example (rows, 1) where gates run along rows.
    """

    law: CellLaw
    ohm: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ohm", _resistance(self.ohm))

    @override
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        on = np.isfinite(self.ohm)
        ohm = np.where(on, self.ohm, 0.0)
        device_v = np.where(on, cell_v, 0.0)
        for _ in range(INNER_STEPS):
            current_a, slope_conductance_s = self.law.at(conductance_s, device_v)
            excess_v = np.where(on, device_v + ohm * current_a - cell_v, 0.0)
            step_v = excess_v / (1 + ohm * slope_conductance_s)
            device_v = device_v - step_v
            if (np.abs(step_v) <= 4e-16 * np.abs(cell_v) + 1e-300).all():
                break
        else:
            worst = np.abs(step_v).max()
            if worst > 1e-13 * np.abs(cell_v).max():
                raise BackendError(
                    f"a cell behind its transistor still moves by {worst:.2g} V after"
                    f" {INNER_STEPS} iterations"
                )
        current_a, slope_conductance_s = self.law.at(conductance_s, device_v)
        return np.where(on, current_a, 0.0), np.where(
            on, slope_conductance_s / (1 + ohm * slope_conductance_s), 0.0
        )


def _resistance(ohm: ArrayLike) -> FloatArray:
    value = np.array(ohm, dtype=np.float64)
    if not (value >= 0).all():
        raise ValueError(f"ohm has {value[~(value >= 0)][0]}: needs 0 or more, infinite when off")
    return value
