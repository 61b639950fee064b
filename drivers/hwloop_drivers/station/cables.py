"""The time that the cables of a bench take to charge: nothing is read or switched before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwloop.array.line_bounds import DriveCircuit
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, Unsupported
from hwloop.settings.units import format_quantity
from hwloop.station.station import Station
from hwloop_drivers.roles import SourceMeter
from hwloop_drivers.station.drives import GATES, ROWS, BenchDrives

LEFT = 1e-3
"""Of a step, when a cable counts as charged."""
MOST_S = 5.0
"""Longest wait for a cable: the watchdog takes a run for dead after ten seconds of silence."""


def charging_s(step_v: float, *, cable_f: float, limit_a: float, series_ohm: float) -> float:
    """Return the time in which a step of the level charges a cable to 0.1 %, seconds.

    t = C·|ΔV|/I + R·C·ln(1000): at the limit I of the current the voltage rises by I/C, through the
    resistance R in series what is left decays with R·C. The sum is never below the true time of the
    cable alone, in which the two overlap. A cell that takes a good part of I itself makes it
    longer: its source is then still at its limit, and the reading is flagged.
    """
    return cable_f * (abs(step_v) / limit_a - series_ohm * math.log(LEFT))


@dataclass(frozen=True)
class Cables:
    """The cables of a bench, ``cable_f`` each, by the drives that charge them."""

    cable_f: float
    circuits: Mapping[str, DriveCircuit]

    @classmethod
    def of(cls, station: Station, array: ArraySettings, drives: BenchDrives) -> Cables:
        """Return the cables of a station, charged within the array's limit of the current."""
        named, series_ohm = station.wiring.drive.named(), drives.series_ohm(station)
        return cls(
            station.wiring.cable_f,
            {
                key: DriveCircuit(
                    series_ohm[named[key]],
                    array.limits.current_a if isinstance(source, SourceMeter) else math.inf,
                )
                for key, source in drives.sources.items()
            },
        )

    def wait_s(self, steps_v: Mapping[str, float]) -> float:
        """Return the time until every drive that makes a step has charged its cable, seconds."""
        return max((self._charging_s(key, step_v) for key, step_v in steps_v.items()), default=0.0)

    def refuse_pulse(self, level_v: float, width_s: float) -> None:
        """Raise :class:`hwloop.errors.Unsupported` where the row is not charged within a pulse."""
        needed_s = self._charging_s(ROWS, level_v)
        if width_s < needed_s:
            raise Unsupported(
                f"width_s {format_quantity(width_s, 's')} is below the"
                f" {format_quantity(needed_s, 's')} in which {self._in_words(ROWS)} charges to"
                f" {format_quantity(level_v, 'V')}"
            )

    def refuse_interval(self, level_v: float, interval_s: float) -> None:
        """Raise :class:`hwloop.errors.Unsupported` where the row is not at 0 V within it."""
        needed_s = self._charging_s(ROWS, level_v)
        if interval_s < needed_s:
            raise Unsupported(
                f"interval_s {format_quantity(interval_s, 's')} is below the"
                f" {format_quantity(needed_s, 's')} in which {self._in_words(ROWS)} discharges from"
                f" {format_quantity(level_v, 'V')}"
            )

    def refuse_slow(self, array: ArraySettings) -> None:
        """Raise :class:`hwloop.errors.ConfigError` where the wait for a level would be too long."""
        limits = array.limits
        step_v = max(limits.positive_v, -limits.negative_v, 2 * limits.read_v)
        for key in self.circuits:
            most_v = (limits.gate_v or 0.0) if key == GATES else step_v
            if (needed_s := self._charging_s(key, most_v)) > MOST_S:
                raise ConfigError(
                    f"{self._in_words(key)} charges by {format_quantity(most_v, 'V')} in"
                    f" {format_quantity(needed_s, 's')}: above {MOST_S:g} s; raise"
                    " array.limits.current_a",
                    key="wiring.cable_f",
                )

    def _charging_s(self, key: str, step_v: float) -> float:
        if not self.cable_f or not step_v:
            return 0.0
        circuit = self.circuits[key]
        return charging_s(
            step_v,
            cable_f=self.cable_f,
            limit_a=circuit.compliance_a,
            series_ohm=circuit.series_ohm,
        )

    def _in_words(self, key: str) -> str:
        circuit = self.circuits[key]
        through = ""
        if math.isfinite(circuit.compliance_a):
            through += f" at {format_quantity(circuit.compliance_a, 'A')}"
        if circuit.series_ohm:
            through += f" through {format_quantity(circuit.series_ohm, 'ohm')}"
        return f"the cable of the {key}, {format_quantity(self.cable_f, 'F')}{through},"
