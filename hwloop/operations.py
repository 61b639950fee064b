"""The operations on an array, as plain data.

Everything that touches an array is one of four: :class:`PulseMap`, :class:`ReadMap`,
:class:`VectorBatch` and :class:`Wait`. Arrays are float64 with (rows, cols) as their last two
axes and, for an emulated population, the population's axes before them. Positive voltage: row
above column. Positive current: into the column. Arrays inside an operation are read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
FlagArray: TypeAlias = NDArray[np.uint8]


class Flag(IntFlag):
    """Why an entry of a :class:`Reading` is NaN, or is not to be trusted."""

    OVER_RANGE = 1
    COMPLIANCE = 2
    NOT_ADDRESSED = 4


@dataclass(frozen=True, eq=False)
class PulseMap:
    """One rectangular pulse, or a train of equal ones, for every addressed cell.

    ``amplitude_v``: (..., rows, cols), volts, 0 = not addressed. ``width_s``: of one pulse.
    ``count``: pulses in the train. ``gate_v``: gate voltage while a cell is selected (1T1R only):
    one for all, or a map that broadcasts to that of ``amplitude_v``, of which only the addressed
    entries count (the others are kept as 0).
    """

    amplitude_v: FloatArray
    width_s: float
    count: int = 1
    gate_v: float | FloatArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "amplitude_v", _map(self.amplitude_v, "amplitude_v"))
        _positive(self.width_s, "width_s")
        if self.count < 1:
            raise ValueError(f"count {self.count} is below 1")
        object.__setattr__(self, "gate_v", _gate(self.gate_v, self.amplitude_v))

    @property
    def addressed(self) -> BoolArray:
        """True for the cells that get a pulse, (..., rows, cols)."""
        addressed: BoolArray = self.amplitude_v != 0
        return addressed

    @property
    def highest_gate_v(self) -> float | None:
        """The highest gate voltage of an addressed cell; None without gates."""
        if not isinstance(self.gate_v, np.ndarray):
            return self.gate_v
        addressed_v = self.gate_v[self.addressed]
        return float(addressed_v.max()) if addressed_v.size else 0.0

    def gate_at(self, place: tuple[int, ...]) -> float | None:
        """The gate voltage while the cell at ``place`` is selected; None without gates."""
        return float(self.gate_v[place]) if isinstance(self.gate_v, np.ndarray) else self.gate_v


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
        """A read of every cell of an array of ``shape`` (rows, cols)."""
        return cls(np.ones(shape, dtype=np.bool_), read_v, both_polarities)


@dataclass(frozen=True, eq=False)
class VectorBatch:
    """Row voltage vectors to multiply with the array: (..., batch, rows), volts.

    The columns are held at 0 V; the answer is the column currents, (..., batch, cols).
    """

    voltage_v: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "voltage_v", _map(self.voltage_v, "voltage_v"))


@dataclass(frozen=True, eq=False)
class Wait:
    """Let ``duration_s`` pass with every line at 0 V."""

    duration_s: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"duration_s {self.duration_s} is not a finite time of 0 s or more")


Operation: TypeAlias = PulseMap | ReadMap | VectorBatch | Wait


@dataclass(frozen=True, eq=False)
class Reading:
    """Measured currents, amperes, and a :class:`Flag` for each.

    An entry that could not be measured is NaN and flagged; it is never a number.
    """

    current_a: FloatArray
    flags: FlagArray

    def __post_init__(self) -> None:
        if self.current_a.shape != self.flags.shape:
            raise ValueError(
                f"current_a {self.current_a.shape} and flags {self.flags.shape} differ in shape"
            )

    @property
    def complete(self) -> bool:
        """True when every addressed entry is a number."""
        unmeasured = np.isnan(self.current_a) & (self.flags != Flag.NOT_ADDRESSED)
        return not bool(unmeasured.any())


def _map(values: ArrayLike, name: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.ndim < 2:
        raise ValueError(f"{name} has {array.ndim} axes; the last two must be there")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} at {place} is {array[place]}: every entry must be finite")
    array.setflags(write=False)
    return array


def _gate(gate_v: ArrayLike | None, amplitude_v: FloatArray) -> float | FloatArray | None:
    """One gate voltage, or a map of the shape of ``amplitude_v``."""
    if gate_v is None:
        return None
    if np.ndim(gate_v) == 0:
        one_v = float(np.asarray(gate_v, dtype=np.float64))
        if not np.isfinite(one_v):
            raise ValueError(f"gate_v {one_v} is not finite")
        return one_v
    given_v = np.asarray(gate_v, dtype=np.float64)
    try:
        whole_v = np.broadcast_to(given_v, amplitude_v.shape)
    except ValueError:
        raise ValueError(
            f"gate_v has shape {given_v.shape}, amplitude_v {amplitude_v.shape}"
        ) from None
    return _map(np.where(amplitude_v != 0, whole_v, 0.0), "gate_v")


def _positive(value: float, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} {value} is not a finite number above 0")
