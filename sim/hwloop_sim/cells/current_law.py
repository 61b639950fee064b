"""Settings of the current-voltage law of cells whose device model has none of its own.

The laws are those of :mod:`hwloop_sim.circuit`; the conductance of a cell is that at small
voltages.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hwloop.errors import Unsupported
from hwloop.messages import cell_name, first_place
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PerVolt
from hwloop.types import FloatArray
from hwloop_sim.circuit import CellLaw, Polynomial, Sinh


class SinhSettings(Settings):
    """The law I = G sinh(a V) / a, with ``nonlinearity_per_v`` a, in 1/V."""

    law: Literal["sinh"]
    nonlinearity_per_v: Annotated[PerVolt, Field(gt=0, le=100)]

    def made(self) -> CellLaw:
        """Return the law for the circuit solver."""
        return Sinh(self.nonlinearity_per_v)


class PolynomialSettings(Settings):
    """The law I = G (V + c2 V² + c3 V³ + …); ``higher``: c2, c3, … in 1/V, 1/V², …"""

    law: Literal["polynomial"]
    higher: Annotated[tuple[Number, ...], Field(min_length=1, max_length=20)]

    def made(self) -> CellLaw:
        """Return the law for the circuit solver."""
        return Polynomial(self.higher)


CellLawSettings = Annotated[SinhSettings | PolynomialSettings, Field(discriminator="law")]
"""A law in a procedure: ``{law: NAME, …}``."""


def law_current_a(law: CellLaw, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:
    """Return currents by ``law``, amperes, in the broadcast shape of both arrays.

    ``conductance_s``: (..., rows, cols), siemens, at small voltages. ``voltage_v``: volts, row
    above column. Raises :class:`Unsupported` at a voltage where the law falls or overflows.
    """
    every_v = np.broadcast_to(
        voltage_v, np.broadcast_shapes(np.shape(voltage_v), conductance_s.shape)
    )
    with np.errstate(over="ignore"):
        current_a, slope_conductance_s = law.at(conductance_s, every_v)
    wrong = ~(np.isfinite(current_a) & (slope_conductance_s >= 0))
    if wrong.any():
        place = first_place(wrong)
        raise Unsupported(
            f"{cell_name(place[-2:])}: at {every_v[place]:.4g} V the current of {law} falls or has"
            " no end; it must rise"
        )
    return current_a
