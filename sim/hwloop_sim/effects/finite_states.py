"""Finite conductance states: what a cell shows is the nearest of n levels.

Levels from ``min_conductance_s`` to ``max_conductance_s``, equally spaced in G (linear) or in ln G
(logarithmic), and the nearest in that measure is shown. The state behind them moves on
continuously, so that pulses smaller than a level add up. Source: C. Lammie et al., "MemTorch",
Neurocomputing 485, 124 (2022).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSiemens, Siemens
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


class FiniteStatesSettings(Settings):
    """Settings of finite states, as many as ``states``.

    ``min_conductance_s``, ``max_conductance_s``: the outermost states. ``spacing``: of those
    between.
    """

    states: Annotated[int, Field(strict=True, ge=2, le=1_000_000)]
    min_conductance_s: Annotated[Siemens, Field(ge=0)]
    max_conductance_s: PositiveSiemens
    spacing: Literal["linear", "logarithmic"] = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> FiniteStatesSettings:
        if self.min_conductance_s >= self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must be below max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        if self.spacing == "logarithmic" and self.min_conductance_s == 0:
            raise ValueError("logarithmic states need min_conductance_s above 0")
        return self


class FiniteStates(Effect):
    """The discrete conductance levels of all cells."""

    def __init__(
        self,
        settings: FiniteStatesSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> None:
        self._settings = settings

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        settings = self._settings
        last = settings.states - 1
        inside_conductance_s = np.clip(
            conductance_s, settings.min_conductance_s, settings.max_conductance_s
        )
        if settings.spacing == "linear":
            width_s = (settings.max_conductance_s - settings.min_conductance_s) / last
            level = np.rint((inside_conductance_s - settings.min_conductance_s) / width_s)
            shown: FloatArray = settings.min_conductance_s + level / last * (
                settings.max_conductance_s - settings.min_conductance_s
            )
            return shown
        ratio = np.log(settings.max_conductance_s / settings.min_conductance_s)
        level = np.rint(np.log(inside_conductance_s / settings.min_conductance_s) / ratio * last)
        return np.asarray(settings.min_conductance_s * np.exp(level / last * ratio))


FINITE_STATES = EffectKind(
    name="finite_states",
    summary="A cell shows the nearest of a number of levels",
    settings=FiniteStatesSettings,
    make=FiniteStates,
    order=80,
    arrays=lambda _: 0,
)
