"""Cycle-to-cycle scatter: a random factor on every step.

ΔG ← ΔG · (1 + σ ξ), or with a lognormal factor of mean 1 and standard deviation of the logarithm σ.
A train of n pulses, given as one operation, is n steps of ΔG/n each with a draw of its own: its
factor has variance σ²/n (lognormal: (exp σ² − 1)/n), exact for equal steps. Source: the noisy pulse
response of T. Gokmen and Y. Vlasov, Front. Neurosci. 10, 333 (2016), where σ = 0.3. Valid for ξ
normal up to σ of about 1, beyond which a third and more of the steps would go backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Number
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

if TYPE_CHECKING:
    from hwloop_sim.compiled.counter_based_random import StepScatter


class CycleToCycleSettings(Settings):
    """Settings of cycle-to-cycle scatter.

    ``sigma``: standard deviation of a step relative to it, or of its logarithm.
    """

    sigma: Annotated[Number, Field(ge=0, le=2)]
    distribution: Literal["normal", "lognormal"] = "normal"


class CycleToCycle(Effect):
    """A random factor on every step, drawn for each cell and pulse."""

    def __init__(
        self,
        settings: CycleToCycleSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,
    ) -> None:
        from hwloop_sim.compiled.counter_based_random import Draws

        self._settings = settings
        self._draws = Draws.spawn(rng)

    @override
    def step_scatter(self, pulse: PulseMap) -> StepScatter | None:
        from hwloop_sim.compiled.counter_based_random import StepScatter

        if self._settings.distribution != "normal":
            return None
        return StepScatter(self._settings.sigma / np.sqrt(pulse.count), self._draws)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        from hwloop_sim.compiled import kernels

        scatter = self.step_scatter(pulse)
        if scatter is not None:
            return kernels.scatter(before_conductance_s, after_conductance_s, scatter)
        of_log = np.sqrt(np.log1p(np.expm1(self._settings.sigma**2) / pulse.count))
        normals = kernels.normals(after_conductance_s.size, self._draws).reshape(
            after_conductance_s.shape
        )
        factor: FloatArray = np.exp(of_log * normals - of_log**2 / 2)
        return np.where(
            after_conductance_s == before_conductance_s,
            after_conductance_s,
            before_conductance_s + factor * (after_conductance_s - before_conductance_s),
        )


CYCLE_TO_CYCLE = EffectKind(
    name="cycle_to_cycle",
    summary="Scatter of every step from pulse to pulse",
    settings=CycleToCycleSettings,
    make=CycleToCycle,
    order=20,
    arrays=lambda _: 0,
)
