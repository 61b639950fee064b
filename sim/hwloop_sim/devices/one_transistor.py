"""One transistor, one resistor: SET limited by the gate, RESET set by the source line.

SET, v > v_set, gate above V_t: towards G_set = 1/(R_s + 1/(k (V_g − V_t)²)), upwards only. The
filament grows until it takes all the current that the transistor gives, I = β/2 (V_g − V_t)², at
the voltage V_C at which growth stops, so k = β/(2 V_C); D. Ielmini, IEEE Trans. Electron Devices
58, 4309 (2011), doi:10.1109/TED.2011.2167513. R_s is what stands in series.
RESET, v < −v_reset: towards G_reset = G_f + (1/R_s − G_f) e^(−(u − v_reset)/v_slope), downwards
only; u = min(|v|, V_g − V_t), which is all that the transistor passes to its source.
Either way G(t) = target + (G − target) e^(−t/τ), in closed form.
Source of the defaults: sweeps of the gate (bit line 2.0 V) and of the source line (gate 4.0 V), 25
1T1R cells, 200 ns, A. Levy et al., IEEE Trans. Electron Devices 2021,
doi:10.1109/TED.2021.3097975. Their medians are met to 0.9 % rms (SET, 2.0 to 2.75 V at the gate)
and 6.8 % rms (RESET, 1.6 to 2.5 V). Scatter: lognormal, drawn for each pulse, from 300 cycles of
100 of those cells (0.057 and 0.73 within a cell). v_set and τ are chosen: the sweeps have one
bit-line voltage and one width. ``g_min_s`` bounds what scatter can reach. Cells begin at G_f.
Valid near those conditions; the width acts through τ alone, the drive of SET not at all beyond
v_set; forming and failure are not modelled. Positive voltage: bit line above source line. The
current of a read is G · v, as with the gate fully on.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from hwloop.errors import Unsupported
from hwloop.operations import BoolArray, FloatArray, PulseMap
from hwloop.units import Number, PositiveOhm, PositiveSecond, PositiveSiemens, PositiveVolt
from hwloop_sim.device import Device, DeviceKind
from hwloop_sim.state_device import StateSettings, drawn_parameters, per_cell
from hwloop_sim.variability import draw_initial

Scatter = Annotated[Number, Field(ge=0, le=3)]
_SCATTERS = ("set_sigma", "reset_sigma")


class OneTransistorSettings(StateSettings):
    """``k_s_per_v2``: of the SET level; ``reset_floor_s``: G_f, what a strong RESET ends at."""

    spreadable: ClassVar = (
        "r_series_ohm",
        "k_s_per_v2",
        "v_transistor_v",
        "v_set_v",
        "v_reset_v",
        "v_slope_v",
        "reset_floor_s",
        "tau_s",
    )

    r_series_ohm: PositiveOhm = 3970.0
    k_s_per_v2: Annotated[Number, Field(gt=0)] = 6.35e-3
    v_transistor_v: PositiveVolt = 1.916
    v_set_v: PositiveVolt = 1.0
    v_reset_v: PositiveVolt = 1.56
    v_slope_v: PositiveVolt = 0.104
    reset_floor_s: PositiveSiemens = 21.2e-6
    g_min_s: PositiveSiemens = 1e-6
    tau_s: PositiveSecond = 20e-9
    set_sigma: Scatter = 0.057
    reset_sigma: Scatter = 0.73

    @model_validator(mode="after")
    def _levels(self) -> OneTransistorSettings:
        if not self.g_min_s <= self.reset_floor_s < 1 / self.r_series_ohm:
            raise ValueError(
                f"reset_floor_s {self.reset_floor_s:g} must be from g_min_s {self.g_min_s:g} to"
                f" below 1 / r_series_ohm = {1 / self.r_series_ohm:g}"
            )
        return self


class OneTransistor(Device):
    """1T1R cells of a population, (..., rows, cols)."""

    def __init__(
        self, settings: OneTransistorSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        nominal = {name: float(getattr(settings, name)) for name in settings.spreadable}
        self._p = per_cell(drawn_parameters(nominal, settings, shape, rng), shape)
        self._sign = -1.0 if settings.flipped else 1.0
        self._sigma = {name: getattr(settings, name) for name in _SCATTERS}
        self._low_s = settings.g_min_s
        self._high_s = 1 / self._p.r_series_ohm
        self._rng = rng
        if settings.initial is None:
            self._conductance_s = np.array(np.broadcast_to(self._p.reset_floor_s, shape))
        else:
            self._conductance_s = draw_initial(
                settings.initial, shape, rng, low_s=self._low_s, high_s=self._high_s
            )

    @property
    def conductance_s(self) -> FloatArray:
        """Conductance of every cell, its transistor fully on."""
        return self._conductance_s

    def set_conductance(self, conductance_s: FloatArray) -> None:
        """Put every cell there, or at the nearest bound."""
        self._conductance_s = np.clip(conductance_s, self._low_s, self._high_s)

    def check(self, pulse: PulseMap) -> None:
        """Any amplitude and width, with a gate voltage."""
        if pulse.gate_v is None and pulse.addressed.any():
            raise Unsupported(
                "one_transistor: a pulse without gate_v was asked for; a 1T1R cell needs one"
            )

    def pulse(self, pulse: PulseMap) -> None:
        """SET where the voltage is positive, RESET where it is negative."""
        self.check(pulse)
        if pulse.gate_v is None:
            return
        voltage_v = np.broadcast_to(self._sign * pulse.amplitude_v, self._conductance_s.shape)
        overdrive_v = np.maximum(pulse.gate_v - self._p.v_transistor_v, 0.0)
        on = overdrive_v > 0
        drive = self._p.k_s_per_v2 * overdrive_v**2
        setting = on & (voltage_v > self._p.v_set_v)
        set_s = drive / (1 + drive * self._p.r_series_ohm)
        passed_v = np.minimum(-voltage_v, overdrive_v)
        resetting = on & (passed_v > self._p.v_reset_v)
        floor_s = self._p.reset_floor_s
        beyond = np.maximum(passed_v - self._p.v_reset_v, 0.0) / self._p.v_slope_v
        reset_s = floor_s + (self._high_s - floor_s) * np.exp(-beyond)
        self._relax(setting, set_s, np.maximum, self._sigma["set_sigma"], pulse)
        self._relax(resetting, reset_s, np.minimum, self._sigma["reset_sigma"], pulse)

    def _relax(
        self,
        moving: BoolArray,
        target_s: FloatArray,
        further: np.ufunc,
        sigma: float,
        pulse: PulseMap,
    ) -> None:
        """Towards the target, in one direction only; with scatter, pulse by pulse."""
        if not moving.any():
            return
        alike = sigma == 0
        left = np.exp(-pulse.width_s * (pulse.count if alike else 1) / self._p.tau_s)
        for _ in range(1 if alike else pulse.count):
            here_s = self._conductance_s
            factor = 1.0 if alike else self._rng.lognormal(0.0, sigma, here_s.shape)
            aim_s = np.clip(target_s * factor, self._low_s, self._high_s)
            aim_s = further(aim_s, here_s)
            self._conductance_s = np.where(moving, aim_s + (here_s - aim_s) * left, here_s)


ONE_TRANSISTOR = DeviceKind(
    name="one_transistor",
    summary="1T1R: SET limited by the gate, RESET set by the source line",
    settings=OneTransistorSettings,
    make=OneTransistor,
)
