"""Growth of the filament of a 1T1R cell from pulse to pulse, and its RESET.

Growth, with g the filament's own conductance, 1/G = R_s + 1/g: a SET pulse of width w adds to g^q,

    g^q ← g^q + (w/w₀) · (k (V_g − V_t)^p e^(r λ z))^q,   then   g ← g e^(λ √s ξ),

s the part of g^q that is new. It is the integral of dg/dt ∝ g^(1−q): a filament grows the more
slowly the thicker it is, and a pulse counts for the more the fewer came before it. p is 1 where the
velocity of the transistor's carriers saturates, and 2 where it does not. Trains of equal steps show
p + 1/q alone; q shows in how far a train gets with coarse steps and with fine ones. z is drawn at
the first RESET after a SET and holds to the next such, ξ at each pulse; with √s a small rise
scatters alike in one step and in many. λ is the unsteadiness of the cell itself.

RESET: the filament's own voltage decides, V_f = u/(1 + g R_d), u what the transistor passes and R_d
what stands in series during a RESET. Of the filament g₀ that a cycle of RESETs begins with, that
beyond its onset V_r leaves

    g = g_f + (g₀ − g_f) e^(−(V_f − V_r)/V_slope),   then   g ← g e^((1 − g/g₀) (c + p)),

the largest solution, V_f being that of g itself: a thick filament, which takes little of the
voltage, begins late and falls at once, a thin one begins early and falls slowly. The onset on the
source line is V_r (1 + g₀ R_d). c, p and V_r are drawn once a cycle; p follows p ← ρ p + √(1 − ρ²)
σ_p ξ with each further RESET at least as strong as those before it, which can therefore raise the
conductance as well; a weaker one does nothing.

Forming: a pristine cell does nothing until a pulse with its gate on reaches its own voltage; that
pulse leaves a formed cell, whatever its width and gate.

Source: the form is chosen for the measured sweeps of 1T1R cells (see the device model), where the
scatter of successive SET steps is correlated, and RESETs of a cell in HRS draw it anew. That the
voltage of the filament sets the onset, of a divider with the series resistance: D. Ielmini, F.
Nardi and C. Cagli, IEEE Trans. Electron Devices 58, 3246 (2011), doi:10.1109/TED.2011.2161088; here
one onset and slope serve sweeps that begin at 166 µS (0.85 V) and at 220 µS (1.6 V).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import (
    Number,
    PositiveSecond,
    PositiveSiemens,
    PositiveVolt,
    SiemensPerVolt,
    Volt,
)
from hwloop.types import BoolArray, FloatArray

Scatter = Annotated[Number, Field(ge=0, le=3)]
_LEAST_GAP = 1e-6
"""Lower bound of 1 − G·R_s, to keep the filament conductance finite."""
_MOST_ROUNDS, _SETTLED = 100, 1e-3
"""Of the search for the share of a filament that a RESET leaves."""


class Growth(Settings):
    """Parameters of growth.

    ``exponent``: q. ``conductance_s_per_v``: k at ``width_s`` and 1 V of overdrive.
    ``overdrive_exponent``: p. ``cycle_ratio``: r.
    """

    exponent: Annotated[Number, Field(ge=0.5, le=10)]
    conductance_s_per_v: Annotated[SiemensPerVolt, Field(gt=0)]
    width_s: PositiveSecond
    overdrive_exponent: Annotated[Number, Field(ge=0.2, le=4)] = 1.0
    cycle_ratio: Annotated[Number, Field(ge=0, le=10)] = 0.0

    def drive_conductance_s(self, overdrive_v: FloatArray) -> FloatArray:
        """Return k (V_g − V_t)^p, siemens."""
        return np.asarray(self.conductance_s_per_v * overdrive_v**self.overdrive_exponent)


class Redraw(Settings):
    """Sigmas of c and p, ``correlation`` ρ, and ``v_sigma_v`` of the RESET's onset."""

    cycle_sigma: Scatter
    pulse_sigma: Scatter
    correlation: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    v_sigma_v: Annotated[Volt, Field(ge=0, le=2)] = 0.0


class Forming(Settings):
    """Forming of the cells: the voltage that forms them, and their conductance afterwards.

    ``voltage_v``: median over the cells of the forming voltage, ``sigma`` of its logarithm.
    ``formed_conductance_s``: median conductance after forming; ``formed_sigma``: of the logarithm
    of the filament's part. ``begin``: whether the cells are made formed or pristine.
    """

    voltage_v: PositiveVolt
    sigma: Scatter = 0.0
    formed_conductance_s: PositiveSiemens
    formed_sigma: Scatter = 0.0
    begin: Literal["formed", "pristine"] = "formed"


def filament_conductance_s(conductance_s: FloatArray, r_series_ohm: FloatArray) -> FloatArray:
    """Return g of a cell of conductance G, siemens; a very large number at 1/R_s."""
    gap = np.maximum(1 - conductance_s * r_series_ohm, _LEAST_GAP)
    found: FloatArray = conductance_s / gap
    return found


def cell_conductance_s(filament_conductance_s: FloatArray, r_series_ohm: FloatArray) -> FloatArray:
    """Return G of a cell whose filament has the conductance g, siemens."""
    found: FloatArray = filament_conductance_s / (1 + filament_conductance_s * r_series_ohm)
    return found


