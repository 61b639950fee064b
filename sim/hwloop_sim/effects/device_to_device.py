"""Device-to-device spread: every cell has factors of its own, fixed when it is made.

Initial state G ← f · G, or response ΔG ← f · ΔG of every pulse, with f drawn for each cell:
lognormal with mean 1, f = exp(σ ξ − σ²/2), or measured values divided by their mean and drawn with
replacement. Source: lognormal spreads of resistive memory, X. Guan, S. Yu and H.-S. P. Wong, IEEE
Trans. Electron Devices 59, 1172 (2012); a measured spread is as good as its values.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.tables import NumberTable
from hwloop.settings.units import Fraction
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


def _all_positive(values: Any) -> Any:
    array = np.array(values, dtype=np.float64)
    if array.size < 2 or (array <= 0).any():
        raise ValueError("expected at least two measured values, all above 0")
    return values


class DeviceToDeviceSettings(Settings):
    """Settings of device-to-device spread.

    ``of``: the quantity that is spread; ``sigma``: of its logarithm; or ``measured``: values, any
    unit.
    """

    of: Literal["initial", "step"] = "initial"
    sigma: Fraction | None = None
    measured: Annotated[NumberTable, AfterValidator(_all_positive)] | None = None

    @model_validator(mode="after")
    def _one(self) -> DeviceToDeviceSettings:
        if (self.sigma is None) == (self.measured is None):
            raise ValueError("give sigma for a lognormal spread, or measured values: one of them")
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw a factor for every cell, of mean 1."""
        if self.sigma is not None:
            return rng.lognormal(-(self.sigma**2) / 2, self.sigma, shape)
        values = np.array(self.measured, dtype=np.float64).ravel()
        return rng.choice(values / values.mean(), size=shape)


class DeviceToDevice(Effect):
    """Factors of every cell on its initial state or on its response."""

    def __init__(
        self, settings: DeviceToDeviceSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._of = settings.of
        self._factor = settings.draw(shape, rng)

    @override
    def begin(self, conductance_s: FloatArray) -> FloatArray:
        return conductance_s * self._factor if self._of == "initial" else conductance_s

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        if self._of == "initial":
            return after_conductance_s
        return np.where(
            after_conductance_s == before_conductance_s,
            after_conductance_s,
            before_conductance_s + self._factor * (after_conductance_s - before_conductance_s),
        )


DEVICE_TO_DEVICE = EffectKind(
    name="device_to_device",
    summary="Spread of the initial state or of the response over the cells",
    settings=DeviceToDeviceSettings,
    make=DeviceToDevice,
    order=10,
    arrays=lambda _: 1,
)
