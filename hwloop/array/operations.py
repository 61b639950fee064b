"""The operations on an array, as plain data.

Everything that touches an array is one of eight: :class:`PulseMap`, :class:`PulsePair`,
:class:`ReadMap`, :class:`Ramp`, :class:`VectorBatch`, :class:`hwloop.array.blocks.BlockBatch`,
:class:`Wait`, and, in emulation alone, :class:`Hold`. Arrays are float64 with (rows, cols) as their
last two axes and, for an emulated population, the population's axes before them. Positive voltage:
row above column. Positive current: into the column; of a multiplication, out of the array into the
measured line. Arrays inside an operation are read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property
from typing import TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from hwloop.array.blocks import BlockBatch, DrivenLines
from hwloop.array.codes import Codes
from hwloop.array.maps import checked_map, gate_map, refuse_not_positive
from hwloop.array.pulses import PulseMap, PulsePair
from hwloop.messages import first_place
from hwloop.types import BoolArray, FlagArray, FloatArray

__all__ = [
    "MOST_ENTRIES",
    "Answer",
    "DrivenLines",
    "Flag",
    "Hold",
    "Operation",
    "PulseMap",
    "PulsePair",
    "Ramp",
    "ReadMap",
    "Reading",
    "VectorBatch",
    "Wait",
    "limited",
    "unlimited",
]

MOST_ENTRIES = 4_000_000
"""Most voltages of one multiplication that a larger one is divided into: below 32 MB."""


class Flag(IntFlag):
    """Reasons why an entry of a :class:`Reading`, or a pulse, is not what was asked for.

    COMPLIANCE: a source of the path was at its limit: no current was measured, or the pulse did not
    reach its cell in full. AFTER_LIMITED: of a :class:`Ramp`, the pulse before this read was such
    a one; the current is what was read. With any other flag the entry is NaN.
    """

    OVER_RANGE = 1
    COMPLIANCE = 2
    NOT_ADDRESSED = 4
    AFTER_LIMITED = 8


_NOT_ADDRESSED = np.uint8(Flag.NOT_ADDRESSED)


@dataclass(frozen=True, eq=False)
class ReadMap:
    """The current of each addressed cell at a small voltage.

    ``addressed``: (..., rows, cols), bool. ``read_v``: volts. With ``both_polarities`` the
    current is (I(+read_v) − I(−read_v)) / 2, free of the offset of the meter.
    """

    addressed: BoolArray
    read_v: float
    both_polarities: bool = False

    def __post_init__(self) -> None:
        addressed = np.array(self.addressed, dtype=np.bool_)
        if addressed.ndim < 2:
            raise ValueError(f"addressed has {addressed.ndim} axes; needs (..., rows, cols)")
        addressed.setflags(write=False)
        object.__setattr__(self, "addressed", addressed)
        if not np.isfinite(self.read_v) or self.read_v == 0:
            raise ValueError(f"read_v {self.read_v} is not a finite voltage other than 0")

    @classmethod
    def every_cell(
        cls, shape: tuple[int, int], *, read_v: float, both_polarities: bool = False
    ) -> ReadMap:
        """Return a read of every cell of an array of ``shape`` (rows, cols)."""
        return cls(np.ones(shape, dtype=np.bool_), read_v, both_polarities)


@dataclass(frozen=True, eq=False)
class Ramp:
    """A linear series of pulses for each addressed cell, until its current is where it should be.

    Pulse n of a cell, from 0: ``start_v`` + n · ``step_v``, for ``width_s``, its gate at
    ``gate_v`` + n · ``gate_step_v`` (1T1R only). A read at ``read_v`` follows each pulse (see
    :class:`ReadMap`); the series of a cell ends after ``steps`` pulses, once ``low_a`` ≤ current ≤
    ``high_a``, or with a read that is over range or at compliance. Each cell meets just what single
    pulses and reads would do to it; which cell comes when is the backend's.

    ``start_v``: (..., rows, cols), volts, 0 = not addressed; the sign of the pulses must not
    change. ``step_v``, ``low_a``, ``high_a``: one, or maps that broadcast to ``start_v``; a bound
    may be infinite. The answer is a :class:`Reading` of (steps, ..., rows, cols), flagged
    NOT_ADDRESSED after a cell's last pulse, AFTER_LIMITED where compliance cut the pulse before it.
    """

    start_v: FloatArray
    step_v: FloatArray
    width_s: float
    steps: int
    read_v: float
    low_a: FloatArray
    high_a: FloatArray
    both_polarities: bool = False
    gate_v: float | FloatArray | None = None
    gate_step_v: float | FloatArray = 0.0

    def __post_init__(self) -> None:
        start_v = checked_map(self.start_v, "start_v")
        object.__setattr__(self, "start_v", start_v)
        object.__setattr__(self, "step_v", _at_cells(self.step_v, start_v, "step_v"))
        for name, beyond in (("low_a", -np.inf), ("high_a", np.inf)):
            bound_a = _at_cells(getattr(self, name), start_v, name, fill=beyond, finite=False)
            object.__setattr__(self, name, bound_a)
        object.__setattr__(self, "gate_v", gate_map(self.gate_v, start_v))
        object.__setattr__(self, "gate_step_v", gate_map(self.gate_step_v, start_v))
        refuse_not_positive(self.width_s, "width_s")
        if self.steps < 1:
            raise ValueError(f"steps {self.steps} is below 1")
        ReadMap(self.addressed, self.read_v, self.both_polarities)
        if self.gate_v is None and np.any(self.gate_step_v):
            raise ValueError("gate_step_v given without gate_v")
        self._refuse_turning()
        self._refuse_empty_windows()

    @property
    def addressed(self) -> BoolArray:
        """Return a mask that is True for the cells that get pulses, (..., rows, cols)."""
        addressed: BoolArray = self.start_v != 0
        return addressed

    def pulse(self, number: int, running: BoolArray | None = None) -> PulseMap:
        """Return pulse ``number``, from 0, of the cells ``running``; None: all addressed."""
        level_v = np.where(self.addressed, self.start_v + number * self.step_v, 0.0)
        if running is not None:
            level_v = np.where(running, level_v, 0.0)
        gate_v = None if self.gate_v is None else self.gate_v + number * self.gate_step_v
        return PulseMap(level_v, self.width_s, gate_v=gate_v)

    def pulses(self) -> Iterator[PulseMap]:
        """Yield every pulse in order, each of all addressed cells."""
        yield self.first
        yield from (self.pulse(number) for number in range(1, self.steps))

    def ends(self) -> tuple[PulseMap, PulseMap]:
        """Return the first and the last pulse: all others lie between them."""
        return self.first, self.first if self.steps == 1 else self.pulse(self.steps - 1)

    @cached_property
    def first(self) -> PulseMap:
        """Return the first pulse, of all addressed cells: always the same object, checked once."""
        return self.pulse(0)

    def read(self, running: BoolArray) -> ReadMap:
        """Return the read of the cells ``running`` that follows a pulse."""
        return ReadMap(running, self.read_v, self.both_polarities)

    def ended(self, reading: Reading) -> BoolArray:
        """Return a mask of cells with their last pulse before ``reading``, (..., rows, cols)."""
        inside = (reading.current_a >= self.low_a) & (reading.current_a <= self.high_a)
        ended: BoolArray = inside | (reading.flags & ~np.uint8(Flag.AFTER_LIMITED) != 0)
        return ended

    def blank(self, shape: tuple[int, ...]) -> Reading:
        """Return the answer before the first pulse, for an array of ``shape`` (..., rows, cols)."""
        whole = (self.steps, *shape)
        return Reading(np.full(whole, np.nan), np.full(whole, Flag.NOT_ADDRESSED, np.uint8))

    def _refuse_turning(self) -> None:
        last_v = self.start_v + (self.steps - 1) * self.step_v
        turned = np.sign(last_v) != np.sign(self.start_v)
        if self.steps > 1 and turned.any():
            place = first_place(turned)
            raise ValueError(
                f"start_v at {place} is {self.start_v[place]:g} and the last pulse"
                f" {last_v[place]:g}: a ramp does not reach or cross 0 V"
            )

    def _refuse_empty_windows(self) -> None:
        empty = ~(self.low_a <= self.high_a)
        if empty.any():
            place = first_place(empty)
            raise ValueError(
                f"the window at {place} is {self.low_a[place]:g} to {self.high_a[place]:g} A: no"
                " current is inside"
            )


@dataclass(frozen=True, eq=False)
class VectorBatch:
    """Voltage vectors to multiply with the array: (..., batch, driven lines), volts.

    ``driven``: the lines that have these voltages. The others are held at 0 V, and the answer is
    the current out of each of them, (..., batch, measured lines): with ``rows`` driven Σ G V over
    the rows, with ``cols`` over the columns, of the transposed array.
    """

    voltage_v: FloatArray
    driven: DrivenLines = "rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "voltage_v", checked_map(self.voltage_v, "voltage_v"))
        if self.driven not in get_args(DrivenLines):
            raise ValueError(f"driven {self.driven!r} is neither rows nor cols")

    def measured(self, shape: tuple[int, int]) -> int:
        """Return how many lines of an array of ``shape`` (rows, cols) are measured."""
        return shape[1 if self.driven == "rows" else 0]


@dataclass(frozen=True, eq=False)
class Wait:
    """Let ``duration_s`` pass with every line at 0 V."""

    duration_s: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"duration_s {self.duration_s} is not a finite time of 0 s or more")


@dataclass(frozen=True, eq=False)
class Hold:
    """Set cells to conductances without a pulse, which only emulated cells can do.

    ``conductance_s``: (..., rows, cols), siemens, kept as 0 where a cell is not ``addressed``, a
    mask of the same shape: such a cell keeps its state.
    """

    conductance_s: FloatArray
    addressed: BoolArray

    def __post_init__(self) -> None:
        addressed = np.array(self.addressed, dtype=np.bool_)
        if addressed.shape != np.shape(self.conductance_s):
            raise ValueError(
                f"addressed has shape {addressed.shape}, conductance_s"
                f" {np.shape(self.conductance_s)}"
            )
        conductance_s = checked_map(np.where(addressed, self.conductance_s, 0.0), "conductance_s")
        if (conductance_s < 0).any():
            place = first_place(conductance_s < 0)
            raise ValueError(f"conductance_s at {place} is {conductance_s[place]:g}, below 0 S")
        addressed.setflags(write=False)
        object.__setattr__(self, "conductance_s", conductance_s)
        object.__setattr__(self, "addressed", addressed)


Operation: TypeAlias = (
    PulseMap | PulsePair | ReadMap | Ramp | VectorBatch | BlockBatch | Wait | Hold
)


@dataclass(frozen=True, eq=False)
class Reading:
    """Measured currents, amperes, and a :class:`Flag` for each.

    An entry that could not be measured is NaN and flagged; it is never a number. ``codes``: those
    of the converters, of a :class:`hwloop.array.blocks.BlockBatch` that has passed any.
    """

    current_a: FloatArray
    flags: FlagArray
    codes: Codes | None = None

    def __post_init__(self) -> None:
        if self.current_a.shape != self.flags.shape:
            raise ValueError(
                f"current_a {self.current_a.shape} and flags {self.flags.shape} differ in shape"
            )

    @property
    def complete(self) -> bool:
        """Return whether every addressed entry is a number."""
        unmeasured = np.isnan(self.current_a) & (self.flags != Flag.NOT_ADDRESSED)
        return not bool(unmeasured.any())


Answer: TypeAlias = Reading | FlagArray | None
"""Of an operation: what was read, the flags of the pulses, or nothing of a wait."""


def unlimited(pulse: PulseMap | PulsePair, shape: tuple[int, ...]) -> FlagArray:
    """Return the flags of pulses that no limit touched, of ``shape`` (..., rows, cols)."""
    addressed = np.broadcast_to(pulse.addressed, shape)
    flags: FlagArray = (~addressed).view(np.uint8) * _NOT_ADDRESSED
    return flags


def limited(flags: FlagArray) -> BoolArray:
    """Return which pulses were kept from their cell by a limit, of the flags of a pulse map."""
    mask: BoolArray = (flags & np.uint8(Flag.COMPLIANCE)) != 0
    return mask


def any_limited(flags: FlagArray) -> bool:
    """Return whether any pulse was kept from its cell by a limit, in one pass over the flags."""
    return bool(np.bitwise_or.reduce(flags, axis=None) & Flag.COMPLIANCE)


def _at_cells(
    values: ArrayLike, start_v: FloatArray, name: str, *, fill: float = 0.0, finite: bool = True
) -> FloatArray:
    """Return a map of the shape of ``start_v`` with ``fill`` where no cell is addressed."""
    given = np.asarray(values, dtype=np.float64)
    try:
        whole = np.broadcast_to(given, start_v.shape)
    except ValueError:
        raise ValueError(f"{name} has shape {given.shape}, start_v {start_v.shape}") from None
    array = np.where(start_v != 0, whole, fill)
    if finite:
        return checked_map(array, name)
    array.setflags(write=False)
    return array
