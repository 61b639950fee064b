"""White read noise: drawn anew in every read of a cell.

I = V (G + σ_G ξ) + σ_I ξ': σ_G/G = fraction · (G/G_ref)^exponent of the cell, σ_I of the amplifier.
The average of both polarities has 1/√2 of it. In a multiplication the noise of a column is that of
its cells in quadrature, Var I_j = Σ_i V_i² σ_G,ij² + σ_I², which for normal ξ is the exact
distribution. Source: thermal and shot noise are white at the read; an exponent of −1/2 follows from
independent conduction paths, e.g. S. Ambrogio et al., IEEE Trans. Electron Devices 62, 3805 (2015).
Normal numbers to 6.2 standard deviations.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from hwloop.settings.units import Ampere
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import EffectKind, ReadNoise
from hwloop_sim.effects.dependence import Dependence


class WhiteNoiseSettings(Dependence):
    """Settings of white noise; ``amplifier_a``: standard deviation of the current itself.

    Dependence on the conductance as in :class:`Dependence`.
    """

    amplifier_a: Annotated[Ampere, Field(ge=0)] = 0.0


class WhiteNoise(ReadNoise):
    """White noise from counter-based random numbers, added to the currents."""

    def __init__(
        self,
        settings: WhiteNoiseSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,
    ) -> None:
        from hwloop_sim.compiled.counter_based_random import Draws

        self._settings = settings
        self._draws = Draws.spawn(rng)

    @override
    def conductance_variance_s2(self, conductance_s: FloatArray) -> FloatArray:
        return np.square(self._settings.sigma_conductance_s(conductance_s))

    @override
    def fixed_variance_a2(self) -> float | None:
        return self._settings.amplifier_a**2

    @override
    def add(
        self,
        current_a: FloatArray,
        variance: NDArray[np.floating],
        *,
        unit_a2: float,
        reads: int,
    ) -> None:
        from hwloop_sim.compiled import kernels

        if self._settings.amplifier_a:
            variance = variance + self._settings.amplifier_a**2 / unit_a2
        kernels.add_noise(current_a, variance, self._draws, scale=np.sqrt(unit_a2 / reads))


WHITE_NOISE = EffectKind(
    name="white_noise",
    summary="Read noise that is new in every read",
    settings=WhiteNoiseSettings,
    make=WhiteNoise,
    order=120,
    arrays=lambda _: 1,
)
