"""Cells whose current is not proportional to their voltage, and cells behind a transistor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from hwloop.errors import BackendError
from hwloop.types import FloatArray

INNER_STEPS = 200


class CellLaw(ABC):
    """How the current of a cell follows its voltage: rising, and 0 A at 0 V."""

    @abstractmethod
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Current, amperes, and its slope, siemens, at ``cell_v``; same shape (..., rows, cols).

        ``conductance_s`` is that of the cell at small voltages.
        """


@dataclass(frozen=True)
class Sinh(CellLaw):
    """I = G sinh(a V) / a: the I-V of hopping and of thin tunnel barriers.

    ``nonlinearity_per_v``: a. The form in Yakopcic et al., IEEE Electron Device Lett. 32, 1436
    (2011).
    """

    nonlinearity_per_v: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.nonlinearity_per_v) and self.nonlinearity_per_v > 0):
            raise ValueError(
                f"nonlinearity_per_v {self.nonlinearity_per_v} is not a finite number above 0"
            )

    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Current and slope."""
        bent = self.nonlinearity_per_v * cell_v
        return conductance_s * np.sinh(bent) / self.nonlinearity_per_v, conductance_s * np.cosh(
            bent
        )


@dataclass(frozen=True)
class Polynomial(CellLaw):
    """I = G (V + c2 V² + c3 V³ + …): ``higher`` is (c2, c3, …), in 1/V, 1/V², …

    Valid where it rises; a voltage at which it falls is refused.
    """

    higher: tuple[float, ...]

    def __post_init__(self) -> None:
        if not np.isfinite(self.higher).all():
            raise ValueError(f"higher {self.higher} has a coefficient that is not finite")

    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Current and slope."""
        shape = np.polynomial.Polynomial((0.0, 1.0, *self.higher))
        return conductance_s * shape(cell_v), conductance_s * shape.deriv()(cell_v)


@dataclass(frozen=True, eq=False)
class BehindTransistor(CellLaw):
    """A cell of another law in series with ``ohm``: its transistor's, infinite when off.

    ``ohm``: broadcastable to (rows, cols), for example (rows, 1) where gates run along rows.
    """

    law: CellLaw
    ohm: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ohm", _resistance(self.ohm))

    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Current and slope, from the share of the voltage that is left for the device."""
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


def behind(conductance_s: ArrayLike, ohm: ArrayLike) -> FloatArray:
    """Linear 1T1R cells: conductance of the device in series with its transistor, siemens.

    ``ohm``: of the transistor, infinite when its gate is off, broadcastable to (..., rows, cols):
    (rows, 1) where the gates run along the rows. The device's own share of a cell's voltage is
    the cell's current over the device's conductance.
    """
    device_conductance_s, transistor_ohm = (
        np.asarray(conductance_s, dtype=np.float64),
        _resistance(ohm),
    )
    on = np.isfinite(transistor_ohm)
    cell_conductance_s: FloatArray = np.where(
        on,
        device_conductance_s / (1 + device_conductance_s * np.where(on, transistor_ohm, 0.0)),
        0.0,
    )
    return cell_conductance_s


def triode_ohm(gate_v: ArrayLike, *, threshold_v: float, gain_a_per_v2: float) -> FloatArray:
    """Resistance of a transistor with little voltage across it, 1 / (k (Vg - Vt)), ohms.

    Infinite at and below threshold. Valid for a drain-source voltage far below Vg - Vt, in which
    the square law's second term vanishes.
    """
    if not (np.isfinite(gain_a_per_v2) and gain_a_per_v2 > 0):
        raise ValueError(f"gain_a_per_v2 {gain_a_per_v2} is not a finite number above 0")
    over_v = np.asarray(gate_v, dtype=np.float64) - threshold_v
    on = over_v > 0
    ohm: FloatArray = np.where(on, 1 / (gain_a_per_v2 * np.where(on, over_v, 1.0)), np.inf)
    return ohm


def _resistance(ohm: ArrayLike) -> FloatArray:
    value = np.array(ohm, dtype=np.float64)
    if not (value >= 0).all():
        raise ValueError(f"ohm has {value[~(value >= 0)][0]}: needs 0 or more, infinite when off")
    return value
