"""Stochastic switch: a binary cell that switches on by chance, the sooner the higher the voltage.

At a positive voltage V an open cell closes within t with P = 1 − exp(−t/τ), τ = τ_0 exp(−V/V_0),
so that waiting times are exponential. A negative voltage opens a closed cell by the same law with
constants of its own. Source of the law: S. H. Jo, K.-H. Kim and W. Lu, Nano Lett. 9, 496 (2009),
doi:10.1021/nl803669s, and S. Gaba, P. Sheridan, J. Zhou, S. Choi and W. Lu, Nanoscale 5, 5872
(2013), doi:10.1039/c3nr01176c, for Ag/a-Si. Its constants as M. Al-Shedivat et al., IEEE J. Emerg.
Sel. Topics Circuits Syst. 5, 242 (2015), doi:10.1109/JETCAS.2015.2435512, are cited with: at 2.6 V
they give τ = 16.5 ms where 15.3 ms were measured, at 3.6 V 27 µs where 29 µs were. The constants of
opening and the two conductances are chosen. With ``retention_s`` the cell is volatile: without a
voltage a closed one opens with 1 − exp(−t/retention_s). Valid for single cells whose events are
independent; between its two conductances there is nothing.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.array.switching_law import switching_probability
from hwloop.settings.units import PositiveSecond, PositiveSiemens, PositiveVolt
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.variability import draw_initial
from hwloop_sim.devices.common.state_device import (
    StateSettings,
    drawn_parameters,
    per_cell,
    refuse_gate,
)


class StochasticSwitchSettings(StateSettings):
    """Settings of a stochastic switch.

    ``off_conductance_s``, ``on_conductance_s``: of an open and of a closed cell.
    ``closing_time_s``, ``closing_v``: τ_0 and V_0 of a positive voltage; ``opening_time_s``,
    ``opening_v``: of a negative one. ``retention_s``: mean life of a closed cell without a voltage;
    None: it stays. ``initial``: the nearer of the two conductances.
    """

    spreadable: ClassVar = (
        "off_conductance_s",
        "on_conductance_s",
        "closing_time_s",
        "closing_v",
        "opening_time_s",
        "opening_v",
    )
    ordered: ClassVar = (("off_conductance_s", "on_conductance_s"),)

    off_conductance_s: PositiveSiemens = 1e-9
    on_conductance_s: PositiveSiemens = 1e-6
    closing_time_s: PositiveSecond = 2.85e5
    closing_v: PositiveVolt = 0.156
    opening_time_s: PositiveSecond = 2.85e5
    opening_v: PositiveVolt = 0.156
    retention_s: PositiveSecond | None = None


class StochasticSwitch(Device):
    """Cells that are open or closed, (..., rows, cols)."""

    def __init__(
        self, settings: StochasticSwitchSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        nominal = {name: float(getattr(settings, name)) for name in settings.spreadable}
        self._p = per_cell(drawn_parameters(nominal, settings, shape, rng), shape)
        self._sign = -1.0 if settings.flipped else 1.0
        self._retention_s = settings.retention_s
        self._rng = rng
        self._closed = np.zeros(shape, dtype=np.bool_)
        if settings.initial is not None:
            self.set_conductance(
                draw_initial(
                    settings.initial,
                    shape,
                    rng,
                    low_conductance_s=self._p.off_conductance_s,
                    high_conductance_s=self._p.on_conductance_s,
                )
            )

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return np.asarray(
            np.where(self._closed, self._p.on_conductance_s, self._p.off_conductance_s)
        )

    @property
    @override
    def half_select(self) -> bool:
        return True

    @property
    @override
    def volatile(self) -> bool:
        return self._retention_s is not None

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        middle_conductance_s = (self._p.off_conductance_s + self._p.on_conductance_s) / 2
        self._closed = np.broadcast_to(
            conductance_s > middle_conductance_s, self._closed.shape
        ).copy()

    @override
    def check(self, pulse: PulseMap) -> None:
        refuse_gate("stochastic_switch", pulse)

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        voltage_v = np.broadcast_to(self._sign * pulse.amplitude_v, self._closed.shape)
        up = voltage_v > 0
        chance = switching_probability(
            np.abs(voltage_v),
            pulse.count * pulse.width_s,
            time_s=np.where(up, self._p.closing_time_s, self._p.opening_time_s),
            scale_v=np.where(up, self._p.closing_v, self._p.opening_v),
        )
        event = (self._rng.random(self._closed.shape) < chance) & (voltage_v != 0)
        self._closed = np.where(event, up, self._closed)

    @override
    def wait(self, duration_s: float) -> None:
        if self._retention_s is not None:
            lost = self._rng.random(self._closed.shape) < -np.expm1(-duration_s / self._retention_s)
            self._closed = self._closed & ~lost


STOCHASTIC_SWITCH = DeviceKind(
    name="stochastic_switch",
    summary="Binary cells that switch with 1 − exp(−t/τ(V))",
    settings=StochasticSwitchSettings,
    make=StochasticSwitch,
)