def grown_conductance_s(
    before_conductance_s: FloatArray, drive_conductance_s: FloatArray, exponent: float
) -> tuple[FloatArray, FloatArray]:
    """Return g after a pulse, and the part s of it that is new.

    The pulse adds ``drive_conductance_s`` to the power ``exponent``. Scaled by the larger of both,
    so that no power overflows.
    """
    largest = np.maximum(before_conductance_s, drive_conductance_s)
    old, new = (
        (before_conductance_s / largest) ** exponent,
        (drive_conductance_s / largest) ** exponent,
    )
    after_conductance_s: FloatArray = largest * (old + new) ** (1 / exponent)
    share: FloatArray = new / (old + new)
    return after_conductance_s, share


def reset_share(
    passed_v: FloatArray,
    divider: FloatArray,
    least: FloatArray,
    onset_v: FloatArray,
    slope_v: FloatArray,
    before: FloatArray,
) -> FloatArray:
    """Return the share g/g₀ of a filament that a RESET of ``passed_v`` volts leaves.

    ``divider``: g₀ R_d. ``least``: g_f/g₀, at most 1. ``onset_v``, ``slope_v``: voltages of the
    filament. ``before``: share that no solution exceeds, 1 or that of a weaker RESET of the same
    filament. All of one shape. Found by iteration downwards, which ends at the largest solution.
    """
    share = before.copy()
    moving = np.flatnonzero(passed_v > onset_v * (1 + divider * before))
    for _ in range(_MOST_ROUNDS):
        if not moving.size:
            break
        here, floor = share[moving], least[moving]
        beyond_v = passed_v[moving] / (1 + here * divider[moving]) - onset_v[moving]
        found = floor + (1 - floor) * np.exp(-np.maximum(beyond_v, 0.0) / slope_v[moving])
        share[moving] = np.minimum(found, here)
        moving = moving[here - found > _SETTLED * here]
    return share


class Cycles:
    """The random draws of each cell for its present cycle of SETs and RESETs.

    ``speed``: e^(r λ z). ``level``: c + p. ``begins_v``: of v_reset, less its median.
    ``strongest_v``: of the RESETs since the latest SET, 0 where there was none.
    """

    def __init__(
        self,
        growth: Growth | None,
        redraw: Redraw | None,
        unsteadiness: FloatArray,
        shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._redraw = redraw
        self._sigma = 0.0 if growth is None else growth.cycle_ratio * unsteadiness
        self.strongest_v = np.zeros(shape)
        self.begins_v = np.zeros(shape)
        self.start_conductance_s = np.ones(shape)
        self.share = np.ones(shape)
        self.speed = np.ones(shape)
        self._of_cycle, self._of_pulse = np.zeros(shape), np.zeros(shape)
        every = np.ones(shape, np.bool_)
        self.draw_speed(every)
        self.draw_level(every)

    @property
    def level(self) -> FloatArray:
        """Return the deviation of the logarithm of the RESET level."""
        return self._of_cycle + self._of_pulse

    def draw_speed(self, which: BoolArray) -> None:
        """Draw the speed of SETs of ``which`` cells, until their next RESET that follows a SET."""
        self.speed = np.where(which, np.exp(self._sigma * self._normal()), self.speed)

    def draw_level(self, which: BoolArray) -> None:
        """Draw the level of the next RESET of ``which`` cells, and the voltage where it begins."""
        one = self._redraw
        if one is None:
            return
        self.begins_v = np.where(which, one.v_sigma_v * self._normal(), self.begins_v)
        self._of_cycle = np.where(which, one.cycle_sigma * self._normal(), self._of_cycle)
        self._of_pulse = np.where(which, one.pulse_sigma * self._normal(), self._of_pulse)

    def again(self, which: BoolArray) -> None:
        """Draw the level for one more RESET of ``which`` cells in this cycle."""
        if self._redraw is None:
            return
        kept = self._redraw.correlation
        new = np.sqrt(1 - kept**2) * self._redraw.pulse_sigma * self._normal()
        self._of_pulse = np.where(which, kept * self._of_pulse + new, self._of_pulse)

    def note_set(self, which: BoolArray) -> None:
        """Record a SET of ``which`` cells: their next RESET is the first of a cycle."""
        turned = which & (self.strongest_v > 0)
        if turned.any():
            self.draw_level(turned)
            self.strongest_v = np.where(turned, 0.0, self.strongest_v)

    def note_start(self, which: BoolArray, own_conductance_s: FloatArray) -> None:
        """Record the filament of ``which`` cells, which have had no RESET in this cycle."""
        self.start_conductance_s = np.where(which, own_conductance_s, self.start_conductance_s)
        self.share = np.where(which, 1.0, self.share)

    def note_reset(self, which: BoolArray, passed_v: FloatArray) -> None:
        """Record a RESET of ``which`` cells by ``passed_v`` volts."""
        first = which & (self.strongest_v == 0)
        if first.any():
            self.draw_speed(first)
        self.strongest_v = np.where(which, passed_v, self.strongest_v)

    def _normal(self) -> FloatArray:
        return self._rng.standard_normal(self.strongest_v.shape)
