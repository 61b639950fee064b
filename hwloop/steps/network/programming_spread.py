"""Spread of programmed conductances: σ(G) of measured cells, and draws from it in software.

The curves are least-squares quartics without a constant term through points read by eye from a
figure of D. Bonnet et al., Nat. Commun. 14, 7530 (2023), doi:10.1038/s41467-023-43317-9 (HfO2 1T1R
cells), by G. Duarte Tomaz de Sá, "Designing a cat detector with resistive memory" (2025); there the
points were raised by 1.1 before the fit; here that offset is removed. Valid from 0 to 110 µS.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hwloop.errors import ConfigError
from hwloop.types import BoolArray, FloatArray

Curve = Literal["iterative", "one_shot"]
LARGEST_CONDUCTANCE_S = 110e-6
_FITTED_FACTOR = 1.1
_FITTED: dict[str, tuple[float, float, float, float]] = {  # of G, G², G³, G⁴ in siemens
    "iterative": (0.7376409814137683, -18383.518444415324, 158737400.32155845, -462763334511.7771),
    "one_shot": (0.7406951725792924, -11527.913557429512, 37067645.24079069, 107619325998.37813),
}


def sigma_conductance_s(
    conductance_s: FloatArray, curve: Curve, *, factor: float = 1.0
) -> FloatArray:
    """Return the standard deviation of cells programmed to ``conductance_s``, siemens.

    The curve is multiplied by ``factor``. Raises :class:`ConfigError` beyond 110 µS, where there is
    no measurement.
    """
    largest_conductance_s = float(conductance_s.max(initial=0.0))
    if (
        largest_conductance_s > LARGEST_CONDUCTANCE_S * (1 + 1e-9)
        or float(conductance_s.min(initial=0.0)) < 0
    ):
        raise ConfigError(
            f"the {curve} curve is measured from 0 to {LARGEST_CONDUCTANCE_S:g} S; the map has"
            f" {largest_conductance_s:g} S"
        )
    powers = np.stack([conductance_s**power for power in (1, 2, 3, 4)])
    fitted = np.tensordot(np.array(_FITTED[curve]), powers, axes=1)
    return np.asarray(fitted * factor / _FITTED_FACTOR)


def drawn_conductance_s(
    conductance_s: FloatArray,
    deviation_conductance_s: FloatArray | float,
    rng: np.random.Generator,
    *,
    largest_conductance_s: float,
    noisy: BoolArray | None = None,
) -> tuple[FloatArray, int]:
    """Draw programmed conductances, siemens; return them and the number held at an end.

    They are held between 0 and ``largest_conductance_s``. A cell at 0 S is not programmed and stays
    there. ``noisy``: which of the others are drawn; all if None.
    """
    programmed = conductance_s > 0 if noisy is None else (conductance_s > 0) & noisy
    drawn = conductance_s + deviation_conductance_s * rng.normal(size=conductance_s.shape)
    drawn = np.where(programmed, drawn, conductance_s)
    held = np.clip(drawn, 0.0, largest_conductance_s)
    return held, int((held != drawn).sum())
