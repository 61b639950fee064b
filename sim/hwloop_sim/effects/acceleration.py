"""Temperature that counts as time, by the law of Arrhenius."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import ElectronVolt, Kelvin

BOLTZMANN_EV_PER_K = 8.617333262e-5  # CODATA 2018


class Acceleration(Settings):
    """The law t' = t · exp[(Eₐ/k)(1/T_ref − 1/T)]: JEDEC JEP122.

    ``activation_ev``: Eₐ. ``temperature_k``: T, of the whole run. ``reference_k``: T_ref, at which
    the times of the effect hold.
    """

    activation_ev: Annotated[ElectronVolt, Field(ge=0, le=5)] = 0.0
    temperature_k: Annotated[Kelvin, Field(gt=0, le=1000)] = 300.0
    reference_k: Annotated[Kelvin, Field(gt=0, le=1000)] = 300.0

    @model_validator(mode="after")
    def _bounded(self) -> Acceleration:
        if self.acceleration_exponent > 100:
            raise ValueError(
                f"time would run exp({self.acceleration_exponent:.0f}) times as fast;"
                " the exponent must not exceed 100"
            )
        return self

    @property
    def acceleration_exponent(self) -> float:
        """Return (Eₐ/k)(1/T_ref − 1/T), the logarithm of the acceleration by temperature."""
        inverse = 1 / self.reference_k - 1 / self.temperature_k
        return self.activation_ev / BOLTZMANN_EV_PER_K * inverse
