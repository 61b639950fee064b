"""One transistor, one resistor: SET limited by the gate, RESET set by the source line.

SET, v > v_set, gate above V_t: towards G_set = 1/(R_s + 1/(k (V_g − V_t)²)), upwards only. The
filament grows until it takes all the current that the transistor gives, I = β/2 (V_g − V_t)², at
the voltage V_C at which growth stops, so k = β/(2 V_C); D. Ielmini, IEEE Trans. Electron Devices
58, 4309 (2011), doi:10.1109/TED.2011.2167513. R_s is what stands in series. RESET, v < −v_reset:
towards G_reset = G_f + (1/R_s − G_f) e^(−(u − v_reset)/v_slope), downwards only; u = min(|v|, V_g −
V_t), which is all that the transistor passes to its source; there V_t is ``v_follower_v``, if that
is given. Either way G(t) = target + (G − target) e^(−t/τ), in closed form. Source of the defaults:
sweeps of the gate (bit line 2.0 V) and of the source line (gate 4.0 V), 25 1T1R cells, 200 ns, B.
Q. Le, A. Levy et al., IEEE Trans. Electron Devices 68, 4397 (2021), doi:10.1109/TED.2021.3097975.
Their medians are met to 0.9 % rms (SET, 2.0 to 2.75 V at the gate) and 6.8 % rms (RESET, 1.6 to 2.5
V). Scatter: lognormal, drawn for each pulse, from 300 cycles of 100 of those cells (0.057 and 0.73
within a cell). v_set and τ are chosen: the sweeps have one bit-line voltage and one width.
``min_conductance_s`` bounds what scatter can reach. Cells begin at G_f. Valid near those
conditions; the width acts through τ alone, the drive of SET not at all beyond v_set; failure is not
modelled, forming where ``forming`` says so. Positive voltage: bit line above source line. The
current of a read is G · v, as with the gate fully on. With ``growth``, SET adds to the filament
pulse by pulse instead; with ``redraw``, RESET draws levels that may lie above the one before: see
:mod:`hwloop_sim.devices.common.filament`. Stepped trains need both; the shipped calibration
``levy2021_1t1r`` has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.errors import Unsupported
from hwloop.messages import nearest
from hwloop.settings.units import (
    Number,
    PositiveOhm,
    PositiveSecond,
    PositiveSiemens,
    PositiveVolt,
    SiemensPerSquareVolt,
)
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.variability import ParameterSpread, draw_initial
from hwloop_sim.devices.common.filament import (
    Cycles,
    Forming,
    Growth,
    Redraw,
    Scatter,
    cell_conductance_s,
    filament_conductance_s,
    grown_conductance_s,
    reset_share,
)
from hwloop_sim.devices.common.state_device import StateSettings, drawn_parameters, per_cell

_SCATTERS = ("set_sigma", "reset_sigma")
_GROWTH = "growth.conductance_s_per_v"


class OneTransistorSettings(StateSettings):
    """Settings of 1T1R cells.

    ``set_conductance_s_per_v2``: of the SET level; ``reset_floor_conductance_s``: G_f, the level of
    a strong RESET. ``growth`` replaces ``set_conductance_s_per_v2``, ``tau_s`` and ``set_sigma``,
    ``redraw`` replaces ``reset_sigma``. ``v_follower_v``: V_t of the limit of RESET, which need not
    be that of the SET level. ``unsteadiness``: λ, by which ``growth`` scatters. ``array_spread``:
    spread of parameters from array to array. ``days``: factors of parameters, of k of ``growth``
    too, on each day or chip that was measured; each array draws one of them. A value of your own
    wants ``days: []``.
    """

    spreadable: ClassVar = (
        "r_series_ohm",
        "set_conductance_s_per_v2",
        "v_transistor_v",
        "v_set_v",
        "v_reset_v",
        "v_slope_v",
        "reset_floor_conductance_s",
        "tau_s",
        "unsteadiness",
    )

    r_series_ohm: PositiveOhm = 3970.0
    set_conductance_s_per_v2: Annotated[SiemensPerSquareVolt, Field(gt=0)] = 6.35e-3
    v_transistor_v: PositiveVolt = 1.916
    v_set_v: PositiveVolt = 1.0
    v_reset_v: PositiveVolt = 1.56
    v_slope_v: PositiveVolt = 0.104
    reset_floor_conductance_s: PositiveSiemens = 21.2e-6
    min_conductance_s: PositiveSiemens = 1e-6
    tau_s: PositiveSecond = 20e-9
    set_sigma: Scatter = 0.057
    reset_sigma: Scatter = 0.73
    growth: Growth | None = None
    redraw: Redraw | None = None
    forming: Forming | None = None
    unsteadiness: Annotated[Number, Field(ge=0, le=3)] = 0.0
    v_follower_v: PositiveVolt | None = None
    divider_share: Annotated[Number, Field(gt=0, lt=1)] = 0.8
    array_spread: Mapping[str, ParameterSpread] = {}
    days: Sequence[Mapping[str, Annotated[Number, Field(gt=0)]]] = ()

    @model_validator(mode="after")
    def _levels(self) -> OneTransistorSettings:
        if not self.min_conductance_s <= self.reset_floor_conductance_s < 1 / self.r_series_ohm:
            raise ValueError(
                f"reset_floor_conductance_s {self.reset_floor_conductance_s:g} must be from"
                f" min_conductance_s {self.min_conductance_s:g} to"
                f" below 1 / r_series_ohm = {1 / self.r_series_ohm:g}"
            )
        of_days = {name for one in self.days for name in one} - {_GROWTH}
        for key, names in (("array_spread", self.array_spread), ("days", sorted(of_days))):
            for name in names:
                if name not in self.spreadable:
                    raise ValueError(
                        f"{key}: {name!r} is no parameter that can be"
                        f" spread{nearest(name, self.spreadable)}"
                    )
        if self.pristine and self.initial is not None:
            raise ValueError("initial: pristine cells begin at min_conductance_s; leave it out")
        return self

    @property
    def pristine(self) -> bool:
        """Return whether the cells have yet to be formed."""
        return self.forming is not None and self.forming.begin == "pristine"


class OneTransistor(Device):
    """1T1R cells of a population, (..., rows, cols).

    The conductance is that with the transistor fully on. Pulses of any amplitude and width are
    covered, but need a gate voltage; positive voltages SET, negative ones RESET.
    """

    def __init__(
        self, settings: OneTransistorSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        nominal = {name: float(getattr(settings, name)) for name in settings.spreadable}
        self._p = per_cell(drawn_parameters(nominal, settings, shape, rng), shape)
        for name, spread in settings.array_spread.items():
            of_arrays = spread.factors((*shape[:-2], 1, 1), rng)
            setattr(self._p, name, getattr(self._p, name) * of_arrays)
        of_days = _of_days(settings.days, (*shape[:-2], 1, 1), rng)
        self._speed = of_days.pop(_GROWTH, 1.0)
        for name, of_arrays in of_days.items():
            setattr(self._p, name, getattr(self._p, name) * of_arrays)
        self._sign = -1.0 if settings.flipped else 1.0
        self._sigma = {name: getattr(settings, name) for name in _SCATTERS}
        self._low_conductance_s = settings.min_conductance_s
        self._high_conductance_s = 1 / self._p.r_series_ohm
        self._divider_ohm = settings.divider_share * self._p.r_series_ohm
        self._rng = rng
        self._growth, self._redraw = settings.growth, settings.redraw
        self._follower_v = settings.v_follower_v
        self._cycles: Cycles | None = None
        if self._growth is not None or self._redraw is not None:
            self._cycles = Cycles(self._growth, self._redraw, self._p.unsteadiness, shape, rng)
        self._forming, self._pristine = settings.forming, np.full(shape, settings.pristine)
        self._forms_v = np.full(shape, np.inf)
        if self._forming is not None and settings.pristine:
            factors = rng.lognormal(0.0, self._forming.sigma, shape)
            self._forms_v = self._forming.voltage_v * factors
            self._conductance_s = np.full(shape, self._low_conductance_s)
        elif settings.initial is None:
            self._conductance_s = np.array(
                np.broadcast_to(self._p.reset_floor_conductance_s, shape)
            )
        else:
            self._conductance_s = draw_initial(
                settings.initial,
                shape,
                rng,
                low_conductance_s=self._low_conductance_s,
                high_conductance_s=self._high_conductance_s,
            )

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.clip(
            conductance_s, self._low_conductance_s, self._high_conductance_s
        )

    @override
    def check(self, pulse: PulseMap) -> None:
        if pulse.gate_v is None and pulse.addressed.any():
            raise Unsupported(
                "one_transistor: a pulse without gate_v was asked for; a 1T1R cell needs one"
            )

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        if pulse.gate_v is None:
            return
        voltage_v = np.broadcast_to(self._sign * pulse.amplitude_v, self._conductance_s.shape)
        overdrive_v = np.maximum(pulse.gate_v - self._p.v_transistor_v, 0.0)
        passing_v = overdrive_v
        if self._follower_v is not None:
            passing_v = np.maximum(pulse.gate_v - self._follower_v, 0.0)
        before_conductance_s = self._conductance_s
        setting = (overdrive_v > 0) & (voltage_v > self._p.v_set_v)
        if setting.any():
            self._set(setting, overdrive_v, pulse)
        self._reset(np.minimum(-voltage_v, passing_v), pulse)
        if self._forming is not None and self._pristine.any():
            forms = (passing_v > 0) & (voltage_v >= self._forms_v)
            self._form(self._pristine & forms, before_conductance_s, self._forming)

    def _form(self, forms: BoolArray, before_conductance_s: FloatArray, forming: Forming) -> None:
        """Form the cells of ``forms``; all other pristine cells stay as they were."""
        r_ohm = self._p.r_series_ohm
        own_conductance_s = filament_conductance_s(
            np.broadcast_to(forming.formed_conductance_s, forms.shape), r_ohm
        )
        own_conductance_s = own_conductance_s * self._rng.lognormal(
            0.0, forming.formed_sigma, forms.shape
        )
        drawn_conductance_s = np.clip(
            cell_conductance_s(own_conductance_s, r_ohm),
            self._low_conductance_s,
            self._high_conductance_s,
        )
        kept_conductance_s = np.where(self._pristine, before_conductance_s, self._conductance_s)
        self._conductance_s = np.where(forms, drawn_conductance_s, kept_conductance_s)
        self._pristine = self._pristine & ~forms

    def _set(self, setting: BoolArray, overdrive_v: FloatArray, pulse: PulseMap) -> None:
        """Raise to the level of the gate, or by what the pulse adds to the filament."""
        before_conductance_s = self._conductance_s
        if self._growth is not None and self._cycles is not None:
            self._grow(setting, overdrive_v, pulse, self._growth, self._cycles)
        else:
            drive = self._p.set_conductance_s_per_v2 * overdrive_v**2
            set_conductance_s = drive / (1 + drive * self._p.r_series_ohm)
            self._relax(setting, set_conductance_s, np.maximum, self._sigma["set_sigma"], pulse)
        if self._cycles is not None:
            self._cycles.note_set(self._conductance_s != before_conductance_s)

    def _grow(
        self,
        setting: BoolArray,
        overdrive_v: FloatArray,
        pulse: PulseMap,
        growth: Growth,
        cycles: Cycles,
    ) -> None:
        sigma = self._p.unsteadiness
        times = pulse.count if sigma.any() else 1
        width_s = pulse.width_s * pulse.count / times
        drive_conductance_s = growth.drive_conductance_s(overdrive_v) * cycles.speed * self._speed
        drive_conductance_s = drive_conductance_s * (width_s / growth.width_s) ** (
            1 / growth.exponent
        )
        for _ in range(times):
            own_conductance_s = filament_conductance_s(self._conductance_s, self._p.r_series_ohm)
            own_conductance_s, share = grown_conductance_s(
                own_conductance_s, drive_conductance_s, growth.exponent
            )
            if sigma.any():
                drawn = self._rng.standard_normal(own_conductance_s.shape)
                own_conductance_s = own_conductance_s * np.exp(sigma * np.sqrt(share) * drawn)
            after_conductance_s = np.clip(
                cell_conductance_s(own_conductance_s, self._p.r_series_ohm),
                self._low_conductance_s,
                self._high_conductance_s,
            )
            self._conductance_s = np.where(setting, after_conductance_s, self._conductance_s)

    def _reset(self, passed_v: FloatArray, pulse: PulseMap) -> None:
        """Lower to the level of the source line, or to levels drawn about it."""
        if self._redraw is not None and self._cycles is not None:
            for _ in range(pulse.count):
                self._redrawn(passed_v, pulse.width_s, self._cycles)
            return
        resetting = passed_v > self._p.v_reset_v
        if resetting.any():
            level_conductance_s = self._level_conductance_s(passed_v - self._p.v_reset_v)
            self._relax(
                resetting, level_conductance_s, np.minimum, self._sigma["reset_sigma"], pulse
            )
            if self._cycles is not None:
                self._cycles.note_reset(resetting, passed_v)

    def _redrawn(self, passed_v: FloatArray, width_s: float, cycles: Cycles) -> None:
        """Draw what a RESET leaves of the filaments whose voltage exceeds their onset."""
        r_ohm, first = self._divider_ohm, cycles.strongest_v == 0
        own_conductance_s = filament_conductance_s(self._conductance_s, r_ohm)
        cycles.note_start(first, own_conductance_s)
        divider = cycles.start_conductance_s * r_ohm
        onset_v = np.maximum(self._p.v_reset_v + cycles.begins_v, 0.0)
        resetting = (passed_v >= cycles.strongest_v) & (passed_v > onset_v * (1 + divider))
        if not resetting.any():
            return
        cycles.again(resetting & ~first)
        cycles.share[resetting] = self._left(resetting, passed_v, divider, onset_v, cycles)
        drawn_conductance_s = (
            cycles.start_conductance_s * cycles.share * np.exp((1 - cycles.share) * cycles.level)
        )
        drawn_conductance_s = np.where(
            first, np.minimum(drawn_conductance_s, own_conductance_s), drawn_conductance_s
        )
        aim_conductance_s = np.clip(
            cell_conductance_s(drawn_conductance_s, r_ohm),
            self._low_conductance_s,
            self._high_conductance_s,
        )
        after_conductance_s = aim_conductance_s + (
            self._conductance_s - aim_conductance_s
        ) * np.exp(-width_s / self._p.tau_s)
        self._conductance_s = np.where(resetting, after_conductance_s, self._conductance_s)
        cycles.note_reset(resetting, passed_v)

    def _left(
        self,
        which: BoolArray,
        passed_v: FloatArray,
        divider: FloatArray,
        onset_v: FloatArray,
        cycles: Cycles,
    ) -> FloatArray:
        """Return the share that a RESET leaves of the filaments of ``which`` cells."""
        p = self._p
        floor_conductance_s = filament_conductance_s(p.reset_floor_conductance_s, self._divider_ohm)
        least = np.minimum(floor_conductance_s / cycles.start_conductance_s, 1.0)
        terms = (passed_v, divider, least, onset_v, p.v_slope_v, cycles.share)
        return reset_share(*(np.broadcast_to(one, which.shape)[which] for one in terms))

    def _level_conductance_s(self, beyond_v: FloatArray) -> FloatArray:
        """Return the level of a RESET that exceeds its onset by ``beyond_v``, siemens."""
        floor_conductance_s = self._p.reset_floor_conductance_s
        left = np.exp(-np.maximum(beyond_v, 0.0) / self._p.v_slope_v)
        level_conductance_s: FloatArray = (
            floor_conductance_s + (self._high_conductance_s - floor_conductance_s) * left
        )
        return level_conductance_s

    def _relax(
        self,
        moving: BoolArray,
        target_conductance_s: FloatArray,
        further: np.ufunc,
        sigma: float,
        pulse: PulseMap,
    ) -> None:
        """Move towards the target, in one direction only; with scatter, pulse by pulse."""
        alike = sigma == 0
        left = np.exp(-pulse.width_s * (pulse.count if alike else 1) / self._p.tau_s)
        for _ in range(1 if alike else pulse.count):
            here_conductance_s = self._conductance_s
            factor = 1.0 if alike else self._rng.lognormal(0.0, sigma, here_conductance_s.shape)
            aim_conductance_s = np.clip(
                target_conductance_s * factor, self._low_conductance_s, self._high_conductance_s
            )
            aim_conductance_s = further(aim_conductance_s, here_conductance_s)
            self._conductance_s = np.where(
                moving,
                aim_conductance_s + (here_conductance_s - aim_conductance_s) * left,
                here_conductance_s,
            )


def _of_days(
    days: Sequence[Mapping[str, float]], shape: tuple[int, ...], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draw one of ``days`` for each array; return the factors by name, (..., 1, 1)."""
    if not days:
        return {}
    drawn = rng.integers(len(days), size=shape)
    names = sorted({name for one in days for name in one})
    return {name: np.array([one.get(name, 1.0) for one in days])[drawn] for name in names}


ONE_TRANSISTOR = DeviceKind(
    name="one_transistor",
    summary="1T1R: SET limited by the gate, RESET set by the source line",
    settings=OneTransistorSettings,
    make=OneTransistor,
)
