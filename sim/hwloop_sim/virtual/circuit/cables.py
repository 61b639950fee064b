"""The charging of the cable on each output after its level has changed.

The cable is behind the resistor in the lead, and has one capacitance on every output. A source at
its limit charges it at I/C; then, or where nothing limits, the rest of the step decays with R·C.
What the cells take meanwhile is left out of the time. Cells, and what tells that a source is at its
limit, see the charged cable: a reading alone is wrong before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.nodal import Drive

NEGLIGIBLE = 1e-9  # of a step


@dataclass(frozen=True)
class Charge:
    """A step of a cable's voltage from ``from_v`` to ``to_v``, begun at ``begun_s``."""

    from_v: float
    to_v: float
    begun_s: float
    limit_a: float
    series_ohm: float
    cable_f: float

    def at(self, time_s: float) -> tuple[float, float]:
        """Return the volts of the cable, and the amperes into it."""
        step_v = abs(self.to_v - self.from_v)
        sign = math.copysign(1.0, self.to_v - self.from_v)
        elapsed_s = time_s - self.begun_s
        resistive_v = min(self.limit_a * self.series_ohm, step_v) if self.series_ohm else 0.0
        slew_s = self.cable_f * (step_v - resistive_v) / self.limit_a
        if elapsed_s < slew_s:
            return self.from_v + sign * self.limit_a * elapsed_s / self.cable_f, sign * self.limit_a
        if not resistive_v:
            return self.to_v, 0.0
        tau_s = self.series_ohm * self.cable_f
        left_v = resistive_v * math.exp(-(elapsed_s - slew_s) / tau_s)
        if left_v <= NEGLIGIBLE * step_v:
            return self.to_v, 0.0
        return self.to_v - sign * left_v, sign * left_v / self.series_ohm


class CableCharges:
    """The cables on the outputs, ``cable_f`` each; without a capacitance none ever charges."""

    def __init__(self, cable_f: float, clock: BenchClock) -> None:
        self._cable_f, self._clock = cable_f, clock
        self._charges: dict[str, Charge] = {}

    def step(self, output: str, drive: Drive, *, from_v: float, to_v: float) -> None:
        """Charge the cable of an output anew, through what its drive has in series and allows."""
        before = self.charging().get(output)
        self._charges.pop(output, None)
        if self._cable_f and drive.volts is not None:
            self._charges[output] = Charge(
                from_v if before is None else before[0],
                to_v,
                self._clock.now_s,
                drive.limit_a,
                drive.series_ohm,
                self._cable_f,
            )

    def charging(self) -> dict[str, tuple[float, float]]:
        """Return volts at, and amperes into, every cable that is not yet charged."""
        present = {n: charge.at(self._clock.now_s) for n, charge in self._charges.items()}
        return {n: now for n, now in present.items() if now[0] != self._charges[n].to_v}

    def charged_drives(self, drives: dict[str, Drive]) -> dict[str, Drive]:
        """Return the drives with cables that charge in the place of their sources."""
        held = {n: Drive(volts) for n, (volts, _) in self.charging().items()}
        return {**drives, **held}

    def with_charge_a(self, output: str, amperes: float, limit_a: float) -> float:
        """Return the current out of an output: into the cells, and into its cable."""
        into_cable_a = self.charging().get(output, (0.0, 0.0))[1]
        if abs(into_cable_a) >= limit_a:
            return into_cable_a
        return min(max(amperes + into_cable_a, -limit_a), limit_a)
