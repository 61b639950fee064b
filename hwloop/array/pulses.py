"""Pulses as plain data: single ones, trains of equal ones, and pairs of different ones.

``interval_s`` is a rhythm that an instrument makes, never the host: see
:class:`hwloop.array.operations.Wait` for times that a host may make.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hwloop.array.maps import checked_map, gate_map, refuse_not_positive
from hwloop.messages import first_place
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class PulseMap:
    """One rectangular pulse, or a train of equal ones, for every addressed cell.

    ``amplitude_v``: (..., rows, cols), volts, 0 = not addressed. ``width_s``: of one pulse.
    ``count``: pulses in the train. ``gate_v``: gate voltage while a cell is selected (1T1R only):
    one for all, or a map that broadcasts to that of ``amplitude_v``, of which only the addressed
    entries count (the others are kept as 0). ``interval_s``: from the end of a pulse to the begin
    of the next one of the train, made by the instrument; None: as the instrument chooses.
    """

    amplitude_v: FloatArray
    width_s: float
    count: int = 1
    gate_v: float | FloatArray | None = None
    interval_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "amplitude_v", checked_map(self.amplitude_v, "amplitude_v"))
        refuse_not_positive(self.width_s, "width_s")
        if self.count < 1:
            raise ValueError(f"count {self.count} is below 1")
        if self.interval_s is not None:
            refuse_not_positive(self.interval_s, "interval_s")
        object.__setattr__(self, "gate_v", gate_map(self.gate_v, self.amplitude_v))

    @cached_property
    def addressed(self) -> BoolArray:
        """Return a mask that is True for the cells that get a pulse, (..., rows, cols)."""
        addressed: BoolArray = self.amplitude_v != 0
        addressed.setflags(write=False)
        return addressed

    @cached_property
    def extremes_v(self) -> tuple[float, float]:
        """Return the lowest and the highest amplitude of all cells, volts; 0 where none is."""
        return float(self.amplitude_v.min(initial=0.0)), float(self.amplitude_v.max(initial=0.0))

    @property
    def largest_v(self) -> float:
        """Return the largest magnitude of an amplitude, volts."""
        low_v, high_v = self.extremes_v
        return max(-low_v, high_v)

    def single(self) -> PulseMap:
        """Return one pulse of the train."""
        return replace(self, count=1, interval_s=None)

    @property
    def rhythm_s(self) -> float:
        """Return the intervals asked for of the whole train, seconds; 0 where none is."""
        return (self.count - 1) * (self.interval_s or 0.0)

    @property
    def highest_gate_v(self) -> float | None:
        """Return the highest gate voltage of an addressed cell, volts; None without gates."""
        if not isinstance(self.gate_v, np.ndarray):
            return self.gate_v
        addressed_v = self.gate_v[self.addressed]
        return float(addressed_v.max()) if addressed_v.size else 0.0

    def gate_at(self, place: tuple[int, ...]) -> float | None:
        """Return the gate voltage while the cell at ``place`` is selected; None without gates."""
        return float(self.gate_v[place]) if isinstance(self.gate_v, np.ndarray) else self.gate_v


@dataclass(frozen=True, eq=False)
class PulsePair:
    """Two different pulses for every addressed cell, the second an interval after the first.

    The pulse of the row's side and that of the column's: for the cell only its own voltage counts.
    ``first_v``, ``second_v``: (..., rows, cols), volts, row above column, each of its own sign,
    0 = not addressed, the same cells in both. ``interval_s``: from the end of the first to the
    begin of the second, made by the instrument. ``gate_v``: as of a :class:`PulseMap`, for both.
    """

    first_v: FloatArray
    second_v: FloatArray
    first_width_s: float
    second_width_s: float
    interval_s: float
    gate_v: float | FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("first_v", "second_v"):
            object.__setattr__(self, name, checked_map(getattr(self, name), name))
        if self.first_v.shape != self.second_v.shape:
            raise ValueError(
                f"first_v has shape {self.first_v.shape}, second_v {self.second_v.shape}"
            )
        alone = (self.first_v != 0) != (self.second_v != 0)
        if alone.any():
            place = first_place(alone)
            raise ValueError(
                f"at {place} first_v is {self.first_v[place]:g} and second_v"
                f" {self.second_v[place]:g}: a pair addresses the same cells twice"
            )
        for name in ("first_width_s", "second_width_s", "interval_s"):
            refuse_not_positive(getattr(self, name), name)
        object.__setattr__(self, "gate_v", gate_map(self.gate_v, self.first_v))

    @property
    def addressed(self) -> BoolArray:
        """Return a mask that is True for the cells that get the pair, (..., rows, cols)."""
        return self.pulses[0].addressed

    @cached_property
    def pulses(self) -> tuple[PulseMap, PulseMap]:
        """Return the two pulses in order: always the same objects, checked once."""
        return (
            PulseMap(self.first_v, self.first_width_s, gate_v=self.gate_v),
            PulseMap(self.second_v, self.second_width_s, gate_v=self.gate_v),
        )

    @property
    def duration_s(self) -> float:
        """Return the time from the begin of the first pulse to the end of the second."""
        return self.first_width_s + self.interval_s + self.second_width_s
