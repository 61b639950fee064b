"""Short-term plasticity: part of every step relaxes, and what is left of it may become permanent.

A step ΔG of the device model divides into ``volatile`` · ΔG and a permanent rest. The volatile part
u relaxes after the last pulse, u(t) = u₀ · exp(−(t/τ)^β), and the cell with it. A pulse that comes
while u is left makes the share ``consolidation`` of it permanent; the rest of u and the new
volatile part relax together from then on. So pulses close together leave a lasting change that
pulses far apart do not, and a pair of opposite pulses a window of exp(−(Δt/τ)^β) whose sign is that
of the first. Sources: that retention loss follows a stretched exponential, and that repeated pulses
turn it into a long-term state the more the shorter their interval, is measured by T. Chang, S.-H.
Jo, W. Lu, ACS Nano 5, 7669 (2011), doi:10.1021/nn202983n, and by T. Ohno et al., Nat. Mater. 10,
591 (2011), doi:10.1038/nmat3054. The constant share is our reading: neither gives such an equation.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Fraction, Number, PositiveSecond
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


class ShortTermSettings(Settings):
    """Settings of short-term plasticity.

    ``tau_s``, ``beta``: of the relaxation. ``volatile``: share of a step that relaxes.
    ``consolidation``: share of what is left of it that the next pulse makes permanent.
    """

    tau_s: PositiveSecond
    beta: Annotated[Number, Field(gt=0, le=1)] = 1.0
    volatile: Annotated[Fraction, Field(le=1)] = 1.0
    consolidation: Annotated[Fraction, Field(le=1)] = 0.0


class ShortTerm(Effect):
    """The volatile part of each cell as its last pulse has left it, and the time since."""

    def __init__(
        self,
        settings: ShortTermSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,  # noqa: ARG002 - it draws nothing
    ) -> None:
        self._settings = settings
        self._volatile_conductance_s = np.zeros(shape)
        self._age_s = np.zeros(shape)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        step_conductance_s = after_conductance_s - before_conductance_s
        moved = step_conductance_s != 0
        kept = 1 - self._settings.consolidation
        # A map with a count is that many equal steps with no time between them.
        left = kept**pulse.count
        own = float(np.mean(kept ** np.arange(pulse.count)))
        volatile_conductance_s = (
            left * self._left_conductance_s() + own * self._settings.volatile * step_conductance_s
        )
        self._volatile_conductance_s = np.where(
            moved, volatile_conductance_s, self._volatile_conductance_s
        )
        self._age_s = np.where(moved, 0.0, self._age_s)
        return after_conductance_s

    @override
    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
        self._volatile_conductance_s = np.where(addressed, 0.0, self._volatile_conductance_s)
        return conductance_s

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        before_conductance_s = self._left_conductance_s()
        self._age_s = self._age_s + duration_s
        return conductance_s + self._left_conductance_s() - before_conductance_s

    def _left_conductance_s(self) -> FloatArray:
        """Return what is left of the volatile part now, (..., rows, cols), siemens."""
        settings = self._settings
        left: FloatArray = np.exp(-((self._age_s / settings.tau_s) ** settings.beta))
        return self._volatile_conductance_s * left


SHORT_TERM = EffectKind(
    name="short_term",
    summary="Part of every step relaxes, and pulses close together make it permanent",
    settings=ShortTermSettings,
    make=ShortTerm,
    order=25,
    arrays=lambda _: 2,
)
