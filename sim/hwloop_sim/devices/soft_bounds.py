"""Soft bounds: every pulse closes a fixed fraction of the distance to the bound.

After n equal pulses G_n = G_max − (G_max − G_0) e^(−n/ν) upwards, and the same towards G_min
downwards. Source: S. Fusi and L. F. Abbott, Nat. Neurosci. 10, 485 (2007), doi:10.1038/nn1859; the
exponential of P.-Y. Chen, X. Peng and S. Yu (NeuroSim), IEEE Trans. Comput.-Aided Des. Integr.
Circuits Syst. 37, 3067 (2018), doi:10.1109/TCAD.2018.2789723, with both bounds reached only in the
limit. Defaults: range and pulses of the Ag:a-Si device of S. H. Jo et al., Nano Lett. 10, 1297
(2010), doi:10.1021/nl904092h, as NeuroSim tabulates them; the constants ν are chosen.
``cycle_to_cycle``: each pulse adds a normal number with this fraction of the range as its deviation
(NeuroSim: 0.035 for that device); the state is held between the bounds. Cells begin at G_min. Valid
for the two pulses that it is given for; no current-voltage relation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import Fraction, Number, PositiveSiemens
from hwloop.types import FloatArray
from hwloop_sim.cells.device import LARGE, Device, DeviceKind
from hwloop_sim.cells.known_pulses import SAME, KnownPulse, refuse_unknown
from hwloop_sim.cells.variability import draw_initial
from hwloop_sim.devices.common.state_device import StateSettings, drawn_parameters, per_cell

if TYPE_CHECKING:
    from hwloop_sim.compiled.counter_based_random import StepScatter

_Pulses = Annotated[Number, Field(gt=0)]


class SoftBoundsSettings(StateSettings):
    """Settings of soft bounds.

    ``up_pulses``, ``down_pulses``: ν, the pulses after which 63 % of the distance is closed.
    ``up``, ``down``: the pulses of each direction. ``flipped`` turns both round.
    """

    spreadable: ClassVar = ("min_conductance_s", "max_conductance_s", "up_pulses", "down_pulses")
    ordered: ClassVar = (("min_conductance_s", "max_conductance_s"),)

    min_conductance_s: PositiveSiemens = 3.08e-9
    max_conductance_s: PositiveSiemens = 38.5e-9
    up_pulses: _Pulses = 30.0
    down_pulses: _Pulses = 30.0
    up: KnownPulse = KnownPulse(amplitude_v=3.2, width_s=300e-6)
    down: KnownPulse = KnownPulse(amplitude_v=-2.8, width_s=300e-6)
    cycle_to_cycle: Fraction = 0.0

    @model_validator(mode="after")
    def _different(self) -> SoftBoundsSettings:
        if self.up.resembles(self.down):
            raise ValueError(
                f"up, {self.up}, and down, {self.down}, are one pulse within {2 * SAME:.0%}: they"
                " must differ in sign, amplitude or width"
            )
        return self


class SoftBounds(Device):
    """Cells between two bounds of their own."""

    def __init__(
        self, settings: SoftBoundsSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        names = settings.spreadable
        nominal = {name: float(getattr(settings, name)) for name in names}
        self._p = per_cell(drawn_parameters(nominal, settings, shape, rng), shape)
        sign = -1.0 if settings.flipped else 1.0
        self._known = [
            KnownPulse(amplitude_v=sign * one.amplitude_v, width_s=one.width_s)
            for one in (settings.up, settings.down)
        ]
        up, down = self._known
        self._up_sign = np.sign(up.amplitude_v)
        self._unipolar = up.amplitude_v * down.amplitude_v > 0
        self._checked: PulseMap | None = None
        self._ways: tuple[int, list[FloatArray]] | None = None
        self._scatter = settings.cycle_to_cycle
        self._rng = rng
        if settings.initial is None:
            self._conductance_s = np.array(np.broadcast_to(self._p.min_conductance_s, shape))
        else:
            self._conductance_s = draw_initial(
                settings.initial,
                shape,
                rng,
                low_conductance_s=self._p.min_conductance_s,
                high_conductance_s=self._p.max_conductance_s,
            )

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.clip(
            conductance_s, self._p.min_conductance_s, self._p.max_conductance_s
        )

    @override
    def check(self, pulse: PulseMap) -> None:
        if pulse is not self._checked:
            refuse_unknown(pulse, self._known, source="soft_bounds: the response was given")
            self._checked = pulse

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        if not self._scatter and self._conductance_s.size >= LARGE:
            self._conductance_s = self._moved_conductance_s(pulse)
            return
        way = np.broadcast_to(self._way(pulse), self._conductance_s.shape)
        up = way > 0
        bound_conductance_s = np.where(up, self._p.max_conductance_s, self._p.min_conductance_s)
        constant = np.where(up, self._p.up_pulses, self._p.down_pulses)
        left = np.exp(-pulse.count / constant)
        moved_conductance_s = (
            bound_conductance_s + (self._conductance_s - bound_conductance_s) * left
        )
        if self._scatter:
            # The sum over n pulses, each shrunk by those that follow, is normal with this variance.
            variance = np.expm1(-2 * pulse.count / constant) / np.expm1(-2 / constant)
            span_conductance_s = self._p.max_conductance_s - self._p.min_conductance_s
            normal = self._rng.normal(size=moved_conductance_s.shape)
            moved_conductance_s = (
                moved_conductance_s
                + self._scatter * span_conductance_s * np.sqrt(variance) * normal
            )
            moved_conductance_s = np.clip(
                moved_conductance_s, self._p.min_conductance_s, self._p.max_conductance_s
            )
        self._conductance_s = np.where(way != 0, moved_conductance_s, self._conductance_s)

    @override
    def scattered_conductance_s(self, pulse: PulseMap, scatter: StepScatter) -> FloatArray | None:
        self.check(pulse)
        return None if self._scatter else self._moved_conductance_s(pulse, scatter)

    def _moved_conductance_s(
        self, pulse: PulseMap, scatter: StepScatter | None = None
    ) -> FloatArray:
        """Return the state after a train in one compiled loop, the same to the last bit."""
        from hwloop_sim.compiled import kernels

        if self._ways is None or self._ways[0] != pulse.count:
            up, down = self._p.up_pulses, self._p.down_pulses
            left = [np.exp(-pulse.count / constant) for constant in (up, down)]
            parts = (self._p.min_conductance_s, self._p.max_conductance_s, *left)
            shape = np.broadcast_shapes(*(part.shape for part in parts))
            self._ways = pulse.count, [np.array(np.broadcast_to(part, shape)) for part in parts]
        return kernels.towards_bounds(
            self._conductance_s, self._way(pulse), self._ways[1], scatter=scatter
        )

    def _way(self, pulse: PulseMap) -> FloatArray:
        """Return a map above 0 where a pulse moves up, below 0 where down, 0 without a pulse."""
        if not self._unipolar:
            return pulse.amplitude_v if self._up_sign > 0 else -pulse.amplitude_v
        up, down = self._known
        if up.of_width(pulse.width_s) and down.of_width(pulse.width_s):
            from_up_v = np.abs(pulse.amplitude_v - up.amplitude_v)
            rises = from_up_v < np.abs(pulse.amplitude_v - down.amplitude_v)
        else:
            rises = np.asarray(up.of_width(pulse.width_s))
        return np.where(pulse.addressed, np.where(rises, 1.0, -1.0), 0.0)


SOFT_BOUNDS = DeviceKind(
    name="soft_bounds",
    summary="Every pulse closes a fixed fraction of what is left to the bound",
    settings=SoftBoundsSettings,
    make=SoftBounds,
)
