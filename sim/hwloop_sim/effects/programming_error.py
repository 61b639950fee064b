"""Programming error: the deviation of a programmed cell from its target conductance.

G ← G + σ(G) ξ, once, when the cells are made: the initial conductances of the device are the
targets, and the programmed ones are drawn about them. σ(G) = Σ c_k G^k, the form of the curves of
spread against mean conductance in D. Bonnet et al., Nat. Commun. 14, 7530 (2023),
doi:10.1038/s41467-023-43317-9. Valid up to ``valid_to_conductance_s``: a higher target is refused.
A draw below 0 S is drawn again. Later pulses have the scatter of the device and of other effects,
not this one.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.messages import cell_name, first_place
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, format_quantity
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

_ROUNDS = 1000


class ProgrammingErrorSettings(Settings):
    """Settings of the programming error.

    ``sigma_conductance_us``: c_1, c_2, …, of σ and G in microsiemens, in which they are of order 1.
    """

    sigma_conductance_us: Annotated[tuple[Number, ...], Field(min_length=1, max_length=10)]
    valid_to_conductance_s: PositiveSiemens

    def sigma_conductance_s(self, conductance_s: FloatArray) -> FloatArray:
        """Return the standard deviation at a target conductance, siemens.

        Raises :class:`ConfigError` outside the range in which the curve holds.
        """
        beyond = (conductance_s > self.valid_to_conductance_s * (1 + 1e-9)) | (conductance_s < 0)
        if beyond.any():
            place = first_place(beyond)
            raise ConfigError(
                f"programming_error: {cell_name(place)} is set to"
                f" {format_quantity(conductance_s[place], 'S')}; the curve holds from 0 to"
                f" {format_quantity(self.valid_to_conductance_s, 'S')}"
            )
        coefficients = np.array([0.0, *self.sigma_conductance_us])
        sigma_conductance_s = np.asarray(
            1e-6 * np.polynomial.polynomial.polyval(1e6 * conductance_s, coefficients)
        )
        if (sigma_conductance_s < 0).any():
            place = first_place(sigma_conductance_s < 0)
            raise ConfigError(
                f"programming_error: sigma_conductance_us gives {sigma_conductance_s[place]:.3g} S"
                " at"
                f" {conductance_s[place]:.3g} S: expected 0 or more",
                key="sigma_conductance_us",
            )
        return sigma_conductance_s


class ProgrammingError(Effect):
    """One deviation drawn for every cell when it is made."""

    def __init__(
        self,
        settings: ProgrammingErrorSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,
    ) -> None:
        self._settings = settings
        self._rng = rng

    @override
    def begin(self, conductance_s: FloatArray) -> FloatArray:
        return self._beside(conductance_s)

    @override
    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
        return np.where(addressed, self._beside(conductance_s), conductance_s)

    def _beside(self, conductance_s: FloatArray) -> FloatArray:
        sigma_conductance_s = self._settings.sigma_conductance_s(conductance_s)
        found_conductance_s = conductance_s + sigma_conductance_s * self._rng.normal(
            size=conductance_s.shape
        )
        for _ in range(_ROUNDS):
            if not (below := found_conductance_s < 0).any():
                break
            normal = self._rng.normal(size=int(below.sum()))
            found_conductance_s[below] = conductance_s[below] + sigma_conductance_s[below] * normal
        return found_conductance_s


PROGRAMMING_ERROR = EffectKind(
    name="programming_error",
    summary="Initial conductances are those aimed at, and come out beside them",
    settings=ProgrammingErrorSettings,
    make=ProgrammingError,
    order=5,
    arrays=lambda _: 0,
)
